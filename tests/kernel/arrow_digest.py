"""Prints a digest of the DataRow messages for columns of every kind, made from a seed; run in both kernels."""

from __future__ import annotations

import hashlib
import random
import sys
from collections.abc import Callable
from typing import Any

import pyarrow as pa

from febe._kernel import columns
from febe.types.arrow import ArrowValueError, encoder_for, read_stream

ROWS = 400


def each(values: list[Any], make: Callable[[Any], Any]) -> list[Any]:
    return [None if value is None else make(value) for value in values]


def main(seed: int) -> None:
    rng = random.Random(seed)

    def bits(width: int) -> list[int | None]:
        return [None if rng.random() < 0.1 else rng.getrandbits(rng.randrange(1, width + 1)) for _ in range(ROWS)]

    def text() -> list[str | None]:
        lengths = [None if rng.random() < 0.1 else rng.randrange(30) for _ in range(ROWS)]
        return each(lengths, lambda length: "".join(rng.choices("aü€😀 ", k=length)))

    made = []  # name, array, type OID
    for size, low, high in ((8, 21, 21), (16, 21, 23), (32, 23, 20), (64, 20, 1700)):
        made.append((pa.array(bits(size - 1), getattr(pa, f"int{size}")()), low))
        made.append((pa.array(bits(size), getattr(pa, f"uint{size}")()), high))
    for size, oid in ((16, 700), (32, 700), (64, 701)):
        made.append((pa.array(bits(size), getattr(pa, f"uint{size}")()).view(getattr(pa, f"float{size}")()), oid))
    made.append((pa.array(bits(32), pa.uint32()).view(pa.float32()), 701))
    signed = each(bits(64), lambda v: v - (1 << 63))
    for unit in ("s", "ms", "us", "ns"):
        few = {"s": 30, "ms": 20}.get(unit, 5)
        moments = pa.array([None if v is None else v >> few for v in signed], pa.int64())
        made.append((moments.view(pa.timestamp(unit)), 1114))
        made.append((moments.view(pa.timestamp(unit, "UTC")), 1184))
        made.append((moments.view(pa.duration(unit)), 1186))
    days = each(bits(31), lambda v: v % 4_000_000 - 1_000_000)
    made.append((pa.array(days, pa.int32()).view(pa.date32()), 1082))
    made.append((pa.array(each(bits(60), lambda v: v % 86_400_000_000), pa.int64()).view(pa.time64("us")), 1083))
    parts = each(bits(52), lambda v: (v % 999 - 500, v % 99 - 50, v - 2**50))
    made.append((pa.array(parts, pa.month_day_nano_interval()), 1186))
    for kind in (pa.decimal32(9, 3), pa.decimal64(18, 5), pa.decimal128(38, 20), pa.decimal256(76, 30)):
        values = [(v or 0) % 10**kind.precision * rng.choice((1, -1)) for v in bits(kind.bit_width)]
        raw = b"".join(v.to_bytes(kind.byte_width, "little", signed=True) for v in values)
        made.append((pa.Array.from_buffers(kind, ROWS, [None, pa.py_buffer(raw)]), 1700))
    for kind in (pa.string(), pa.large_string(), pa.string_view()):
        made += [(pa.array(text(), kind), 25), (pa.array(text(), kind), 3802)]
    made.append((pa.array(text()).dictionary_encode(), 25))
    blobs = each(text(), str.encode)
    made += [(pa.array(blobs), 17), (pa.array(blobs, pa.binary_view()), 17)]
    made.append((pa.array(each(bits(128), lambda v: v.to_bytes(16, "big")), pa.binary(16)), 2950))
    made.append((pa.array(each(bits(4), lambda v: v % 2 == 0)), 16))

    source = pa.table({f"c{number}": array for number, (array, _) in enumerate(made)})
    digest = hashlib.sha256()
    for code in (0, 1):
        with read_stream(source) as reader:
            encoder = encoder_for(reader.schema, [code], [oid for _, oid in made])
            for batch in reader:
                row = 0
                while row < batch.length:
                    after = min(batch.length, row + rng.randrange(1, 150))
                    try:
                        frames, row = encoder.encode_some(batch, row, after, rng.choice((1, 10_000, 1 << 30)))
                        digest.update(frames)
                    except ArrowValueError as error:
                        digest.update(f"{error} {error.row} {error.column} {error.sqlstate}".encode())
                        row = error.row + 1
    print(columns.COMPILED, digest.hexdigest())


if __name__ == "__main__":
    for number in range(int(sys.argv[1]), int(sys.argv[2])):
        main(number)
