"""Measurements as data, and the way they are run: every contender in a process of its own, in turns.

A contender is a generator function: what comes before its `yield` is preparation, what it yields is called once per
round and returns figures, what comes after is cleaning up.  The rounds are interleaved and start with another
contender each time, so that a busy moment of the machine hits all of them; the first round warms up and is not
counted; the figure that is reported is the median of the rounds.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Figures = dict[str, float]
Round = Callable[[], Figures]
Settings = Mapping[str, Any]

SECONDS_PER_ROUND = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """One library or server doing the job."""

    run: Callable[[Settings], Iterator[Round]]
    environment: Mapping[str, str] = field(default_factory=dict)
    settings: Settings = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A line of the report: one figure of one contender of ours, beside the same figure of others.

    `against` maps a peer's name to the ratio wanted of us (2.0 = twice as fast; None = for information).
    `at_least` and `at_most` are targets in the row's own unit.
    """

    name: str
    ours: str
    against: Mapping[str, float | None]
    figure: str
    unit: str
    more_is_better: bool = False
    at_least: float | None = None
    at_most: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """Contenders that do the same job with the same settings, and the lines that come of it."""

    name: str
    contenders: Mapping[str, Contender]
    rows: Sequence[Row]
    settings: Settings = field(default_factory=dict)
    most_rounds: int = sys.maxsize


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What the rounds of one contender gave; `error` says why there are none."""

    samples: list[Figures] = field(default_factory=list)
    error: str | None = None

    def median(self, figure: str) -> float | None:
        found = [sample[figure] for sample in self.samples if figure in sample]
        return statistics.median(found) if found else None


def measure(module: str, measurement: Measurement, settings: Settings, rounds: int,
            tell: Callable[[str], None]) -> dict[str, Outcome]:
    """Run the contenders of one measurement in turns."""
    outcomes = {name: Outcome() for name in measurement.contenders}
    rounds = min(rounds, measurement.most_rounds)
    with contextlib.ExitStack() as stack:
        workers: dict[str, _Worker] = {}
        for name, contender in measurement.contenders.items():
            tell(f"{measurement.name}: preparing {name}")
            given = {**settings, **measurement.settings, **contender.settings}
            worker = stack.enter_context(_Worker(module, measurement.name, name, contender.environment))
            try:
                worker.ask(given)
                workers[name] = worker
            except ContenderFailed as failure:
                outcomes[name].error = str(failure)
        for number in range(rounds + 1):
            names = list(workers)
            turn = number % max(len(names), 1)
            for name in names[turn:] + names[:turn]:
                tell(f"{measurement.name}: " + (f"round {number} of {rounds}, {name}" if number else f"warming {name}"))
                try:
                    figures = workers[name].ask("round")
                except ContenderFailed as failure:
                    outcomes[name] = Outcome(error=str(failure))
                    del workers[name]
                    continue
                if number:
                    outcomes[name].samples.append(figures)
    return outcomes


class ContenderFailed(Exception):
    """A contender could not be prepared or broke down; the message is its own."""


class _Worker:
    """The process of one contender: a line of JSON in, a line of JSON out."""

    def __init__(self, module: str, measurement: str, contender: str, environment: Mapping[str, str]) -> None:
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed at exit
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.worker", module, measurement, contender], env=os.environ | environment,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True)

    def __enter__(self) -> _Worker:
        return self

    def __exit__(self, *_exception: object) -> None:
        assert self._process.stdin and self._process.stdout
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(30)                     # it stops its servers
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._errors.close()

    def ask(self, question: object) -> Figures:
        """Send one line and wait for the answer.

        Errors: ContenderFailed.
        """
        assert self._process.stdin and self._process.stdout
        timer = threading.Timer(SECONDS_PER_ROUND, self._process.kill)
        timer.start()
        try:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.write(json.dumps(question) + "\n")
                self._process.stdin.flush()
            line = self._process.stdout.readline()
        finally:
            overdue = not timer.is_alive()
            timer.cancel()
        if not line:
            self._errors.seek(0)
            said = self._errors.read().strip().splitlines() or [f"exit code {self._process.wait()}"]
            raise ContenderFailed(f"no answer within {SECONDS_PER_ROUND} s" if overdue else said[-1])
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise ContenderFailed(answer["error"])
        return dict(answer["figures"])
