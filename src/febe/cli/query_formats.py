"""How `febe query` lays rows out: as a table, CSV, JSON, Arrow, Parquet."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar

import click
from rich.cells import cell_len

from febe._kernel import kinds
from febe._kernel.encode import encode_value
from febe.flows.arrow import Reader
from febe.protocol.simple import FieldDescription
from febe.types import oids
from febe.types._shapes import ArrayOf, CompositeOf, DomainOf
from febe.types.copy import CopyColumn, CopyEncoder, CopyFormat, Framing
from febe.types.oids import TYPE_DATA
from febe.types.registry import TYPES, Codec, Registry
from febe.types.texts import TEXT, Texts

if TYPE_CHECKING:
    from febe import Connection

__all__ = ["BINARY", "FORMATS", "SUFFIXES", "Sink", "json_writer", "types_for"]

_NUMBERS = frozenset({oids.INT2, oids.INT4, oids.INT8, oids.FLOAT4, oids.FLOAT8, oids.NUMERIC, oids.OID, oids.MONEY})
_JSON_NUMBERS = _NUMBERS - {oids.MONEY}


def types_for(form: str) -> Registry:
    """The registry of a connection whose rows are laid out like this."""
    if form in ("table", "csv"):
        return Texts()
    if form in BINARY:
        return TYPES
    types = TYPES.copy()
    for oid, *_ in TYPE_DATA:
        codec = TYPES.by_oid(oid)
        if not isinstance(codec.shape, ArrayOf):
            types.register(Codec(oid=oid, name=codec.name, array_oid=codec.array_oid, delimiter=codec.delimiter))
    return types


class Sink:
    """Takes the rows of one result: `begin`, `write` as often as there are some, `end`.

    `stream` says that nobody can go back in the target.
    """

    takes_arrow: ClassVar[bool] = False
    takes_scripts: ClassVar[bool] = False

    def __init__(self, target: BinaryIO, *, null: str = "", header: bool = True, stream: bool = True) -> None:
        self.target = target
        self.null = null
        self.header = header
        self.stream = stream

    def begin(self, connection: Connection[Any], columns: Sequence[FieldDescription]) -> None:
        """The columns are known; nothing has been run."""

    def write(self, rows: Any) -> None:
        """Some rows, or an Arrow table."""

    def end(self, tag: str) -> None:
        """All rows have come; `tag` is the statement's command tag."""

    def say(self, text: str) -> None:
        """Write text."""
        self.target.write(text.encode("utf-8", "surrogateescape"))


class _Table(Sink):
    """Columns as wide as their widest value, in the form that psql has made familiar."""

    takes_scripts = True

    def begin(self, connection: Connection[Any], columns: Sequence[FieldDescription]) -> None:
        self.columns = columns
        self.rows: list[Any] = []

    def write(self, rows: Any) -> None:
        self.rows += rows

    def end(self, tag: str) -> None:
        if not self.columns and not self.rows:
            self.say(f"{tag}\n" if tag else "")
            return
        names = [column.name for column in self.columns]
        cells = [[self.null if value is None else _line(value) for value in row] for row in self.rows]
        widths = [max(map(cell_len, each)) for each in zip(names, *cells, strict=True)]
        right = [column.type_oid in _NUMBERS for column in self.columns]
        self.say(" | ".join(_pad(name, width, "centre") for name, width in zip(names, widths, strict=True)).rstrip())
        self.say("\n" + "-+-".join("-" * width for width in widths) + "\n")
        for row in cells:
            laid = [_pad(cell, width, "right" if to_right else "left")
                    for cell, width, to_right in zip(row, widths, right, strict=True)]
            self.say(" | ".join(laid).rstrip() + "\n")
        count = len(self.rows)
        self.say(f"({count} row{'' if count == 1 else 's'})\n")


_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), 127, *range(128, 160))} | {10: "\\n", 13: "\\r", 9: "\\t"}


def _line(value: str) -> str:
    """A value on one line; what would move a terminal's cursor is shown as its code."""
    return value if value.isprintable() else value.translate(_CONTROLS)


def _pad(text: str, width: int, where: str) -> str:
    free = width - cell_len(text)
    before = free if where == "right" else free // 2 if where == "centre" else 0
    return " " * before + text + " " * (free - before)


class _CSV(Sink):
    """As COPY writes it, so that NULL and an empty string stay apart."""

    def begin(self, connection: Connection[Any], columns: Sequence[FieldDescription]) -> None:
        form = CopyFormat(format="csv", header=self.header, null=self.null)
        self.encoder = CopyEncoder(form, [CopyColumn(name=one.name, codec=TEXT) for one in columns], Framing.BARE)
        self.has_rows = bool(columns)

    def write(self, rows: Any) -> None:
        self.target.write(self.encoder.encode(rows))

    def end(self, tag: str) -> None:
        if self.has_rows:
            self.target.write(self.encoder.finish())


