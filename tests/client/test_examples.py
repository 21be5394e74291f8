"""The client's examples run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.peers.postgres import Postgres

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize(("name", "printed"), [
    ("client.py", ["Row(a=1, b=\"it's safe\") 1 it's safe", "42", "[0, 6, 12, 18, 24]",
                   '42P01 relation "nowhere" does not exist']),
    ("client_asyncio.py", ["[500500, 5000050000]", "[1, 3, 6, 10, 15]"]),
])
def test_example(name: str, printed: list[str], pg18: Postgres) -> None:
    done = subprocess.run([sys.executable, EXAMPLES / name, pg18.dsn()], env=os.environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for line in printed:
        assert line in done.stdout
