"""Spark Connect as an engine: one Spark session per connection; statements are analysed to be described, and streamed.

The process keeps nothing: any number of them may stand before one cluster.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow  # type: ignore[import-untyped]
from pyspark.errors import PySparkException
from pyspark.sql.connect.client.retries import DefaultPolicy
from pyspark.sql.connect.column import Column as SparkColumn
from pyspark.sql.connect.expressions import LiteralExpression
from pyspark.sql.connect.session import SparkSession
from pyspark.sql.types import DecimalType, IntegerType

from febe.engines.spark import catalog
from febe.engines.spark.errors import is_lost, is_unreachable, translate
from febe.engines.spark.statements import Spoken, understand
from febe.engines.spark.types import PARAMETERS, announced
from febe.server.catalog.description import Database
from febe.server.engine import Column, Engine, EngineError, EngineSession, Prepared, Result
from febe.types import oids

_log = logging.getLogger("febe.engines.spark")
# Spark's own way to tell of errors, which the client is told anyway; the stack traces are in Spark's log.
logging.getLogger("SQLQueryContextLogger").disabled = True


class SparkEngine(Engine):
    """A Spark Connect server, as `sc://host:15002` (manual of Spark: "Connection String")."""

    processes = True

    dialect = "spark"

    def __init__(self, url: str) -> None:
        """Take the address.  Errors: OSError when no Spark Connect server answers there."""
        self.url = url
        try:
            self._probe()
        except Exception as error:
            raise ConnectionError(f"no Spark Connect server answers at {url}" if is_unreachable(error)
                                  else f"{url}: {error}") from None

    def open(self, *, user: str, database: str, parameters: Mapping[str, str]) -> SparkEngineSession:
        """Open a Spark session of the client's own, in the schema named like the database if there is one."""
        return SparkEngineSession(self, user, database)

    def connect(self, user: str) -> SparkSession:
        """A new Spark session."""
        session = SparkSession(connection=self.url, userId=user)
        # Spark's client would try for ten minutes; whoever waits here wants to know.
        session.client.set_retry_policies([DefaultPolicy(max_retries=3, initial_backoff=50, max_backoff=1000)])
        return session

    def _probe(self) -> None:
        session = self.connect("febe")
        try:
            self.version = session.version
        finally:
            _stop(session)


class SparkEngineSession(EngineSession):
    """One client's Spark session."""

    def __init__(self, engine: SparkEngine, user: str, database: str) -> None:
        self._engine, self._user, self._database = engine, user, database
        self._spark = self._begun()
        self._block = ""

    def _begun(self) -> SparkSession:
        spark = self._engine.connect(self._user)
        try:
            spark.conf.set("spark.sql.session.timeZone", "UTC")
            if spark.catalog.databaseExists(self._database):
                spark.catalog.setCurrentDatabase(self._database)
        except Exception as error:
            _stop(spark)
            raise translate(error, "", lambda offset: None) from error
        return spark

    def prepare(self, sql: str, parameter_types: Sequence[int]) -> Statement:
        """Understand a statement.  A query is analysed; SHOW, DESCRIBE and EXPLAIN are run for their columns."""
        for oid in parameter_types:
            if oid and oid not in PARAMETERS:
                raise EngineError(f"parameters of the type with OID {oid} cannot be given to Spark", sqlstate="0A000")
        return Statement(self, understand(sql, tuple(parameter_types)))

    def describe(self) -> Database:
        """What the current catalog holds."""
        with self.translated(understand("show tables", ())):
            return catalog.describe(self._spark)

    # Spark has no transactions.  Blocks are opened and ended, because clients cannot do without; the first statement
    # that writes in one is answered with a notice that says what that is worth.

    def begin(self, *, read_only: bool = False) -> None:
        """Begin a block, of which only the form is kept."""
        self._block = "read only" if read_only else "open"

    def commit(self) -> None:
        """End the block."""
        self._block = ""

    def rollback(self) -> None:
        """End the block; what it wrote stays."""
        self._block = ""

    def savepoint(self, name: str) -> None:
        """Set a savepoint, of which only the form is kept."""

    def release(self, name: str) -> None:
        """Forget it."""

    def rollback_to(self, name: str) -> None:
        """Go back where nothing was written in the block.  Errors: EngineError (0A000) otherwise."""
        if self._block == "told":
            raise EngineError("Spark has no transactions: what was written stays", sqlstate="0A000")

    def change(self, name: str, value: str) -> None:
        """Follow the client's time zone and search path as far as they mean something to Spark."""
        with contextlib.suppress(PySparkException):
            if name == "search_path":
                self._spark.catalog.setCurrentDatabase(value.split(",")[0].strip().strip('"'))

    def cancel(self) -> None:
        """Interrupt what the session runs."""
        self._spark.interruptAll()

    def close(self) -> None:
        """Give the Spark session up."""
        _stop(self._spark)

    # For the statements of this session

    def writing(self) -> list[str]:
        """What to say before a statement writes.  Errors: EngineError 25006 in a read-only block."""
        block, self._block = self._block, self._block and "told"
        if block == "read only":
            self._block = block
            raise EngineError("cannot write in a read-only transaction", sqlstate="25006")
        return ["Spark has no transactions: what is written stays, also after ROLLBACK"] if block == "open" else []

    def given(self, spoken: Spoken, values: Sequence[Any] | None) -> dict[str, SparkColumn]:
        """The parameters as Spark's literals; NULLs of their types when there are no values yet."""
        args = {}
        for number, oid in enumerate(spoken.parameters, 1):
            kind, convert = PARAMETERS[oid]
            value = None if values is None else values[number - 1]
            if number in spoken.counts:  # Spark refuses any other type there, and NULL
                kind, value = IntegerType(), 0 if values is None else value
            elif value is not None and oid == oids.NUMERIC:
                kind = _decimal(value)
            args[f"p{number}"] = SparkColumn(LiteralExpression(None if value is None else convert(value), kind))
        return args

    def run(self, spoken: Spoken, values: Sequence[Any] | None) -> Any:
        """Give Spark the statement, and get a DataFrame: a query is understood, a command is done."""
        return self._spark.sql(spoken.sql, args=self.given(spoken, values) if spoken.parameters else None)

    def batches(self, frame: Any) -> Iterator[pyarrow.Table]:
        """A frame's rows as Spark sends them, a bounded piece at a time."""
        plan = frame._plan.to_proto(self._spark.client)
        for piece in self._spark.client.to_table_as_iterator(plan, {}):
            if isinstance(piece, pyarrow.Table):
                yield piece

    @contextlib.contextmanager
    def translated(self, spoken: Spoken) -> Iterator[None]:
        """Spark's errors inside become the client's."""
        try:
            yield
        except EngineError:
            raise
        except Exception as error:
            raise self.failure(error, spoken) from error

    def failure(self, error: Exception, spoken: Spoken) -> EngineError:
        """The client's error for one of Spark's; a Spark session that is gone is replaced."""
        if not is_lost(error):
            return translate(error, spoken.sql, spoken.original)
        _log.error("the Spark session of %s is gone: %s", self._user, str(error).partition("\n")[0])
        lost, self._spark = self._spark, self._engine.connect(self._user)
        _stop(lost)
        if is_unreachable(error):
            return EngineError("the Spark cluster does not answer", sqlstate="08006")
        return EngineError("the Spark session was lost, and with it its temporary views and settings",
                           sqlstate="08006", hint="Statements that follow run in a new Spark session.")


