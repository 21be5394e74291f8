"""Reading the clocks the same way for every contender."""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from .harness import Figures


def timed(job: Callable[[], Any], rows: int) -> tuple[Any, Figures]:
    """Do `job` once; wall time in seconds, and this process's CPU time in nanoseconds per row."""
    before, start = _cpu(), time.perf_counter()
    result = job()
    wall, cpu = time.perf_counter() - start, _cpu() - before
    return result, {"wall": wall, "cpu per row": cpu / rows * 1e9}


def times(job: Callable[[], Any], count: int) -> list[float]:
    """Do `job` `count` times; seconds of each."""
    clock, found = time.perf_counter, []
    for _ in range(count):
        start = clock()
        job()
        found.append(clock() - start)
    return found


async def times_awaited(job: Callable[[], Awaitable[Any]], count: int) -> list[float]:
    """Await `job` `count` times; seconds of each."""
    clock, found = time.perf_counter, []
    for _ in range(count):
        start = clock()
        await job()
        found.append(clock() - start)
    return found


def spread(seconds: Sequence[float]) -> Figures:
    """Median and 95th percentile in microseconds, and how many there are a second."""
    ordered = sorted(seconds)
    return {"median": statistics.median(ordered) * 1e6, "p95": ordered[int(len(ordered) * 0.95)] * 1e6,
            "per second": len(ordered) / sum(ordered)}


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
