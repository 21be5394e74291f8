"""Text and binary compared byte by byte with what a real PostgreSQL sends for the same values."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from typing import Any

import pytest

from tests.peers.postgres import Postgres

from .arrow_rows import column

pa = pytest.importorskip("pyarrow")
psycopg = pytest.importorskip("psycopg")

DATE, TIME, TIMESTAMP, TIMESTAMPTZ, INTERVAL, NUMERIC, FLOAT4, FLOAT8 = 1082, 1083, 1114, 1184, 1186, 1700, 700, 701
NAMES = {DATE: "date", TIME: "time", TIMESTAMP: "timestamp", TIMESTAMPTZ: "timestamptz", INTERVAL: "interval",
         NUMERIC: "numeric", FLOAT4: "float4", FLOAT8: "float8"}  # fmt: skip

RANDOM = random.Random(20261121)


@pytest.fixture(scope="module")
def connection(pg18: Postgres) -> Iterator[Any]:
    with psycopg.connect(pg18.dsn(), autocommit=True) as connection:
        connection.execute("set timezone = 'UTC'")
        yield connection


def same(connection: Any, oid: int, array: Any, text: list[str] | None = None) -> None:
    """Send our binary form as an array, or else `text`; PostgreSQL must give both of our forms back."""
    source = pa.table({"x": array})
    ours = column(source, oid, binary=True)
    name = NAMES[oid]
    if text is None:
        items = b"".join(struct.pack("!i", len(value)) + value for value in ours if value is not None)
        given = struct.pack("!iiIii", 1, 0, oid, len(ours), 1) + items
        kind = connection.execute("select %s::regtype::oid", [f"{name}[]"]).fetchone()[0]
        result = connection.pgconn.exec_params(
            f"select x, x::text from unnest($1::{name}[]) x".encode(), [given], [kind], [1], 1
        )
    else:
        result = connection.pgconn.exec_params(
            f"select y, y::text from unnest($1::text[]) x, lateral (select x::{name}) z(y)".encode(),
            [psycopg.adapt.Transformer().get_dumper(text, psycopg.adapt.PyFormat.TEXT).dump(text)], None, None, 1,
        )  # fmt: skip
    assert result.error_message == b""
    assert result.ntuples == len(ours)
    assert ours == [result.get_value(row, 0) for row in range(result.ntuples)]
    assert column(source, oid) == [result.get_value(row, 1) for row in range(result.ntuples)]


def doubles() -> list[int]:
    bits = [RANDOM.getrandbits(64) for _ in range(20_000)]
    bits += [exponent << 52 for exponent in range(2048)]  # powers of two: the gap below is the smaller one
    bits += [(exponent << 52) - 1 for exponent in range(1, 2047)]
    bits += list(range(200))  # subnormal
    values = [10.0**n for n in range(-323, 309)] + [9.5, 1e22, 1e23, 5e-324, 0.1, 0.3, 1 / 3, -0.0, 2.0**53 + 2]
    values += [float(n) for n in range(-50, 50)] + [RANDOM.randrange(10**9) / 100 for _ in range(5000)]
    values += [9007199254740993.0, 123456789012345.0, 1234567890123456.0, 99999.9, 0.0001, 0.00001]
    values += [float(RANDOM.randrange(10**17)) for _ in range(2000)] + [4.9406564584124654e-324, 1.7976931348623157e308]
    return bits + [struct.unpack("!Q", struct.pack("!d", value))[0] for value in values]


def test_float8(connection: Any) -> None:
    bits = [b for b in doubles() if not ((b >> 52) & 2047 == 2047 and b & ((1 << 52) - 1))]
    same(connection, FLOAT8, pa.array([*bits, 0x7FF8000000000000], pa.uint64()).view(pa.float64()))


def test_float4(connection: Any) -> None:
    bits = [RANDOM.getrandbits(32) for _ in range(20_000)] + [exponent << 23 for exponent in range(256)]
    bits += [(exponent << 23) - 1 for exponent in range(1, 255)] + list(range(200))
    values = [float(n) for n in range(2000)] + [n / 10 for n in range(2000)] + [1e5, 999999.0, 1e6, 1e-4, 1e-5]
    bits += [struct.unpack("!I", struct.pack("!f", value))[0] for value in values]
    bits = [b for b in bits if not ((b >> 23) & 255 == 255 and b & ((1 << 23) - 1))]
    same(connection, FLOAT4, pa.array([*bits, 0x7FC00000], pa.uint32()).view(pa.float32()))


def test_dates(connection: Any) -> None:
    days = [RANDOM.randrange(-2440588, 2145042906) for _ in range(5000)] + list(range(-800, 800))
    days += [RANDOM.randrange(-719162 - 1000, 3_000_000) for _ in range(5000)]
    days += [-2440588, 2145042905, 2**31 - 1, 1 - 2**31] + [-719162 + n for n in range(-1500, 1500)]
    same(connection, DATE, pa.array(days, pa.int32()).view(pa.date32()))


def test_times(connection: Any) -> None:
    micros = [0, 86_400_000_000] + [RANDOM.randrange(86_400_000_000) for _ in range(5000)]
    micros += [n * 10**RANDOM.randrange(7) for n in range(8000)]
    same(connection, TIME, pa.array(micros, pa.int64()).view(pa.time64("us")))


@pytest.mark.parametrize("oid", [TIMESTAMP, TIMESTAMPTZ])
def test_timestamps(connection: Any, oid: int) -> None:
    low = -210866803200_000000
    micros = [RANDOM.randrange(low, 2**63 - 1) for _ in range(5000)] + [low, 2**63 - 2, 2**63 - 1, 1 - 2**63]
    micros += [RANDOM.randrange(-10**17, 4 * 10**15) for _ in range(5000)]
    micros += [RANDOM.randrange(-10**10, 10**10) * 1_000_000 + n % 7 * 10 ** (n % 6) for n in range(5000)]
    kind = pa.timestamp("us", "Asia/Tokyo" if oid == TIMESTAMPTZ else None)
    same(connection, oid, pa.array(micros, pa.int64()).view(kind))


def test_intervals(connection: Any) -> None:
    values = [(m, d, t * 1000) for m in (0, 1, -1, 12, 13, -13, 25, -24) for d in (0, 1, -1, 30, -400)
              for t in (0, 1, -1, 10**6, -10**6, 3600 * 10**6, -3661_000001, 36 * 10**10, 10**13)]  # fmt: skip
    values += [(RANDOM.randrange(-(2**31), 2**31), RANDOM.randrange(-(2**31), 2**31),
                RANDOM.randrange(-(2**53), 2**53) * 1000) for _ in range(3000)]  # fmt: skip
    same(connection, INTERVAL, pa.array(values, pa.month_day_nano_interval()))


@pytest.mark.parametrize(
    "kind",
    [pa.decimal64(18, 2), pa.decimal128(38, 0), pa.decimal128(38, 9), pa.decimal128(38, 38), pa.decimal128(20, -5),
     pa.decimal256(76, 41)], ids=str,
)  # fmt: skip
def test_numeric(connection: Any, kind: Any) -> None:
    from decimal import Decimal

    integers = [RANDOM.randrange(10 ** RANDOM.randrange(1, kind.precision)) for _ in range(3000)]
    integers += [10**n for n in range(kind.precision)] + [10**n - 1 for n in range(1, kind.precision + 1)] + [0]
    values = [Decimal((RANDOM.randrange(2) if n else 0, tuple(map(int, str(n))), -kind.scale)) for n in integers]
    same(connection, NUMERIC, pa.array(values, kind))
    same(connection, NUMERIC, pa.array(values, kind), [f"{value:f}" for value in values])
