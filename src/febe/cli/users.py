"""Who may connect: `--user` and `--users`, and whether an address needs them."""

from __future__ import annotations

import ipaddress
import socket
from pathlib import Path

import click

__all__ = ["beyond_loopback", "read_users"]


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


def beyond_loopback(host: str) -> bool:
    """Whether a listener on `host` could be reached from another machine; a name that may be either counts as yes."""
    try:
        found = socket.getaddrinfo(host or "::", None, type=socket.SOCK_STREAM)
    except socket.gaierror as failure:
        raise click.BadParameter(f"no such address: {host} ({failure.strerror})", param_hint="--host") from None
    # A scope follows the address of a link-local one (RFC 4007): fe80::1%eth0.
    return not all(ipaddress.ip_address(str(entry[4][0]).partition("%")[0]).is_loopback for entry in found)


def _add(users: dict[str, str], entry: str, where: str) -> None:
    name, colon, password = entry.partition(":")
    if not (name and colon and password):
        raise click.BadParameter(f"{where}: expected NAME:PASSWORD")
    if name in users:
        raise click.BadParameter(f"{where}: user {name} is there already")
    users[name] = password
