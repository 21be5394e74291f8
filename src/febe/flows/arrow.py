"""Results as Arrow: the rows go into columns as they arrive, without a Python object for a value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from febe.flows.query import Flow, Give, run

if TYPE_CHECKING:
    import numpy

    from febe.flows.answer import Answer
    from febe.flows.compose import Sql
    from febe.flows.prepare import Statement
    from febe.flows.session import Session
    from febe.protocol.simple import FieldDescription
    from febe.types.arrow_rows import ArrowBuilder, ArrowOptions, ArrowTable
    from febe.types.registry import Registry


class Reader:
    """Makes what reads the rows of one result into Arrow."""

    def __init__(self, options: ArrowOptions | None, rows: int = 1 << 16) -> None:
        self.options = options
        self.rows = rows

    def __call__(self, types: Registry, columns: list[FieldDescription]) -> ArrowBuilder:
        from febe.types.arrow_rows import ArrowBuilder, ArrowSource

        sources = [ArrowSource(name=column.name, codec=types.by_oid(column.type_oid), typmod=column.type_modifier,
                               binary=bool(column.format)) for column in columns]
        return ArrowBuilder(sources, types, self.options, rows=self.rows)


def table(builder: ArrowBuilder, batches: list[Any] | None) -> ArrowTable:
    """What a builder has given, with what is left in it."""
    from febe.types.arrow_rows import ArrowTable

    last = builder.finish()
    return ArrowTable(builder.schema, [*(batches or []), *([last] if last is not None else [])])


def _table(answer: Answer) -> ArrowTable:
    return table(answer.builder, answer.rows)


def fetch_arrow(session: Session, what: Sql | Statement, args: tuple[object, ...],
                options: ArrowOptions | None = None) -> Flow[ArrowTable]:
    """All rows, as an Arrow table."""
    return run(session, what, args, Give(_table, reader=Reader(options)))


def _arrays(answer: Answer) -> dict[str, numpy.ndarray[Any, Any]]:
    from febe.types.numpy_columns import numpy_columns

    return numpy_columns(_table(answer))


def fetch_numpy(session: Session, what: Sql | Statement, args: tuple[object, ...],
                options: ArrowOptions | None = None) -> Flow[dict[str, numpy.ndarray[Any, Any]]]:
    """All rows, a numpy array for each column."""
    return run(session, what, args, Give(_arrays, reader=Reader(options)))


__all__ = ["Reader", "fetch_arrow", "fetch_numpy", "table"]
