"""Field kinds: how each data type of the manual's section "Message Data Types" is read, written and traced.

A message declares its fields as `name: String`, `oids: OidList` ...; the annotation carries the kind.  A kind reads
from `data` between two offsets, so that a length inside a message can never reach past the message's end, and every
count is compared with the bytes that are really there before anything is built.  What lies plainly on the wire is read
by the kernel, from the kind's `plan`.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from struct import Struct
from typing import Annotated, Any, Generic, TypeVar

from febe._kernel.errors import MalformedMessage
from febe._kernel.field_writer import FieldWriter
from febe._kernel.fields import COUNTS, FieldReader, Plan, insufficient, read_counted, read_field
from febe.protocol.errors import LocalProtocolError

T = TypeVar("T")

# Text travels in the client's encoding; febe speaks UTF8.  Bytes that are no UTF-8 survive as lone surrogates, so that
# every message reads and writes back unchanged; who needs valid text checks for them (SQLSTATE 22021).
ENCODING, ON_ERROR = "utf-8", "surrogateescape"


def trace_byte(value: int) -> str:
    """A single byte as PQtrace shows it."""
    return f" {chr(value)}" if 32 <= value < 127 else f" \\x{value:02x}"


def trace_bytes(value: bytes) -> str:
    """Bytes as libpq's PQtrace shows them: printable ASCII as it is, the rest as \\xNN."""
    return "".join(chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}" for byte in value)


class Hide(enum.Flag):
    """What a trace line leaves out."""

    SECRETS = enum.auto()
    """Passwords, authentication data and cancel keys."""
    VOLATILE = enum.auto()
    """What differs from run to run, such as OIDs and process ids: libpq's PQTRACE_REGRESS_MODE."""


NOTHING_HIDDEN = Hide(0)


class Kind(Generic[T]):
    """One way a field lies on the wire."""

    notation: str = ""
    """As the manual writes it."""
    secret: bool = False
    """Whether a trace shows it only to those who ask."""

    @property
    def plan(self) -> Plan:
        """How the kernel reads it (`febe._kernel.fields`): by a code, or by calling `read`."""
        return self.read

    @property
    def write_plan(self) -> Any:
        """How the kernel writes it (`febe._kernel.field_writer`); None: by calling `write`."""
        return self.plan if isinstance(self.plan, str) else None

    def read(self, data: bytes, pos: int, end: int) -> tuple[T, int]:
        """Read at `pos`; return the value and the offset after it.

        Errors: MalformedMessage when the value does not fit before `end`, or makes no sense.
        """
        raise NotImplementedError

    def write(self, out: bytearray, value: T) -> None:
        """Append the value.  Errors: LocalProtocolError when it cannot be said."""
        raise NotImplementedError

    def trace(self, value: T, hide: Hide = NOTHING_HIDDEN) -> str:
        """The value as libpq's PQtrace prints it, with its leading blank (fe-trace.c)."""
        return f" {value}"


class Plain(Kind[T]):
    """A kind that the kernel knows by a code."""

    code: str

    @property
    def plan(self) -> Plan:
        return self.code

    def read(self, data: bytes, pos: int, end: int) -> tuple[T, int]:
        return read_field(self.code, data, pos, end)


class Int(Plain[int]):
    """Int8, Int16, Int32, Int64: big-endian, signed unless told otherwise."""

    def __init__(self, bits: int, *, signed: bool = True) -> None:
        code = {8: "b", 16: "h", 32: "i", 64: "q"}[bits]
        self.code = code if signed else code.upper()
        self._struct = Struct("!" + self.code)
        self._bytes = bits // 8
        self.minimum = -(1 << bits - 1) if signed else 0
        self.maximum = (1 << bits - signed) - 1
        self.notation = f"Int{bits}"

    def write(self, out: bytearray, value: int) -> None:
        if not self.minimum <= value <= self.maximum:
            raise LocalProtocolError(f"{value} does not fit {self.notation}", sqlstate="22003")
        out += self._struct.pack(value)

    def trace(self, value: int, hide: Hide = NOTHING_HIDDEN) -> str:
        # PQtrace shows one byte as a character and two as an unsigned number: a type_size of -1 is 65535
        return trace_byte(value & 0xFF) if self._bytes == 1 else f" {value & 0xFFFF if self._bytes == 2 else value}"


class Identity(Int):
    """An Int32 that names an object or a process, and so differs from run to run."""

    def trace(self, value: int, hide: Hide = NOTHING_HIDDEN) -> str:
        # PQtrace prints an OID over 2^31 as the negative number its bits are
        return " NNNN" if Hide.VOLATILE in hide else f" {value - (1 << 32) if value >> 31 > 0 else value}"


