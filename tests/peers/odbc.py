"""psqlODBC through pyodbc: Debian's driver, named by its file."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

from tests.peers.installation import Missing


@cache
def driver() -> Path:
    """The driver for Unicode.

    Errors: Missing.
    """
    named = os.environ.get("FEBE_PSQLODBC")
    places = [Path(named)] if named else sorted(Path("/usr/lib").glob("*/odbc/psqlodbcw.so"))
    if not places:
        raise Missing("psqlODBC is not installed (Debian: apt-get install odbc-postgresql)")
    return places[0]


def connect(*, autocommit: bool = True, **options: object) -> Any:
    """A `pyodbc.Connection`; `options` are psqlODBC's: server, port, database, uid, pwd, sslmode, useDeclareFetch..."""
    found = driver()
    try:
        import pyodbc
    except ImportError as error:
        raise Missing(f"pyodbc cannot be imported (pip install pyodbc; Debian: apt-get install unixodbc): {error}"
                      ) from None
    wanted = {"driver": found} | options
    return pyodbc.connect(";".join(f"{name}={value}" for name, value in wanted.items()), autocommit=autocommit)
