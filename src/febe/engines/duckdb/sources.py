"""What is served: a database file, and files that each become a table named after the file.

Parquet files stay where they are and are read through views; CSV, JSON and Arrow files are loaded once.  Every file is
looked for, and every glob expanded, when the engine starts; afterwards the files are closed to clients.
"""

from __future__ import annotations

import glob
import importlib
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

_KINDS = {".duckdb": "database", ".db": "database", ".ddb": "database", ".parquet": "parquet", ".pq": "parquet",
          ".csv": "csv", ".tsv": "csv", ".json": "json", ".ndjson": "json", ".jsonl": "json",
          ".arrow": "arrow", ".feather": "arrow", ".ipc": "arrow", ".arrows": "arrow"}
_PACKED = {".gz", ".zst"}
_MAGIC = ((8, b"DUCK", "database"), (0, b"PAR1", "parquet"), (0, b"ARROW1", "arrow"))


class SourceError(ValueError):
    """A source cannot be served, with the reason in words for the person who named it."""


@dataclass(slots=True, kw_only=True, frozen=True)
class Source:
    """One table (or database) to serve and the files it comes from."""

    name: str
    kind: str
    paths: tuple[Path, ...]


def find(texts: Iterable[str | os.PathLike[str]]) -> list[Source]:
    """The sources that paths, globs and `name=path` pairs stand for; duplicate names are an error."""
    found: dict[str, Source] = {}
    for text in texts:
        for source in _expand(os.fspath(text)):
            # DuckDB compares names without regard to case
            twin = found.setdefault(source.name.lower(), source)
            if twin is not source:
                raise SourceError(f"{source.paths[0]} and {twin.paths[0]} would both be called "
                                  f'"{source.name}": give one a name with name=path')
    return list(found.values())


def _expand(text: str) -> list[Source]:
    name, path = "", text
    if not os.path.lexists(text) and (named := re.fullmatch(r"([^=/\\]+)=(.+)", text, re.DOTALL)):
        name, path = named[1].strip(), named[2]
    path = os.path.expanduser(path)
    if os.path.lexists(path):
        paths = [Path(path)]
    else:
        paths = [Path(match) for match in sorted(glob.glob(path, recursive=True)) if os.path.isfile(match)]
        if not paths:
            raise SourceError(f"{path}: no such file" if not glob.has_magic(path) else f"{path}: no file matches")
    resolved = [(one.absolute(), _kind(one)) for one in paths]
    if name:
        kinds = {kind for _, kind in resolved}
        if len(kinds) > 1 or ("database" in kinds and len(resolved) > 1):
            raise SourceError(f"{text}: the files of one table must be of one kind")
        return [Source(name=name, kind=resolved[0][1], paths=tuple(one for one, _ in resolved))]
    return [Source(name=_table_name(one), kind=kind, paths=(one,)) for one, kind in resolved]


def _table_name(path: Path) -> str:
    name = path.name
    for suffix in reversed(path.suffixes):
        if suffix.lower() not in _KINDS and suffix.lower() not in _PACKED:
            break
        name = name[:-len(suffix)]
    return name or path.name


def _kind(path: Path) -> str:
    if path.is_dir():
        raise SourceError(f"{path}: is a directory; name the files in it, for example {path / '*.parquet'}")
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in _PACKED]
    kind = _KINDS.get(suffixes[-1], "") if suffixes else ""
    try:
        with path.open("rb") as file:
            start = file.read(16)
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}") from error
    for offset, magic, by_magic in _MAGIC:
        if start[offset:offset + len(magic)] == magic:
            return by_magic
    if kind in ("database", "parquet") and start:
        raise SourceError(f"{path}: is not a {'DuckDB database' if kind == 'database' else 'Parquet file'}")
    if not kind:
        raise SourceError(f"{path}: not a kind of file that can be served "
                          "(DuckDB database, Parquet, CSV, JSON, Arrow)")
    return kind


def load(con: duckdb.DuckDBPyConnection, source: Source, *, views: bool, read_only: bool) -> None:
    """Make a source's table (or attach its database).  `views`: Parquet files may be read in place."""
    name = quoted(source.name)
    files = "[" + ", ".join(literal(str(path)) for path in source.paths) + "]"
    try:
        if source.kind == "database":
            con.execute(f"ATTACH {literal(str(source.paths[0]))} AS {name}" + (" (READ_ONLY)" if read_only else ""))
        elif source.kind == "parquet":
            made = "VIEW" if views else "TABLE"
            con.execute(f"CREATE {made} {name} AS SELECT * FROM read_parquet({files}, union_by_name => true)")
        elif source.kind == "csv":
            con.execute(f"CREATE TABLE {name} AS SELECT * FROM read_csv({files}, union_by_name => true)")
        elif source.kind == "json":
            con.execute(f"CREATE TABLE {name} AS SELECT * FROM read_json_auto({files}, union_by_name => true)")
        else:
            con.register("febe_source", _arrow(source))
            con.execute(f"CREATE TABLE {name} AS SELECT * FROM febe_source")
            con.unregister("febe_source")
    except duckdb.Error as error:
        raise SourceError(f"{source.paths[0]}: {error}") from error


def _arrow(source: Source) -> Any:
    """The record batches of Arrow IPC files, of the file format or the stream format."""
    try:
        pyarrow: Any = importlib.import_module("pyarrow")
    except ModuleNotFoundError:
        raise SourceError(f"{source.paths[0]}: Arrow files need the package pyarrow (pip install pyarrow)") from None
    tables = []
    for path in source.paths:
        mapped = pyarrow.memory_map(str(path))
        try:
            tables.append(pyarrow.ipc.open_file(mapped).read_all())
        except pyarrow.ArrowInvalid:
            mapped.seek(0)
            try:
                tables.append(pyarrow.ipc.open_stream(mapped).read_all())
            except (pyarrow.ArrowInvalid, OSError) as error:
                raise SourceError(f"{path}: {error}") from error
    return pyarrow.concat_tables(tables, promote_options="default")


def directory(path: str | os.PathLike[str]) -> Path:
    """A directory whose files clients may read.  Errors: SourceError."""
    found = Path(path).expanduser().resolve()
    if not found.is_dir():
        raise SourceError(f"{found}: no such directory")
    return found


def quoted(name: str) -> str:
    """An identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A string literal."""
    return "'" + text.replace("'", "''") + "'"