class Statement(Prepared):
    """A statement, described by analysis alone where it is a query."""

    def __init__(self, session: SparkEngineSession, spoken: Spoken) -> None:
        self._session, self._spoken = session, spoken
        self.parameters = spoken.parameters
        self.writes = not spoken.is_query and not spoken.shows
        if not self.writes:
            with session.translated(spoken):
                self.columns = _columns(session.run(spoken, None))

    def execute(self, values: Sequence[Any]) -> Result:
        """Run it; rows are streamed."""
        session, spoken = self._session, self._spoken
        notices = session.writing() if self.writes else []
        with session.translated(spoken):
            frame = session.run(spoken, values)
            if self.columns is None:
                return Result(tag=spoken.tag, notices=notices)
            now = _columns(frame)
            if [(one.name, one.type_oid) for one in now] != [(one.name, one.type_oid) for one in self.columns]:
                raise EngineError("cached plan must not change result type", sqlstate="0A000",
                                  routine="RevalidateCachedQuery")
            pieces = session.batches(_travelling(frame))
            first = next(pieces, None)
        if first is None:
            return Result(rows=(), tag=spoken.tag)
        # The stream tells an error by its text, so what it was is kept until the text is asked for.
        failed: list[EngineError] = []

        def read() -> Iterator[pyarrow.RecordBatch]:
            yield from first.to_batches()
            try:
                for piece in pieces:
                    yield from piece.to_batches()
            except Exception as error:
                failed.append(session.failure(error, spoken))
                raise

        return Result(arrow=pyarrow.RecordBatchReader.from_batches(first.schema, read()), tag=spoken.tag,
                      failure=lambda text: failed[0] if failed else EngineError(text))


def _columns(frame: Any) -> tuple[Column, ...]:
    return tuple(Column(name=field.name, type_oid=kind.type_oid, type_modifier=kind.type_modifier)
                 for field in frame.schema.fields for kind in (announced(field.dataType),))


def _travelling(frame: Any) -> Any:
    """The frame with the columns that do not travel as they are turned into text; names do not matter any more."""
    expressions = [announced(field.dataType).expression for field in frame.schema.fields]
    if not any(expressions):
        return frame
    names = [f"c{number}" for number in range(len(expressions))]
    return frame.toDF(*names).selectExpr(*(
        f"{expression.format(name)} as {name}" if expression else name
        for name, expression in zip(names, expressions, strict=True)))


def _decimal(value: Any) -> DecimalType:
    """The Spark type that holds this number.  Errors: EngineError 22003, 0A000."""
    _sign, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int):
        raise EngineError("Spark's decimals have no NaN and no infinity", sqlstate="0A000")
    scale = max(-exponent, 0)
    precision = max(len(digits) + max(exponent, 0), scale, 1)
    if precision > 38:
        raise EngineError(f"a number of {precision} digits is longer than the 38 of Spark's decimals",
                          sqlstate="22003")
    return DecimalType(precision, scale)


def _stop(session: SparkSession) -> None:
    """Release a session; one that nobody answers for is gone already."""
    close: Callable[[], object] = session.client.close
    with contextlib.suppress(Exception):
        session.client.release_session()
    with contextlib.suppress(Exception):
        close()
