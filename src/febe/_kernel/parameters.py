# mypy: disable-error-code="import-untyped,untyped-decorator,no-any-return"
"""Python values to the parameters of Bind (manual: "Message Formats", Bind)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

try:
    import cython
except ModuleNotFoundError:  # the compiler needs the literal import
    from febe._kernel import shim as cython

from febe._kernel.encode import codes_of
from febe._kernel.errors import MalformedRow

if cython.compiled:
    from cython.cimports.febe._kernel.encode import gather, put_cells
    from cython.cimports.febe._kernel.wire import put, put16, put32
else:
    from febe._kernel.encode import gather, put_cells
    from febe._kernel.wire import put, put16, put32

COMPILED: bool = cython.compiled


@cython.cclass
class ParameterEncoder:
    """Encodes the parameters of one statement as Bind messages."""

    _kinds: bytes
    _functions: list[Any]

    def __init__(self, columns: Sequence[int | Callable[[Any], bytes]]) -> None:
        """Take each parameter's hot kind, or a callable that gives a value's bytes (not called for None)."""
        self._kinds = codes_of(columns)
        self._functions = list(columns)

    def encode(self, prefix: bytes, values: Sequence[object], suffix: bytes, trailer: bytes) -> bytes:
        """Encode a Bind and put `trailer` after it.

        `prefix`: portal, statement and parameter formats; `suffix`: result formats; `trailer`: whole messages.
        Errors: as RowEncoder.encode, the row being 0.
        """
        cells: list[Any] = []
        pos: cython.Py_ssize_t
        size: cython.Py_ssize_t = (
            6 + len(prefix) + gather(self._kinds, self._functions, values, 0, cells) + len(suffix)
        )
        if size > 0x3FFFFFFF:
            raise MalformedRow("the parameters are too long for a message")
        buffer: bytearray = bytearray(1 + size + len(trailer))
        out: cython.p_uchar = buffer
        out[0] = 66
        put32(out, 1, size)
        put(out, 5, prefix, len(prefix))
        pos = 5 + len(prefix)
        put16(out, pos, len(self._kinds))
        pos = put_cells(out, pos + 2, cells)
        put(out, pos, suffix, len(suffix))
        put(out, pos + len(suffix), trailer, len(trailer))
        return bytes(buffer)
