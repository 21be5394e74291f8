"""Clients that go away at every point of what they say, and engines that raise, hang or leak."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest

from febe.engines.duckdb import DuckDBEngine
from febe.protocol.copy import CopyData, CopyDone
from febe.protocol.extended import Bind, Close, Describe, Execute, Flush, Parse, Sync
from febe.protocol.function import FunctionCall
from febe.protocol.message import Message
from febe.protocol.simple import Query
from febe.protocol.startup import VERSION_3_0, BackendKeyData, CancelRequest, StartupMessage, Terminate
from febe.server import Column, Engine, EngineSession, Listener, Prepared, Result
from tests.server.listening import Raw, listening
from tests.server.parity import said
from tests.server.wire import Script, ScriptSession

_LOGIN = StartupMessage(version=VERSION_3_0, parameters={"user": "demo"})


def bind(portal: str = "") -> Bind:
    return Bind(portal=portal, statement="", parameter_formats=[], parameters=[], result_formats=[])


_ALL: dict[str, Sequence[Message]] = {
    "simple": [Query(query="rows 100 by 10"), Query(query="begin; do A; commit"), Terminate()],
    "extended": [Parse(statement="s", query="rows 9 by 2", parameter_types=[]), Describe(kind="S", name="s"),
                 Parse(statement="", query="rows 9 by 2", parameter_types=[]), bind("p"),
                 Execute(portal="p", maximum_rows=2), Flush(), Execute(portal="p", maximum_rows=0),
                 Close(kind="P", name="p"), Sync()],
    "cursor": [Query(query="begin"), Query(query="declare c scroll cursor with hold for rows 9 by 2"),
               Query(query="fetch 2 c"), Query(query="commit"), Query(query="fetch all c")],
    "copy out": [Query(query="copy (rows 100 by 10) to stdout")],
    "copy in": [Query(query="copy t from stdin"), CopyData(data=b"1\n2\n"), CopyData(data=b"3"), CopyDone()],
    "function call": [FunctionCall(function_oid=715, argument_formats=[1], arguments=[b"\0\0\0\x09"], result_format=1)],
    "listen and lock": [Query(query="listen a"), Query(query="select pg_advisory_lock(1)"), Query(query="notify a")],
}


def _bytes(messages: Sequence[Message]) -> bytes:
    """What a client says, without waiting for any answer."""
    return b"".join(message.encode() for message in (_LOGIN, *messages))


def _settled(listener: Listener, sessions: int = 0) -> None:
    event = threading.Event()
    while listener.sessions > sessions:
        event.wait(0.001)


def _cut(listener: Listener, data: bytes, *, reset: bool) -> None:
    with socket.create_connection(("127.0.0.1", listener.port)) as client:
        if reset:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with contextlib.suppress(OSError):
            client.sendall(data)


class _Copying(Script):
    """The script's engine, with a table that takes rows."""

    def open(self, *, user: str, database: str, parameters: Mapping[str, str]) -> EngineSession:
        self.log.append("open")
        return _CopyingSession(self)


class _CopyingSession(ScriptSession):
    def copy_into(self, table: str, columns: Sequence[str], where: str) -> Any:
        from febe.server import CopyTarget

        log = self.log

        class Target(CopyTarget):
            columns = (Column(name="n", type_oid=23),)
            taken = 0

            def write(self, rows: Sequence[Sequence[Any]]) -> None:
                self.taken += len(rows)

            def finish(self) -> int:
                log.append("copied")
                return self.taken

            def close(self) -> None:
                log.append("copy closed")

        log.append("copy opened")
        return Target()


@pytest.mark.parametrize("blocking", [False, True])
@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("name", _ALL)
def test_cut_anywhere(name: str, reset: bool, blocking: bool) -> None:
    """After each cut nothing of the client is left, and whoever was there before is served."""
    data = _bytes(_ALL[name])
    engine = _Copying(blocking=blocking)
    with listening(engine) as listener, Raw(listener) as other:
        other.log_in()
        for end in range(0, len(data) + 1, 1 if not blocking else 7):
            _cut(listener, data[:end], reset=reset)
        assert said(other, "one")[-2:] == ["CommandComplete SELECT 1", "ReadyForQuery I"]
        # (the last of the connections may not even have been taken yet)
        while said(other, "select pg_try_advisory_lock(1)")[1] != "DataRow t":
            _settled(listener, 1)
        _settled(listener, 1)
    assert engine.log.count("open") == engine.log.count("close")
    assert engine.log.count("copy opened") == engine.log.count("copied") + engine.log.count("copy closed")
    # (a batch that was begun ends in its generator's finally)
    assert engine.log.count("batch 0") <= engine.log.count("rows closed")


@pytest.mark.parametrize("sql", ["select count(*) from range(1000000) a, range(1000000) b",
                                 "copy (select * from range(10000000) a, range(10) b) to stdout",
                                 "select * from range(1000000000)", "select pg_sleep(1000)"])
