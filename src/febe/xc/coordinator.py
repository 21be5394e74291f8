"""A coordinator's connection to one datanode."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Self, TypedDict, Unpack

from febe.client.options import Options, resolve
from febe.client.run_blocking import open_session, runner
from febe.flows import close, coordinate
from febe.flows.coordinate import Context, Result
from febe.flows.session import Session
from febe.protocol.xc import XC, XL, GlobalSnapshot


class Within(TypedDict, total=False):
    """What a request is put into; what is left out is not sent."""

    gxid: int
    timestamp: int
    command_id: int
    snapshot: GlobalSnapshot


class Datanode:
    """A datanode, seen from its coordinator; `connect` makes it."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._run = runner(session)

    def query(self, sql: str, **within: Unpack[Within]) -> Result:
        """Run SQL.  Errors: PostgresError, ConnectionLost."""
        return self._run(coordinate.query(self._session, sql, Context(**within)))

    def execute(self, sql: str, types: Sequence[str], values: Sequence[str | bytes | None], *, describe: bool = True,
                **within: Unpack[Within]) -> Result:
        """Run SQL with parameters, types by name, values in text.  Errors: as `query`."""
        return self._run(coordinate.execute(self._session, sql, types, values, Context(**within), describe=describe))

    def barrier(self, identifier: str, step: str = "P") -> None:
        """Take part in a barrier: P prepare, X execute, E end.  Errors: as `query`."""
        self._run(coordinate.barrier(self._session, identifier, step))

    def close(self) -> None:
        """Say good-bye."""
        self._run(close.close(self._session))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()


def connect(conninfo: str = "", *, xl: bool = False, remotetype: str = "coordinator", parentnode: str | None = None,
            session_options: str = "", **options: Unpack[Options]) -> Datanode:
    """Connect as a coordinator, which `xl` makes one of Postgres-XL.

    `session_options` follow `-c remotetype=...` in the start-up parameter `options`.  Errors: as `febe.connect`.
    """
    parent = "" if parentnode is None else f" -c parentnode={parentnode}"
    rest = f"  {session_options}" if session_options else ""
    settings = {"options": f"-c remotetype={remotetype}{parent}{rest}", "application_name": "pgxc",
                **options.pop("settings", {})}
    return Datanode(open_session(resolve(conninfo, {**options, "settings": settings, "dialect": XL if xl else XC})))


__all__ = ["Datanode", "Within", "connect"]
