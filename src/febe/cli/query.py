"""`febe query`: a statement's rows on the screen or in a file."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import click
from rich.cells import cell_len
from rich.console import Console

import febe
from febe._kernel.rows import decode_value
from febe.cli.query_formats import BINARY, FORMATS, SUFFIXES, Sink, types_for
from febe.client.options import Options
from febe.protocol.errors import Error, PostgresError
from febe.protocol.trace import Tracer

__all__ = ["query"]

_SHOWN = 60
"""How much of a line is shown around an error."""
_MULTIPLE = "cannot insert multiple commands into a prepared statement"
"""What PostgreSQL says to several statements where one may stand (postgres.c, exec_parse_message)."""


@click.command()
@click.argument("dsn")
@click.argument("sql", required=False)
@click.option("-f", "--file", "source", type=click.File(encoding="utf-8"), metavar="FILE",
              help="Read the statement from a file; - is standard input.")
@click.option("-p", "--param", "params", multiple=True, metavar="VALUE",
              help="The value of $1; repeat it for $2 and so on.  It is written as in SQL, without quotes.")
@click.option("--format", "form", type=click.Choice(list(FORMATS)),
              help="How the rows are laid out; by default as the suffix of --output says, else a table.")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Write there, not on the screen.  The file is replaced when all rows have come.")
@click.option("--null", default="", metavar="TEXT", help="How NULL is shown in tables and CSV; nothing by default.")
@click.option("--no-header", is_flag=True, help="No line with the columns' names in CSV.")
@click.option("--batch", default=10_000, show_default=True, type=click.IntRange(1), metavar="ROWS",
              help="How many rows are asked for at a time.")
@click.option("--trace", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True), metavar="FILE",
              help="Write every message of the conversation there, in libpq's format; secrets are left out.")
@click.option("--quiet", is_flag=True, help="No progress, no notices, no counts.")
def query(dsn: str, sql: str | None, source: Any, params: tuple[str, ...], form: str | None, output: Path | None,
          null: str, no_header: bool, batch: int, trace: Path | None, quiet: bool) -> None:
    """Run SQL at DSN, a libpq connection string or URI, and show its rows or save them.

    Rows are fetched in batches and written as they come, so that results may be larger than memory, but for tables,
    whose columns are as wide as their widest value.  Several statements, with ; between them, are shown as tables.

    \b
    febe query postgresql://ada@db/shop 'select * from customer where city = $1' -p Oslo
    febe query service=shop -f report.sql -o report.parquet
    febe query '' 'table customer' --format jsonl | jq .name
    """
    text = _text(sql, source)
    form = form or (SUFFIXES.get(output.suffix, "table") if output is not None else "table")
    if form in BINARY and output is None and (form == "parquet" or sys.stdout.isatty()):
        raise click.UsageError(f"{form} goes to a file: give --output")
    screen = Console(stderr=True, quiet=quiet)
    try:
        with contextlib.ExitStack() as stack:
            options: Options = {"types": types_for(form), "on_notice": _nothing if quiet else _tell}
            if trace is not None:
                options["trace"] = Tracer(stack.enter_context(_traced(trace)), clock=datetime.now)
            connection = stack.enter_context(febe.connect(dsn, **options))
            values = _values(connection, text, params)
            target = stack.enter_context(_target(output))
            made = FORMATS[form](target, null=null, header=not no_header, stream=output is None)
            rows = _run(connection, text, values, made, batch, screen, output is None and form != "table")
        if output is not None and rows is not None and not quiet:
            click.echo(f"{output}: {rows:,} row{'' if rows == 1 else 's'}", err=True)
    except PostgresError as failure:
        raise _Failure(_told(failure, text)) from None
    except BrokenPipeError:
        raise  # click ends quietly, as whoever reads has
    except (Error, OSError, ValueError) as failure:
        raise click.ClickException(str(failure)) from None


class _Failure(click.ClickException):
    """What the server said, in its own words."""

    def show(self, file: Any = None) -> None:
        click.echo(self.message, err=True)


def _text(sql: str | None, source: Any) -> str:
    if (sql is None) == (source is None):
        raise click.UsageError("give SQL, or a file of it with --file")
    return sql if sql is not None else str(source.read())


@contextlib.contextmanager
def _traced(path: Path) -> Iterator[Any]:
    if str(path) == "-":
        yield sys.stderr
    else:
        with path.open("w", encoding="utf-8", errors="surrogateescape") as file:
            yield file


@contextlib.contextmanager
def _target(output: Path | None) -> Iterator[BinaryIO]:
    """Where the rows go; a file gets its name when it is whole."""
    if output is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    handle, temporary = tempfile.mkstemp(dir=output.absolute().parent, prefix=f".{output.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)  # mkstemp leaves it to its owner alone
        os.replace(temporary, output)
    except BaseException:
        os.unlink(temporary)
        raise


def _values(connection: febe.Connection[Any], text: str, params: tuple[str, ...]) -> list[Any]:
    """The parameters' values, read as text of the types that the server finds for them."""
    if not params:
        return []
    with connection.prepare(text) as statement:
        codecs = statement._statement.parameters
    if len(codecs) != len(params):
        raise click.ClickException(f"the statement has {len(codecs)} parameter{'' if len(codecs) == 1 else 's'}, and "
                               f"{len(params)} {'is' if len(params) == 1 else 'are'} given")
    values: list[Any] = []
    for number, (codec, value) in enumerate(zip(codecs, params, strict=True), 1):
        try:
            values.append(_read(codec.decode_text, value.encode()))
        except ValueError as error:
            raise click.ClickException(f"${number}: {value!r} is no {codec.name}: {error}") from None
    return values


