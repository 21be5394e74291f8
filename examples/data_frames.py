"""Data frames into a table and back: Polars and pandas, with what does not fit named by row and column:
`python data_frames.py CONNINFO`."""

from __future__ import annotations

import sys

import pandas
import polars

import febe


def main(conninfo: str) -> None:
    with febe.connect(conninfo) as connection:
        connection.execute("create temp table sale (id int4 generated always as identity, shop text, pieces int2, "
                           "price numeric(9, 2), day date)")
        frame = polars.DataFrame({"day": ["2026-01-05", "2026-01-06"], "shop": ["Oslo", "Rome"], "pieces": [3, 5],
                                  "price": [9.5, 12.25]}).with_columns(polars.col("day").str.to_date())
        print(connection.copy_in("sale", frame))
        print(connection.copy_in("sale", pandas.DataFrame({"shop": ["Oslo", "Bern"], "pieces": [1, None]}).astype(
            {"pieces": "Int64"})))

        found = polars.DataFrame(connection.fetch_arrow("select shop, sum(pieces * price)::numeric(12, 2) as "
                                                        "total from sale group by shop having count(price) > 0 "
                                                        "order by shop"))
        print(found["shop"].to_list(), found["total"].to_list())
        print(pandas.DataFrame.from_arrow(connection.fetch_arrow("select id, shop, pieces from sale order by id")))

        try:
            connection.copy_in("sale", polars.DataFrame({"pieces": [1, 2, 40_000]}))
        except febe.Error as error:
            print(error)
        print(connection.fetchval("select count(*) from sale"), "rows, as before")


if __name__ == "__main__":
    main(sys.argv[1])
