"""Fixtures for every test: real servers, and a header that says what the tests ran on."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from febe import _kernel
from febe._kernel import KIND
from tests.peers import febe_server as febe_servers
from tests.peers import postgres as servers
from tests.peers import secure
from tests.peers.certificates import Authority, Pair
from tests.peers.febe_server import FebeServer
from tests.peers.installation import Installation, Missing, installation
from tests.peers.installation import libpq as find_libpq
from tests.peers.postgres import Postgres

PEERS = ("asyncpg", "psycopg", "psycopg2-binary", "pg8000", "duckdb", "numpy", "pyarrow", "trio", "uvloop")
POSTGRES = (18, 15)
ENCRYPTING = (17,)

# pyspark takes a program whose main module has no file, such as a process of xdist's, for a run of its own doctests.
sys.modules["__main__"].__dict__.setdefault("__file__", __file__)

ON_CI = bool(os.environ.get("CI"))


def pytest_report_header() -> list[str]:
    return [
        f"febe: {KIND} kernel, {platform.python_implementation()} {platform.python_version()}",
        "PostgreSQL: " + ", ".join(map(_described, (*POSTGRES, *ENCRYPTING))),
        "peers: " + ", ".join(f"{name} {version}" for name in PEERS if (version := _version(name))),
    ]


def pytest_sessionstart() -> None:
    """On CI the kernel that was asked for is the kernel that runs, or nothing does."""
    asked = "python" if os.environ.get("FEBE_KERNEL") == "python" else "compiled"
    if ON_CI and asked != KIND:
        pytest.exit(f"the {KIND} kernel is loaded where the {asked} one was asked for", returncode=1)
    if KIND == "compiled" and (stale := sorted(_stale(Path(str(_kernel.__file__)).parent))):
        pytest.exit(f"compiled before its source was changed: {', '.join(stale)} (`make test` compiles again)", 1)


def _stale(place: Path) -> Iterator[str]:
    """The kernel's modules that are not those of the sources beside them."""
    for built in place.glob("*.so"):
        source = place / f"{built.name.partition('.')[0]}.py"
        if source.exists() and source.stat().st_mtime > built.stat().st_mtime:
            yield source.name


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first, so that at the end no process works while the others have nothing left."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def pg18() -> Iterator[Postgres]:
    """A PostgreSQL 18 of this session's own."""
    with servers.running(installed(18)) as server:
        yield server


@pytest.fixture(scope="session")
def pg15() -> Iterator[Postgres]:
    """A PostgreSQL 15 of this session's own."""
    with servers.running(installed(15)) as server:
        yield server


@pytest.fixture(params=[f"pg{major}" for major in POSTGRES])
def postgres(request: pytest.FixtureRequest) -> Postgres:
    """Each PostgreSQL in turn."""
    found: Postgres = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Signs this session's certificates."""
    return Authority(place=tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def localhost(authority: Authority) -> Pair:
    """A certificate for this machine."""
    return authority.pair("localhost", "localhost", "127.0.0.1")


@pytest.fixture(scope="session")
def secure17(authority: Authority, localhost: Pair) -> Iterator[Postgres]:
    """A PostgreSQL 17 with TLS; `tests.peers.secure.RULES` are its users."""
    with secure.running(installed(17), authority, localhost) as server:
        yield server


@pytest.fixture(scope="session")
def secure15(authority: Authority, localhost: Pair) -> Iterator[Postgres]:
    """A PostgreSQL 15 with TLS; `tests.peers.secure.RULES` are its users."""
    with secure.running(installed(15), authority, localhost) as server:
        yield server


@pytest.fixture(params=["secure17", "secure15"])
def secure_postgres(request: pytest.FixtureRequest) -> Postgres:
    """Each PostgreSQL with TLS in turn."""
    found: Postgres = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="session")
def psql18() -> Path:
    """The psql of PostgreSQL 18."""
    return installed(18).program("psql")


@pytest.fixture(scope="session")
def psql15() -> Path:
    """The psql of PostgreSQL 15."""
    return installed(15).program("psql")


@pytest.fixture(scope="session")
def libpq() -> Path:
    """PostgreSQL 18's libpq, for ctypes."""
    try:
        return find_libpq()
    except Missing as missing:
        return missing_peer(missing)


@pytest.fixture(scope="session")
def febe_server() -> Iterator[FebeServer]:
    """`febe serve` with an empty in-memory database; `tests.peers.febe_server.running` starts others."""
    with febe_servers.running() as server:
        yield server


@pytest.fixture(scope="session")
def nycflights13() -> Path:
    """The directory of the demo data, which `make test` prepares: five Parquet files."""
    found = Path(__file__).parents[1] / ".data" / "nycflights13"
    if not found.is_dir():
        missing_peer(Missing("the demo data are not there (make .data/nycflights13/flights.parquet)"))
    return found


def installed(major: int) -> Installation:
    try:
        return installation(major)
    except Missing as missing:
        return missing_peer(missing)


def missing_peer(why: Missing) -> NoReturn:
    """Skip where it is somebody's own machine, fail where .ci/run installs it."""
    if ON_CI:
        pytest.fail(f"{why}; CI skips nothing that can be installed")
    pytest.skip(str(why))


def _described(major: int) -> str:
    try:
        return installation(major).version
    except Missing:
        return f"no {major}"


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
