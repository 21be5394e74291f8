# mypy: disable-error-code="import-untyped,untyped-decorator,no-any-return"
"""Python values to the parameters of Bind (manual: "Message Formats", Bind)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

try:
    import cython
except ModuleNotFoundError:  # the compiler needs the literal import
    from febe._kernel import shim as cython

from febe._kernel.encode import codes_of, ways_of
from febe._kernel.errors import MalformedRow

if cython.compiled:
    from cython.cimports.febe._kernel.encode import make_room, put_row
    from cython.cimports.febe._kernel.wire import put, put32
else:
    from febe._kernel.encode import make_room, put_row
    from febe._kernel.wire import put, put32

COMPILED: bool = cython.compiled

_LIMIT: cython.Py_ssize_t = 0x3FFFFFFF


@cython.cclass
class ParameterEncoder:
    """Encodes the parameters of one statement as Bind messages."""

    _kinds: bytes
    _ways: bytes
    _functions: list[Any]

    def __init__(self, columns: Sequence[int | Callable[[Any], bytes]]) -> None:
        """Take each parameter's hot kind, or a callable that gives a value's bytes (not called for None)."""
        self._kinds = codes_of(columns)
        self._ways = ways_of(self._kinds)
        self._functions = list(columns)

    def encode(self, prefix: bytes, values: Sequence[object], suffix: bytes, trailer: bytes) -> bytes:
        """Encode a Bind and put `trailer` after it.

        `prefix`: portal, statement and parameter formats; `suffix`: result formats; `trailer`: whole messages.
        Errors: as RowEncoder.encode, the row being 0.
        """
        pos: cython.Py_ssize_t = 5 + len(prefix)
        buffer: bytearray = bytearray(64 + pos + len(suffix) + len(trailer) + 8 * len(self._kinds))
        out: cython.p_uchar = buffer
        out[0] = 66
        put(out, 5, prefix, len(prefix))
        pos = put_row(self._kinds, self._ways, self._functions, buffer, pos, values, 0)
        make_room(buffer, pos, len(suffix) + len(trailer))
        out = buffer
        put(out, pos, suffix, len(suffix))
        pos += len(suffix)
        if pos - 1 > _LIMIT:
            raise MalformedRow("the parameters are too long for a message")
        put32(out, 1, pos - 1)
        put(out, pos, trailer, len(trailer))
        return bytes(out[: pos + len(trailer)])

    def encode_many(self, prefix: bytes, sets: Sequence[Sequence[object]], suffix: bytes, trailer: bytes) -> bytes:
        """Encode a Bind for each set of values, each with `trailer` after it.

        Errors: as RowEncoder.encode, the row being the set's number.
        """
        row: cython.Py_ssize_t
        pos: cython.Py_ssize_t = 0
        begin: cython.Py_ssize_t
        around: cython.Py_ssize_t = 5 + len(prefix) + len(suffix) + len(trailer)
        buffer: bytearray = bytearray(4096 + around)
        out: cython.p_uchar = buffer
        for row, values in enumerate(sets):
            begin = pos
            make_room(buffer, pos, around)
            out = buffer
            out[begin] = 66
            put(out, begin + 5, prefix, len(prefix))
            pos = put_row(self._kinds, self._ways, self._functions, buffer, begin + 5 + len(prefix), values, row)
            make_room(buffer, pos, around)
            out = buffer
            put(out, pos, suffix, len(suffix))
            pos += len(suffix)
            if pos - begin - 1 > _LIMIT:
                raise MalformedRow("the parameters are too long for a message")
            put32(out, begin + 1, pos - begin - 1)
            put(out, pos, trailer, len(trailer))
            pos += len(trailer)
        return bytes(out[:pos])