def _read(decode: int | Callable[[bytes], Any] | None, data: bytes) -> object:
    assert decode is not None
    return decode_value(decode, data) if isinstance(decode, int) else decode(data)


def _run(connection: febe.Connection[Any], text: str, values: list[Any], sink: Sink, batch: int, screen: Console,
         silent: bool) -> int | None:
    """Run it and hand the rows on; gives how many there were, None where a statement has no rows."""
    begun = time.monotonic()
    stream = (connection.stream_arrow if sink.takes_arrow else connection.stream)(text, *values, size=batch)
    try:
        opened = stream.__enter__()
    except PostgresError as error:
        if error.message != _MULTIPLE or values:
            raise
        if not sink.takes_scripts:
            raise click.ClickException("several statements have several results: a table shows them") from None
        for result in connection.execute(text).results:
            sink.begin(connection, result.columns)
            sink.write(result.rows)
            sink.end(str(result))
        return None
    with contextlib.ExitStack() as stack:
        stack.push(stream)
        status = None if silent else stack.enter_context(screen.status("waiting for the first row"))
        count = 0
        sink.begin(connection, opened.columns)
        for rows in opened:
            sink.write(rows)
            count += len(rows)
            if status is not None:
                status.update(f"{count:,} rows, {time.monotonic() - begun:,.1f} s")
    sink.end(str(opened.result))
    return count if opened.columns else None


def _tell(notice: PostgresError) -> None:
    click.echo(f"{notice.severity}: {notice.message}", err=True)


def _nothing(notice: PostgresError) -> None: ...


def _told(error: PostgresError, text: str) -> str:
    """The error, with the line and the place that it is about."""
    first, *rest = str(error).split("\n")
    if error.position is None or not 1 <= error.position <= len(text) + 1:
        return "\n".join([first, *rest])
    begin = text.rfind("\n", 0, error.position - 1) + 1
    end = text.find("\n", begin)
    line = text[begin : end if end >= 0 else None].replace("\t", " ")
    head, at = f"LINE {text.count(chr(10), 0, begin) + 1}: ", error.position - 1 - begin
    if len(line) > _SHOWN:
        left = max(0, min(at - _SHOWN // 2, len(line) - _SHOWN))
        head += "..." * (left > 0)
        line, at = line[left : left + _SHOWN] + "..." * (left + _SHOWN < len(line)), at - left
    return "\n".join([first, head + line, " " * (cell_len(head + line[:at])) + "^", *rest])
