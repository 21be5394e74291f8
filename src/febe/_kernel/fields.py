# mypy: disable-error-code="import-untyped,untyped-decorator,no-any-return"
"""Reads the fields of a message (manual: "Message Data Types").

A message declares its fields once (`febe.protocol.message`); these loops go over the declaration.  What lies plainly on
the wire has a code here, a letter; any other field comes with a Python callable.

    b Int8     h Int16    i Int32    q Int64    B, H, I, Q the same, unsigned
    c Byte1    s String   v Int32 length and that many bytes, -1 for NULL    * all that is left
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any

try:
    import cython
except ModuleNotFoundError:  # the compiler needs the literal import
    from febe._kernel import shim as cython

from febe._kernel.errors import MalformedMessage

if cython.compiled:
    from cython.cimports.febe._kernel.wire import i16, i32, i64, u16, u32, u64
else:
    from febe._kernel.wire import i16, i32, i64, u16, u32, u64

COMPILED: bool = cython.compiled

CODES = "bBhHiIqQcsv*"
COUNTS = "hHi"
"""What a counted list may begin with."""

Plan = str | tuple[str, str, int] | tuple[str, str] | Callable[[bytes, int, int], tuple[Any, int]]
"""How a field is read: a code; (code of the count, code of the elements, least bytes of an element) for a counted list;
(characters, name) for a Byte1 that is one of a few; or a callable (data, pos, end) -> (value, position after it)."""

_COUNTED, _CHOICE, _CALLED = "[", "|", "("


def insufficient() -> MalformedMessage:
    """PostgreSQL's words for a message that ends too early (pqformat.c, pq_copymsgbytes)."""
    return MalformedMessage("insufficient data left in message")


