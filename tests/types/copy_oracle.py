"""The same COPY by PostgreSQL and by febe, told in one form: rows, or what is wrong."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg

from febe.types.copy import CopyColumn, CopyDecoder, CopyError, CopyFormat
from febe.types.registry import TYPES
from tests.peers.postgres import Postgres

Outcome = tuple[str, Any]


def columns(*types: str, defaults: Sequence[str] = ()) -> list[CopyColumn]:
    """Columns a, b, c... of these types."""
    names = "abcdefghijklmnop"
    return [CopyColumn(name=name, codec=TYPES.by_name(kind), has_default=name in defaults)
            for name, kind in zip(names, types, strict=False)]  # fmt: skip


@contextmanager
def connected(server: Postgres) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(server.dsn(), autocommit=True, prepare_threshold=None) as connection:
        yield connection


def table(connection: psycopg.Connection[Any], *types: str, defaults: dict[str, str] | None = None) -> None:
    """Make table t anew."""
    given = defaults or {}
    described = ", ".join(
        f"{column.name} {column.codec.name}" + (f" default {given[column.name]}" if column.name in given else "")
        for column in columns(*types)
    )
    connection.execute("drop table if exists t")
    connection.execute(f"create temp table t ({described})")


def load(connection: psycopg.Connection[Any], options: str, data: bytes) -> Outcome:
    """COPY t FROM STDIN by PostgreSQL."""
    connection.execute("truncate t")
    try:
        with connection.cursor().copy(f"copy t from stdin {options}") as copy:
            copy.write(data)
    except psycopg.Error as error:
        diag = error.diag
        return "error", (diag.sqlstate, diag.message_primary, diag.message_detail, diag.message_hint, diag.context)
    return "rows", connection.execute("select * from t").fetchall()


def dump(connection: psycopg.Connection[Any], options: str, query: str = "t") -> bytes:
    """COPY t TO STDOUT by PostgreSQL."""
    with connection.cursor().copy(f"copy {query} to stdout {options}") as copy:
        return b"".join(copy)  # type: ignore[arg-type]


def pieces(data: bytes, dice: random.Random) -> Iterator[bytes]:
    """Cut anywhere."""
    at = 0
    while at < len(data):
        step = dice.choice((1, 2, 3, 7, 100, 1 << 20))
        yield data[at : at + step]
        at += step


def decode(form: CopyFormat, described: Sequence[CopyColumn], data: bytes, dice: random.Random) -> Outcome:
    """The same by febe, the data cut anywhere."""
    rows: list[tuple[Any, ...]] = []
    try:
        decoder = CopyDecoder(form, described)
        for piece in pieces(data, dice):
            rows += decoder.feed(piece)
        rows += decoder.finish()
    except CopyError as error:
        return "error", (error.sqlstate, error.message, error.detail, error.hint, error.context("t"))
    return "rows", rows
