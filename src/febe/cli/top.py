"""`febe top`: a live view of a server's sessions and what they are at."""

from __future__ import annotations

import contextlib
import select
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import click
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from febe import connect
from febe.client.blocking import Connection
from febe.errors import ConnectionLost, Error
from febe.tools.activity import APPLICATION, Activity, Sample, read_activity

__all__ = ["Screen", "top"]

_STYLES = {"active": "bold green", "idle": "dim", "idle in transaction": "yellow",
           "idle in transaction (aborted)": "bold red"}
_SHORT = {"idle in transaction": "in transaction", "idle in transaction (aborted)": "failed"}
_BAR = 10


@click.command()
@click.argument("dsn", default="")
@click.option("--interval", default=1.0, show_default=True, type=click.FloatRange(0.05), metavar="SECONDS",
              help="How long from one look to the next.")
@click.option("--idle/--no-idle", default=True, show_default=True, help="Whether to show sessions that do nothing.")
@click.option("--once", is_flag=True, help="Look once, print it, and stop.")
def top(dsn: str, interval: float, idle: bool, once: bool) -> None:
    """Show who is connected to the server at DSN, a connection string, and what each session is at.

    DSN is as for psql; without one the variables PGHOST and the like say where.  It works with febe's servers and with
    PostgreSQL.  q ends it, i shows or hides idle sessions.
    """
    console = Console(highlight=False)
    try:
        connection = _connected(dsn)
        try:
            if once or not console.is_terminal:
                console.print(Screen(sample=read_activity(connection), idle=idle))
            else:
                _watch(console, dsn, connection, interval, idle)
        finally:
            connection.close()
    except KeyboardInterrupt:
        return
    except (Error, OSError) as failure:
        raise click.ClickException(str(failure)) from None


def _connected(dsn: str) -> Connection[Any]:
    return connect(dsn, application_name=APPLICATION)


def _watch(console: Console, dsn: str, connection: Connection[Any], interval: float, idle: bool) -> None:
    sample = read_activity(connection)
    trouble = ""
    first = Screen(sample=sample, idle=idle)
    with _keys() as key, Live(first, console=console, screen=True, auto_refresh=False) as live:
        while True:
            pressed = key(interval)
            if pressed == "q":
                return
            if pressed == "i":
                idle = not idle
            try:
                if trouble:
                    connection = _connected(dsn)
                sample, trouble = read_activity(connection), ""
            except (ConnectionLost, Error, OSError) as failure:
                trouble = str(failure)
            live.update(Screen(sample=sample, idle=idle, trouble=trouble), refresh=True)


@contextlib.contextmanager
def _keys() -> Iterator[Any]:
    """What waits for a key, so many seconds long."""
    try:
        import termios
        import tty
    except ModuleNotFoundError:  # Windows: Ctrl-C ends it
        yield time.sleep
        return
    if not sys.stdin.isatty():
        yield time.sleep
        return
    file = sys.stdin.fileno()
    before = termios.tcgetattr(file)

    def wait(seconds: float) -> str:
        return sys.stdin.read(1) if select.select([file], [], [], seconds)[0] else ""

    tty.setcbreak(file)
    try:
        yield wait
    finally:
        termios.tcsetattr(file, termios.TCSADRAIN, before)


@dataclass(slots=True, kw_only=True)
class Screen:
    """What a sample looks like, as wide as there is room."""

    sample: Sample
    idle: bool = True
    trouble: str = ""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        sample = self.sample
        shown = [one for one in sample.sessions if self.idle or one.state != "idle"]
        yield _headline(sample)
        yield _summary(sample)
        if self.trouble:
            yield Text(self.trouble, style="bold red")
        yield Text("")
        if shown:
            yield _table(shown, options.max_width)
        else:
            yield Text("nobody is at work" if sample.sessions else "nobody is connected", style="dim")


def _headline(sample: Sample) -> Text:
    return Text.assemble(("febe top", "bold"), f"  {sample.server}  server {sample.version}  ",
                         (f"{sample.moment:%H:%M:%S}", "dim"))


