"""A wire trace to a file, in libpq's format (libpq: PQtrace)."""

from __future__ import annotations

import os
import weakref
from datetime import datetime

from febe.protocol.trace import Tracer


def tracer(path: str | os.PathLike[str]) -> Tracer:
    """Writes lines at the end of a file, secrets left out; it is closed with the last connection that has it.

    Errors: OSError.
    """
    # A line is written whole, so that connections and processes can share a file.
    file = open(path, "a", buffering=1, encoding="utf-8", errors="surrogateescape", newline="\n")  # noqa: SIM115
    made = Tracer(file, clock=datetime.now)
    weakref.finalize(made, file.close)
    return made


__all__ = ["tracer"]
