"""Values that Python has no class for, types of the server's own, and classes of the program's.

    python examples/values.py [postgresql://user@host:port/database]
"""

import sys
from dataclasses import dataclass
from enum import Enum

import febe
from febe.types import Interval, Range


class Size(Enum):
    SMALL = "small"
    LARGE = "large"


@dataclass
class Parcel:
    label: str
    size: Size
    weights: list[int]


def main(conninfo: str) -> None:
    with febe.connect(conninfo) as connection:
        # A month is no number of days, and infinity is no date: what PostgreSQL has is what comes.
        for sql in ("interval '1 month 2 days'", "timestamptz 'infinity'", "'[0:1]={5,6}'::int4[]",
                    "inet '10.0.0.1/24'"):
            print(sql, "->", repr(connection.fetchval(f"select {sql}")))
        print(connection.fetchval("select $1::daterange @> date '2024-02-29'", Range(None, None)))
        print(Interval(months=1, days=2).timedelta(days_per_month=30))

        connection.execute("begin; create type size as enum ('small', 'large'); "
                           "create type parcel as (label text, size size, weights int4[])")
        connection.types.register_class("size", Size)
        connection.types.register_class("parcel", Parcel)
        parcel = connection.fetchval("select $1::parcel", Parcel("tea", Size.SMALL, [1, 2]))
        print(parcel)
        connection.execute("rollback")


if __name__ == "__main__":
    main(*sys.argv[1:2] or ["postgresql://demo@127.0.0.1:5433/demo"])
