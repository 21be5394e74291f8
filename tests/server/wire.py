"""Two cores joined in memory: a client's messages go to a session, its answers come back as messages."""

from __future__ import annotations

import types
from collections.abc import Callable, Coroutine, Generator, Mapping, Sequence
from typing import Any, TypeVar

from febe.flows.serve import Conversation, serve
from febe.ports.encryption import Encryptable
from febe.protocol.authentication import AuthenticationOk
from febe.protocol.connection import Connection, DataRowRun
from febe.protocol.message import Message, Sender
from febe.protocol.simple import DataRow
from febe.protocol.startup import VERSION_3_0, BackendKeyData, ParameterStatus, StartupMessage
from febe.server import Column, Engine, EngineError, EngineSession, Prepared, Result, Session
from febe.server.sql import tokens

T = TypeVar("T")

INT4, TEXT = 23, 25


@types.coroutine
def _suspend() -> Generator[None, None, None]:
    yield


class MemoryPort(Encryptable):
    """A port whose other end is the test."""

    def __init__(self) -> None:
        self.inbox: list[bytes] = []
        self.outbox: list[bytes] = []

    async def exchange(self, out: bytes) -> bytes:
        self.outbox.append(out)
        await self.wait()
        return self.take()

    async def wait(self) -> None:
        while not self.inbox:
            await _suspend()

    def take(self) -> bytes:
        return self.inbox.pop(0)

    async def flush(self, out: bytes) -> None:
        self.outbox.append(out)

    async def run(self, call: Callable[..., T], *args: Any) -> T:
        return call(*args)

    async def aclose(self) -> None:
        pass

    def abort(self) -> None:
        pass


class Script(Engine):
    """An engine for tests.  Its statements:

    `rows N` gives N rows, `rows N by M` in batches of M; `one` gives 1; `echo $1 $2` gives its parameters as text, or
    int4 after `echo int`; `do TAG` has a tag only; `fail SQLSTATE` refuses when run; `boom` raises what no engine
    should; `notice TEXT` gives a notice.  Anything else is refused when it is prepared.
    """

    blocking = False

    def __init__(self, *, transactions: bool = True, blocking: bool = False) -> None:
        self.transactions = transactions
        self.blocking = blocking
        self.log: list[str] = []

    def open(self, *, user: str, database: str, parameters: Mapping[str, str]) -> EngineSession:
        return ScriptSession(self)


class ScriptSession(EngineSession):
    def __init__(self, engine: Script) -> None:
        self.log = engine.log
        self.transactions = engine.transactions
        self.broken_commit = False

    def prepare(self, sql: str, parameter_types: Sequence[int]) -> Prepared:
        if sql.split()[0] not in ("rows", "one", "echo", "do", "fail", "boom", "notice"):
            raise EngineError("unknown statement", sqlstate="42601", position=1)
        return ScriptPrepared(self, sql)

    def begin(self, *, read_only: bool = False) -> None:
        if not self.transactions:
            raise EngineError("no transactions", sqlstate="0A000")
        self.log.append("begin read only" if read_only else "begin")

    def commit(self) -> None:
        self.log.append("commit")
        if self.broken_commit:
            raise EngineError("conflict", sqlstate="40001")

    def rollback(self) -> None:
        self.log.append("rollback")

    def cancel(self) -> None:
        self.log.append("cancel")

    def close(self) -> None:
        self.log.append("close")


