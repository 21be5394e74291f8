"""Damaged values of every type on the wire: an error that says which, and the next query gets its own rows."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import febe
from febe.server import Listener
from febe.types import TYPES, Codec
from tests.client.conftest import Client, Face
from tests.kernel.test_agreement import mutated
from tests.server.listening import listening
from tests.server.test_peer_values import Values
from tests.types.live import decode
from tests.types.test_mutations import OURS, SEEDS, codec_of

NUMBERS = count()
BYTEA = TYPES.by_name("bytea")


@pytest.fixture(scope="module")
def engine() -> Values:
    made = Values()
    made.values["int4"] = [1, 2, 3]
    return made


@pytest.fixture(scope="module")
def listener(engine: Values) -> Iterator[Listener]:
    with listening(engine) as made:
        yield made


@pytest.fixture
def connection(face: Face, listener: Listener) -> Iterator[Client]:
    client = face.connect(f"postgresql://demo@127.0.0.1:{listener.port}/demo")
    yield client
    client.close()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_values(connection: Client, engine: Values, data: st.DataObject) -> None:
    """The server sends bytes as bytea, in binary as they are; the client takes them for a value of another type."""
    name, binary, valid = data.draw(st.sampled_from(SEEDS))
    codec = codec_of(OURS, febe.types, name)
    read = codec.decode_binary if binary else codec.decode_text
    rows = data.draw(st.lists(st.sampled_from(valid).flatmap(mutated) | st.sampled_from(valid), min_size=1, max_size=5))
    expected: list[Any] = []
    for place, row in enumerate(rows):
        try:
            expected.append(decode(codec, binary, row))
        except Exception:
            wrong = place
            break
    else:
        wrong = None
    engine.values["bytea"] = rows
    connection.types.register(Codec(oid=BYTEA.oid, name="bytea", decode_binary=read, encode_binary=None))
    # each time another statement: it keeps its decoders
    sql = f"values bytea {next(NUMBERS)}"
    if wrong is None:
        assert repr([value for (value,) in connection.fetch(sql)]) == repr(expected)
    else:
        with pytest.raises(febe.errors.DecodeError) as caught:
            connection.fetch(sql)
        error = caught.value
        assert (error.column, error.type_name, error.row, error.data) == ("v", "bytea", wrong, rows[wrong])
    assert connection.fetch("values int4") == [(1,), (2,), (3,)]
