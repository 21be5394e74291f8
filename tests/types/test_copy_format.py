"""Options are taken and refused as by PostgreSQL 18, in its words and with its SQLSTATEs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from febe.types.copy import CopyError, CopyFormat
from tests.peers.postgres import Postgres

psycopg = pytest.importorskip("psycopg")

from .copy_oracle import connected, dump, load, table  # noqa: E402


@pytest.fixture(scope="module")
def connection(pg18: Postgres) -> Iterator[Any]:
    with connected(pg18) as connection:
        table(connection, "text", "int4")
        yield connection


CSV = ("format", "csv")
BINARY = ("format", "binary")
OPTIONS: list[list[tuple[str, Any]]] = [
    [], [("format", "text")], [CSV], [BINARY], [("format", "TEXT")], [("format", "xml")], [("format", None)],
    [CSV, CSV], [("sheet", 1)], [("delimiter", "|")], [("delimiter", "ab")], [("delimiter", "")], [("delimiter", "é")],
    [("delimiter", "\n")], [("delimiter", "\r")], [("delimiter", "\\")], [("delimiter", "a")], [("delimiter", "7")],
    [("delimiter", ".")], [("delimiter", "A")], [CSV, ("delimiter", "a")], [CSV, ("delimiter", '"')],
    [BINARY, ("delimiter", ",")], [BINARY, ("null", "")], [BINARY, ("default", "")], [BINARY, ("header", True)],
    [BINARY, ("header", False)], [("null", "a\nb")], [("null", "a\tb")], [("null", "")], [("null", 5)],
    [("null", "x"), ("null", "x")], [CSV, ("null", 'a"')], [CSV, ("null", "a,")], [("default", "x\ry")],
    [("default", "x\ty")], [("default", "\\N")], [("default", "\\D")], [CSV, ("default", ",")], [CSV, ("default", '"')],
    [CSV, ("default", "")], [CSV, ("default", "x"), ("null", "x")], [("header", None)], [("header", True)],
    [("header", 1)], [("header", 0)], [("header", 2)], [("header", "match")], [("header", "MATCH")], [("header", "on")],
    [("header", "maybe")], [("quote", '"')], [CSV, ("quote", "ab")], [CSV, ("quote", "é")], [CSV, ("quote", "")],
    [CSV, ("quote", ",")], [CSV, ("quote", "'")], [("escape", '"')], [CSV, ("escape", "ab")], [CSV, ("escape", "\\")],
    [CSV, ("escape", "")], [("force_quote", ["a"])], [CSV, ("force_quote", ["a"])], [CSV, ("force_quote", "*")],
    [CSV, ("force_quote", "a")], [CSV, ("force_quote", None)], [("force_not_null", ["a"])],
    [CSV, ("force_not_null", ["a"])], [CSV, ("force_not_null", "*")], [("force_null", ["a"])],
    [CSV, ("force_null", ["a", "b"])], [CSV, ("force_null", "*")], [CSV, ("force_null", 1)],
    [("on_error", "stop")], [("on_error", "IGNORE")], [("on_error", "retry")], [("on_error", None)],
    [BINARY, ("on_error", "ignore")], [BINARY, ("on_error", "stop")], [("reject_limit", 3)], [("reject_limit", 0)],
    [("reject_limit", None)], [("on_error", "ignore"), ("reject_limit", 3)], [("reject_limit", "x")],
    [("on_error", "ignore"), ("reject_limit", -1)], [("log_verbosity", "verbose")], [("log_verbosity", "loud")],
    [("log_verbosity", "silent")], [("log_verbosity", None)], [("freeze", True)], [("freeze", "perhaps")],
    [("freeze", False)], [("encoding", "LATIN1")], [("encoding", "iso-8859-1")], [("encoding", "Windows_1252")],
    [("encoding", "klingon")], [("encoding", None)], [BINARY, ("encoding", "LATIN1")], [("encoding", "UTF8")],
]  # fmt: skip


def literal(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return f"({', '.join(value)})"
    if isinstance(value, str) and value != "*":
        return "E'" + value.replace("\\", "\\\\").replace("'", "''") + "'"
    return str(value)


@pytest.mark.parametrize("is_from", [True, False], ids=["from", "to"])
def test_options_as_postgres(connection: Any, is_from: bool) -> None:
    different = []
    for options in OPTIONS:
        sql = f"({', '.join(f'{name} {literal(value)}' for name, value in options)})" if options else ""
        theirs: Any = None
        if is_from:
            verdict, said = load(connection, sql, b"")
            if verdict == "error" and said[0] != "22P04":
                theirs = said[:2]
        else:
            try:
                dump(connection, sql)
            except psycopg.Error as error:
                theirs = error.diag.sqlstate, error.diag.message_primary
        if ("freeze", True) in options and is_from:
            theirs = None  # it is the table that was not made in this transaction
        ours: Any = None
        try:
            CopyFormat.from_options(options, is_from=is_from)
        except CopyError as error:
            ours = error.sqlstate, error.message
        if ours != theirs:
            different.append((options, ours, theirs))
    assert different == []


def test_sql_says_the_same(connection: Any) -> None:
    for options in OPTIONS:
        try:
            form = CopyFormat.from_options(options, is_from=True)
        except CopyError:
            continue
        if not form.freeze:
            assert load(connection, form.sql(), b"")[0] == "rows" or form.binary or form.header == "match"
    assert CopyFormat(format="csv", header="match", force_null=['a"b'], null="\\").sql() == (
        "(FORMAT 'csv', NULL E'\\\\', HEADER 'match', FORCE_NULL (\"a\"\"b\"))"
    )


@pytest.mark.parametrize("option", ["force_quote", "force_not_null", "force_null"])
def test_names_that_are_not_copied(connection: Any, option: str) -> None:
    form = CopyFormat(format="csv", **{option: ["b"]})  # type: ignore[arg-type]
    with pytest.raises(CopyError) as ours:
        form.marked(option, ["a"])
    with pytest.raises(psycopg.Error) as theirs:
        connection.execute(f"copy t (a) {'to stdout' if option == 'force_quote' else 'from stdin'} {form.sql()}")
    assert (ours.value.sqlstate, ours.value.message) == (
        theirs.value.diag.sqlstate, theirs.value.diag.message_primary)  # fmt: skip
    assert form.marked(option, ["a", "b"]) == b"\0\1"


def test_encodings_that_have_no_codec() -> None:
    from febe.types.copy import CopyColumn, CopyDecoder
    from febe.types.registry import TYPES

    with pytest.raises(CopyError, match="conversion between EUC_TW and UTF8 is not supported") as error:
        CopyDecoder(CopyFormat(encoding="euc-tw"), [CopyColumn(name="a", codec=TYPES.by_name("text"))])
    assert error.value.sqlstate == "0A000"