def test_cut_while_duckdb_works(sql: str) -> None:
    with listening(DuckDBEngine()) as listener, Raw(listener) as other:
        other.log_in()
        data = _bytes([Query(query=sql)])
        clients = [socket.create_connection(("127.0.0.1", listener.port)) for _ in range(3)]
        for client in clients:
            client.sendall(data)
            assert client.recv(1)
            client.close()
        _settled(listener, 1)
        assert said(other, "select 1 as one")[-1] == "ReadyForQuery I"


class _Bad(Engine):
    """An engine whose session does `act` where `where` says."""

    def __init__(self, where: str, act: Callable[[_BadSession], Any]) -> None:
        self.where = where
        self.act = act
        self.stopped = threading.Event()

    def open(self, *, user: str, database: str, parameters: Mapping[str, str]) -> EngineSession:
        session = _BadSession(self)
        if self.where == "open" and user != "demo":
            self.act(session)
        return session


class _BadSession(EngineSession):
    def __init__(self, engine: _Bad) -> None:
        self.engine = engine
        self.stop = threading.Event()

    def at(self, where: str) -> None:
        if self.engine.where == where:
            self.engine.act(self)

    def prepare(self, sql: str, parameter_types: Sequence[int]) -> Prepared:
        if "bad" not in sql:
            return _Good()
        self.at("prepare")
        return _BadPrepared(self)

    def begin(self, *, read_only: bool = False) -> None:
        pass

    def commit(self) -> None:
        self.at("commit")

    def rollback(self) -> None:
        self.at("rollback")

    def cancel(self) -> None:
        self.stop.set()
        self.at("cancel")

    def close(self) -> None:
        self.at("close")


class _Good(Prepared):
    columns = (Column(name="n", type_oid=23),)

    def execute(self, values: Sequence[Any]) -> Result:
        return Result(rows=[[(1,)]])


class _BadPrepared(Prepared):
    columns = (Column(name="n", type_oid=23),)

    def __init__(self, session: _BadSession) -> None:
        self.session = session

    def execute(self, values: Sequence[Any]) -> Result:
        self.session.at("execute")
        return Result(rows=self._rows())

    def _rows(self) -> Iterator[list[tuple[Any]]]:
        yield [(1,)]
        self.session.at("rows")
        yield [("no number",)] if self.session.engine.where == "value" else [(2,)]

    def close(self) -> None:
        self.session.at("prepared close")


def _raise(session: _BadSession) -> None:
    raise ZeroDivisionError("a secret")


def _hang(session: _BadSession) -> None:
    session.stop.wait()
    raise RuntimeError("stopped")


@pytest.mark.parametrize("where", ["open", "prepare", "execute", "rows", "value", "commit", "rollback", "close",
                                   "prepared close", "cancel"])
def test_an_engine_that_raises(where: str) -> None:
    with listening(_Bad(where, _raise)) as listener, Raw(listener) as other:
        other.log_in()
        for messages in ([Query(query="bad")], [Query(query="begin; bad; commit")],
                         [Query(query="begin; bad; rollback")],
                         [Parse(statement="", query="bad", parameter_types=[]), bind(),
                          Execute(portal="", maximum_rows=1), Sync()]):
            with Raw(listener) as raw:
                raw.log_in(user="other")
                if where != "open":
                    raw.say(*messages)
                    told = raw.answers()
                    assert told and type(told[-1]).__name__ == "ReadyForQuery"
                    assert b"secret" not in repr(told).encode()
                    assert said(raw, "rollback")[-1] == "ReadyForQuery I"
                    assert said(raw, "fine")[-2:] == ["CommandComplete SELECT 1", "ReadyForQuery I"]
        _settled(listener, 1)
        assert said(other, "fine")[-1] == "ReadyForQuery I"


@pytest.mark.parametrize("where", ["prepare", "execute", "rows"])
def test_an_engine_that_hangs(where: str) -> None:
    with listening(_Bad(where, _hang)) as listener, Raw(listener) as other:
        other.log_in()
        with Raw(listener) as raw:
            (key,) = [one for one in raw.log_in(user="other") if isinstance(one, BackendKeyData)]
            raw.say(Query(query="bad"))
            backend = listener.shared.activity.get(key.process_id)
            event = threading.Event()
            while backend is None or backend.state != "active":
                event.wait(0.001)
            assert said(other, "fine")[-1] == "ReadyForQuery I"
            with Raw(listener) as asking:
                asking.say(CancelRequest(process_id=key.process_id, secret_key=key.secret_key))
                asking.rest()
            # (a request that came before the call began to wait is not repeated: the client's going away is)
        _settled(listener, 1)


def test_nothing_leaks() -> None:
    """Threads, descriptors and sessions are as many after a thousand connections as before."""
    with listening(Script(blocking=True)) as listener:
        def visit() -> None:
            with Raw(listener) as raw:
                raw.log_in()
                said(raw, "begin")
                said(raw, "rows 10 by 2")

        for _ in range(10):
            visit()
        _settled(listener)
        threads, descriptors = threading.active_count(), len(os.listdir("/proc/self/fd"))
        for _ in range(200):
            visit()
        _settled(listener)
        event = threading.Event()
        while threading.active_count() > threads + 2:
            event.wait(0.001)
        assert len(os.listdir("/proc/self/fd")) <= descriptors + 4
        assert listener.shared.activity.all() == []
