"""Tab completion in a real psql at a terminal: the same proposals as with PostgreSQL 18.

psql shows nothing when a query of its completion fails, so what PostgreSQL proposes has to be there.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import DATABASE, Place

# what is tested is other programs on the catalogs, which are the same for either kernel
pytestmark = pytest.mark.slow

INPUTS = Path(__file__).with_name("completions.txt").read_text().splitlines()
SECONDS = 30

# Readline asks nothing and pages nothing, whatever number of proposals there is.
INPUTRC = """\
set completion-query-items 0
set page-completions off
set bell-style none
set show-all-if-ambiguous on
set completion-display-width 0
set enable-bracketed-paste off
"""
END_OF_LINE, KILL_LINE = b"\x05", b"\x15"

# What PostgreSQL has and febe has not.
LACKING = {
    "drop type ": "TOAST's row types", "alter database ": "the peer's other databases",
    "create database x template ": "the peer's other databases", "\\connect ": "the peer's other databases",
    "reindex database ": "the peer's other databases",
}

ROLES = re.compile(r"(?m)^(?:trust|password|md5|scram|scram_prepared|reject)\r\n")


class Terminal:
    """psql at a terminal of its own."""

    def __init__(self, psql: Path, place: Place, home: Path) -> None:
        (home / "inputrc").write_text(INPUTRC)
        environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TERM": "dumb", "HOME": str(home),
                       "INPUTRC": str(home / "inputrc")}
        command = [str(psql), "-X", "-h", place.host, "-p", str(place.port), "-U", "postgres", DATABASE]
        self._got = b""
        self._process, self._terminal = pty.fork()
        if not self._process:
            os.execve(psql, command, environment)
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 1000, 200, 0, 0))
        self.until(rb"=[#>] $")

    def until(self, pattern: bytes) -> bytes:
        """What psql says up to the end of `pattern`."""
        end = time.monotonic() + SECONDS
        while not (found := re.search(pattern, self._got)):
            assert select.select([self._terminal], [], [], max(0.0, end - time.monotonic()))[0], self._got
            self._got += os.read(self._terminal, 65536)
        said, self._got = self._got[:found.end()], self._got[found.end():]
        return said

    def proposals(self, text: str) -> str:
        """What is shown after `text` and a tab; the line is then thrown away."""
        os.write(self._terminal, text.encode() + b"\t" + END_OF_LINE + KILL_LINE + b"\\echo DONE:\r")
        said = self.until(rb"\nDONE:")
        self.until(rb"=[#>] $")
        # a superuser has another prompt
        return said.decode().replace("=> ", "=# ")

    def close(self) -> None:
        os.write(self._terminal, b"\\q\n")
        os.waitpid(self._process, 0)
        os.close(self._terminal)


@pytest.fixture(scope="module")
def terminals(psql15: Path, served: Place, beside: Place,
              tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Terminal, Terminal]]:
    """psql 15, which Debian builds with readline, on febe and on PostgreSQL 18."""
    home = tmp_path_factory.mktemp("psql")
    both = Terminal(psql15, served, home), Terminal(psql15, beside, home)
    yield both
    for one in both:
        one.close()


@pytest.mark.parametrize("text", INPUTS)
def test_psql_proposes_the_same(text: str, terminals: tuple[Terminal, Terminal]) -> None:
    # PostgreSQL has schemas for the temporary tables of other tests, and roles for those of authentication
    ours, theirs = (re.sub(r"pg_(toast_)?temp_\d+\r\n", "", one.proposals(text)) for one in terminals)
    if ROLES.search(theirs):
        # what all proposals have in common, which is typed behind the list, is not the same with more of them
        ours, theirs = (ROLES.sub("", one).rpartition("\n")[0].rpartition("\n")[0] for one in (ours, theirs))
    if text in LACKING:
        assert set(ours.split()) <= set(theirs.split())
    else:
        assert ours == theirs
