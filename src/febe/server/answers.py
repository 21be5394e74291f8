"""An engine in one function: what a query means, as columns and something that gives their rows.

    class Primes(AnswerEngine):
        def answer(self, sql):
            return Answer([Column(name="prime", type_oid=oids.INT8)], primes)
"""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

from febe.server.engine import ArrowStream, Column, Engine, EngineError, EngineSession, Prepared, Result
from febe.types import oids

if TYPE_CHECKING:
    from febe.types.arrow import ArrowField

BATCH_ROWS = 1000
BATCH_SECONDS = 0.02
"""How many rows of a generator are sent together, and how long the first may wait for the others."""

_PLAIN = {"n": oids.TEXT, "b": oids.BOOL, "c": oids.INT2, "C": oids.INT2, "s": oids.INT2, "S": oids.INT4,
          "i": oids.INT4, "I": oids.INT8, "l": oids.INT8, "L": oids.NUMERIC, "e": oids.FLOAT4, "f": oids.FLOAT4,
          "g": oids.FLOAT8, "u": oids.TEXT, "U": oids.TEXT, "vu": oids.TEXT, "z": oids.BYTEA, "Z": oids.BYTEA,
          "vz": oids.BYTEA, "tdD": oids.DATE, "tdm": oids.DATE}
_BEGINNINGS = {"d:": oids.NUMERIC, "w:": oids.BYTEA, "tt": oids.TIME, "ts": oids.TIMESTAMP, "ti": oids.INTERVAL}


def arrow_columns(source: ArrowStream) -> tuple[Column, ...]:
    """The columns of anything that speaks Arrow, with the PostgreSQL types that hold their values.

    Errors: EngineError (0A000) for a type that has no counterpart.
    """
    from febe.types import arrow  # ctypes is loaded by who serves Arrow only

    with arrow.read_stream(source) as reader:
        return columns_of(reader.schema)


def columns_of(schema: Sequence[ArrowField]) -> tuple[Column, ...]:
    """The columns of a stream that is being read.  Errors: EngineError (0A000)."""
    return tuple(Column(name=field.name, type_oid=_oid(field.name, (field.dictionary or field).format))
                 for field in schema)


def _oid(name: str, form: str) -> int:
    if form.startswith("ts") and form[4:]:  # behind the colon stands the zone
        return oids.TIMESTAMPTZ
    found = _PLAIN.get(form) or _BEGINNINGS.get(form[:2])
    if found is None:
        raise EngineError(f'column "{name}" is of a type that cannot be served (Arrow format {form})', sqlstate="0A000")
    return found


class Answer(Prepared):
    """What a query gives: its columns, and `give`, which is called with the parameters' values when it is run.

    `give` returns an Arrow stream, or rows one by one: a generator is asked for as many as the client takes.
    """

    writes = False

    def __init__(self, columns: Sequence[Column], give: Callable[..., ArrowStream | Iterable[Sequence[object]]],
                 parameters: Sequence[int] = ()) -> None:
        self.columns = tuple(columns)
        self.parameters = tuple(parameters)
        self._give = give

    def execute(self, values: Sequence[Any]) -> Result:
        """Run it."""
        found = self._give(*values)
        if hasattr(found, "__arrow_c_stream__"):
            return Result(arrow=cast(ArrowStream, found))
        return Result(rows=_batches(iter(found)))


def _batches(rows: Iterator[Sequence[object]]) -> Iterator[list[Sequence[object]]]:
    """Many rows at once, unless they take their time: then each leaves when it is there, more or less."""
    while True:
        batch: list[Sequence[object]] = []
        end = time.monotonic() + BATCH_SECONDS
        for row in islice(rows, BATCH_ROWS):
            batch.append(row)
            if time.monotonic() > end:
                break
        if not batch:
            return
        yield batch


class AnswerEngine(Engine):
    """An engine whose sessions differ in nothing.  A subclass gives `answer`."""

    @abstractmethod
    def answer(self, sql: str) -> Prepared:
        """Understand one statement without running it.  Errors: EngineError."""

    def open(self, *, user: str, database: str, parameters: Mapping[str, str]) -> EngineSession:
        """Open a session."""
        return _Session(self)


class _Session(EngineSession):
    def __init__(self, engine: AnswerEngine) -> None:
        self._engine = engine
        self._cancelled = False

    def prepare(self, sql: str, parameter_types: Sequence[int]) -> Prepared:
        return _Watched(self._engine.answer(sql), self)

    # Nothing is changed here, so a transaction has nothing to keep together and nothing to undo.

    def begin(self, *, read_only: bool = False) -> None:
        pass

    def commit(self) -> None:
        pass

    def rollback(self) -> None:
        pass

    def cancel(self) -> None:
        self._cancelled = True

    def watched(self, rows: Iterable[Sequence[Sequence[object]]]) -> Iterator[Sequence[Sequence[object]]]:
        """The rows, as long as nobody cancels."""
        self._cancelled = False
        for batch in rows:
            if self._cancelled:
                raise EngineError("canceling statement due to user request", sqlstate="57014")
            yield batch


class _Watched(Prepared):
    """A statement whose rows stop coming when the session is cancelled."""

    def __init__(self, inner: Prepared, session: _Session) -> None:
        self.parameters, self.columns, self.writes = inner.parameters, inner.columns, inner.writes
        self._inner = inner
        self._session = session

    def execute(self, values: Sequence[Any]) -> Result:
        result = self._inner.execute(values)
        if result.rows is not None:
            result.rows = self._session.watched(result.rows)
        return result

    def close(self) -> None:
        self._inner.close()
