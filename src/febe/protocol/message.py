"""The declaration of a message, from which everything else about it follows.

    @message("Q", sender=Sender.FRONTEND, limit=LARGE, section="Simple Query")
    class Query(Message):
        query: String

gives the class, with these fields as slots and as keywords of `__init__`, its encoding and decoding, its place in the
dispatch tables, its trace line, its row of the reference page and its property test.  Nothing else in febe needs to
know that a message was added.
"""

from __future__ import annotations

import enum
import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass
from struct import Struct
from typing import Any, ClassVar, Self, TypeVar, dataclass_transform, get_type_hints

from febe._kernel.errors import MalformedMessage
from febe._kernel.field_writer import FieldWriter
from febe._kernel.fields import FieldReader
from febe.protocol.errors import LocalProtocolError, RemoteProtocolError
from febe.protocol.fields import NOTHING_HIDDEN, Hide, Kind, field_reader, field_writer

# Limits are those of length words, which count themselves but not the type byte.  SMALL and LARGE are the server's
# (PQ_SMALL_MESSAGE_LIMIT, PQ_LARGE_MESSAGE_LIMIT, that is MaxAllocSize - 1); libpq takes up to 30000 unless the type
# may be long.
SMALL = 10_000
LARGE = 0x3FFFFFFE
SMALL_FROM_BACKEND = 30_000

_INT32 = Struct("!i")


class Sender(enum.Enum):
    """Who may send a message: F, B, or F & B in the manual's notation."""

    FRONTEND = "F"
    BACKEND = "B"
    BOTH = "F & B"


class Framing(enum.Enum):
    """How a message is told from the next."""

    TYPED = "Byte1 type, Int32 length"
    STARTUP = "Int32 length"
    """The first packets of a connection, which for historical reasons have no type byte."""
    BYTE = "Byte1"
    """The one-byte answer to SSLRequest and GSSENCRequest."""
    PAYLOAD = "Byte1 type"
    """A message inside a CopyData message, ended by it."""


class Message:
    """Base of all messages."""

    __slots__ = ()

    type: ClassVar[str]
    """The type byte as a character; empty for start-up packets."""
    code: ClassVar[int | None]
    """The leading Int32 that tells messages of one type byte apart: authentication codes, start-up request codes."""
    sender: ClassVar[Sender]
    framing: ClassVar[Framing]
    limit: ClassVar[int]
    """The largest length word accepted; what a message without one may have in bytes."""
    since: ClassVar[str]
    section: ClassVar[str]
    fields: ClassVar[tuple[tuple[str, Kind[Any]], ...]]
    reader: ClassVar[FieldReader]
    """Reads the fields; `decode` is what it is for."""
    writer: ClassVar[FieldWriter]
    """Writes the message; `encode` is what it is for."""
    declaration: ClassVar[Any]
    """The class as it was declared."""

    def __init__(self, **values: Any) -> None:
        # Most programs make few kinds of message themselves, and writing this for all of them takes longer than
        # everything else about them: it is written for a class when the first one is made.
        cls: Any = type(self)
        cls.__init__ = dataclass(kw_only=True, repr=False, eq=False, match_args=False)(cls.declaration).__init__
        cls.__init__(self, **values)

    def __repr__(self) -> str:
        values = ", ".join([f"{name}={getattr(self, name)!r}" for name, _ in self.fields])
        return f"{type(self).__qualname__}({values})"

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name, _ in self.fields)

    def encode(self) -> bytes:
        """The message's bytes, header included.

        Errors: LocalProtocolError for a value that the wire cannot carry.
        """
        data = self.writer.write(self)
        if len(data) > self.limit and self.framing in (Framing.TYPED, Framing.STARTUP):
            length = len(data) - len(self.type)
            if length > self.limit:
                raise LocalProtocolError(f"a {type(self).__name__} of {length} bytes is longer than the {self.limit} "
                                         "bytes the protocol allows", sqlstate="54000")
        return data

    @classmethod
    def decode(cls, data: bytes, pos: int, end: int, when: Collection[str] = ()) -> Self:
        """Read the body `data[pos:end]` (after type, length and code), all of it.

        Errors: RemoteProtocolError (08P01) for a body that is cut, has bytes left over, or makes no sense.
        """
        try:
            made, pos = cls.reader.read(data, pos, end, when)
        except MalformedMessage as error:
            raise RemoteProtocolError(str(error), fatal=False) from None
        if pos != end:
            raise RemoteProtocolError(f"invalid message format: {end - pos} bytes left over in {cls.__name__}",
                                      fatal=False)
        return made  # type: ignore[no-any-return]

    @classmethod
    def has_secrets(cls) -> bool:
        """Whether a field of it is shown only to those who ask for secrets."""
        return any(kind.secret for _name, kind in cls.fields)

    def trace(self, hide: Hide = NOTHING_HIDDEN) -> str:
        """The fields as libpq's PQtrace prints them, each with a leading blank."""
        code = ""
        if self.code is not None and self.framing is Framing.STARTUP:  # a request "version" of major 1234
            code = f" {self.code >> 16} {self.code & 0xFFFF}"
        return code + "".join([kind.trace(getattr(self, name), hide) for name, kind in self.fields])


M = TypeVar("M", bound=type[Message])


def declared_fields(cls: type[Any]) -> tuple[tuple[str, Kind[Any]], ...]:
    """The (name, kind) pairs that a class's annotations declare, in order."""
    module = vars(sys.modules[cls.__module__])
    hints: dict[str, Any] = {name: module.get(hint) if isinstance(hint, str) else hint
                             for name, hint in cls.__annotations__.items()}
    if None in hints.values():  # not the names of kinds alone
        hints = get_type_hints(cls, include_extras=True)
    return tuple((name, hint.__metadata__[0]) for name, hint in hints.items()
                 if isinstance(getattr(hint, "__metadata__", (None,))[0], Kind))


def _slotted(cls: Any, names: list[str]) -> Any:
    body = {name: value for name, value in vars(cls).items() if name not in (*names, "__dict__", "__weakref__")}
    if not names:
        body["__init__"] = object.__init__
    return type(cls.__name__, cls.__bases__, {**body, "__slots__": names, "declaration": cls})


@dataclass_transform(kw_only_default=True)
def message(type: str, *, sender: Sender, section: str, code: int | None = None, limit: int | None = None,
            since: str = "3.0", framing: Framing = Framing.TYPED) -> Callable[[M], M]:
    """Declare a message: see the module's own example."""

    def declare(cls: M) -> M:
        fields = declared_fields(cls)
        made = _slotted(cls, [name for name, _ in fields])
        made.type, made.code, made.sender, made.framing = type, code, sender, framing
        made.limit = limit if limit is not None else SMALL if sender is Sender.FRONTEND else SMALL_FROM_BACKEND
        made.since, made.section = since, section
        made.fields = fields
        made.reader = field_reader(made, made.fields)
        framed = framing in (Framing.TYPED, Framing.STARTUP)
        head = type.encode("latin-1") + bytes(4 * framed) + (b"" if code is None else _INT32.pack(code))
        made.writer = field_writer(made.fields, head, length_at=len(type) if framed else -1)
        return made  # type: ignore[no-any-return]

    return declare


__all__ = ["LARGE", "SMALL", "SMALL_FROM_BACKEND", "Framing", "Message", "Sender", "declared_fields",
           "message"]