def _summary(sample: Sample) -> Text:
    active = [one for one in sample.sessions if one.runs]
    waiting = [one for one in active if one.waits_for.startswith("Lock")]
    open_ones = [one for one in sample.sessions if one.in_transaction]
    failed = [one for one in open_ones if one.state.endswith("(aborted)")]
    counts = [(len(sample.sessions), "sessions", ""), (len(active), "active", "green"),
              (len(waiting), "waiting for a lock", "magenta"), (len(open_ones), "idle in transaction", "yellow"),
              (len(failed), "of them failed", "red")]
    line = Text("  ").join([Text.assemble((f"{count}", f"bold {style}" if count else "dim"), f" {words}")
                            for count, words, style in counts if count or words in ("sessions", "active")])
    longest = max((one.statement for one in active if one.statement), default=None)
    oldest = max((one.transaction for one in sample.sessions if one.transaction), default=None)
    for words, age in (("longest statement", longest), ("oldest transaction", oldest)):
        if age is not None:
            line.append(f"  {words} {_for(age)}")
    return line


_COLUMNS = {  # by name: heading, greatest width, how readily it is left out where there is no room
    "process_id": ("PID", 10, 0), "user": ("USER", 16, 2), "database": ("DATABASE", 16, 6),
    "application": ("APPLICATION", 20, 7), "client": ("CLIENT", 24, 8), "state": ("STATE", 14, 0),
    "waits_for": ("WAITS FOR", 20, 4), "transaction": ("XACT", 7, 5), "statement": ("TIME", 7, 0),
    "rows": ("ROWS", 12, 3), "progress": ("PROGRESS", _BAR + 5, 1)}
_NUMBERS = frozenset({"process_id", "transaction", "statement", "rows"})
_QUERY_WIDTH = 28
"""How much of a query there has to be room for, at least."""


def _table(sessions: list[Activity], room: int) -> Table:
    widths = {}
    for name, (heading, most, _) in _COLUMNS.items():
        longest = max(len(_text(one, name)) for one in sessions)
        if longest:
            widths[name] = max(len(heading), min(longest, most))
    while sum(widths.values()) + 2 * len(widths) + _QUERY_WIDTH > room:
        name = max(widths, key=lambda name: _COLUMNS[name][2])
        if not _COLUMNS[name][2]:
            break
        del widths[name]
    table = Table(box=None, expand=True, pad_edge=False, header_style="bold reverse", padding=(0, 1))
    for name, width in widths.items():
        table.add_column(_COLUMNS[name][0], width=width, no_wrap=True, overflow="ellipsis",
                         justify="right" if name in _NUMBERS else "left")
    table.add_column("QUERY", ratio=1, no_wrap=True, overflow="ellipsis")
    for one in sessions:
        table.add_row(*(_cell(one, name) for name in widths), Text(one.query, style="default" if one.runs else "dim"),
                      style=_STYLES.get(one.state, ""))
    return table


def _text(one: Activity, name: str) -> str:
    value = getattr(one, name)
    if value is None:
        return ""
    if isinstance(value, timedelta):
        return _for(value)
    if name == "progress":
        return " " * (_BAR + 5)
    return f"{value:,}" if name == "rows" else _SHORT.get(value, str(value))


def _cell(one: Activity, name: str) -> RenderableType:
    return _bar(one.progress) if name == "progress" and one.progress is not None else Text(_text(one, name))


def _bar(part: float) -> Table:
    grid = Table.grid(padding=(0, 1))
    grid.add_row(ProgressBar(total=1.0, completed=part, width=_BAR), f"{part:4.0%}")
    return grid


def _for(age: timedelta) -> str:
    """How long, in as few characters as tell it."""
    seconds = age.total_seconds()
    if seconds < 10:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 24:
        return f"{hours // 24}d{hours % 24:02d}h"
    return f"{hours}h{minutes:02d}m" if hours else f"{minutes}m{rest:02d}s" if minutes else f"{rest}s"
