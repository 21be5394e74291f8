"""Running a server of several processes."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from typing import Any

from febe.server.engine import Engine, EngineError, EngineSession
from febe.server.limits import Limits
from febe.server.processes.confinement import Confinement
from febe.server.processes.postmaster import Postmaster
from febe.server.running import have_files
from febe.server.service import Service

_SAID_BYTES = 4096


def run_workers(make_engine: Callable[[], Engine], workers: int, *,
                ready: Callable[[Postmaster], object] | None = None, grace: float = 0, host: str | None = "127.0.0.1",
                port: int = 5432, unix_socket_dir: str | os.PathLike[str] | None = None, **options: Any) -> None:
    """As `run`, with so many processes that share the clients: `make_engine` makes the engine in each.

    It is tried once, in a process of its own, before the server listens; the engine's `processes` has to allow it.
    Errors: ValueError, OSError; RuntimeError when the engine cannot be made.
    """
    _run(make_engine, workers, None, ready, grace, host, port, unix_socket_dir, options)


def run_processes(make_engine: Callable[[], Engine], *, confinement: Confinement,
                  ready: Callable[[Postmaster], object] | None = None, grace: float = 0,
                  host: str | None = "127.0.0.1", port: int = 5432,
                  unix_socket_dir: str | os.PathLike[str] | None = None, **options: Any) -> None:
    """As `run_workers`, with a process for each session, which has no more than `confinement` gives it."""
    confinement.check()
    _run(make_engine, None, confinement, ready, grace, host, port, unix_socket_dir, options)


def _run(make_engine: Callable[[], Engine], workers: int | None, confinement: Confinement | None,
         ready: Callable[[Postmaster], object] | None, grace: float, host: str | None, port: int,
         unix_socket_dir: str | os.PathLike[str] | None, options: dict[str, Any]) -> None:
    if not hasattr(os, "fork"):
        raise ValueError("this system cannot fork, so a server has one process")
    have_files(options.get("limits") or Limits())
    service = Service(_Elsewhere(), **options)
    late = _try_engine(make_engine, confinement)
    postmaster = Postmaster(service, make_engine, workers=workers, confinement=confinement, grace=grace,
                            late=late)
    postmaster.listen(host, port, unix_socket_dir)
    try:
        postmaster.run(ready)
    except BaseException:
        postmaster.kill()
        raise


def check(**options: Any) -> None:
    """Find out whether a server could be made with these options of `serve`.  Errors: ValueError."""
    Service(_Elsewhere(), **options)


class _Elsewhere(Engine):
    """The engine is in other processes."""

    def open(self, *, user: str, database: str, parameters: Mapping[str, str]) -> EngineSession:
        raise EngineError("internal error")


def _try_engine(make_engine: Callable[[], Engine], confinement: Confinement | None) -> bool | None:
    """Make the engine once, where it leaves nothing behind; whether it blocks, or None where it brings a session class,
    which has to be known before anybody is let in.  Errors: RuntimeError.
    """
    reader, writer = os.pipe()
    if (process_id := os.fork()) == 0:
        try:
            if confinement is not None:
                confinement.enter()
            engine = make_engine()
            said: dict[str, Any] = {"late": engine.blocking if engine.session is None else None}
            if not engine.processes:
                said = {"error": "this engine's sessions share what they write, so they cannot be in several processes"}
            engine.close()
        except BaseException as error:
            said = {"error": (str(error) or type(error).__name__)[:_SAID_BYTES // 8]}
        os.write(writer, json.dumps(said).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        told = pipe.read()
    _, status = os.waitpid(process_id, 0)
    if not told:
        raise RuntimeError(f"the engine's process was terminated by signal {os.WTERMSIG(status)}")
    found = json.loads(told)
    if "error" in found:
        raise RuntimeError(found["error"])
    late: bool | None = found["late"]
    return late


__all__ = ["check", "run_processes", "run_workers"]
