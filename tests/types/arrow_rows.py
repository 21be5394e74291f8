"""What the tests of the Arrow path share: a plain reader of DataRow messages, and streams made by others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from febe.types.arrow import encoder_for, read_stream


def data_rows(frames: bytes | bytearray) -> list[list[bytes | None]]:
    """Take DataRow messages apart, checking every count and length."""
    rows: list[list[bytes | None]] = []
    at = 0
    while at < len(frames):
        assert frames[at] == ord("D")
        end = at + 1 + int.from_bytes(frames[at + 1 : at + 5], "big")
        width = int.from_bytes(frames[at + 5 : at + 7], "big")
        at += 7
        row: list[bytes | None] = []
        for _ in range(width):
            size = int.from_bytes(frames[at : at + 4], "big", signed=True)
            at += 4
            assert size >= -1
            row.append(None if size < 0 else bytes(frames[at : at + size]))
            at += max(size, 0)
        assert at == end
        rows.append(row)
    assert at == len(frames)
    return rows


def sent(source: Any, oids: Sequence[int], formats: Sequence[int] = (0,), step: int = 1000) -> list[list[bytes | None]]:
    """Encode a whole stream, in slices of `step` rows."""
    rows: list[list[bytes | None]] = []
    with read_stream(source) as reader:
        encoder = encoder_for(reader.schema, formats, oids)
        for batch in reader:
            with batch:
                for start in range(0, batch.length, step):
                    rows += data_rows(encoder.encode(batch, start, min(start + step, batch.length)))
    return rows


def column(source: Any, oid: int, binary: bool = False, step: int = 1000) -> list[bytes | None]:
    """Encode a stream of one column."""
    return [row[0] for row in sent(source, [oid], [int(binary)], step)]
