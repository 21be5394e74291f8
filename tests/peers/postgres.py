"""A throw-away PostgreSQL server with a user for every authentication method, on a free loopback port."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlencode

from .installation import Installation, once, scratch, server_user

START_SECONDS = 60
STOP_SECONDS = 20

SUPERUSER = "postgres"

# User -> password.  pg_hba.conf asks each for the method of its name; the superuser is trusted.
USERS: dict[str, str | None] = {
    SUPERUSER: None,
    "trust": None,
    "password": "in the clear",
    "md5": "salted twice",
    "scram": "pencil",
    # SASLprep (RFC 4013) makes "IX IV" of it: the soft hyphen goes, the no-break space is a space, the numeral letters.
    "scram_prepared": "I\u00adX\u00a0\u2163",
    "reject": None,
}
METHODS = {SUPERUSER: "trust", "scram": "scram-sha-256", "scram_prepared": "scram-sha-256"}

# Speed instead of safety; wal_level and prepared transactions for the tests that need them.
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "timezone": "UTC",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "wal_level": "logical",
    "max_prepared_transactions": "10",
}


class StartFailed(Exception):
    """A server did not come up; the message ends with its log."""


@dataclass(slots=True, kw_only=True)
class Postgres:
    """A running server."""

    installation: Installation
    host: str
    port: int
    socket_dir: Path
    log: Path
    process: subprocess.Popen[bytes]

    @property
    def version(self) -> str:
        return self.installation.version

    @property
    def major(self) -> int:
        return self.installation.major

    @property
    def bin(self) -> Path:
        return self.installation.bin

    def parameters(self, user: str = SUPERUSER, *, password: str | None = None, unix: bool = False) -> dict[str, str]:
        """Host, port, user, dbname and password by libpq's names; one of USERS needs no password here."""
        chosen = USERS.get(user) if password is None else password
        found = {"host": str(self.socket_dir) if unix else self.host, "port": str(self.port), "user": user,
                 "dbname": "postgres"}
        return found if chosen is None else found | {"password": chosen}

    def dsn(self, user: str = SUPERUSER, *, password: str | None = None, unix: bool = False, **options: str) -> str:
        """The same as a connection URI; `options` become its query part."""
        found = self.parameters(user, password=password, unix=unix)
        secret = f":{quote(found['password'], safe='')}" if "password" in found else ""
        host = f":{self.port}" if not unix else ""
        where = {"host": found["host"], "port": found["port"]} if unix else {}
        query = urlencode(where | options, quote_via=quote)
        return (f"postgresql://{quote(user, safe='')}{secret}@{'' if unix else self.host}{host}/postgres"
                f"{'?' if query else ''}{query}")

    def psql(self, sql: str, user: str = SUPERUSER, *, dbname: str = "") -> str:
        """Run `sql` with this version's psql; unaligned, tuples only."""
        return subprocess.run(
            [self.bin / "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", sql, *([dbname] if dbname else [])],
            env=_environment() | {f"PG{name.upper()}": value for name, value in self._libpq(user).items()},
            check=True, capture_output=True, text=True).stdout.rstrip("\n")

    def _libpq(self, user: str) -> dict[str, str]:
        found = self.parameters(user)
        found["database"] = found.pop("dbname")
        return found


@contextlib.contextmanager
def running(installation: Installation, *, standby: bool = False, hba: str | None = None,
            **settings: str) -> Iterator[Postgres]:
    """Start a server with a fresh cluster, and stop and remove it at the end.

    `standby` starts one that is in recovery for ever; `hba` is its pg_hba.conf.

    Errors: StartFailed.
    """
    template = once(f"cluster-{installation.version}-{_recipe():08x}", lambda target: _initdb(installation, target))
    with scratch(f"pg{installation.major}") as place:
        data, log = place / "data", place / "log"
        _as_server_user(["cp", "-R", template, data], place)
        if standby:
            _as_server_user(["touch", data / "standby.signal"], place)
        if hba is not None:
            (data / "pg_hba.conf").write_text(hba)
        process, port = _start(installation, place, data, log, SETTINGS | settings)
        try:
            yield Postgres(installation=installation, host="127.0.0.1", port=port, socket_dir=place, log=log,
                           process=process)
        finally:
            _stop(process)


@contextlib.contextmanager
def on(installation: Installation, place: Path, data: Path, **settings: str) -> Iterator[Postgres]:
    """Start a server on data that are there, in a directory of the server's user, and stop it at the end.

    Errors: StartFailed.
    """
    log = place / "log"
    process, port = _start(installation, place, data, log, SETTINGS | settings)
    try:
        yield Postgres(installation=installation, host="127.0.0.1", port=port, socket_dir=place, log=log,
                       process=process)
    finally:
        _stop(process)