class Version(Int):
    """An Int32 made of the major and the minor version, traced as these two."""

    def trace(self, value: int, hide: Hide = NOTHING_HIDDEN) -> str:
        return f" {value >> 16 & 0xFFFF} {value & 0xFFFF}"


class _Byte1(Plain[str]):
    """Byte1: one ASCII character that names a choice."""

    code = "c"
    notation = "Byte1"

    def write(self, out: bytearray, value: str) -> None:
        if len(value) != 1 or ord(value) > 255:
            raise LocalProtocolError(f"{value!r} is not one byte")
        out.append(ord(value))

    def trace(self, value: str, hide: Hide = NOTHING_HIDDEN) -> str:
        return trace_byte(ord(value))


class Choice(_Byte1):
    """Byte1 that is one of a few characters."""

    def __init__(self, characters: str, name: str) -> None:
        self.characters, self.name = characters, name
        self.notation = f"Byte1 {', '.join(characters)}"

    @property
    def plan(self) -> Plan:
        return self.characters, self.name

    def write(self, out: bytearray, value: str) -> None:
        if len(value) != 1 or value not in self.characters:
            raise LocalProtocolError(f"invalid {self.name} {value!r}")
        out.append(ord(value))


class _String(Plain[str]):
    """String: text that ends with a zero byte."""

    code = "s"
    notation = "String"

    def write(self, out: bytearray, value: str) -> None:
        if "\0" in value:
            raise LocalProtocolError("a string of the protocol cannot hold a NUL character", sqlstate="22021")
        try:
            out += value.encode(ENCODING, ON_ERROR)
        except UnicodeEncodeError as error:
            raise LocalProtocolError(f"text that is no Unicode: {error}", sqlstate="22021") from None
        out.append(0)

    def trace(self, value: str, hide: Hide = NOTHING_HIDDEN) -> str:
        return f' "{value}"'


class _Rest(Plain[bytes]):
    """Byten with no count of its own: all that is left of the message."""

    code = "*"
    notation = "Byten"

    def write(self, out: bytearray, value: bytes) -> None:
        out += value

    def trace(self, value: bytes, hide: Hide = NOTHING_HIDDEN) -> str:
        return " 'BBBB'" if Hide.VOLATILE in hide else f" '{trace_bytes(value)}'"


class Bytes(_Rest):
    """So many bytes, or all that is left of the message if it is as many as it may be."""

    def __init__(self, least: int, most: int) -> None:
        self.least, self.most = least, most
        self.notation = f"Byte{least}" if least == most else "Byten"

    @property
    def plan(self) -> Plan:
        return self.read

    def _check(self, length: int) -> bool:
        return self.least <= length <= self.most

    def read(self, data: bytes, pos: int, end: int) -> tuple[bytes, int]:
        after = pos + self.least if self.least == self.most else end
        if after > end or not self._check(after - pos):
            raise MalformedMessage(f"invalid message format: {end - pos} bytes where {self.least} to {self.most} are "
                                   "allowed")
        return data[pos:after], after

    def write(self, out: bytearray, value: bytes) -> None:
        if not self._check(len(value)):
            raise LocalProtocolError(f"{len(value)} bytes where {self.least} to {self.most} are allowed")
        super().write(out, value)


class _Value(Plain["bytes | None"]):
    """Int32 length and that many bytes; length -1 is NULL."""

    code = "v"
    notation = "Int32, Byten"
    _length = Int(32)

    def write(self, out: bytearray, value: bytes | None) -> None:
        if value is None:
            out += b"\xff\xff\xff\xff"
        else:
            self._length.write(out, len(value))
            out += value

    def trace(self, value: bytes | None, hide: Hide = NOTHING_HIDDEN) -> str:
        return " -1" if value is None else f" {len(value)} '{trace_bytes(value)}'"


class _SizedBytes(Kind[bytes]):
    """Int32 length and that many bytes."""

    notation = "Int32, Byten"
    _length = Int(32)

    def read(self, data: bytes, pos: int, end: int) -> tuple[bytes, int]:
        length, pos = self._length.read(data, pos, end)
        if length < 0 or length > end - pos:
            raise insufficient()
        return data[pos:pos + length], pos + length

    def write(self, out: bytearray, value: bytes) -> None:
        self._length.write(out, len(value))
        out += value

    def trace(self, value: bytes, hide: Hide = NOTHING_HIDDEN) -> str:
        return f" {len(value)} '{trace_bytes(value)}'"


