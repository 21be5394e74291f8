"""COPY in binary format into a table: records from Python, and record batches from Arrow."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from .clock import timed
from .harness import Contender, Measurement, Round, Row, Settings

ROWS = 300_000
MANY = 1_000_000
COLUMNS = ("a int4, b int8, c float8, d text, e timestamptz, f bool, g numeric(20,2), h uuid")
NAMES = ("int4", "int8", "float8", "text", "timestamptz", "bool", "numeric", "uuid")
FEW_COLUMNS = "a int4, b text, c float8, d timestamptz"
FEW_NAMES = ("int4", "text", "float8", "timestamptz")
ARROW = "a int4, b int8, c float8, d text, e timestamptz, f bool, g date"
ARROW_NAMES = ("int4", "int8", "float8", "text", "timestamptz", "bool", "date")


def records(count: int) -> list[tuple[Any, ...]]:
    begin = datetime(2024, 1, 1, tzinfo=UTC)
    return [(i, i * 1_000_000_007, i * 0.5, f"some text {i}", begin + timedelta(microseconds=i * 1_000_001), i % 3 == 0,
             Decimal(i * 101) / 100, UUID(int=i * 0x1234567890ABCDEF)) for i in range(count)]


def few(count: int) -> list[tuple[Any, ...]]:
    begin = datetime(2024, 1, 1, tzinfo=UTC)
    return [(i, f"some text {i}", i * 0.5, begin + timedelta(microseconds=i * 1_000_001)) for i in range(count)]


RECORDS = {COLUMNS: (records, NAMES), FEW_COLUMNS: (few, FEW_NAMES)}


def frame(count: int) -> Any:
    import pyarrow as pa

    begin = datetime(2024, 1, 1, tzinfo=UTC)
    kinds = [pa.int32(), pa.int64(), pa.float64(), pa.string(), pa.timestamp("us", "UTC"), pa.bool_(), pa.date32()]
    rows = [(i, i * 7, i * 0.5, f"some text {i}", begin + timedelta(seconds=i), i % 3 == 0, begin.date())
            for i in range(count)]
    made = [pa.array([row[k] for row in rows], kind) for k, kind in enumerate(kinds)]
    return pa.table(made, names=list("abcdefg"))


def _prepare(settings: Settings, name: str, columns: str) -> None:
    import psycopg

    with psycopg.connect(settings["dsn"], autocommit=True) as connection:
        connection.execute(f"drop table if exists {name}")
        connection.execute(f"create unlogged table {name} ({columns})")


def _empty(settings: Settings, name: str) -> None:
    import psycopg

    with psycopg.connect(settings["dsn"], autocommit=True) as connection:
        connection.execute(f"truncate {name}")


def febe_records(settings: Settings) -> Iterator[Round]:
    import febe

    make, _names = RECORDS[settings["columns"]]
    rows = make(settings["rows"])
    _prepare(settings, "records_febe", settings["columns"])
    with febe.connect(settings["dsn"]) as connection:

        def run() -> dict[str, float]:
            _empty(settings, "records_febe")
            return timed(lambda: connection.copy_in("records_febe", rows), len(rows))[1]

        yield run


def asyncpg_records(settings: Settings) -> Iterator[Round]:
    import asyncpg
    import uvloop

    make, _names = RECORDS[settings["columns"]]
    rows = make(settings["rows"])
    _prepare(settings, "records_asyncpg", settings["columns"])
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        connection = runner.run(asyncpg.connect(settings["dsn"]))

        def run() -> dict[str, float]:
            _empty(settings, "records_asyncpg")
            return timed(lambda: runner.run(
                connection.copy_records_to_table("records_asyncpg", records=rows)), len(rows))[1]

        yield run
        runner.run(connection.close())


def psycopg_records(settings: Settings) -> Iterator[Round]:
    import psycopg

    make, names = RECORDS[settings["columns"]]
    rows = make(settings["rows"])
    _prepare(settings, "records_psycopg", settings["columns"])
    with psycopg.connect(settings["dsn"], autocommit=True) as connection:

        def copy() -> None:
            with connection.cursor().copy("copy records_psycopg from stdin (format binary)") as copy:
                copy.set_types(names)
                for row in rows:
                    copy.write_row(row)

        def run() -> dict[str, float]:
            _empty(settings, "records_psycopg")
            return timed(copy, len(rows))[1]

        yield run


def febe_arrow(settings: Settings) -> Iterator[Round]:
    import febe

    table = frame(settings["rows"])
    _prepare(settings, "arrow_febe", ARROW)
    with febe.connect(settings["dsn"]) as connection:

        def run() -> dict[str, float]:
            _empty(settings, "arrow_febe")
            return timed(lambda: connection.copy_in("arrow_febe", table), settings["rows"])[1]

        yield run


def pgpq_arrow(settings: Settings) -> Iterator[Round]:
    import psycopg
    from pgpq import ArrowToPostgresBinaryEncoder

    table = frame(settings["rows"])
    _prepare(settings, "arrow_pgpq", ARROW)
    with psycopg.connect(settings["dsn"], autocommit=True) as connection:

        def copy() -> None:
            encoder = ArrowToPostgresBinaryEncoder(table.schema)
            with connection.cursor().copy("copy arrow_pgpq from stdin (format binary)") as copy:
                copy.write(encoder.write_header())
                for batch in table.to_batches(max_chunksize=4096):
                    copy.write(encoder.write_batch(batch))
                copy.write(encoder.finish())

        def run() -> dict[str, float]:
            _empty(settings, "arrow_pgpq")
            return timed(copy, settings["rows"])[1]

        yield run


def adbc_arrow(settings: Settings) -> Iterator[Round]:
    from adbc_driver_postgresql import dbapi

    table = frame(settings["rows"])
    _prepare(settings, "arrow_adbc", ARROW)
    with dbapi.connect(settings["dsn"], autocommit=True) as connection, connection.cursor() as cursor:

        def run() -> dict[str, float]:
            _empty(settings, "arrow_adbc")
            return timed(lambda: cursor.adbc_ingest("arrow_adbc", table, mode="append"), settings["rows"])[1]

        yield run


def _measurement(name: str, columns: str, rows: int, contenders: dict[str, Any], wanted: float) -> Measurement:
    peers = [peer for peer in contenders if peer != "febe"]
    return Measurement(
        name=name, contenders={peer: Contender(run=run) for peer, run in contenders.items()},
        settings={"columns": columns, "rows": rows},
        rows=[Row(name=name, ours="febe", against=dict.fromkeys(peers, wanted), figure="wall", unit="s"),
              Row(name=f"{name}, client CPU", ours="febe", against=dict.fromkeys(peers), figure="cpu per row",
                  unit="ns/row")])


_RECORDS = {"febe": febe_records, "asyncpg": asyncpg_records, "psycopg": psycopg_records}

MEASUREMENTS = [
    _measurement(f"COPY binary of {ROWS:,} records, 8 columns", COLUMNS, ROWS, _RECORDS, 1.5),
    _measurement(f"COPY binary of {MANY:,} records, 4 columns", FEW_COLUMNS, MANY, _RECORDS, 1.5),
    _measurement(f"COPY binary of Arrow x {ROWS:,}", ARROW, ROWS,
                 {"febe": febe_arrow, "ADBC": adbc_arrow, "pgpq": pgpq_arrow}, 1.2),
]
