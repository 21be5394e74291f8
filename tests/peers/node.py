"""Node.js with the PostgreSQL clients of npm, fetched once."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

from tests.peers.installation import Missing, once

PACKAGES = ("pg@8.23.1", "pg-cursor@2.22.0", "pg-copy-streams@7.0.0", "postgres@3.4.9")


@cache
def modules() -> Path:
    """The directory `node_modules` that has them.

    Errors: Missing.
    """
    if not shutil.which("npm"):
        raise Missing("npm is not installed (Debian: apt-get install npm)")
    return once("-".join(name.replace("@", "-") for name in PACKAGES), _fetch) / "node_modules"


def run(script: Path, *arguments: str, seconds: float = 60) -> str:
    """Run a script with the clients at hand, and give what it prints.

    Errors: RuntimeError with what it said, subprocess.TimeoutExpired.
    """
    done = subprocess.run(["node", script, *arguments], env=os.environ | {"NODE_PATH": str(modules())},
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds)
    if done.returncode:
        raise RuntimeError(f"{script.name}: {done.stderr}{done.stdout}")
    return done.stdout


def _fetch(target: Path) -> None:
    target.mkdir()
    done = subprocess.run(["npm", "install", "--prefix", target, "--no-audit", "--no-fund", "--silent", *PACKAGES],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
    if done.returncode:
        raise Missing(f"npm could not fetch the clients:\n{done.stdout}")