class Crashing:
    """A server of one's own that is killed and comes back on its port, with its data."""

    def __init__(self, installation: Installation, place: Path, settings: dict[str, str]) -> None:
        self._installation, self._place, self._settings = installation, place, settings
        self._port: int | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Postgres:
        """Start it, again if need be.  Errors: StartFailed."""
        process, self._port = _start(self._installation, self._place, self._place / "data", self._place / "log",
                                     self._settings, self._port)
        self._process = process
        return Postgres(installation=self._installation, host="127.0.0.1", port=self._port, socket_dir=self._place,
                        log=self._place / "log", process=process)

    def kill(self) -> None:
        """Kill the postmaster that `start` made; its children notice, and end by themselves."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """End it properly, if it runs."""
        if self._process is not None:
            _stop(self._process)


@contextlib.contextmanager
def crashing(installation: Installation, **settings: str) -> Iterator[Crashing]:
    """A fresh cluster to be started and killed; it is stopped and removed at the end."""
    template = once(f"cluster-{installation.version}-{_recipe():08x}", lambda target: _initdb(installation, target))
    with scratch(f"pg{installation.major}") as place:
        _as_server_user(["cp", "-R", template, place / "data"], place)
        made = Crashing(installation, place, SETTINGS | settings)
        try:
            yield made
        finally:
            made.stop()


def _start(installation: Installation, place: Path, data: Path, log: Path,
           settings: dict[str, str], again: int | None = None) -> tuple[subprocess.Popen[bytes], int]:
    """`again` is the port that it had before; children of a postmaster that was killed may still be about then."""
    for _attempt in range(5 if again is None else 200):
        port = again or _free_port()
        chosen = settings | {"port": str(port), "unix_socket_directories": str(place)}
        options = [word for name, value in chosen.items() for word in ("-c", f"{name}={value}")]
        with log.open("wb") as output:
            process = subprocess.Popen([installation.program("postgres"), "-D", data, *options], cwd=place,
                                       env=_environment(), user=server_user(), stdin=subprocess.DEVNULL, stdout=output,
                                       stderr=subprocess.STDOUT, start_new_session=True, preexec_fn=_DIE_WITH_PARENT)
        try:
            _wait_until_ready(process, data)
        except StartFailed as failure:
            _stop(process)
            said = log.read_text(errors="replace")
            if "Address already in use" in said:      # taken between our look and its bind
                continue
            if again is not None and ("still in use" in said or "lock file" in said):
                time.sleep(0.05)
                continue
            raise StartFailed(f"PostgreSQL {installation.version}: {failure}; its log:\n{said}") from None
        except BaseException:
            _stop(process)
            raise
        return process, port
    raise StartFailed("no free port in five attempts")


def _wait_until_ready(process: subprocess.Popen[bytes], data: Path) -> None:
    # The eighth line of postmaster.pid says "ready", or "standby"; pg_ctl waits for the same (pidfile.h,
    # LOCK_FILE_LINE_PM_STATUS).
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(FileNotFoundError):
            lines = (data / "postmaster.pid").read_text().splitlines()
            # the file of one that was killed stays: the first line says whose it is
            if len(lines) >= 8 and lines[0] == str(process.pid) and lines[7].strip() in ("ready", "standby"):
                return
        with contextlib.suppress(subprocess.TimeoutExpired):
            raise StartFailed(f"exit code {process.wait(0.02)}")
    raise StartFailed(f"not ready within {START_SECONDS} s")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Fast shutdown, then immediate shutdown, then the end."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        if process.poll() is not None:
            return
        process.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
            return


def _initdb(installation: Installation, target: Path) -> None:
    _as_server_user([installation.program("initdb"), "-D", target, "-U", SUPERUSER, "--encoding=UTF8", "--locale=C",
                     "--auth=trust", "--no-sync"], target.parent)
    said = _as_server_user([installation.program("postgres"), "--single", "-D", target, "postgres"], target.parent,
                           given=_roles())
    if "ERROR" in said or "FATAL" in said:
        raise StartFailed(f"the roles were refused:\n{said}")
    hba = target / "pg_hba.conf"
    hba.write_text(_hba())
    if user := server_user():
        shutil.chown(hba, user)


def _roles() -> str:
    """The users' SQL, a statement a line as the single-user server reads it."""
    made = ["grant all on schema public to public"]
    for name, password in USERS.items():
        if name != SUPERUSER:
            encryption = "md5" if name == "md5" else "scram-sha-256"
            secret = f" password '{password}'" if password else ""
            made += [f"set password_encryption = '{encryption}'", f'create role "{name}" login{secret}']
    return "".join(f"{statement};\n" for statement in made)


def _hba() -> str:
    lines = [f'{kind} {database} "{user}" {address} {METHODS.get(user, user)}\n'
             for user in USERS for database in ("all", "replication")
             for kind, address in (("local", ""), ("host", "127.0.0.1/32"), ("host", "::1/128"))]
    return "".join(lines)


def _recipe() -> int:
    """A number that changes with what a fresh cluster holds."""
    return zlib.crc32((_roles() + _hba()).encode())


def _as_server_user(command: list[str | Path], place: Path, *, given: str = "") -> str:
    done = subprocess.run(command, cwd=place, env=_environment(), user=server_user(), input=given,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise StartFailed(f"{Path(command[0]).name} failed:\n{done.stdout}")
    return done.stdout


def _environment() -> dict[str, str]:
    """Ours, less what would steer PostgreSQL's programs."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}
    return kept | {"LC_ALL": "C"}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _die_with_parent() -> Callable[[], None] | None:
    """On Linux, have the kernel shut the server down should the tests be killed (prctl(2), PR_SET_PDEATHSIG)."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    return lambda: prctl(1, signal.SIGINT)


_DIE_WITH_PARENT = _die_with_parent()
