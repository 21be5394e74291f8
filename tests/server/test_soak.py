"""Random sessions: none gets stuck, none leaks, and every status is the transaction's.

FEBE_SOAK_SECONDS=600 goes on for so long; without it there are a few hundred sessions.
"""

from __future__ import annotations

import gc
import os
import random
import resource
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from febe.engines.duckdb import DuckDBEngine
from febe.protocol.connection import CopyDataRun, DataRowRun
from febe.protocol.copy import CopyData, CopyDone, CopyFail, CopyInResponse
from febe.protocol.extended import Bind, Close, Describe, Execute, Parse, Sync
from febe.protocol.message import Message
from febe.protocol.simple import Query
from febe.protocol.startup import BackendKeyData, CancelRequest, ReadyForQuery, Terminate
from febe.server import Listener, Session
from tests.server.listening import SECONDS, Raw, listening

_SECONDS = float(os.environ.get("FEBE_SOAK_SECONDS", "0"))
_SESSIONS = 120
_CLIENTS = 4
_MOST_GROWTH = 64 << 20
_SQL = (
    "select 1", "select x from range(5000) t(x)", "begin", "begin", "commit", "rollback", "savepoint a",
    "rollback to a", "release a", "selec", "select * from nowhere", "insert into t values (1)",
    "select count(*) from t", "delete from t",
    "declare c scroll cursor for select x from range(3000) t(x)", "fetch 10 c", "fetch backward 5 c", "move all c",
    "declare h cursor with hold for select x from range(10) t(x)", "fetch h", "close h", "close all", "discard all",
    "listen a", "notify a", "unlisten *", "select pg_try_advisory_lock(1)", "select pg_advisory_unlock_all()",
    "prepare p as select 1", "execute p", "deallocate p", "set application_name = 'soak'", "reset all", "show all", "",
    "select 1; select 2; selec", "copy (select x from range(2000) t(x)) to stdout", "create temp table s (a int)",
    "create table if not exists t (a int)", "select pg_sleep(0.001)",
)


def _extended(choice: random.Random) -> list[Message]:
    """A pipeline, sensible or not."""
    found: list[Message] = []
    for _ in range(choice.randint(1, 4)):
        name = choice.choice(["", "", "s"])
        found += choice.choice([
            [Parse(statement=name, query=choice.choice(_SQL), parameter_types=[])],
            [Parse(statement="", query="select x from range(100) t(x)", parameter_types=[]),
             Bind(portal="p", statement="", parameter_formats=[], parameters=[],
                  result_formats=[choice.choice([0, 1])]),
             Execute(portal="p", maximum_rows=choice.choice([0, 7]))],
            [Describe(kind="S", name=name)], [Close(kind="S", name=name)], [Close(kind="P", name="p")],
            [Bind(portal="", statement=name, parameter_formats=[], parameters=[], result_formats=[]),
             Execute(portal="", maximum_rows=0)]])
    return [*found, Sync()]


def _converse(raw: Raw, choice: random.Random) -> None:
    """Ask for something, and read all that is answered."""
    if choice.random() < 0.1:
        raw.say(Query(query="copy t from stdin"))
    elif choice.random() < 0.5:
        raw.say(Query(query=choice.choice(_SQL)))
    else:
        raw.say(*_extended(choice))
    while (answer := raw.answer()) is not None:
        if isinstance(answer, CopyInResponse):
            data = CopyData(data=b"".join(b"%d\n" % number for number in range(choice.randint(0, 500))))
            raw.say(data, choice.choice([CopyDone(), CopyDone(), CopyFail(reason="no")]))
        elif isinstance(answer, ReadyForQuery):
            assert answer.status in "ITE"
            return
        else:
            assert isinstance(answer, Message | DataRowRun | CopyDataRun)
    raise AssertionError("the server has closed the connection")


def _session(listener: Listener, choice: random.Random) -> None:
    with Raw(listener) as raw:
        (key,) = [one for one in raw.log_in() if isinstance(one, BackendKeyData)]
        for _ in range(choice.randint(1, 12)):
            _converse(raw, choice)
            if choice.random() < 0.05:
                with Raw(listener) as other:
                    other.say(CancelRequest(process_id=key.process_id, secret_key=key.secret_key))
                    other.rest()
        end = choice.random()
        if end < 0.4:
            raw.say(Terminate())
            left = raw.rest()
            while left:  # somebody else's NOTIFY may have come in between
                assert left[:1] == b"A"
                left = left[1 + int.from_bytes(left[1:5], "big"):]
        elif end < 0.7:  # gone in the middle of it
            raw.say(Query(query="select * from range(100000000)"))


class _Soak:
    """What the clients have in common: when they stop, and how the process looked when all was warm."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.until = time.monotonic() + _SECONDS
        self.warm_at = time.monotonic() + _SECONDS / 4
        self.warm_memory = 0
        self.done = 0
        self.failed: list[BaseException] = []

    def client(self, seed: int) -> None:
        choice = random.Random(seed)
        done = 0
        try:
            while not self.failed and (done * _CLIENTS < _SESSIONS or time.monotonic() < self.until):
                _session(self.listener, choice)
                done += 1
                if not self.warm_memory and time.monotonic() > self.warm_at:
                    self.warm_memory = _memory()
        except BaseException as error:
            self.failed.append(error)
        self.done += done


def _memory() -> int:
    """What the process has of the machine's memory, in bytes (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def _kept() -> int:
    gc.collect()
    return sum(isinstance(one, Session) for one in gc.get_objects())


@pytest.mark.slow
@pytest.mark.timeout(max(300, int(_SECONDS * 2)))
def test_random_sessions() -> None:
    before = _kept()
    with listening(DuckDBEngine()) as listener:
        descriptors = len(os.listdir("/proc/self/fd"))
        soak = _Soak(listener)
        clients = [threading.Thread(target=soak.client, args=(seed,)) for seed in range(_CLIENTS)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        if soak.failed:
            raise soak.failed[0]
        print(f"{soak.done} sessions, {(_memory() - soak.warm_memory) >> 20} MB more than when warm")
        _comes(lambda: not listener.sessions)
        assert listener.shared.activity.all() == []
        with Raw(listener) as raw:
            raw.log_in()
            locked, *_ = (one for one in raw.query("select pg_try_advisory_lock(1)") if isinstance(one, DataRowRun))
            assert bytes(locked.data[locked.start:locked.end]).endswith(b"t")
            raw.say(Terminate())
            raw.rest()
        _comes(lambda: len(os.listdir("/proc/self/fd")) <= descriptors)
        _comes(lambda: _kept() == before)
        if _SECONDS:
            assert _memory() - soak.warm_memory < _MOST_GROWTH


def _comes(true: Callable[[], bool]) -> None:
    """Errors: AssertionError when it never does."""
    event = threading.Event()
    until = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < until
        event.wait(0.01)
