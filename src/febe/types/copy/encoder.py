"""Rows to COPY data."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator, Sequence
from struct import pack

from febe._kernel import copy_encode
from febe._kernel.errors import MalformedRow, ValueEncodeError
from febe.types._codec import Codec
from febe.types.copy.column import CopyColumn, encoders
from febe.types.copy.encodings import codec_for, encoding_name
from febe.types.copy.errors import CopyEncodeError, CopyError
from febe.types.copy.format import CopyFormat

SIGNATURE = b"PGCOPY\n\xff\r\n\0"
BINARY_HEADER = SIGNATURE + bytes(8)
BINARY_TRAILER = b"\xff\xff"
_FORMS = {"text": copy_encode.TEXT, "csv": copy_encode.CSV, "binary": copy_encode.BINARY}
_PIECE = 1 << 26
_NAME = Codec(oid=0, name="name")


class Framing(enum.IntEnum):
    """What an encoder gives: the bare data; CopyData messages, each as large as comes; one for each row, as a backend
    sends them and as some clients need them.
    """

    BARE = copy_encode.BARE
    MESSAGES = copy_encode.ONE
    ROWS = copy_encode.ROWS


def frame(data: bytes) -> bytes:
    """Put data in a CopyData message."""
    return b"d" + pack("!i", len(data) + 4) + data


def recoder(form: CopyFormat) -> Callable[[bytes], bytes] | None:
    """Give what brings UTF-8 to the format's encoding; None when that is UTF8, or the format is binary.

    The option is without effect in binary format (manual: "COPY", ENCODING).
    """
    if form.encoding is None or form.binary:
        return None
    name = encoding_name(form.encoding)
    if name is None:
        raise CopyError('argument to option "encoding" must be a valid encoding name', "22023")
    codec = codec_for(name)
    if codec is None:
        return None
    encode = codec.encode
    return lambda data: encode(data.decode())[0]


class CopyEncoder:
    """Encodes the rows of one COPY: `encode` or `encode_some` as often as there are rows, then `finish`.

    None is NULL, and `DEFAULT` the default marker where the format has one.  Errors: CopyEncodeError for a value,
    MalformedRow for a row of another width or over a gigabyte.
    """

    def __init__(self, form: CopyFormat, columns: Sequence[CopyColumn], framing: Framing = Framing.MESSAGES) -> None:
        form.check()
        self.form = form
        self.columns = tuple(columns)
        self.framing = framing
        names = [column.name for column in columns]
        self._kernel = copy_encode.CopyRowEncoder(
            encoders(columns, form.binary), _FORMS[form.format], framing, ord(form.delimiter_used),
            ord(form.quote_used), ord(form.escape_used), form.null_used.encode(),
            None if form.default is None else form.default.encode(), form.marked("force_quote", names), recoder(form),
        )  # fmt: skip
        self.rows = 0
        """How many rows were encoded."""
        self._begun = False

    def encode(self, rows: Iterable[Sequence[object]]) -> bytes:
        """Encode rows."""
        waiting = iter(rows)
        parts = []
        while data := self.encode_some(waiting, _PIECE):
            parts.append(data)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def encode_some(self, rows: Iterator[Sequence[object]], most: int = 1 << 18) -> bytes:
        """Take rows from an iterator until their data reach `most` bytes; b"" when there are no more."""
        before, head = self._head()
        try:
            data, count = self._kernel.encode_some(head, rows, min(most, _PIECE))
        except ValueEncodeError as error:
            name = self.columns[error.column].name if error.column >= 0 else ""
            raise CopyEncodeError(
                self.rows + error.row, error.column, name, error.value, error.reason
            ) from error.__cause__
        except MalformedRow as error:
            raise MalformedRow(f"after {self.rows} rows: {error}") from None
        if not count:
            return b""
        self.rows += count
        self._begun = True
        return before + data if before else bytes(data)

    def finish(self) -> bytes:
        """Give what comes after the last row, and what comes before the first if there was none."""
        before, head = self._head()
        self._begun = True
        last = head + BINARY_TRAILER if self.form.binary else b""
        return before + (last if self.framing is Framing.BARE or not last else frame(last))

    @classmethod
    def header_of(cls, form: CopyFormat, names: Sequence[str], framing: Framing) -> bytes:
        """Give the line with the columns' names."""
        columns = [CopyColumn(name=name, codec=_NAME) for name in names]
        return cls(form, columns, framing)._head()[0]

    def _head(self) -> tuple[bytes, bytes]:
        """Give what comes before the first row: in messages of its own, and in that of the row (copyto.c)."""
        if self._begun:
            return b"", b""
        if self.form.binary:
            return b"", BINARY_HEADER
        if not self.form.header:
            return b"", b""
        line = self._kernel.header([column.name.encode() for column in self.columns])
        return line if self.framing is Framing.BARE else frame(line), b""
