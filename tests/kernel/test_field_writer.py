"""The loop that writes a message's fields, compiled and interpreted, beside the field kinds' own writing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from febe.protocol import fields
from febe.protocol.errors import LocalProtocolError
from febe.protocol.fields import Counted, Int, Kind, When
from febe.protocol.message import Message, Sender, message
from tests.kernel.kernels import COMPILED, SOURCE

KERNELS = [kernel for kernel in (COMPILED, SOURCE) if kernel is not None]
KINDS: list[Kind[Any]] = [
    *[Int(bits, signed=signed) for bits in (8, 16, 32, 64) for signed in (True, False)],
    fields.BYTE1, fields.STRING, fields.BYTES, fields.VALUE, fields.Choice("SP", "subtype"), When("x", fields.INT32),
    *[Counted(count, element, least=1) for count in (fields.UINT16, fields.INT16, fields.INT32)
      for element in (fields.INT16, fields.OID, fields.STRING, fields.VALUE,
                      Counted(fields.INT16, fields.INT8, least=1))],
]

edges = st.sampled_from([edge + by for edge in (0, 2**7, 2**8, 2**15, 2**16, 2**31, 2**32, 2**63, 2**64)
                         for by in (-1, 0, 1)])
plain = st.one_of(st.none(), st.booleans(), st.integers(), edges, edges.map(lambda number: -number),
                  st.text(max_size=5), st.sampled_from(["S", "P", "é", "\0", "\udcff", "\ud800"]),
                  st.binary(max_size=5), st.binary(max_size=3).map(bytearray))
values = st.one_of(plain, st.lists(plain, max_size=4), st.lists(edges, max_size=4), st.lists(st.text(max_size=3)))


def outcome(write: Any) -> object:
    try:
        return bytes(write())
    except Exception as error:
        return type(error).__name__, str(error)


@given(st.sampled_from(KINDS), values)
@settings(max_examples=1000, deadline=None)
def test_as_the_kind_itself_writes(kind: Kind[Any], value: object) -> None:
    def by_kind() -> bytearray:
        out = bytearray(b"M")
        kind.write(out, value)
        return out

    wanted = outcome(by_kind)
    for kernel in KERNELS:
        writer = kernel.field_writer.FieldWriter(b"M", -1, [("field", kind.write_plan, kind.write)])
        assert outcome(lambda writer=writer: writer.write(SimpleNamespace(field=value))) == wanted


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.KIND)
class TestWriter:
    def test_length_and_records(self, kernel: SimpleNamespace) -> None:
        def refuse(out: bytearray, value: object) -> None:
            raise LocalProtocolError("not this one")

        element = kernel.field_writer.FieldWriter(b"", -1, [("name", "s", refuse), ("oid", "I", refuse)])
        writer = kernel.field_writer.FieldWriter(b"T\0\0\0\0", 1, [("columns", ("H", element), refuse)])
        columns = [SimpleNamespace(name="a", oid=2**32 - 1), SimpleNamespace(name="é", oid=1)]
        assert writer.write(SimpleNamespace(columns=columns)) == (
            b"T\0\0\0\x13\0\2a\0\xff\xff\xff\xff\xc3\xa9\0\0\0\0\1")
        with pytest.raises(LocalProtocolError):
            writer.write(SimpleNamespace(columns=[SimpleNamespace(name="a\0", oid=1)]))


def test_a_message_that_is_too_long() -> None:
    @message("~", sender=Sender.FRONTEND, section="a test's", limit=10)
    class Short(Message):
        text: fields.String

    assert Short(text="12345").encode() == b"~\0\0\0\x0a12345\0"
    with pytest.raises(LocalProtocolError, match="a Short of 11 bytes is longer than the 10 bytes"):
        Short(text="123456").encode()