class _JSONLines(Sink):
    """An object for each row, on a line of its own."""

    first, between, last, empty = "", "\n", "", ""

    def begin(self, connection: Connection[Any], columns: Sequence[FieldDescription]) -> None:
        names = [column.name for column in columns]
        for name in names:
            if names.count(name) > 1:
                raise click.ClickException(f'two columns are called "{name}", which no JSON object has: use AS')
        self.write_row = _object(list(zip(names, [connection.types.by_oid(one.type_oid) for one in columns],
                                          strict=True)), connection.types)
        self.count = 0

    def write(self, rows: Any) -> None:
        lines = [self.write_row(row) for row in rows]
        self.say((self.between if self.count else self.first) + self.between.join(lines))
        self.count += len(lines)

    def end(self, tag: str) -> None:
        if self.count:
            self.say("\n")
        self.say(self.last if self.count else self.empty)


class _JSON(_JSONLines):
    """One array of objects."""

    first, between, last, empty = "[\n", ",\n", "]\n", "[]\n"


_ToJSON = Callable[[Any], str]


def _object(fields: Iterable[tuple[str, Codec]], types: Registry) -> _ToJSON:
    parts = [(json.dumps(name, ensure_ascii=False) + ": ", json_writer(codec, types)) for name, codec in fields]

    def write(row: Any) -> str:
        return "{" + ", ".join([name + ("null" if value is None else one(value))
                                for (name, one), value in zip(parts, row, strict=True)]) + "}"

    return write


def json_writer(codec: Codec, types: Registry) -> _ToJSON:
    """What writes a type's values: numbers, booleans, arrays and composites as JSON's own, all others as their text."""
    shape = codec.shape
    if isinstance(shape, DomainOf):
        return json_writer(types.by_oid(shape.base), types)
    if isinstance(shape, ArrayOf):
        return _array(json_writer(types.by_oid(shape.element), types))
    if isinstance(shape, CompositeOf) and shape is not CompositeOf.OPEN:
        return _object([(name, types.by_oid(oid)) for name, oid in shape.fields], types)
    if codec.oid in (oids.JSON, oids.JSONB):
        return lambda value: str(value).replace("\n", " ").replace("\r", " ")  # between its words only
    if codec.oid == oids.BOOL:
        return lambda value: "true" if value == "t" else "false"
    if codec.oid in _JSON_NUMBERS:
        return lambda value: value if value[-1].isdigit() else json.dumps(value)
    encode = codec.encode_text if codec.encode_text is not None else kinds.STRING_TEXT
    if isinstance(encode, int):
        return lambda value: json.dumps(encode_value(encode, value).decode(), ensure_ascii=False)
    return lambda value: json.dumps(encode(value).decode(), ensure_ascii=False)


def _array(one: _ToJSON) -> _ToJSON:
    def write(values: Any) -> str:
        return "[" + ", ".join(["null" if value is None else write(value) if isinstance(value, list) else one(value)
                                for value in values]) + "]"

    return write


class _Arrow(Sink):
    """Arrow's file format, or where nobody can go back its stream format."""

    takes_arrow = True
    form = "arrow"

    def begin(self, connection: Connection[Any], columns: Sequence[FieldDescription]) -> None:
        from febe.types.arrow_rows import ArrowTable

        self.writer: Any = None
        if columns:
            schema = Reader(None)(connection.types, list(columns)).schema
            self.writer = self.open(_pyarrow().table(ArrowTable(schema, [])).schema)

    def open(self, schema: Any) -> Any:
        """Begin the file."""
        ipc = _pyarrow("pyarrow.ipc")
        return (ipc.new_stream if self.stream else ipc.new_file)(self.target, schema)

    def write(self, rows: Any) -> None:
        self.writer.write_table(_pyarrow().table(rows))

    def end(self, tag: str) -> None:
        if self.writer is not None:
            self.writer.close()


class _Parquet(_Arrow):
    """Parquet, compressed as pyarrow does."""

    def open(self, schema: Any) -> Any:
        """Begin the file."""
        return _pyarrow("pyarrow.parquet").ParquetWriter(self.target, schema)


def _pyarrow(module: str = "pyarrow") -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError:
        raise click.ClickException("Arrow and Parquet files need pyarrow: pip install 'febe[query]'") from None


FORMATS: dict[str, type[Sink]] = {
    "table": _Table, "csv": _CSV, "json": _JSON, "jsonl": _JSONLines, "arrow": _Arrow, "parquet": _Parquet,
}
BINARY = frozenset({"arrow", "parquet"})
SUFFIXES = {".csv": "csv", ".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl", ".arrow": "arrow",
            ".feather": "arrow", ".parquet": "parquet"}
