"""Compiled and interpreted kernels on the same bytes: the same result, or the same exception with the same words."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.kernel.kernels import COMPILED, SOURCE
from tests.kernel.test_rows import data_row
from tests.kernel.values import FAMILIES, VALUES

pytestmark = pytest.mark.skipif(COMPILED is None, reason="no compiled kernel is loaded")

KINDS = sorted(code + binary for code in FAMILIES.values() for binary in (0, 1))
NAMES = {code + binary: name for name, code in FAMILIES.items() for binary in (0, 1)}
SCRAPS = [bytes([byte]) for byte in b"\0-._ e\xff90:T{"] + [b"E9", b"nan", b"inf", b"+00", b" BC", b"\\x"]


def outcome(call: Any, *arguments: Any) -> tuple[str, ...]:
    try:
        value = call(*arguments)
    except Exception as error:
        cause = error.__cause__
        return type(error).__name__, str(error), type(cause).__name__, str(cause)
    if isinstance(value, float) and math.isnan(value):
        return ("nan",)
    return type(value).__name__, repr(value)


def both(kernels: tuple[SimpleNamespace | None, SimpleNamespace], call: Any) -> None:
    first, second = (outcome(call, kernel) for kernel in kernels)
    assert first == second


@st.composite
def mutated(draw: st.DrawFn, data: bytes) -> bytes:
    """Cut, put something in, or change a byte, some times."""
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(data)))
        change = draw(st.integers(0, 2))
        if change == 0:
            data = data[:at] + data[at + draw(st.integers(1, 4)) :]
        else:
            scrap = draw(st.sampled_from(SCRAPS) | st.binary(min_size=1, max_size=2))
            data = data[:at] + scrap + data[at + (len(scrap) if change == 1 else 0) :]
    return data


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{NAMES[kind]}-{'binary' if kind & 1 else 'text'}")
@given(data=st.data())
def test_values(kind: int, data: st.DataObject) -> None:
    value = data.draw(VALUES[NAMES[kind]])
    encoded = SOURCE.encode.encode_value(kind, value)
    both((COMPILED, SOURCE), lambda kernel: kernel.encode.encode_value(kind, value))
    changed = data.draw(mutated(encoded) | st.binary(max_size=20))
    both((COMPILED, SOURCE), lambda kernel: kernel.rows.decode_value(kind, changed))
    # In the midst of other bytes nothing before or after the value may count.
    row = data_row(None, changed, b"7")
    kinds = [FAMILIES["int4"], kind, FAMILIES["int4"]]
    both((COMPILED, SOURCE), lambda kernel: kernel.rows.RowDecoder(kinds, tuple).decode(row, 0, len(row)))


@given(data=st.data(), columns=st.lists(st.sampled_from(KINDS), max_size=5))
def test_rows(data: st.DataObject, columns: list[int]) -> None:
    row = st.tuples(*(st.none() | VALUES[NAMES[kind]] for kind in columns))
    rows = data.draw(st.lists(row, max_size=3))
    both((COMPILED, SOURCE), lambda kernel: kernel.rows.RowEncoder(columns).encode(rows))
    both((COMPILED, SOURCE), lambda kernel: kernel.parameters.ParameterEncoder(columns).encode(
        b"p", rows[0] if rows else [], b"s", b"t"))  # fmt: skip
    both((COMPILED, SOURCE), lambda kernel: kernel.parameters.ParameterEncoder(columns).encode_many(
        b"p", rows, b"s", b"t"))  # fmt: skip
    changed = data.draw(mutated(SOURCE.rows.RowEncoder(columns).encode(rows)))
    both((COMPILED, SOURCE), lambda kernel: kernel.rows.RowDecoder(columns, tuple).decode(changed, 0, len(changed)))


@given(
    kind=st.sampled_from(KINDS),
    value=st.one_of(*VALUES.values(), st.integers(), st.floats(), st.text(), st.just(object()), st.tuples()),
)
def test_any_value(kind: int, value: object) -> None:
    both((COMPILED, SOURCE), lambda kernel: kernel.rows.RowEncoder([kind]).encode([(value,)]))
