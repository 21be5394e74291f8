"""The command `febe` and its subcommands, each of which is imported when it is asked for."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator

import click

from febe import __version__

__all__ = ["febe"]

_COMMANDS = {  # what `febe --help` says, and the extra whose packages it needs
    "serve": ("Serve files, databases and engines to every PostgreSQL client.", "serve"),
    "query": ("Run a statement and show or save its rows.", "query"),
    "top": ("Watch what a server's clients are at.", "query"),
    "backup": ("Copy a whole cluster into a directory.", "query"),
    "publish": ("Publish tables and changes that a PostgreSQL subscribes to.", "serve"),
    "replicate": ("Follow changes, into JSON lines, Parquet or a DuckDB file.", "serve"),
    "passwd": ("Make a line for the users of febe serve.", "query"),
}


@contextlib.contextmanager
def _told(what: str | click.Context) -> Iterator[None]:
    """Say which extra is missing, for a command or for the one that is being run."""
    try:
        yield
    except ModuleNotFoundError as missing:
        name = what if isinstance(what, str) else what.invoked_subcommand
        if name not in _COMMANDS or missing.name is None or missing.name.partition(".")[0] == "febe":
            raise
        extra = _COMMANDS[name][1]
        raise SystemExit(f"febe: the package {missing.name} is missing: pip install 'febe[{extra}]'") from None


class _Commands(click.Group):
    """Knows what its commands are for without importing them: each needs packages that another does not."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        with _told(cmd_name):
            found: click.Command = getattr(importlib.import_module(f"febe.cli.{cmd_name}"), cmd_name)
        return found

    def invoke(self, ctx: click.Context) -> object:
        with _told(ctx):
            return super().invoke(ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (summary, _extra) in _COMMANDS.items()])


@click.group(cls=_Commands)
@click.version_option(__version__, message="febe %(version)s")
def febe() -> None:
    """PostgreSQL's protocol for Python: serve data to every PostgreSQL client, ask servers, copy them.

    febe COMMAND --help tells what a command takes.
    """
