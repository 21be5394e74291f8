"""Servers as processes of their own, and what can be read about a process."""

from __future__ import annotations

import contextlib
import re
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

START_SECONDS = 60

HERE = Path(__file__).parent


@contextlib.contextmanager
def serving(python: str | Path, script: str, *arguments: str | Path) -> Iterator[int]:
    """Run bench/serving/`script`.py and give the port it prints.

    Errors: RuntimeError with the last line that it printed instead.
    """
    process = subprocess.Popen([python, HERE / "serving" / f"{script}.py", *arguments], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    timer = threading.Timer(START_SECONDS, process.kill)
    timer.start()
    try:
        said = ""
        while not (found := re.match(r"port (\d+)$", line := process.stdout.readline())):
            if not line:
                raise RuntimeError(f"{script} did not start: {said}")
            said = line.strip()
        timer.cancel()
        # Somebody has to read on, or a server that logs stops at a full pipe.
        threading.Thread(target=process.stdout.read, daemon=True).start()
        yield int(found[1])
    finally:
        timer.cancel()
        process.kill()
        process.wait()


def resident(process: int, what: str = "VmRSS") -> int:
    """Bytes of resident memory; "VmHWM" is the most since the last `forget_peak` (proc(5), /proc/pid/status)."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{what}:")) * 1024


def forget_peak(process: int) -> None:
    """Start VmHWM anew from what is resident now (proc(5), /proc/pid/clear_refs)."""
    Path(f"/proc/{process}/clear_refs").write_text("5")