class Counted(Kind[list[T]]):
    """A count and that many elements of one kind."""

    def __init__(self, count: Int, element: Kind[T], *, least: int) -> None:
        # `least` bytes an element takes at least: a count is checked against the bytes left before it is believed
        assert count.code in COUNTS
        self._count, self.element, self._least = count, element, least
        self.notation = f"{count.notation} n, n x ({element.notation})"

    @property
    def plan(self) -> Plan:
        element = self.element.plan
        return (self._count.code, element, self._least) if isinstance(element, str) else self.read

    @property
    def write_plan(self) -> Any:
        element = self.element.write_plan
        return (self._count.code, element) if isinstance(element, str | FieldWriter) else None

    def read(self, data: bytes, pos: int, end: int) -> tuple[list[T], int]:
        plan = self.plan
        if isinstance(plan, tuple) and len(plan) == 3:
            return read_counted(plan, data, pos, end)
        count, pos = self._count.read(data, pos, end)
        if count < 0 or count * self._least > end - pos:
            raise insufficient()
        values: list[T] = []
        read = self.element.read
        for _ in range(count):
            value, pos = read(data, pos, end)
            values.append(value)
        return values, pos

    def write(self, out: bytearray, value: list[T]) -> None:
        self._count.write(out, len(value))
        for element in value:
            self.element.write(out, element)

    def trace(self, value: list[T], hide: Hide = NOTHING_HIDDEN) -> str:
        return f" {len(value)}" + "".join([self.element.trace(element, hide) for element in value])


class Listed(Kind[list[T]]):
    """Elements up to a closing zero byte."""

    def __init__(self, element: Kind[T]) -> None:
        self.element = element
        self.notation = f"({element.notation})*, Byte1 0"

    def read(self, data: bytes, pos: int, end: int) -> tuple[list[T], int]:
        values: list[T] = []
        while True:
            if pos >= end:
                raise MalformedMessage("invalid list in message: the closing zero byte is missing")
            if data[pos] == 0:
                return values, pos + 1
            value, pos = self.element.read(data, pos, end)
            values.append(value)

    def write(self, out: bytearray, value: list[T]) -> None:
        for element in value:
            before = len(out)
            self.element.write(out, element)
            if out[before] == 0:
                raise LocalProtocolError("an empty name would end the list")
        out.append(0)

    def trace(self, value: list[T], hide: Hide = NOTHING_HIDDEN) -> str:
        return "".join([self.element.trace(element, hide) for element in value]) + ' ""'


class Pairs(Kind[dict[T, str]]):
    """(name, String) pairs up to a closing zero byte; a repeated name keeps its last value, as in PostgreSQL."""

    def __init__(self, name: Kind[T]) -> None:
        self._name = name
        self.notation = f"({name.notation}, String)*, Byte1 0"

    def read(self, data: bytes, pos: int, end: int) -> tuple[dict[T, str], int]:
        values: dict[T, str] = {}
        while True:
            if pos >= end:
                raise MalformedMessage("invalid list in message: the closing zero byte is missing")
            if data[pos] == 0:
                return values, pos + 1
            name, pos = self._name.read(data, pos, end)
            values[name], pos = STRING.read(data, pos, end)

    def write(self, out: bytearray, value: dict[T, str]) -> None:
        for name, text in value.items():
            before = len(out)
            self._name.write(out, name)
            if out[before] == 0:
                raise LocalProtocolError("an empty name would end the list")
            STRING.write(out, text)
        out.append(0)

    def trace(self, value: dict[T, str], hide: Hide = NOTHING_HIDDEN) -> str:
        return "".join([self._name.trace(name, hide) + STRING.trace(text, hide) for name, text in value.items()])


class _ErrorFields(Pairs[str]):
    """The fields of ErrorResponse and NoticeResponse."""

    def trace(self, value: dict[str, str], hide: Hide = NOTHING_HIDDEN) -> str:
        if Hide.VOLATILE in hide:  # where in the server's source
            value = value | dict.fromkeys(value.keys() & set("FLR"), "SSSS")
        return super().trace(value, hide) + trace_byte(0)


class Record(Kind[Any]):
    """A group of fields that repeats, declared as a slotted dataclass of its own."""

    def __init__(self, cls: type[Any], fields: Iterable[tuple[str, Kind[Any]]]) -> None:
        self.cls, self.fields = cls, tuple(fields)
        self.notation = ", ".join(f"{kind.notation} {name}" for name, kind in self.fields)
        self.read = field_reader(cls, self.fields).read  # type: ignore[method-assign]
        self._writer = field_writer(self.fields)

    @property
    def write_plan(self) -> Any:
        return self._writer

    def write(self, out: bytearray, value: Any) -> None:
        out += self._writer.write(value)

    def trace(self, value: Any, hide: Hide = NOTHING_HIDDEN) -> str:
        return "".join([kind.trace(getattr(value, name), hide) for name, kind in self.fields])


