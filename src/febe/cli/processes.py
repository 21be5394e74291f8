"""Serving in several processes: `--workers`, `--process-per-session`, and what bounds a session's process."""

from __future__ import annotations

import re

import click

from febe.cli.grouped import options
from febe.server import Confinement

__all__ = ["confinement_of", "process_options"]

_UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9}

process_options = options(
    "Processes",
    (("--workers",), {"type": click.IntRange(1), "metavar": "NUMBER",
                      "help": "Serve with so many processes; files need --read-only."}),
    (("--process-per-session",), {"is_flag": True,
                                  "help": "Give each session a process of its own; files need --read-only."}),
    (("--session-user",), {"metavar": "NAME",
                           "help": "System user they run as, when the server was started by root."}),
    (("--session-memory",), {"metavar": "SIZE", "help": "Address space that each may have, for example 4GB."}),
    (("--session-cpu",), {"type": click.IntRange(1), "metavar": "SECONDS",
                          "help": "Processor's time that each may use, and then is ended."}),
)


def confinement_of(wanted: bool, user: str | None, memory: str | None, cpu: int | None) -> Confinement | None:
    """What the options say; None when sessions have no processes of their own.  Errors: click.UsageError."""
    if not wanted:
        if user or memory or cpu:
            raise click.UsageError("--session-user, --session-memory and --session-cpu are for --process-per-session")
        return None
    size = None
    if memory is not None:
        match = re.fullmatch(r"([0-9]+) *([KMG]B)?", memory, re.IGNORECASE)
        if match is None:
            raise click.BadParameter(f"{memory!r} is no size", param_hint="--session-memory")
        size = int(match[1]) * _UNITS[(match[2] or "").upper()]
    found = Confinement(user=user, memory_bytes=size, cpu_seconds=cpu)
    try:
        found.check()
    except ValueError as error:
        raise click.UsageError(f"{error} (--session-user)") from None
    return found
