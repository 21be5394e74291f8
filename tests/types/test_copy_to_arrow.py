"""COPY data becomes the same Arrow as its rows do, and its errors are those of the rows."""

from __future__ import annotations

from typing import Any

import pytest

from febe.types.arrow_rows import ArrowTable
from febe.types.copy import ArrowCopyDecoder, CopyColumn, CopyDecoder, CopyEncoder, CopyError, CopyFormat, Framing
from febe.types.registry import TYPES

pyarrow = pytest.importorskip("pyarrow")

COLUMNS = [CopyColumn(name=name, codec=TYPES.by_name(kind)) for name, kind in (
    ("a", "int4"), ("b", "text"), ("c", "float8"), ("d", "timestamptz"), ("e", "date"), ("f", "bool"), ("g", "bytea"))]
ROWS = 3000


def csv() -> bytes:
    return b"".join(
        b'%d,"it""s %d",%s,2024-02-%02d 10:11:12.5%s,2024-02-29,%s,\\x00ff\n' % (
            row, row, b"1e3" if row % 7 == 0 else b"0.1" if row % 2 else b"", row % 28 + 1,
            b"+00" if row % 3 else b"-05:30", b"t" if row % 2 else b"true") for row in range(ROWS))


def decoded(form: CopyFormat, data: bytes, step: int) -> tuple[list[tuple[Any, ...]], Any]:
    """By rows, and by Arrow."""
    by_rows, by_arrow = CopyDecoder(form, COLUMNS), ArrowCopyDecoder(form, COLUMNS, TYPES)
    rows: list[tuple[Any, ...]] = []
    batches = []
    for at in range(0, len(data), step):
        rows += by_rows.feed(data[at:at + step])
        batches += by_arrow.feed(data[at:at + step])
        assert by_arrow.line == by_rows.line
    rows += by_rows.finish()
    batches += by_arrow.finish()
    return rows, pyarrow.table(ArrowTable(by_arrow.schema, batches))


@pytest.mark.parametrize("step", [1000, 1 << 20])
@pytest.mark.parametrize("form", ["csv", "text", "binary"])
def test_the_same(form: str, step: int) -> None:
    rows = CopyDecoder(CopyFormat(format="csv"), COLUMNS).feed(csv())
    encoder = CopyEncoder(CopyFormat(format=form), COLUMNS, Framing.BARE)
    data = csv() if form == "csv" else encoder.encode(rows) + encoder.finish()
    found, table = decoded(CopyFormat(format=form), data, step)
    assert len(found) == ROWS
    assert [tuple(one.values()) for one in table.to_pylist()] == found == rows


def test_nulls_and_a_header() -> None:
    form = CopyFormat(format="csv", header=True, force_null=["b"], force_not_null=["b"])
    data = b'a,b,c,d,e,f,g\n1,"",,,,,\n2,,,,,,\n3,x,,,,,\n'
    rows, table = decoded(form, data, 10)
    assert [tuple(one.values()) for one in table.to_pylist()] == rows


@pytest.mark.parametrize("line", [b"x,,,,,,", b"1,,,,,", b"1,,,,,,,", b'1,",,,,,', b"1,\xff,,,,,", b"99999999999,,,,,,",
                                  b"1,,,2024-02-30 00:00:00+00,,,", b"1,,1e999,,,,"])
def test_errors(line: bytes) -> None:
    data = b"1,a,0.5,,,,\n" * 3 + line + b"\n" + b"bad,,,,,,\n"
    told = []
    for decoder in (CopyDecoder(CopyFormat(format="csv"), COLUMNS),
                    ArrowCopyDecoder(CopyFormat(format="csv"), COLUMNS, TYPES)):
        with pytest.raises(CopyError) as raised:
            decoder.feed(data)
            decoder.finish()
        told.append((raised.value.sqlstate, raised.value.message, raised.value.context("t")))
    assert told[0] == told[1]


def test_what_is_not_for_arrow() -> None:
    for options in ({"on_error": "ignore"}, {"default": "x"}):
        with pytest.raises(ValueError, match="not for Arrow"):
            ArrowCopyDecoder(CopyFormat(**options), COLUMNS, TYPES)  # type: ignore[arg-type]
