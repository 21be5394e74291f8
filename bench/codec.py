"""DataRow messages to rows and back, without a connection: 2,000 rows of 6 columns."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

from .clock import spread, times
from .harness import Contender, Measurement, Round, Row, Settings

ROWS = [(i, i * 1_000_000_007, i * 0.5, f"some text {i}", i % 3 == 0, None if i % 10 == 0 else i % 100)
        for i in range(2_000)]


def _fields(row: tuple[Any, ...]) -> list[bytes | None]:
    """One row's values in binary format (int4, int8, float8, text, bool, int4)."""
    a, b, c, d, e, f = row
    return [struct.pack("!i", a), struct.pack("!q", b), struct.pack("!d", c), d.encode(), struct.pack("!?", e),
            None if f is None else struct.pack("!i", f)]


def _kinds() -> list[int]:
    from febe._kernel import kinds

    return [kinds.INT4_BINARY, kinds.INT8_BINARY, kinds.FLOAT8_BINARY, kinds.STRING_BINARY, kinds.BOOL_BINARY,
            kinds.INT4_BINARY]


def _messages() -> bytes:
    found = bytearray()
    for row in ROWS:
        body = struct.pack("!h", len(row))
        for value in _fields(row):
            body += struct.pack("!i", -1) if value is None else struct.pack("!i", len(value)) + value
        found += b"D" + struct.pack("!i", len(body) + 4) + body
    return bytes(found)


def febe_decode(settings: Settings) -> Iterator[Round]:
    """Framing and values: what arrives is bytes, what comes out is rows of Python values."""
    from febe._kernel.frames import FrameScanner
    from febe._kernel.row import row_type
    from febe._kernel.rows import RowDecoder

    data = _messages()
    scanner = FrameScanner([1 << 30] * 256, b"D")
    decoder = RowDecoder(_kinds(), row_type(tuple("abcdef")))

    def decode() -> list[tuple[Any, ...]]:
        frames, _position, _status = scanner.scan(data, 0, 100)
        (_kind, start, end, _count), = frames
        return decoder.decode(data, start, end)

    assert decode() == ROWS
    yield lambda: spread(times(decode, settings["repeats"]))


def pygwire_decode(settings: Settings) -> Iterator[Round]:
    """Framing and fields: pygwire leaves the values as bytes."""
    from pygwire import BackendMessageDecoder, ConnectionPhase

    data = _messages()

    def decode() -> list[Any]:
        decoder = BackendMessageDecoder()
        decoder.phase = ConnectionPhase.SIMPLE_QUERY
        decoder.feed(data)
        return [message.columns for message in decoder]

    assert decode() == [_fields(row) for row in ROWS]
    yield lambda: spread(times(decode, settings["repeats"]))


def febe_encode(settings: Settings) -> Iterator[Round]:
    from febe._kernel.rows import RowEncoder

    encoder = RowEncoder(_kinds())
    assert encoder.encode(ROWS) == _messages()
    yield lambda: spread(times(lambda: encoder.encode(ROWS), settings["repeats"]))


def pygwire_encode(settings: Settings) -> Iterator[Round]:
    """Fields to messages: pygwire is handed the values as bytes."""
    from pygwire.messages import DataRow

    fields = [_fields(row) for row in ROWS]

    def encode() -> bytes:
        return b"".join([DataRow(columns=columns).to_wire() for columns in fields])

    assert encode() == _messages()
    yield lambda: spread(times(encode, settings["repeats"]))


_INTERPRETED = {"FEBE_KERNEL": "python"}


def _measurement(name: str, ours: Any, theirs: Any, wanted: float | None) -> Measurement:
    return Measurement(
        name=name,
        contenders={"febe": Contender(run=ours), "febe interpreted": Contender(run=ours, environment=_INTERPRETED),
                    "pygwire": Contender(run=theirs)},
        settings={"repeats": 40},
        rows=[Row(name=name, ours="febe", figure="median", unit="µs",
                  against={"pygwire": wanted, "febe interpreted": None}),
              Row(name=f"{name}, interpreted", ours="febe interpreted", figure="median", unit="µs",
                  against={"pygwire": None})])


MEASUREMENTS = [
    _measurement("decode 2,000 x 6 DataRow", febe_decode, pygwire_decode, 10.0),
    _measurement("encode 2,000 x 6 DataRow", febe_encode, pygwire_encode, None),
]
