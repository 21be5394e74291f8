"""Both forms of many values against PostgreSQL itself: what it prints and sends for them is what the kernel writes."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from struct import pack, unpack
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from tests.kernel.values import FAMILIES, GOLDEN
from tests.peers.postgres import Postgres

SOME = 1500


def _values(name: str) -> Iterator[Any]:
    """Give values that are hard in some way, then some at random, always the same ones."""
    dice = random.Random(name)
    yield from (value for family, value, _, _ in GOLDEN if family == name)
    if name in ("int2", "int4", "int8"):
        bits = 8 * int(name[3:])
        for _ in range(SOME):
            yield dice.randrange(-(2 ** (bits - 1)), 2 ** (bits - 1)) >> dice.randrange(bits - 1)
    elif name == "float8":
        for exponent in range(-1074, 1024):
            yield 2.0**exponent
        for exponent in range(-323, 309):
            yield float(f"1e{exponent}")
        for _ in range(2 * SOME):
            yield unpack("d", dice.randbytes(8))[0]
            yield dice.uniform(-1e6, 1e6)
            yield float(dice.randrange(2**50, 2**66))  # where the shortest digits may lie on a rounding boundary
            yield float(dice.randrange(10**14, 10**17) * 10 ** dice.randrange(10))
            yield round(dice.uniform(-1e4, 1e4), dice.randrange(6))
    elif name == "float4":
        for exponent in range(-149, 128):
            yield 2.0**exponent
        for exponent in range(-45, 39):
            yield unpack("f", pack("f", float(f"1e{exponent}")))[0]
        for _ in range(2 * SOME):
            yield unpack("f", dice.randbytes(4))[0]
            yield unpack("f", pack("f", dice.uniform(-1e6, 1e6)))[0]
            yield unpack("f", pack("f", float(dice.randrange(2**23, 2**40))))[0]
            yield round(dice.uniform(-1e4, 1e4), dice.randrange(6))
    elif name == "date":
        for _ in range(SOME):
            yield date.fromordinal(dice.randrange(1, 3652060))
    elif name in ("timestamp", "timestamptz"):
        zone = UTC if name == "timestamptz" else None
        for _ in range(SOME):
            unit = 10 ** dice.randrange(7)
            micros = dice.randrange(315537897600 * 10**6) // unit * unit
            yield datetime(1, 1, 1, tzinfo=zone) + timedelta(microseconds=micros)
    elif name == "numeric":
        for _ in range(SOME):
            yield Decimal(dice.randrange(-(10**dice.randrange(1, 60)), 10**40)).scaleb(-dice.randrange(60))
    elif name == "uuid":
        for _ in range(50):
            yield UUID(int=dice.getrandbits(128))
    elif name == "bytea":
        for size in range(300):
            yield dice.randbytes(size)


@pytest.mark.parametrize("name", FAMILIES)
def test_writes_as_postgres(kernel: SimpleNamespace, postgres: Postgres, name: str) -> None:
    psycopg = pytest.importorskip("psycopg")
    values = [value for value in _values(name) if value == value]  # a NaN has many bit patterns
    if name == "numeric" and postgres.major < 14:
        values = [value for value in values if not value.is_infinite()]
    spelled = '"char"' if name == "char" else name
    with psycopg.connect(postgres.dsn()) as connection:
        for start in range(0, len(values), 500):
            some = values[start : start + 500]
            places = ", ".join(f"(${n}::{spelled})" for n in range(1, len(some) + 1))
            for binary in (0, 1):
                kind = FAMILIES[name] + binary
                encoded = [kernel.encode.encode_value(kind, value) for value in some]
                for result_format in (binary, 1 - binary):
                    sql = f"select * from (values {places}) v".encode()
                    formats = [binary] * len(some)
                    result = connection.pgconn.exec_params(sql, encoded, None, formats, result_format)
                    assert result.status == psycopg.pq.ExecStatus.TUPLES_OK, result.error_message
                    received = [result.get_value(n, 0) for n in range(len(some))]
                    wanted = [kernel.encode.encode_value(FAMILIES[name] + result_format, value) for value in some]
                    if name != "jsonb":  # it keeps neither order nor spacing
                        different = [case for case in zip(some, received, wanted, strict=True) if case[1] != case[2]]
                        assert different[:9] == []
                    for value, data in zip(some, received, strict=True):
                        decoded = kernel.rows.decode_value(FAMILIES[name] + result_format, data)
                        assert repr(decoded) == repr(value) or decoded == value or name == "float4"
