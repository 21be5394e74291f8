"""The command `febe` and its subcommands."""

from __future__ import annotations

import click

from febe import __version__
from febe.cli.backup import backup
from febe.cli.passwd import passwd
from febe.cli.serve import serve

__all__ = ["febe"]


@click.group()
@click.version_option(__version__, message="febe %(version)s")
def febe() -> None:
    """PostgreSQL's protocol: serve data to every PostgreSQL client."""


febe.add_command(serve)
febe.add_command(passwd)
febe.add_command(backup)
