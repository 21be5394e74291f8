"""`febe query` beside PostgreSQL's own answers, in each format."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.ipc
import pyarrow.parquet
import pytest
from click.testing import CliRunner, Result

from febe.cli.commands import febe
from tests.peers.postgres import Postgres

VALUES = """select n, n::text || ' é "q", x' as t, case when n > 1 then n / 4.0 end as half, array[n, null] as list,
  jsonb_build_object('a', 1.10) as doc, row(1, 'x') as anonymous, 'nan'::float8 as nan, n = 1 as yes,
  array[[true], [false]] as deep, array['a"b,', 'null'] as words, '-infinity'::numeric as far, int4range(1, 4) as span,
  '1 2'::int2vector as vector, '2024-02-29'::date as day, interval '1 mon' as wait, '\\x00ff'::bytea as bytes
  from generate_series(1, 2) n"""


def ask(server: Postgres, *arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(febe, ["query", server.dsn(), *arguments], input=stdin)


def said(server: Postgres, *arguments: str, stdin: str | None = None) -> str:
    done = ask(server, *arguments, stdin=stdin)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_table(pg18: Postgres) -> None:
    sql = ("select 1 as number, 'x' as \"Wort\", null as n, '日本' as wide "
           "union all select 22, E'two\\nlines\\x1b', 'y', ''")
    assert said(pg18, sql, "--null", "~").split("\n") == [
        "number |      Wort      | n | wide",
        "-------+----------------+---+-----",
        "     1 | x              | ~ | 日本",
        "    22 | two\\nlines\\x1b | y |",
        "(2 rows)", ""]
    assert said(pg18, "select 1 as a") == "a\n-\n1\n(1 row)\n"
    assert said(pg18, "select 1 as a where false") == "a\n-\n(0 rows)\n"
    assert said(pg18, "select") == "\n\n\n(1 row)\n"
    assert said(pg18, "create temp table t (a int4)") == "CREATE TABLE\n"
    assert said(pg18, "") == ""


def test_several_statements(pg18: Postgres) -> None:
    script = "create temp table t (a int4); insert into t values (1), (2); select a from t order by a; drop table t"
    assert said(pg18, "--file", "-", stdin=script) == \
        "CREATE TABLE\nINSERT 0 2\na\n-\n1\n2\n(2 rows)\nDROP TABLE\n"
    refused = ask(pg18, script, "--format", "csv")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "several statements have several results" in refused.stderr


def test_csv_is_what_copy_writes(pg18: Postgres, psql18: Path) -> None:
    sql = VALUES.replace("\n", " ")
    copied = subprocess.run([psql18, "-XAt", pg18.dsn(), "-c", f"copy ({sql}) to stdout (format csv, header)"],
                            capture_output=True, text=True, check=True).stdout
    assert said(pg18, VALUES, "--format", "csv") == copied
    assert said(pg18, VALUES, "--format", "csv", "--batch", "1", "--no-header") == copied.partition("\n")[2]
    assert said(pg18, "select null, ''", "--format", "csv", "--no-header") == ',""\n'
    assert said(pg18, "select 1 as a where false", "--format", "csv") == "a\n"


def test_json(pg18: Postgres) -> None:
    lines = said(pg18, VALUES, "--format", "jsonl", "--batch", "1").splitlines()
    rows = [json.loads(line, parse_float=str) for line in lines]
    assert rows[0] == {
        "n": 1, "t": '1 é "q", x', "half": None, "list": [1, None], "doc": {"a": "1.10"}, "anonymous": "(1,x)",
        "nan": "NaN", "yes": True, "deep": [[True], [False]], "words": ['a"b,', "null"], "far": "-Infinity",
        "span": "[1,4)", "vector": "1 2", "day": "2024-02-29", "wait": "1 mon", "bytes": "\\x00ff"}
    assert (rows[1]["n"], rows[1]["half"], rows[1]["yes"]) == (2, "0.50000000000000000000", False)
    for size in ("1", "100"):
        assert json.loads(said(pg18, VALUES, "--format", "json", "--batch", size), parse_float=str) == rows
    assert said(pg18, "select 1 where false", "--format", "json") == "[]\n"
    assert said(pg18, "select 1 where false", "--format", "jsonl") == ""
    twice = ask(pg18, "select 1 as a, 2 as a", "--format", "json")
    assert twice.exit_code == 1 and 'two columns are called "a"' in twice.stderr


def test_json_of_types_of_ones_own(pg18: Postgres) -> None:
    said(pg18, "create type humour as enum ('sad', 'ok'); create domain positive as int4 check (value > 0); "
               "create type place as (at positive, moods humour[])")
    try:
        assert said(pg18, "select row(3, '{ok,null}')::place as p, array[row(1, null)::place] as l, 'ok'::humour as h, "
                          "7::positive as d", "--format", "jsonl") == \
            '{"p": {"at": 3, "moods": ["ok", null]}, "l": [{"at": 1, "moods": null}], "h": "ok", "d": 7}\n'
    finally:
        said(pg18, "drop type place; drop type humour; drop domain positive")


@pytest.mark.parametrize("suffix", ["parquet", "arrow", "feather"])
def test_arrow_files(pg18: Postgres, tmp_path: Path, suffix: str) -> None:
    target = tmp_path / f"rows.{suffix}"
    done = ask(pg18, "select n, n::numeric(9,2) as d, n::text as t from generate_series(1, 25000) n", "-o", str(target))
    assert (done.exit_code, done.stdout) == (0, "")
    assert "rows." in done.stderr and "25,000 rows" in done.stderr
    table = pyarrow.parquet.read_table(target) if suffix == "parquet" else pyarrow.ipc.open_file(target).read_all()
    assert (table.num_rows, table.schema.field("d").type) == (25000, pyarrow.decimal128(9, 2))
    assert table["t"][24999].as_py() == "25000"
    said(pg18, "select 1::int2 as a where false", "-o", str(target))
    table = pyarrow.parquet.read_table(target) if suffix == "parquet" else pyarrow.ipc.open_file(target).read_all()
    assert table.schema == pyarrow.schema({"a": pyarrow.int16()}) and table.num_rows == 0
    assert list(tmp_path.iterdir()) == [target]


def test_arrow_on_standard_output(pg18: Postgres) -> None:
    done = ask(pg18, "select 5 as a", "--format", "arrow")
    assert pyarrow.ipc.open_stream(done.stdout_bytes).read_all().to_pydict() == {"a": [5]}
    assert "give --output" in ask(pg18, "select 5 as a", "--format", "parquet").stderr


@pytest.mark.parametrize("form", ["table", "csv", "jsonl", "arrow"])
def test_parameters(pg18: Postgres, form: str) -> None:
    sql = "select $1::int4 + 1 as a, $2::date - 1 as d, $3::int4[] as l, $4::text as t"
    out = ask(pg18, sql, "-p", "-5", "-p", "2024-03-01", "-p", "{1,2}", "-p", "it's", "--format", form)
    assert out.exit_code == 0, out.output
    if form == "arrow":
        rows: Any = pyarrow.ipc.open_stream(out.stdout_bytes).read_all().to_pylist()
        assert str(rows[0]["d"]) == "2024-02-29" and rows[0]["l"] == [1, 2]
    else:
        assert all(word in out.stdout for word in ("-4", "2024-02-29", "it's"))
    few = ask(pg18, sql, "-p", "1", "--format", form)
    assert few.exit_code == 1 and "has 4 parameters, and 1 is given" in few.stderr
    wrong = ask(pg18, "select $1::int4", "-p", "x", "--format", form)
    assert wrong.exit_code == 1 and re.search(r'\$1: \'x\' is no int4|invalid input syntax for type integer: "x"',
                                              wrong.stderr)


def test_errors_show_the_place(pg18: Postgres, tmp_path: Path) -> None:
    done = ask(pg18, "select 1\n  from\tnowhere where true")
    assert (done.exit_code, done.stderr) == (
        1, 'ERROR: relation "nowhere" does not exist (SQLSTATE 42P01)\nLINE 2:   from nowhere where true\n'
           "               ^\n")
    long = ask(pg18, f"select {'1, ' * 100} wrong, {'2, ' * 100} 3").stderr.splitlines()
    assert long[1].startswith("LINE 1: ..., 1, 1") and long[1].endswith(", 2,...")
    assert long[1][long[2].index("^"):].startswith("wrong")
    target = tmp_path / "rows.csv"
    target.write_text("as it was")
    failed = ask(pg18, "select 1 / (5000 - n) from generate_series(1, 9000) n", "-o", str(target), "--batch", "1000")
    assert failed.exit_code == 1 and "division by zero" in failed.stderr
    assert target.read_text() == "as it was" and list(tmp_path.iterdir()) == [target]
    unreachable = CliRunner().invoke(febe, ["query", "host=127.0.0.1 port=1", "select 1"])
    assert unreachable.exit_code == 1 and "Connection refused" in unreachable.stderr
    assert ask(pg18).exit_code == ask(pg18, "select 1", "-f", "-").exit_code == 2


def test_notices_and_counts(pg18: Postgres, tmp_path: Path) -> None:
    notice = "do $$ begin raise warning 'look here'; end $$"
    assert ask(pg18, notice).stderr == "WARNING: look here\n"
    quiet = ask(pg18, notice, "--quiet")
    assert (quiet.stdout, quiet.stderr) == ("DO\n", "")
    assert ask(pg18, "select 1", "-o", str(tmp_path / "a.csv"), "--quiet").stderr == ""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
def test_progress_is_shown_on_a_terminal(pg18: Postgres, tmp_path: Path) -> None:
    ours, theirs = os.openpty()
    target = tmp_path / "rows.csv"
    done = subprocess.run([sys.executable, "-m", "febe.cli", "query", pg18.dsn(), "select generate_series(1, 30000)",
                           "-o", target], stderr=theirs, env=os.environ | {"TERM": "xterm"}, timeout=60)
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # Linux's end of a terminal
        while piece := os.read(ours, 4096):
            shown += piece
    os.close(ours)
    assert done.returncode == 0
    assert " 30,000 rows, " in shown.decode() and "30,000 rows\r\n" in shown.decode()
    assert target.read_text().count("\n") == 30001


def test_the_conversation_is_traced(pg18: Postgres, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    dsn = pg18.dsn("scram", password="pencil")
    done = CliRunner().invoke(febe, ["query", dsn, "select 5 as five", "--trace", str(trace)])
    assert done.exit_code == 0, done.output
    lines = trace.read_text().splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}\t[FB]\t\d+\t[A-Z]\w+", line) for line in lines)
    assert any(line.endswith('\tParse\t "" "select 5 as five" 0') or '"select 5 as five"' in line for line in lines)
    assert "pencil" not in trace.read_text()
    assert "ReadyForQuery" in CliRunner().invoke(febe, ["query", dsn, "select 1", "--trace", "-"]).stderr


def test_a_reader_that_has_enough(pg18: Postgres) -> None:
    sql = "select * from generate_series(1, 1000000) n"
    command = f"{sys.executable} -m febe.cli query '{pg18.dsn()}' '{sql}' --format csv"
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {command} | head -2"], env=os.environ,
                          capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("n\n1\n", "")


def test_help_names_every_command() -> None:
    shown = CliRunner().invoke(febe, ["--help"]).output
    for name in febe.list_commands(None):  # type: ignore[arg-type]
        command = febe.get_command(None, name)  # type: ignore[arg-type]
        assert command is not None and re.search(rf"^  {name} +\w", shown, re.MULTILINE)
        assert CliRunner().invoke(febe, [name, "--help"]).exit_code == 0
    assert "No such command" in CliRunner().invoke(febe, ["nonsense"]).output
