# mypy: disable-error-code="import-untyped,untyped-decorator,no-any-return"
"""Writes the fields of a message (manual: "Message Data Types"), by the plan codes of `febe._kernel.fields`.

What is plain and fits is written here.  Anything else - a number out of range, text with a NUL, a kind without a code -
is left to the field's Python callable, which writes it or says what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

try:
    import cython
except ModuleNotFoundError:  # the compiler needs the literal import
    from febe._kernel import shim as cython

if cython.compiled:
    from cython.cimports.febe._kernel.wire import put16, put32
else:
    from febe._kernel.wire import put16, put32

COMPILED: bool = cython.compiled

_OTHER, _COUNTED, _COUNTED_RECORDS = "(", "[", "{"


@cython.cfunc
@cython.exceptval(-1)
def _put_number(out: bytearray, code: cython.Py_UCS4, value: object) -> cython.bint:
    number: cython.longlong
    pos: cython.Py_ssize_t = len(out)
    if type(value) is not int:
        return False
    try:
        number = value
    except OverflowError:
        return False
    if code == "i" or code == "I":
        if code == "I" and 0x7FFFFFFF < number <= 0xFFFFFFFF:
            number -= 0x100000000
        elif number < (0 if code == "I" else -0x80000000) or number > 0x7FFFFFFF:
            return False
        out += b"\0\0\0\0"
        put32(out, pos, number)
        return True
    if code == "h" and -0x8000 <= number < 0:
        number += 0x10000
    elif number < 0 or number > (0x7FFF if code == "h" else 0xFFFF):
        return False
    out += b"\0\0"
    put16(out, pos, number)
    return True


@cython.cfunc
@cython.exceptval(-1)
def _put(out: bytearray, code: cython.Py_UCS4, value: object) -> cython.bint:
    """Append a plain value; False when it is left to others."""
    pos: cython.Py_ssize_t
    if code == "s":
        if type(value) is not str or "\0" in value:
            return False
        try:
            out += value.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            return False
        out.append(0)
        return True
    if code == "i" or code == "I" or code == "h" or code == "H":
        return _put_number(out, code, value)
    if code == "v":
        if value is None:
            out += b"\xff\xff\xff\xff"
            return True
        if type(value) is not bytes or len(value) > 0x7FFFFFFF:
            return False
        pos = len(out)
        out += b"\0\0\0\0"
        put32(out, pos, len(value))
        out += value
        return True
    if code == "c":
        if type(value) is not str or len(value) != 1 or ord(value) > 127:
            return False
        out.append(ord(value))
        return True
    if code == "*" and type(value) is bytes:
        out += value
        return True
    return False


@cython.cclass
class FieldWriter:
    """Writes all the fields of one kind of message or record."""

    _head: bytes
    _length_at: cython.Py_ssize_t
    _names: list[str]
    _codes: str
    _plans: list[Any]
    _writes: list[Any]

    def __init__(
        self, head: bytes, length_at: int, fields: Iterable[tuple[str, Any, Callable[[bytearray, Any], None]]]
    ) -> None:
        """Take what the message begins with, where in it the length word is, and (name, plan, write) of each field.

        `length_at` is -1 for what has no length word.  The plan is a code; (code of the count, code or FieldWriter of
        the elements); or None for a field that only `write(out, value)` can write.
        """
        self._head, self._length_at = head, length_at
        self._names, self._plans, self._writes = [], [], []
        codes = ""
        for name, plan, write in fields:
            self._names.append(name)
            self._plans.append(plan)
            self._writes.append(write)
            if plan is None:
                codes += _OTHER
            elif isinstance(plan, str):
                codes += plan
            else:
                codes += _COUNTED if isinstance(plan[1], str) else _COUNTED_RECORDS
        self._codes = codes

    def write(self, message: object) -> bytes:
        """The whole message.  Errors: those of the fields' `write`."""
        out = bytearray(self._head)
        self._add(out, message)
        if self._length_at >= 0:
            put32(out, self._length_at, len(out) - self._length_at)
        return bytes(out)

    @cython.ccall
    def _add(self, out: bytearray, message: object) -> None:
        """Append the fields."""
        index: cython.Py_ssize_t
        code: cython.Py_UCS4
        for index in range(len(self._names)):
            code = self._codes[index]
            value = getattr(message, self._names[index])
            if code == "[" or code == "{":
                if self._put_list(out, code, self._plans[index], value):
                    continue
            elif _put(out, code, value):
                continue
            self._writes[index](out, value)

    @cython.cfunc
    @cython.exceptval(-1)
    def _put_list(self, out: bytearray, kind: cython.Py_UCS4, plan: tuple[str, Any], value: object) -> cython.bint:
        """Append a count and the elements; False, with nothing appended, when one is left to others."""
        code: cython.Py_UCS4
        before: cython.Py_ssize_t = len(out)
        writer: FieldWriter
        if type(value) is not list or not _put_number(out, plan[0], len(value)):
            return False
        if kind == "{":
            writer = plan[1]
            for element in value:
                writer._add(out, element)
            return True
        code = plan[1]
        for element in value:
            if not _put(out, code, element):
                del out[before:]
                return False
        return True