class When(Kind["T | None"]):
    """A field that is there only under a condition the conversation knows, such as inside a stream of changes.

    `Message.decode(..., when={condition})` says which conditions hold; writing puts the field down unless it is None.
    """

    def __init__(self, condition: str, kind: Kind[T]) -> None:
        self.condition, self.kind = condition, kind
        self.notation = f"[{kind.notation}]"

    @property
    def plan(self) -> Plan:
        return self.kind.plan

    @property
    def write_plan(self) -> Any:
        return None

    def write(self, out: bytearray, value: T | None) -> None:
        if value is not None:
            self.kind.write(out, value)

    def trace(self, value: T | None, hide: Hide = NOTHING_HIDDEN) -> str:
        return "" if value is None else self.kind.trace(value, hide)


class IfLeft(Kind["T | None"]):
    """A field that older versions end before: it is there if anything is left of the message."""

    def __init__(self, kind: Kind[T]) -> None:
        self.kind = kind
        self.notation = f"[{kind.notation}]"

    def read(self, data: bytes, pos: int, end: int) -> tuple[T | None, int]:
        return self.kind.read(data, pos, end) if pos < end else (None, pos)

    def write(self, out: bytearray, value: T | None) -> None:
        if value is not None:
            self.kind.write(out, value)

    def trace(self, value: T | None, hide: Hide = NOTHING_HIDDEN) -> str:
        return "" if value is None else self.kind.trace(value, hide)


class Secret(Kind[T]):
    """A field that a trace shows only to those who ask for it."""

    secret = True

    def __init__(self, kind: Kind[T]) -> None:
        self.kind = kind
        self.notation, self.read, self.write = kind.notation, kind.read, kind.write  # type: ignore[method-assign]

    @property
    def plan(self) -> Plan:
        return self.kind.plan

    def trace(self, value: T, hide: Hide = NOTHING_HIDDEN) -> str:
        return " ****" if Hide.SECRETS in hide else self.kind.trace(value, hide)


class _SecretValue(_Value):
    """A Value of which a trace shows the length alone."""

    secret = True

    def trace(self, value: bytes | None, hide: Hide = NOTHING_HIDDEN) -> str:
        if value is None or not hide:
            return super().trace(value)
        shown = "****" if Hide.SECRETS in hide else "'BBBB'"
        return f" {len(value)} {shown}"


def field_reader(cls: type[Any], fields: Iterable[tuple[str, Kind[Any]]]) -> FieldReader:
    """What reads the fields of a message or record, which are those of `cls`."""
    return FieldReader(cls, [(name, kind.plan, kind.condition if isinstance(kind, When) else None)
                             for name, kind in fields])


def field_writer(fields: Iterable[tuple[str, Kind[Any]]], head: bytes = b"", *, length_at: int = -1) -> FieldWriter:
    """What writes the fields of a message or record, after `head`, which may have a place for the length word."""
    return FieldWriter(head, length_at, [(name, kind.write_plan, kind.write) for name, kind in fields])


INT8, INT16, INT32, INT64 = Int(8), Int(16), Int(32), Int(64)
UINT16, OID = Int(16, signed=False), Identity(32, signed=False)
BYTE1, STRING, BYTES, VALUE = _Byte1(), _String(), _Rest(), _Value()

# What a declaration writes: the Python type for the reader, the kind for the wire.
Int8 = Annotated[int, INT8]
Int16 = Annotated[int, INT16]
Int32 = Annotated[int, INT32]
Int64 = Annotated[int, INT64]
UInt32 = Annotated[int, Int(32, signed=False)]
Oid = Annotated[int, OID]
ProcessId = Annotated[int, Identity(32)]
ProtocolVersion = Annotated[int, Version(32)]
Byte1 = Annotated[str, BYTE1]
Byte2 = Annotated[bytes, Bytes(2, 2)]
Byte4 = Annotated[bytes, Bytes(4, 4)]
ByteN = Annotated[bytes, BYTES]
String = Annotated[str, STRING]
Value = Annotated["bytes | None", VALUE]
SizedBytes = Annotated[bytes, _SizedBytes()]
SecretBytes = Annotated[bytes, Secret(BYTES)]
SecretString = Annotated[str, Secret(STRING)]
SecretValue = Annotated["bytes | None", _SecretValue()]
# Counts of parameters, arguments and columns are read as unsigned: 65,535 parameters are legal (postgres.c).
FormatList = Annotated[list[int], Counted(UINT16, INT16, least=2)]
OidList = Annotated[list[int], Counted(UINT16, OID, least=4)]
ValueList = Annotated["list[bytes | None]", Counted(UINT16, VALUE, least=4)]
CountedStrings = Annotated[list[str], Counted(INT32, STRING, least=1)]
StringList = Annotated[list[str], Listed(STRING)]
StringPairs = Annotated[dict[str, str], Pairs(STRING)]
ErrorFields = Annotated[dict[str, str], _ErrorFields(BYTE1)]
