"""Transactions per second of a server that answers `select 1` with a constant, as pgbench counts them."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from .harness import Contender, Figures, Measurement, Round, Row, Settings
from .processes import serving

TPS = re.compile(r"^tps = ([0-9.]+)", re.MULTILINE)


def pgbench(settings: Settings, host: str, port: int, user: str, database: str) -> Iterator[Round]:
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write("select 1;\n")
        script.flush()
        command = [Path(settings["bin"], "pgbench"), "--no-vacuum", "--file", script.name,
                   "--client", str(settings["clients"]), "--jobs", "1", "--time", str(settings["seconds"]),
                   "--protocol", settings["protocol"], "-h", host, "-p", str(port), "-U", user, database]

        def run() -> Figures:
            done = subprocess.run(command, capture_output=True, text=True)
            tps = TPS.search(done.stdout)
            if done.returncode or not tps:
                said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
                raise RuntimeError("pgbench: " + said[-1])
            return {"tps": float(tps[1])}

        yield run


def febe(settings: Settings) -> Iterator[Round]:
    with serving(sys.executable, "febe_constant") as port:
        yield from pgbench(settings, "127.0.0.1", port, "bench", "bench")


def workers(settings: Settings) -> Iterator[Round]:
    with serving(sys.executable, "febe_constant", "2") as port:
        yield from pgbench(settings, "127.0.0.1", port, "bench", "bench")


def postgres(settings: Settings) -> Iterator[Round]:
    yield from pgbench(settings, settings["host"], settings["port"], settings["user"], settings["database"])


def pg_mimic(settings: Settings) -> Iterator[Round]:
    with serving(settings["peers"], "pg_mimic_server", "constant") as port:
        yield from pgbench(settings, "127.0.0.1", port, "bench", "bench")


LOADS = [(protocol, clients) for protocol in ("simple", "extended", "prepared") for clients in (1, 8)]


def _measurement(protocol: str, clients: int) -> Measurement:
    several = clients > 1
    name = f"pgbench `select 1`, {protocol}, {clients} client{'s' * several}"
    contenders = {"febe": Contender(run=febe), "PostgreSQL": Contender(run=postgres),
                  "pg-mimic": Contender(run=pg_mimic)}
    if several:
        contenders["two workers"] = Contender(run=workers)
    return Measurement(
        name=name, contenders=contenders,
        settings={"protocol": protocol, "clients": clients},
        rows=[Row(name=one, ours=ours, figure="tps", unit="/s", more_is_better=True,
                  against={"pg-mimic": 10.0, "PostgreSQL": 1.0})
              for one, ours in ((name, "febe"), *([(f"{name}, two workers", "two workers")] if several else []))])


MEASUREMENTS = [_measurement(*load) for load in LOADS]
