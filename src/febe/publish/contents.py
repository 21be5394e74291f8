"""What a published table begins with, wherever it comes from: its columns with their types, and its rows in text.

Arrow (tables, readers, data frames, DuckDB's relations) and what an engine gives for a query go through the kernel, as
a server sends them; rows of Python values through their types' codecs.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from febe._kernel import kinds
from febe._kernel.rows import RowDecoder
from febe.publish.table import Cells, Table
from febe.server.answers import columns_of
from febe.server.engine import Column, Engine
from febe.server.results import source_of
from febe.server.typenames import oid_of
from febe.types.registry import TYPES

PIECE = 1 << 18
"""About how many bytes of rows are made at once."""


@dataclasses.dataclass(slots=True, frozen=True)
class EngineQuery:
    """The rows that an engine has for a query, such as `select * from stock`."""

    engine: Engine
    sql: str


@dataclasses.dataclass(slots=True, kw_only=True)
class Contents:
    """Columns, by name with the OIDs of their types, and what gives a table's rows; it is called once at the most."""

    columns: Mapping[str, int]
    cells: Callable[[Table], Iterator[Cells]]


def contents(rows: Any, declared: Mapping[str, str] | None) -> Contents:
    """What something to be published holds; `declared` are columns with the names of their types.

    Errors: ValueError for columns that nothing tells the types of; EngineError for Arrow types without a counterpart.
    """
    types = None if declared is None else {name: oid_of(kind) for name, kind in declared.items()}
    if isinstance(rows, EngineQuery):
        return _of_engine(rows, types)
    if hasattr(rows, "__arrow_c_stream__"):
        return _of_arrow(rows, types)
    return _of_python(rows, types)


def _of_arrow(rows: Any, types: Mapping[str, int] | None) -> Contents:
    from febe.types import arrow  # ctypes is loaded by who has Arrow only

    reader = arrow.read_stream(rows)
    if types is None:
        types = {column.name: column.type_oid for column in columns_of(reader.schema)}
    names = [field.name for field in reader.schema]
    places = _places(names, types)
    schema = [reader.schema[place] for place in places]
    encoder = arrow.ArrowEncoder(arrow.plans_for(schema, [0], list(types.values())))

    def cells(table: Table) -> Iterator[Cells]:
        with reader:
            for batch in reader:
                with batch:
                    batch.columns = [batch.columns[place] for place in places]
                    row = 0
                    while row < batch.length:
                        data, row = encoder.encode_some(batch, row, batch.length, PIECE)
                        yield from _cells_of(data, len(places))

    return Contents(columns=types, cells=cells)


def _of_engine(query: EngineQuery, types: Mapping[str, int] | None) -> Contents:
    session = query.engine.open(user="publisher", database="memory", parameters={})
    with contextlib.ExitStack() as failing:
        failing.callback(session.close)
        prepared = session.prepare(query.sql, ())
        columns: Sequence[Column] | None = prepared.columns
        if columns is None:
            raise ValueError(f"{query.sql} has no rows to publish")
        found = {column.name: column.type_oid for column in columns}
        places = _places(list(found), types or found)
        failing.pop_all()

    def cells(table: Table) -> Iterator[Cells]:
        with contextlib.closing(session):
            source = source_of(prepared.execute(()), columns, (0,) * len(columns))
            while source is not None:
                data, count = source.pull(0)
                if not count:
                    source.close()
                    return
                for row in _cells_of(data, len(columns)):
                    yield [row[place] for place in places]

    return Contents(columns=types or found, cells=cells)


def _of_python(rows: Iterable[Any], types: Mapping[str, int] | None) -> Contents:
    if types is None:
        rows = list(rows)
        types = _guessed(rows)
    names = list(types)

    def cells(table: Table) -> Iterator[Cells]:
        for row in rows:
            values = _values(row, names)
            if table.admits(values):
                yield table.cells(values)

    return Contents(columns=types, cells=cells)


def _guessed(rows: Sequence[Any]) -> dict[str, int]:
    """The columns of rows that have names, each of the type that its first value goes with."""
    if not rows:
        raise ValueError("columns have to be declared for a table that begins with no rows")
    first = rows[0]
    names = list(first) if isinstance(first, Mapping) else getattr(first, "_fields", None)
    if names is None and dataclasses.is_dataclass(first):
        names = [field.name for field in dataclasses.fields(first)]
    if names is None:
        raise ValueError("columns have to be declared for rows without names")
    found: dict[str, int] = {}
    for name in names:
        value = next((value for row in rows if (value := _values(row, [name])[0]) is not None), None)
        codec = None if value is None else TYPES.by_class(type(value))
        if codec is None:
            raise ValueError(f"column {name} has to be declared: its values do not tell a type")
        found[name] = codec.oid
    return found


def _values(row: Any, names: Sequence[str]) -> Sequence[object]:
    if isinstance(row, Mapping):
        return [row.get(name) for name in names]
    if isinstance(row, Sequence) and len(row) == len(names) and len(names) != 1:
        return row
    if isinstance(row, Sequence) and not hasattr(row, "_fields"):
        return row
    return [getattr(row, name) for name in names]


def _places(names: Sequence[str], wanted: Iterable[str]) -> list[int]:
    missing = set(wanted) - set(names)
    if missing:
        raise ValueError(f"there is no column {min(missing)}")
    return [names.index(name) for name in wanted]


def _cells_of(data: bytes | bytearray, width: int) -> Iterator[Cells]:
    """DataRow messages in text, as values."""
    for row in RowDecoder([kinds.STRING_TEXT] * width, tuple).decode(bytes(data), 0, len(data)):
        yield [None if value is None else value.encode() for value in row]


__all__ = ["Contents", "EngineQuery", "contents"]
