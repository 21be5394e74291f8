"""Who may connect, decided by rules and by a function: an engine behind pg_hba.conf.

    python examples/access.py DIRECTORY
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from engine_logbook import Logbook

import febe.aio
from febe.errors import PostgresError
from febe.server import Limits, User, access_rules, serve

RULES = """
# TYPE  DATABASE  USER     ADDRESS       METHOD
host    logbook   +crew    127.0.0.1/32  scram-sha-256
host    all       all      all           reject
"""


async def look_up(name: str) -> User | None:
    """Where a program would ask its directory of users."""
    return {"ada": User(secret="engine", roles=frozenset({"crew"})), "eve": User(secret="apple")}.get(name)


async def main(folder: Path) -> None:
    (folder / "hba.conf").write_text(RULES)
    limits = Limits(max_connections_per_user=2, idle_session_timeout=600)
    async with await serve(Logbook(), port=0, users=look_up, rules=access_rules(folder / "hba.conf"),
                           limits=limits) as listener:
        for user, password, database in (("ada", "engine", "logbook"), ("ada", "motor", "logbook"),
                                         ("eve", "apple", "logbook"), ("ada", "engine", "elsewhere")):
            try:
                async with await febe.aio.connect(host="127.0.0.1", port=listener.port, user=user, password=password,
                                                  dbname=database) as client:
                    print(user, await client.execute("add 'hello'"))
            except PostgresError as error:
                print(error.sqlstate, error.message)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
