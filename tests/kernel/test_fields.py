"""The loop over a message's declared fields, compiled and interpreted."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from febe._kernel.fields import CODES, COUNTS
from tests.kernel.kernels import COMPILED, SOURCE

KERNELS = [kernel for kernel in (COMPILED, SOURCE) if kernel is not None]


class Made:
    """What the fields are put into."""

    def __init__(self) -> None:
        raise AssertionError("the class is not called")


def text(data: bytes, pos: int, end: int) -> tuple[str, int]:
    return data[pos:end].hex(), end


plans: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from(CODES), st.tuples(st.sampled_from(COUNTS), st.sampled_from(CODES.replace("*", "")), st.just(1)),
    st.just(("SP", "subtype")), st.just(text))


def outcome(kernel: SimpleNamespace, fields: list[Any], data: bytes, when: set[str]) -> object:
    try:
        made, pos = kernel.fields.FieldReader(Made, fields).read(data, 0, len(data), when)
    except ValueError as error:
        return type(error).__name__, str(error)
    return vars(made), pos


@given(st.lists(st.tuples(st.sampled_from("abc"), plans, st.sampled_from([None, "x", "y"])), max_size=5),
       st.binary(max_size=40), st.sets(st.sampled_from("xy")))
@settings(max_examples=500, deadline=None)
def test_kernels_agree(fields: list[Any], data: bytes, when: set[str]) -> None:
    assert len({repr(outcome(kernel, fields, data, when)) for kernel in KERNELS}) == 1


@given(st.sampled_from(CODES), st.binary(max_size=12), st.integers(-2, 14), st.integers(-2, 14))
@settings(max_examples=500, deadline=None)
def test_one_field_anywhere(code: str, data: bytes, pos: int, end: int) -> None:
    outcomes = []
    for kernel in KERNELS:
        try:
            outcomes.append(kernel.fields.read_field(code, data, pos, end))
        except ValueError as error:
            outcomes.append((type(error).__name__, str(error)))
    assert all(found == outcomes[0] for found in outcomes)


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.KIND)
class TestReader:
    def read(self, kernel: SimpleNamespace, plan: object, data: bytes) -> object:
        made, pos = kernel.fields.FieldReader(Made, [("field", plan, None)]).read(data, 0, len(data))
        assert pos == len(data)
        return made.field

    @pytest.mark.parametrize(("code", "data", "value"), [
        ("b", b"\xff", -1), ("h", b"\xff\xfe", -2), ("H", b"\xff\xfe", 65534), ("i", b"\xff\xff\xff\xfe", -2),
        ("I", b"\xff\xff\xff\xfe", 2**32 - 2), ("q", b"\x80" + bytes(7), -2**63),
        ("Q", b"\x80" + bytes(7), 2**63), ("B", b"\xff", 255), ("c", b"S", "S"),
        ("s", b"\xc3\xa9\xff\0", "é\udcff"), ("v", b"\0\0\0\2ab", b"ab"), ("v", b"\0\0\0\0", b""),
        ("v", b"\xff\xff\xff\xff", None), ("*", b"all", b"all"), ("*", b"", b"")])
    def test_plain(self, kernel: SimpleNamespace, code: str, data: bytes, value: object) -> None:
        assert self.read(kernel, code, data) == value

    def test_no_such_code(self, kernel: SimpleNamespace) -> None:
        with pytest.raises(ValueError, match="no code of a field: 'x'"):
            kernel.fields.FieldReader(Made, [("field", "x", None)])
        with pytest.raises(ValueError, match="no code of a field: 'hh'"):
            kernel.fields.read_field("hh", b"", 0, 0)

    def test_counted(self, kernel: SimpleNamespace) -> None:
        assert self.read(kernel, ("H", "h", 2), b"\0\2\0\1\xff\xff") == [1, -1]
        assert self.read(kernel, ("i", "s", 1), b"\0\0\0\2a\0\0") == ["a", ""]

    def test_a_condition_that_does_not_hold(self, kernel: SimpleNamespace) -> None:
        reader = kernel.fields.FieldReader(Made, [("xid", "i", "streamed"), ("name", "s", None)])
        made, _ = reader.read(b"a\0", 0, 2)
        assert (made.xid, made.name) == (None, "a")
        made, _ = reader.read(b"\0\0\0\7a\0", 0, 6, {"streamed"})
        assert (made.xid, made.name) == (7, "a")

    @pytest.mark.parametrize(("plan", "data", "said"), [
        ("i", b"\0\0\0", "insufficient data left in message"), ("s", b"abc", "invalid string in message"),
        ("v", b"\0\0\0\5ab", "insufficient data left in message"), ("v", b"\xff\xff\xff\xfe", "insufficient data"),
        (("i", "s", 1), b"\x7f\xff\xff\xffa\0", "insufficient data left in message"),
        (("i", "h", 2), b"\xff\xff\xff\xff", "insufficient data left in message"),
        (("SP", "subtype"), b"X", "invalid subtype 88"), (("SP", "subtype"), b"", "insufficient data")])
    def test_refused(self, kernel: SimpleNamespace, plan: object, data: bytes, said: str) -> None:
        with pytest.raises(kernel.errors.MalformedMessage, match=said):
            self.read(kernel, plan, data)