class ScriptPrepared(Prepared):
    def __init__(self, session: ScriptSession, sql: str) -> None:
        self.session = session
        self.sql = sql
        self.words = [token.text for token in tokens(sql)]
        match self.words:
            case ["rows", *_] | ["one"]:
                self.columns = (Column(name="n", type_oid=INT4),)
            case ["echo", *values]:
                oid = INT4 if values[:1] == ["int"] else TEXT
                self.parameters = (oid,) * sum(value.startswith("$") for value in values)
                self.columns = tuple(Column(name="said", type_oid=oid) for _ in self.parameters)

    def execute(self, values: Sequence[Any]) -> Result:
        self.session.log.append(self.sql)
        match self.words:
            case ["rows", count, "by", size]:
                return Result(rows=self.batches(int(count), int(size)))
            case ["rows", count]:
                return Result(rows=[[(n,) for n in range(int(count))]])
            case ["one"]:
                return Result(rows=[[(1,)]])
            case ["echo", *_]:
                return Result(rows=[[tuple(values)]])
            case ["do", *tag]:
                return Result(tag=" ".join(tag))
            case ["fail", sqlstate]:
                raise EngineError("refused", sqlstate=sqlstate.strip("'"), detail="a detail", hint="a hint", position=6)
            case ["notice", *text]:
                return Result(tag="DO", notices=[" ".join(text)])
        raise ZeroDivisionError("a secret of the engine")

    def batches(self, count: int, size: int) -> Generator[list[tuple[int]], None, None]:
        try:
            for start in range(0, count, size):
                self.session.log.append(f"batch {start}")
                yield [(n,) for n in range(start, min(start + size, count))]
        finally:
            self.session.log.append("rows closed")

    def close(self) -> None:
        self.session.log.append(f"closed {self.sql}")


class Wire:
    """A session and the client at its other end.  `ask` sends messages and returns the answers."""

    def __init__(self, engine: Engine | None = None, *, session: type[Session] = Session) -> None:
        self.engine = engine or Script()
        self.log: list[str] = getattr(self.engine, "log", [])
        self.client = Connection(Sender.FRONTEND)
        self.port = MemoryPort()
        self.ended = False
        core = Connection(Sender.BACKEND)
        startup = StartupMessage(version=VERSION_3_0, parameters={"user": "demo"})
        core.receive(self.client.send(startup))
        assert core.next_event() == startup
        conversation = Conversation(core, self.port)
        self.opened = self.engine.open(user="demo", database="demo", parameters={})
        self.session = session(conversation, self.opened, user="demo", blocking=self.engine.blocking)
        conversation.say(AuthenticationOk())
        self.session.start(BackendKeyData(process_id=1, secret_key=b"0123"))
        self._loop: Coroutine[Any, Any, None] = serve(conversation, self.session)
        self.greeting = self._answers()

    def ask(self, *messages: Message) -> list[Message]:
        """Send in one piece, and return all that comes back."""
        return self.send(b"".join(self.client.send(message) for message in messages))

    def send(self, data: bytes) -> list[Message]:
        """Send raw bytes."""
        self.port.inbox.append(data)
        return self._answers()

    def _answers(self) -> list[Message]:
        try:
            self._loop.send(None)
        except StopIteration:
            self.ended = True
        answers: list[Message] = []
        for data in self.port.outbox:
            if data:
                self.client.receive(data)
        self.port.outbox.clear()
        while (event := self.client.next_event()) is not None:
            if isinstance(event, DataRowRun):
                answers += event.messages()
            else:
                assert isinstance(event, Message)
                answers.append(event)
        return answers


def brief(answers: Sequence[Message]) -> list[str]:
    """Each answer by its name and what matters of it: `DataRow 1`, `CommandComplete SELECT 1`, `ReadyForQuery I`."""
    found = []
    for answer in answers:
        name = type(answer).__name__
        match answer:
            case DataRow():
                found.append(" ".join([name, *("NULL" if value is None else value.decode("latin-1")
                                               for value in answer.values)]))
            case _ if hasattr(answer, "fields_by_code"):
                found.append(f"{name} {answer.fields_by_code['C']}")
            case _ if hasattr(answer, "tag"):
                found.append(f"{name} {answer.tag}")
            case _ if hasattr(answer, "status"):
                found.append(f"{name} {answer.status}")
            case _ if hasattr(answer, "columns"):
                found.append(f"{name} {' '.join(column.name for column in answer.columns)}")
            case _ if hasattr(answer, "parameter_types"):
                found.append(" ".join([name, *map(str, answer.parameter_types)]))
            case ParameterStatus():
                found.append(f"{name} {answer.name}={answer.value}")
            case _:
                found.append(name)
    return found


