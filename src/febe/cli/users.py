"""Who may connect: `--user` and `--users`."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["read_users"]


def read_users(given: tuple[str, ...], file: Path | None) -> dict[str, str]:
    """Passwords by user, from `--user` and from the file of `--users`.

    Errors: click.BadParameter for a line that is not `name:password`, or a user named twice.
    """
    users: dict[str, str] = {}
    for entry in given:
        _add(users, entry, "--user")
    if file:
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            if line.strip() and not line.startswith("#"):
                _add(users, line, f"{file}, line {number}")
    return users


def _add(users: dict[str, str], entry: str, where: str) -> None:
    name, colon, password = entry.partition(":")
    if not (name and colon and password):
        raise click.BadParameter(f"{where}: expected NAME:PASSWORD")
    if name in users:
        raise click.BadParameter(f"{where}: user {name} is there already")
    users[name] = password
