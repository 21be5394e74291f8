"""What the documents show works as it stands there."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import febe.aio
import febe.server
from tests.peers.febe_server import FebeServer, running

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FebeServer]:
    """A few rows under the names of the demo data."""
    place = tmp_path_factory.mktemp("demo")
    (place / "flights.csv").write_text("origin,dest,month,carrier\nJFK,SFO,7,UA\nJFK,LAX,7,UA\nEWR,SFO,1,AA\n")
    (place / "airlines.csv").write_text("carrier,name\nUA,United Air Lines Inc.\nAA,American Airlines Inc.\n")
    with running(place / "flights.csv", place / "airlines.csv") as server:
        yield server


def blocks(document: str) -> list[str]:
    """The document's Python."""
    return re.findall(r"^```python\n(.*?)^```$", (ROOT / document).read_text(), re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize(("document", "number", "printed"), [
    ("README.md", 0, "JFK 2\n"),
    ("README.md", 1, "2\n"),
    ("docs/quickstart.md", 0, "3\n[Row(carrier='UA', name='United Air Lines Inc.')]\n"),
])
def test_example(demo: FebeServer, document: str, number: int, printed: str) -> None:
    program = blocks(document)[number].replace("127.0.0.1:6543", f"{demo.host}:{demo.port}")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == (printed, "")


def test_engine_of_the_guide() -> None:
    written: dict[str, object] = {}
    exec(blocks("docs/engine.md")[0], written)

    async def ask() -> list[tuple[object, ...]]:
        engine = written["Echo"]()  # type: ignore[operator]
        async with (await febe.server.serve(engine, port=0) as listener,
                    await febe.aio.connect(f"postgresql://demo@127.0.0.1:{listener.port}/demo") as connection):
            return [tuple(row) for row in await connection.fetch("$1 $2", "hello", "world")]

    assert asyncio.run(ask()) == [("hello",), ("world",)]


def test_server_page_names_every_option() -> None:
    said = subprocess.run([sys.executable, "-m", "febe.cli", "serve", "--help"], capture_output=True, text=True).stdout
    options = set(re.findall(r"^  (--[a-z-]+)", said, re.MULTILINE)) - {"--help"}
    assert options == set(re.findall(r"^\| `(--[a-z-]+)", (ROOT / "docs/server.md").read_text(), re.MULTILINE))


@pytest.mark.parametrize("page", ["security", "replication-tested"])
def test_every_case_of_a_page_has_its_test(page: str) -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / f"docs/{page}.md").read_text())
    assert len(named) > 15
    for file, name in named:
        assert re.search(rf"^ *def {name}\(", (ROOT / file).read_text(), re.MULTILINE), f"{file} has no {name}"


def test_makefile_lists_its_targets() -> None:
    said = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True).stdout
    assert re.findall(r"^make (\w+)", said, re.MULTILINE)[:6] == ["help", "serve", "test", "bench", "lint", "docs"]


def test_every_example_is_run() -> None:
    """Each is named by a test, and there is one for each task that people come with."""
    examples = [path.stem for path in (ROOT / "examples").glob("*.py")]
    assert len(examples) >= 24
    tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    assert [name for name in examples if not re.search(rf'"{name}(\.py)?"|examples\.{name}:', tests)] == []


def test_the_tests_that_are_named_are_there() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", (ROOT / "docs/peers.md").read_text())
    assert len(named) > 20
    for file, test in named:
        assert (ROOT / file).exists(), file
        text = (ROOT / file).read_text()
        assert not test or re.search(rf"^ *(async )?def {test}\b", text, re.MULTILINE), (file, test)
