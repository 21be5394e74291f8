"""Messages of every kind, derived from their declarations."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

from hypothesis import strategies as st

from febe.protocol.dialect import POSTGRESQL
from febe.protocol.fields import (
    Bytes,
    Choice,
    Counted,
    Int,
    Kind,
    Listed,
    Pairs,
    Record,
    Secret,
    When,
    _Byte1,
    _ErrorFields,
    _Rest,
    _String,
    _Value,
)
from febe.protocol.message import Framing, Message, Sender

ALL = sorted({cls for messages in POSTGRESQL.messages.values() for cls in messages}, key=lambda cls: cls.__name__)
SIDES = (Sender.FRONTEND, Sender.BACKEND)
OTHER = {Sender.FRONTEND: Sender.BACKEND, Sender.BACKEND: Sender.FRONTEND}

# What decoding gives: UTF-8, with bytes that are none as lone surrogates.
texts = st.binary(max_size=30).map(lambda data: data.replace(b"\0", b"").decode("utf-8", "surrogateescape"))


@singledispatch
def values(kind: Kind[Any]) -> st.SearchStrategy[Any]:
    """All values of a field."""
    raise NotImplementedError(type(kind))


values.register(Int)(lambda kind: st.integers(kind.minimum, kind.maximum))
values.register(Choice)(lambda kind: st.sampled_from(kind.characters))
values.register(_Byte1)(lambda kind: st.integers(0, 255).map(chr))
values.register(_String)(lambda kind: texts)
values.register(_Rest)(lambda kind: st.binary(max_size=40))
values.register(Bytes)(lambda kind: st.binary(min_size=kind.least, max_size=kind.most))
values.register(_Value)(lambda kind: st.none() | st.binary(max_size=40))
values.register(Counted)(lambda kind: st.lists(values(kind.element), max_size=8))
values.register(Listed)(lambda kind: st.lists(texts.filter(len), max_size=5))
values.register(Pairs)(lambda kind: st.dictionaries(texts.filter(len), texts, max_size=5))
values.register(_ErrorFields)(lambda kind: st.dictionaries(st.integers(1, 255).map(chr), texts, max_size=20))
values.register(Secret)(lambda kind: values(kind.kind))
values.register(When)(lambda kind: st.none() | values(kind.kind))
values.register(Record)(lambda kind: st.builds(kind.cls, **{name: values(field) for name, field in kind.fields}))


def messages(cls: type[Message]) -> st.SearchStrategy[Message]:
    """All messages of a class."""
    return st.builds(cls, **{name: values(kind) for name, kind in cls.fields})


def body_start(cls: type[Message]) -> int:
    """Where a message's fields begin."""
    return {Framing.TYPED: 5, Framing.STARTUP: 4, Framing.BYTE: 1, Framing.PAYLOAD: 1}[cls.framing] \
        + (4 if cls.code is not None else 0)


def decoded(cls: type[Message], data: bytes) -> Message:
    return cls.decode(data, body_start(cls), len(data))
