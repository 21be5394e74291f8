"""The command `febe` and its subcommands."""

from __future__ import annotations

import click

from febe.cli.serve import serve

__all__ = ["febe"]


@click.group()
@click.version_option(package_name="febe", message="febe %(version)s")
def febe() -> None:
    """PostgreSQL's protocol: serve data to every PostgreSQL client."""


febe.add_command(serve)
