"""A bridge to PostgreSQL through libpq, which passes values' bytes on as they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import pq

from febe._kernel.encode import encode_value
from febe._kernel.rows import decode_value
from febe.types import TYPES, Codec, Registry
from febe.types.catalog import COLUMNS, QUERY, described


def decode(codec: Codec, binary: int, data: bytes) -> Any:
    how = codec.decode_binary if binary else codec.decode_text
    assert how is not None, (codec.name, binary)
    return decode_value(how, data) if isinstance(how, int) else how(data)


def encode(codec: Codec, binary: int, value: object) -> bytes:
    how = codec.encode_binary if binary else codec.encode_text
    assert how is not None, (codec.name, binary)
    return encode_value(how, value) if isinstance(how, int) else how(value)


class Live:
    """A connection; `types` knows what the server has been asked about."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection
        self.types: Registry = TYPES.copy()

    def run(
        self,
        sql: str,
        parameters: Sequence[bytes | None] = (),
        types: Sequence[int] = (),
        formats: Sequence[int] = (),
        result_format: int = 0,
    ) -> list[list[bytes | None]]:
        """Rows of bytes."""
        done = self.connection.pgconn.exec_params(
            sql.encode(), parameters, types or None, formats or None, result_format
        )
        if done.status not in (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK):
            raise AssertionError(done.error_message.decode())
        return [[done.get_value(row, column) for column in range(done.nfields)] for row in range(done.ntuples)]

    def learn(self, *names: str) -> list[Codec]:
        """Look types up by name, as the client does by OID."""
        oids = [int(self.run("select $1::regtype::oid", [name.encode()])[0][0] or b"") for name in names]
        self.learn_oids(oids)
        return [self.types.by_oid(oid) for oid in oids]

    def learn_oids(self, oids: Sequence[int]) -> None:
        """Look up what is not known yet."""
        unknown = self.types.unknown(oids)
        if unknown:
            rows = self.run(QUERY, [encode(TYPES.by_name("_oid"), 1, unknown)], formats=[1], result_format=1)
            codecs = [TYPES.by_oid(oid) for oid in COLUMNS]
            self.types.learn(
                described(
                    [
                        [
                            None if data is None else decode(codec, 1, data)
                            for codec, data in zip(codecs, row, strict=True)
                        ]
                        for row in rows
                    ]
                )
            )

    def echo(self, codec: Codec, name: str, data: Sequence[bytes], binary: int, result_format: int) -> list[bytes]:
        """Send values and get them back."""
        found: list[bytes] = []
        for start in range(0, len(data), 300):
            some = data[start : start + 300]
            places = ", ".join(f"(${n}::{name})" for n in range(1, len(some) + 1))
            rows = self.run(
                f"select * from (values {places}) v", some, [codec.oid] * len(some), [binary] * len(some), result_format
            )
            found += [row[0] for row in rows if row[0] is not None]
        return found


@contextmanager
def connected(dsn: str) -> Iterator[Live]:
    """Connect; what is created goes with the connection's schema."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("create schema if not exists live")
        connection.execute("set search_path = live, public, pg_catalog")
        connection.execute("set timezone = 'UTC'")
        try:
            yield Live(connection)
        finally:
            connection.execute("set client_min_messages = warning")
            connection.execute("drop schema live cascade")
