"""A Polars frame (or a pandas one, by polars.from_pandas) as a table for every PostgreSQL client.

    febe serve examples.engine_frames:Frames --port 5499
    psql "host=127.0.0.1 port=5499 user=me" -c "select city, max(warmest) from towns group by city"
"""

import polars

from febe.server import Answer, AnswerEngine, EngineError, arrow_columns

TOWNS = polars.DataFrame({"city": ["Oslo", "Rome", "Oslo"], "warmest": [24.5, 38.0, 27.25], "year": [2023, 2023, 2024]})


class Frames(AnswerEngine):
    def __init__(self, **frames: polars.DataFrame) -> None:
        self.context = polars.SQLContext(frames or {"towns": TOWNS})

    def answer(self, sql: str) -> Answer:
        try:
            query = self.context.execute(sql)  # lazy: nothing is computed yet
            columns = arrow_columns(polars.DataFrame(schema=query.collect_schema()))
        except polars.exceptions.PolarsError as error:
            raise EngineError(str(error), sqlstate="42601") from error
        return Answer(columns, query.collect)
