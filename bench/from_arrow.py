"""Arrow record batches to DataRow messages, without a connection: the server's way out, on one core."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .clock import timed
from .harness import Contender, Measurement, Round, Row, Settings

ROWS = 500_000


def _short() -> tuple[Any, list[int]]:
    import pyarrow as pa

    numbers = [pa.array(range(k, k + ROWS), pa.int32()) for k in range(3)]
    texts = [pa.array([f"text {i % 1000}" for i in range(ROWS)]), pa.array([f"k{i % 100}" for i in range(ROWS)])]
    return pa.table([*numbers, *texts], names=list("abcde")), [23, 23, 23, 25, 25]


def _moments() -> tuple[Any, list[int]]:
    import pyarrow as pa

    days = pa.array((i % 20_000 for i in range(ROWS)), pa.int32()).view(pa.date32())
    moments = pa.array((1_700_000_000_000_000 + i * 1_000_001 for i in range(ROWS)), pa.int64())
    money = pa.array(range(0, ROWS * 101, 101), pa.int64()).cast(pa.decimal128(20, 0)).cast(pa.decimal128(22, 2))
    return pa.table([pa.array(range(ROWS), pa.int32()), money, days, moments.view(pa.timestamp("us", "UTC")),
                     pa.array([f"k{i % 100}" for i in range(ROWS)])], names=list("abcde")), [23, 1700, 1082, 1184, 25]


SOURCES = {"short": _short, "moments": _moments}


def febe(settings: Settings) -> Iterator[Round]:
    from febe.types.arrow import encoder_for, read_stream

    source, oids = SOURCES[settings["source"]]()
    reader = read_stream(source.combine_chunks())
    encoder = encoder_for(reader.schema, [0], oids)
    batches = list(reader)

    def encode() -> None:
        for batch in batches:
            row = 0
            while row < batch.length:
                _frames, row = encoder.encode_some(batch, row, min(batch.length, row + 16384), 1 << 20)

    def run() -> dict[str, float]:
        # One thread's work: what else the machine does meanwhile is not counted.
        _, figures = timed(encode, ROWS)
        return {"rate": 1e9 / figures["cpu per row"]}

    yield run


def _measurement(name: str, source: str, wanted: float) -> Measurement:
    return Measurement(name=name, contenders={"febe": Contender(run=febe)}, settings={"source": source},
                       rows=[Row(name=name, ours="febe", against={}, figure="rate", unit="rows/s", more_is_better=True,
                                 at_least=wanted)])


MEASUREMENTS = [_measurement("Arrow to DataRow, int4 and short text", "short", 10e6),
                _measurement("Arrow to DataRow, numeric, date, timestamptz in text", "moments", 4e6)]
