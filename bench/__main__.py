"""`python -m bench`: febe and its peers side by side in one run."""

from __future__ import annotations

import argparse
import datetime
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from . import (
    catalog,
    codec,
    copy_out,
    copying,
    duckdb_latency,
    duckdb_rows,
    fetch,
    from_arrow,
    idle,
    latency,
    loading,
    memory,
    pipelining,
    relay,
    replication,
    report,
    streaming,
    to_arrow,
    transactions,
    values,
)
from .harness import Measurement, measure
from .place import place, scaled

GROUPS = {"fetch": fetch, "latency": latency, "codec": codec, "transactions": transactions, "duckdb": duckdb_rows,
          "duckdb_latency": duckdb_latency, "loading": loading,
          "catalog": catalog, "memory": memory, "idle": idle, "to_arrow": to_arrow, "from_arrow": from_arrow,
          "copying": copying,
          "copy_out": copy_out, "streaming": streaming, "values": values, "relay": relay, "pipelining": pipelining,
          "replication": replication}

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", metavar="WORDS", action="append",
                        help="a group (" + ", ".join(GROUPS) + ") or part of a measurement's name; may be repeated")
    parser.add_argument("--rounds", type=int, help="counted rounds (7; 3 with --quick)")
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows: does it work, not how fast is it")
    parser.add_argument("--list", action="store_true", help="name the measurements and stop")
    options = parser.parse_args()
    rounds = options.rounds or (3 if options.quick else 7)
    chosen = [(group.__name__, each) for name, group in GROUPS.items() for each in group.MEASUREMENTS
              if not options.only or any(words == name or words in each.name for words in options.only)]
    if not chosen:
        parser.error(f"nothing is called {' or '.join(options.only)}; --list names everything")
    if options.list:
        print("\n".join(each.name for _module, each in chosen))
        return

    console = Console(width=None if Console().is_terminal else 140)
    about = report.machine() | {"date": f"{datetime.datetime.now():%Y-%m-%d %H:%M}", "rounds": rounds,
                                "quick": options.quick}
    found: list[report.Line] = []
    samples: dict[str, Any] = {}
    with console.status("febe: starting") as status, place(
            quick=options.quick, tell=lambda words: status.update(f"febe: {words}")) as settings:
        for module, measurement in chosen:
            if options.quick:
                measurement = _quick(measurement)
            if not console.is_terminal:
                console.print(f"febe: measuring {measurement.name}")
            outcomes = measure(module, measurement, settings, rounds,
                               lambda words: status.update(f"febe: {words}"))
            found += report.lines(measurement, outcomes)
            samples[measurement.name] = {name: asdict(outcome) for name, outcome in outcomes.items()}
    report.show(found, console)
    if options.quick:
        console.print("a quick run, with a tenth of the rows: its ratios mean little")
    for path in report.save(RESULTS, about["date"].replace(" ", "-").replace(":", ""), found, about, samples):
        console.print(f"febe: wrote {path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}")


def _quick(measurement: Measurement) -> Measurement:
    """The same with a tenth of the rows."""
    contenders = {name: replace(contender, settings=_fewer(contender.settings))
                  for name, contender in measurement.contenders.items()}
    return replace(measurement, contenders=contenders, settings=_fewer(measurement.settings))


def _fewer(settings: Any) -> dict[str, Any]:
    return {name: scaled(value, True) if name in ("rows", "trips") else value for name, value in settings.items()}


if __name__ == "__main__":
    main()
