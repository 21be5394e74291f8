"""bit and varbit as BitString (manual: "Bit String Types")."""

from __future__ import annotations

from collections.abc import Iterator

from febe.types import oids
from febe.types._codec import Registry, both


class BitString:
    """A string of bits: `BitString("1010")`; `int()` and `bytes()` convert it, the first bit being the highest."""

    __slots__ = ("_length", "_value")
    _length: int
    _value: int

    def __init__(self, bits: str = "") -> None:
        """Errors: ValueError for other characters than 0 and 1."""
        if bits.strip("01"):
            raise ValueError("a bit string has only 0 and 1")
        self._length = len(bits)
        self._value = int(bits, 2) if bits else 0

    @classmethod
    def of(cls, value: int, length: int) -> BitString:
        """Make it of a number.  Errors: OverflowError where the number has more bits."""
        if value < 0 or length < 0 or value >> length:
            raise OverflowError(f"{value} does not fit into {length} bits")
        made = cls()
        made._value, made._length = value, length
        return made

    def __int__(self) -> int:
        return self._value

    def __bytes__(self) -> bytes:
        """Give the bits from the left, the last byte filled up with zeros."""
        size = (self._length + 7) // 8
        return (self._value << size * 8 - self._length).to_bytes(size, "big")

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[bool]:
        return (bit == "1" for bit in str(self))

    def __getitem__(self, index: int) -> bool:
        return str(self)[index] == "1"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BitString) and (other._length, other._value) == (self._length, self._value)

    def __lt__(self, other: object) -> bool:
        return str(self) < str(other) if isinstance(other, BitString) else NotImplemented

    def __hash__(self) -> int:
        return hash((self._length, self._value))

    def __str__(self) -> str:
        return f"{self._value:0{self._length}b}" if self._length else ""

    def __repr__(self) -> str:
        return f"BitString('{self}')"


def _decode_text(data: bytes) -> BitString:
    return BitString(data.decode())


def _decode_binary(data: bytes) -> BitString:
    length = int.from_bytes(data[:4], "big", signed=True)
    size = (length + 7) // 8
    if len(data) < 4 or length < 0 or len(data) != 4 + size:
        raise ValueError(f"{len(data)} bytes are no binary bit string")
    return BitString.of(int.from_bytes(data[4:], "big") >> size * 8 - length, length)


def _bits(value: object) -> BitString:
    if isinstance(value, BitString):
        return value
    if isinstance(value, str):
        return BitString(value)
    raise TypeError(f"a BitString wanted, not {type(value).__name__}")


def _encode_text(value: object) -> bytes:
    return str(_bits(value)).encode()


def _encode_binary(value: object) -> bytes:
    bits = _bits(value)
    return len(bits).to_bytes(4, "big") + bytes(bits)


def register(registry: Registry) -> None:
    """Add bit and varbit."""
    for oid in (oids.BIT, oids.VARBIT):
        both(registry, oid, (_decode_text, _decode_binary), (_encode_text, _encode_binary),
             *((BitString,) if oid == oids.VARBIT else ()))  # fmt: skip