@cython.cfunc
@cython.inline
@cython.exceptval(-1)
def _after(code: cython.Py_UCS4, data: bytes, pos: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
    """Where a plain field ends."""
    length: cython.Py_ssize_t
    if code == "s":
        pos = data.find(b"\0", pos, end) + 1
        if pos == 0:
            raise MalformedMessage("invalid string in message")
        return pos
    if code == "v":
        if end - pos < 4:
            raise insufficient()
        length = i32(data, pos)[0]
        pos += 4
        if length != -1:
            if length < 0 or length > end - pos:
                raise insufficient()
            pos += length
        return pos
    if code == "*":
        return end
    if code == "h" or code == "H":
        pos += 2
    elif code == "i" or code == "I":
        pos += 4
    elif code == "q" or code == "Q":
        pos += 8
    else:
        pos += 1
    if pos > end:
        raise insufficient()
    return pos


@cython.cfunc
@cython.inline
def _value(code: cython.Py_UCS4, data: bytes, pos: cython.Py_ssize_t, after: cython.Py_ssize_t) -> object:
    """A plain field whose end is known."""
    byte: cython.int
    if code == "s":
        # bytes that are no UTF-8 survive as lone surrogates: febe.protocol.fields says why
        return data[pos : after - 1].decode("utf-8", "surrogateescape")
    if code == "h":
        return i16(data, pos)[0]
    if code == "i":
        return i32(data, pos)[0]
    if code == "I":
        return u32(data, pos)[0]
    if code == "v":
        return data[pos + 4 : after] if i32(data, pos)[0] >= 0 else None
    if code == "c":
        return chr(data[pos])
    if code == "H":
        return u16(data, pos)[0]
    if code == "q":
        return i64(data, pos)[0]
    if code == "Q":
        return u64(data, pos)[0]
    if code == "B":
        return data[pos]
    if code == "b":
        byte = data[pos]
        return byte - ((byte & 0x80) << 1)
    return data[pos:after]


@cython.cfunc
def _counted(
    plan: tuple[str, str, int], data: bytes, pos: cython.Py_ssize_t, end: cython.Py_ssize_t, values: list[Any]
) -> cython.Py_ssize_t:
    """Read a count and its elements into `values`; where they end."""
    count_code: cython.Py_UCS4 = plan[0]
    code: cython.Py_UCS4 = plan[1]
    least: cython.Py_ssize_t = plan[2]
    after: cython.Py_ssize_t = _after(count_code, data, pos, end)
    count: cython.Py_ssize_t
    if count_code == "H":
        count = u16(data, pos)[0]
    elif count_code == "h":
        count = i16(data, pos)[0]
    else:
        count = i32(data, pos)[0]
    # compared with the bytes that are there before anything is built
    if count < 0 or count * least > end - after:
        raise insufficient()
    for _ in range(count):
        pos = after
        after = _after(code, data, pos, end)
        values.append(_value(code, data, pos, after))
    return after


def _check(data: bytes, pos: int, end: int) -> None:
    if not 0 <= pos <= end <= len(data):
        raise ValueError("positions outside the data")


def read_field(code: str, data: bytes, pos: cython.Py_ssize_t, end: cython.Py_ssize_t) -> tuple[Any, int]:
    """Read one plain field: (value, position after it).  Errors: MalformedMessage."""
    after: cython.Py_ssize_t
    if len(code) != 1 or code not in CODES:
        raise ValueError(f"no code of a field: {code!r}")
    _check(data, pos, end)
    after = _after(code, data, pos, end)
    return _value(code, data, pos, after), after


def read_counted(
    plan: tuple[str, str, int], data: bytes, pos: cython.Py_ssize_t, end: cython.Py_ssize_t
) -> tuple[list[Any], int]:
    """Read a counted list of plain fields: (values, position after them).  Errors: MalformedMessage."""
    values: list[Any] = []
    _check(data, pos, end)
    return values, _counted(plan, data, pos, end, values)


@cython.cclass
class FieldReader:
    """Reads all the fields of one kind of message into a new object of its class."""

    _cls: Any
    _names: list[str]
    _plans: list[Any]
    _codes: str
    _conditions: list[str | None]

    def __init__(self, cls: type, fields: Iterable[tuple[str, Plan, str | None]]) -> None:
        """Take the class, whose `__init__` is not called, and (name, plan, condition) of each field.

        A field with a condition is None where the condition does not hold.
        """
        self._cls = cls
        self._names, self._plans, self._conditions = [], [], []
        codes = ""
        for name, plan, condition in fields:
            self._names.append(name)
            self._plans.append(plan)
            self._conditions.append(condition)
            if isinstance(plan, str):
                if len(plan) != 1 or plan not in CODES:
                    raise ValueError(f"no code of a field: {plan!r}")
                codes += plan
            elif isinstance(plan, tuple):
                codes += _COUNTED if len(plan) == 3 else _CHOICE
            else:
                codes += _CALLED
        self._codes = codes

    def read(
        self, data: bytes, pos: cython.Py_ssize_t, end: cython.Py_ssize_t, when: Collection[str] = ()
    ) -> tuple[Any, int]:
        """Read the fields from `pos` on: (object, position after the last field).

        `when` names the conditions that hold.  Errors: MalformedMessage for a field that does not fit before `end`.
        """
        index: cython.Py_ssize_t
        after: cython.Py_ssize_t
        code: cython.Py_UCS4
        cls: Any = self._cls
        made: object = cls.__new__(cls)  # straight into the slots: half the time of cls(**values)
        values: list[Any]
        value: object
        _check(data, pos, end)
        for index in range(len(self._names)):
            condition = self._conditions[index]
            if condition is not None and condition not in when:
                setattr(made, self._names[index], None)
                continue
            code = self._codes[index]
            plan = self._plans[index]
            if code == "[":
                values = []
                after = _counted(plan, data, pos, end, values)
                value = values
            elif code == "|":
                after = _after("c", data, pos, end)
                value = chr(data[pos])
                if value not in plan[0]:
                    raise MalformedMessage(f"invalid {plan[1]} {data[pos]}")
            elif code == "(":
                value, after = plan(data, pos, end)
            else:
                after = _after(code, data, pos, end)
                value = _value(code, data, pos, after)
            setattr(made, self._names[index], value)
            pos = after
        return made, pos
