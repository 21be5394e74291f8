"""Results on their way out: what is asked of an Arrow stream, and when."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from febe.server.engine import Column, Result
from febe.server.results import WAIT_BYTES, Source, source_of
from febe.types import oids

pa = pytest.importorskip("pyarrow")


@pytest.fixture
def streamed() -> Callable[..., tuple[Source, list[int]]]:
    """Gives the source of a stream of batches of so many rows, and the numbers of those asked for; -1 fails."""
    def make(*sizes: int) -> tuple[Source, list[int]]:
        asked: list[int] = []

        def batches() -> Iterator[Any]:
            for number, size in enumerate(sizes):
                asked.append(number)
                if size < 0:
                    raise ValueError("boom")
                yield pa.record_batch([pa.array(range(size), pa.int32())], names=["a"])

        reader = pa.RecordBatchReader.from_batches(pa.schema([("a", pa.int32())]), batches())
        source = source_of(Result(arrow=reader), [Column(name="a", type_oid=oids.INT4)], (0,))
        assert source is not None
        return source, asked

    return make


def test_the_end_is_known_with_the_last_of_few_rows(streamed: Callable[..., tuple[Source, list[int]]]) -> None:
    source, _ = streamed(3)
    assert source.pull(0)[1] == 3 and source.ended


def test_empty_batches_are_passed_over(streamed: Callable[..., tuple[Source, list[int]]]) -> None:
    source, asked = streamed(0, 2, 0, 0, 1, 0)
    assert source.pull(0)[1] == 2 and not source.ended and asked == [0, 1, 2, 3, 4]
    assert source.pull(0)[1] == 1 and source.ended


def test_many_rows_do_not_wait_for_others(streamed: Callable[..., tuple[Source, list[int]]]) -> None:
    source, asked = streamed(WAIT_BYTES, 1)
    assert source.pull(0)[1] == WAIT_BYTES and not source.ended and asked == [0]


def test_nothing_is_looked_at_beyond_what_was_asked_for(streamed: Callable[..., tuple[Source, list[int]]]) -> None:
    source, asked = streamed(2, -1)
    assert source.pull(2)[1] == 2 and asked == [0] and not source.ended


def test_rows_before_an_error_are_given(streamed: Callable[..., tuple[Source, list[int]]]) -> None:
    source, _ = streamed(2, -1)
    assert source.pull(0)[1] == 2 and not source.ended
    with pytest.raises(OSError, match="boom"):
        source.pull(0)
    source.close()
