"""A REST API as tables: `select * from posts` is GET /posts, an array of objects in JSON.

    REST=https://example.org/api febe serve examples.engine_rest:Rest --port 5499
"""

import json
import os
import re
from collections.abc import Iterator
from urllib.request import urlopen

from febe.server import Answer, AnswerEngine, Column, EngineError
from febe.types import oids

TABLES = {"posts": {"id": oids.INT8, "title": oids.TEXT}, "users": {"id": oids.INT8, "name": oids.TEXT}}


class Rest(AnswerEngine):
    def answer(self, sql: str) -> Answer:
        match = re.fullmatch(r"select \* from (\w+)", sql, re.IGNORECASE)
        if match is None or match[1] not in TABLES:
            raise EngineError(f"say: select * from {' | '.join(TABLES)}", sqlstate="42601")
        types = TABLES[match[1]]
        return Answer([Column(name=name, type_oid=oid) for name, oid in types.items()], lambda: rows(match[1], types))


def rows(table: str, types: dict[str, int]) -> Iterator[tuple[object, ...]]:
    with urlopen(f"{os.environ['REST']}/{table}") as answer:
        yield from (tuple(entry.get(name) for name in types) for entry in json.load(answer))
