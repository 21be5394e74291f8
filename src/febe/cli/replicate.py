"""`febe replicate`: a PostgreSQL's changes into JSON lines, Parquet files or a DuckDB file."""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from febe.cli.replicate_json import JSONLines
from febe.protocol.errors import Error
from febe.protocol.lsn import format_lsn
from febe.replication import Commit, Event, Subscription
from febe.replication.copies import Copy, DuckDBCopy, ParquetCopy, follow

__all__ = ["replicate"]

_SUFFIXES = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".duckdb": "duckdb", ".db": "duckdb"}


@click.command()
@click.argument("dsn")
@click.option("--slot", required=True, metavar="NAME", help="The replication slot; it is made when it is not there.")
@click.option("--publication", "publications", multiple=True, required=True, metavar="NAME",
              help="What to follow; may be repeated.")
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="PATH",
              help="A file, or for Parquet a directory; without it, JSON lines go to standard output.")
@click.option("--format", "form", type=click.Choice(["jsonl", "parquet", "duckdb"]),
              help="By default as the suffix of --output says; parquet where it has none.")
@click.option("--snapshot/--no-snapshot", default=True, show_default=True,
              help="Whether a copy that holds nothing begins with what the tables hold.")
@click.option("--until", metavar="LSN", help="Stop there, for example 0/16B374D8.")
@click.option("--proto-version", type=click.IntRange(1, 4), help="Of logical replication; the server's newest.")
@click.option("--streaming", type=click.Choice(["off", "on", "parallel"]),
              help="Whether large transactions are sent while they are in progress; on where the server can.")
@click.option("--messages", is_flag=True, help="What pg_logical_emit_message writes, too.")
@click.option("--every", default=60.0, show_default=True, type=click.FloatRange(0), metavar="SECONDS",
              help="How often Parquet files are written.")
@click.option("--rows", default=100_000, show_default=True, type=click.IntRange(1), metavar="NUMBER",
              help="After so many changes, too.")
@click.option("--reconnect", default=60.0, show_default=True, type=click.FloatRange(0), metavar="SECONDS",
              help="For how long a lost connection is tried again.")
@click.option("--quiet", is_flag=True, help="No progress.")
def replicate(dsn: str, slot: str, publications: tuple[str, ...], output: Path | None, form: str | None,
              snapshot: bool, until: str | None, proto_version: int | None, streaming: str | None, messages: bool,
              every: float, rows: int, reconnect: float, quiet: bool) -> None:
    """Follow the changes of the PostgreSQL at DSN, beginning with what its tables hold.

    JSON lines are events, Parquet files are changes table by table, and a DuckDB file has the tables themselves.  What
    was written and how far it goes are kept together: after a crash of either side it goes on without a loss or a
    duplicate.  Ctrl-C and SIGTERM end it.

    \b
    febe replicate "host=db dbname=shop" --slot copy --publication shop -o shop.duckdb
    febe replicate "host=db dbname=shop" --slot feed --publication shop | jq .
    """
    form = form or ("jsonl" if output is None else _SUFFIXES.get(output.suffix, "parquet"))
    if form != "jsonl" and output is None:
        raise click.UsageError(f"{form} goes to a file: give --output")
    screen = Console(stderr=True, quiet=quiet, highlight=False, markup=False)
    stopping: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: stopping.append(number))
    options: dict[str, Any] = {"proto_version": proto_version, "streaming": streaming, "messages": messages,
                               "reconnect_seconds": reconnect}
    try:
        copy = _copy(form, output, slot, every, rows, screen)
        with screen.status("connecting") as status:
            progress = _Progress(status.update)
            follow(copy, dsn, slot=slot, publication=publications, snapshot=snapshot, until=until,
                   progress=progress, stop=lambda: bool(stopping), **options)
    except (Error, ValueError, OSError) as failure:
        raise click.ClickException(str(failure)) from None
    screen.print(f"febe: {progress.changes:,} changes in {progress.transactions:,} transactions, up to "
                 f"{format_lsn(copy.position)}")


def _copy(form: str, output: Path | None, slot: str, every: float, rows: int, screen: Console) -> Copy:
    if output is None or form == "jsonl":
        return JSONLines(output)
    if form == "parquet":
        return ParquetCopy(output, slot=slot, rows=rows, seconds=every)
    return DuckDBCopy(output, slot=slot, warn=lambda text: screen.print(f"febe: {text}"))


class _Progress:
    """What has come, how fast, and how far behind."""

    def __init__(self, show: Any) -> None:
        self.changes = self.transactions = 0
        self._show = show
        self._last = time.monotonic()
        self._counted = 0
        self._rate = 0.0

    def __call__(self, subscription: Subscription, batch: Sequence[Event]) -> None:
        self.changes += sum(1 for event in batch if hasattr(event, "relation"))
        self.transactions += sum(1 for event in batch if isinstance(event, Commit))
        now = time.monotonic()
        if now - self._last >= 0.5:
            self._rate = (self.changes - self._counted) / (now - self._last)
            self._last, self._counted = now, self.changes
        behind = max(0, subscription.received - subscription.flushed)
        self._show(f"{self.changes:,} changes, {self.transactions:,} transactions, {self._rate:,.0f}/s, at "
                   f"{format_lsn(subscription.flushed)}, {behind:,} bytes of log behind")
