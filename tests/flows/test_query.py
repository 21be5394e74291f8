"""Preparing and running statements, against a backend on a core of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from febe.flows import prepare, query
from febe.flows.errors import DecodeError, EncodeError, NotSupported
from febe.flows.session import Session
from febe.ports.memory import MemoryPort, pair, run
from febe.protocol.asynchronous import NoticeResponse, NotificationResponse
from febe.protocol.copy import CopyData, CopyDone, CopyFail, CopyInResponse, CopyOutResponse
from febe.protocol.errors import ConnectionLost, LocalProtocolError, PostgresError, RemoteProtocolError
from febe.protocol.extended import (
    Bind,
    BindComplete,
    Close,
    CloseComplete,
    Describe,
    Execute,
    NoData,
    ParameterDescription,
    Parse,
    ParseComplete,
    Sync,
)
from febe.protocol.message import Message
from febe.protocol.simple import (
    CommandComplete,
    DataRow,
    EmptyQueryResponse,
    FieldDescription,
    Query,
    RowDescription,
)
from febe.protocol.startup import ParameterStatus, ReadyForQuery, Terminate
from tests.flows.backend import Backend, conversation, error

CHUNKS = pytest.mark.parametrize("chunk", [0, 1, 7])
INT4, TEXT, ACLITEM = 23, 25, 1033
READY = ReadyForQuery(status="I")
NOTICE = NoticeResponse(fields_by_code={"S": "NOTICE", "V": "NOTICE", "C": "00000", "M": "by the way"})


def column(name: str, oid: int = INT4) -> FieldDescription:
    return FieldDescription(name=name, type_oid=oid, type_size=-1)


async def parse(backend: Backend, *columns: FieldDescription, parameters: tuple[int, ...] = ()) -> Parse:
    """Answer Parse, Describe and Sync."""
    parsed, described, _ = await backend.expect_all(Parse, Describe, Sync)
    assert (described.kind, described.name) == ("S", parsed.statement)
    await backend.say(ParseComplete(), ParameterDescription(parameter_types=list(parameters)),
                      RowDescription(columns=list(columns)) if columns else NoData(), READY)
    return parsed  # type: ignore[no-any-return]


async def bound(backend: Backend, *rows: list[bytes | None], tag: str = "SELECT 1", between: tuple[Message, ...] = ()
                ) -> Bind:
    """Answer Bind, Execute and Sync."""
    bind, execute, _ = await backend.expect_all(Bind, Execute, Sync)
    assert execute.maximum_rows == 0
    await backend.say(BindComplete(), *between, *(DataRow(values=row) for row in rows), *between,
                      CommandComplete(tag=tag), READY)
    return bind  # type: ignore[no-any-return]


@CHUNKS
def test_first_use_is_two_flights_later_use_is_one(chunk: int) -> None:
    async def client(session: Session) -> Any:
        first = await query.fetch(session, "select $1", (7,))
        return first, await query.fetch(session, "select $1", (8,))

    async def script(backend: Backend) -> None:
        parsed = await parse(backend, column("a"), column("p", ACLITEM), parameters=(INT4,))
        assert parsed.query == "select $1"
        bind = await bound(backend, [b"\0\0\0\7", b"(1,2)"])
        assert bind == Bind(portal="", statement=parsed.statement, parameter_formats=[1], parameters=[b"\0\0\0\7"],
                            result_formats=[1, 0])
        again = await bound(backend, [b"\0\0\0\x08", None], [None, b""])
        assert (again.statement, again.parameters) == (parsed.statement, [b"\0\0\0\x08"])
        await backend.expect(Terminate)

    first, second = conversation(client, script, chunk=chunk)
    assert first == [(7, "(1,2)")]
    assert (first[0].a, first[0]["p"]) == (7, "(1,2)")
    assert second == [(8, None), (None, "")]


def test_first_row_and_first_value() -> None:
    async def client(session: Session) -> Any:
        return [await query.fetchrow(session, "q", ()), await query.fetchval(session, "q", ()),
                await query.fetchrow(session, "q", ()), await query.fetchval(session, "q", ()),
                await query.execute(session, await prepare.prepare(session, "q"), ())]

    async def script(backend: Backend) -> None:
        await parse(backend, column("a"))
        two: tuple[list[bytes | None], ...] = [b"\0\0\0\1"], [b"no integer, and nobody looks"]
        await bound(backend, *two)
        await bound(backend, *two)
        await bound(backend)
        await bound(backend)
        await parse(backend, column("a"))
        await bound(backend, two[0], tag="SELECT 2")
        await backend.expect(Terminate)

    *rest, executed = conversation(client, script)
    assert rest == [(1,), 1, None, None]
    assert (executed, executed.rows, executed.rowcount, executed.columns[0].name) == ("SELECT 2", [(1,)], 2, "a")


def test_the_cache_is_bounded_and_closes_what_it_drops() -> None:
    async def client(session: Session) -> None:
        for sql in ("a", "b", "a", "c", "a", "b"):
            await query.fetch(session, sql, ())

    async def script(backend: Backend) -> None:
        names = {}
        for sql in ("a", "b"):
            names[sql] = (await parse(backend)).statement
            await bound(backend)
        assert (await bound(backend)).statement == names["a"]
        # "b" is the one used least recently
        assert await backend.expect(Close) == Close(kind="S", name=names["b"])
        await backend.say(CloseComplete())
        names["c"] = (await parse(backend)).statement
        await bound(backend)
        assert (await bound(backend)).statement == names["a"]
        assert (await backend.expect(Close)).name == names["c"]
        await backend.say(CloseComplete())
        assert (await parse(backend)).statement not in names.values()
        await bound(backend)
        await backend.expect(Terminate)

    conversation(client, script, statement_cache_size=2)


def test_without_a_cache_each_flight_has_its_own_parse() -> None:
    async def client(session: Session) -> Any:
        rows = await query.fetch(session, "q", (1,))
        with pytest.raises(EncodeError):
            await query.fetch(session, "q", ("x",))
        changed = await query.fetch(session, "q", (1,))
        with pytest.raises(PostgresError):
            await query.fetch(session, "q", (1,))
        return rows, changed

    async def flight(backend: Backend, *columns: FieldDescription, rows: tuple[bytes, ...] = ()) -> None:
        parsed, _bind, _describe, _execute, _sync = await backend.expect_all(Parse, Bind, Describe, Execute, Sync)
        assert (parsed.statement, parsed.parameter_types) == ("", [INT4])
        await backend.say(ParseComplete(), BindComplete(), RowDescription(columns=list(columns)),
                          *(DataRow(values=[row]) for row in rows), CommandComplete(tag="SELECT"), READY)

    async def script(backend: Backend) -> None:
        assert (await parse(backend, column("a"), parameters=(INT4,))).statement == ""
        await flight(backend, replace(column("a"), format=1), rows=(b"\0\0\0\1",))
        # Without a cache each run is described; a parameter that does not fit stops it before anything is run.
        await parse(backend, column("a"), parameters=(INT4,))
        # The table has changed between the two flights: what the second one says counts.
        await parse(backend, column("a"), parameters=(INT4,))
        await flight(backend, replace(column("b", TEXT), format=1), rows=(b"text",))
        await parse(backend, column("a"), parameters=(INT4,))
        await backend.expect_all(Parse)
        await backend.say(error("42601"))
        await backend.expect(Sync)
        await backend.say(READY)
        await backend.expect(Terminate)

    assert conversation(client, script, statement_cache_size=0) == ([(1,)], [("text",)])


def test_a_parameter_that_does_not_fit_is_named_and_nothing_is_sent() -> None:
    async def client(session: Session) -> None:
        statement = await prepare.prepare(session, "q")
        assert isinstance(session.port, MemoryPort)
        before = bytes(session.port.sent)
        with pytest.raises(EncodeError, match=r"^parameter \$2 \(int4\): ") as caught:
            await query.fetch(session, statement, ("x", 1 << 31))
        assert (caught.value.parameter, caught.value.type_name, caught.value.value) == (2, "int4", 1 << 31)
        for args, count in (((), "0 given"), ((1, 2, 3), "3 given")):
            with pytest.raises(EncodeError, match=f"takes 2 parameters, {count}"):
                await query.fetch(session, statement, args)
        assert bytes(session.port.sent) == before
        await query.fetch(session, statement, ("x", 1))

    async def script(backend: Backend) -> None:
        await parse(backend, parameters=(TEXT, INT4))
        await bound(backend)
        await backend.expect(Terminate)

    conversation(client, script)


@CHUNKS
def test_a_value_that_cannot_be_decoded_is_named_and_the_rest_is_read(chunk: int) -> None:
    async def client(session: Session) -> Any:
        with pytest.raises(DecodeError, match=r'column "b" \(int4\), row 1: .*abc') as caught:
            await query.fetch(session, "q", ())
        failed = caught.value
        assert (failed.column, failed.type_name, failed.row, failed.data) == ("b", "int4", 1, b"abc")
        return await query.fetch(session, "q", ())

    async def script(backend: Backend) -> None:
        one = b"\0\0\0\1"
        await parse(backend, column("a"), column("b"))
        await bound(backend, [one, one], [one, b"abc"], [one, one])
        await bound(backend, [one, one])
        await backend.expect(Terminate)

    assert conversation(client, script, chunk=chunk) == [(1, 1)]


def test_rows_that_do_not_fit_their_description_end_the_session() -> None:
    async def client(session: Session) -> None:
        with pytest.raises(RemoteProtocolError, match="DataRow"):
            await query.fetch(session, "q", ())
        with pytest.raises(ConnectionLost, match="DataRow"):
            await query.fetch(session, "q", ())

    async def script(backend: Backend) -> None:
        await parse(backend, column("a"))
        await bound(backend, [b"\0\0\0\1", None])

    conversation(client, script)


@pytest.mark.parametrize("stale", [
    error("26000", 'prepared statement "febe_1" does not exist'),
    error("0A000", "cached plan must not change result type", R="RevalidateCachedQuery"),
    error("0A000", "cached plan must not change result type")], ids=["26000", "0A000", "0A000 without routine"])
@pytest.mark.parametrize("kept", [False, True], ids=["cached", "prepared"])
def test_a_stale_statement_is_prepared_anew(stale: Any, kept: bool) -> None:
    async def client(session: Session) -> Any:
        what = await prepare.prepare(session, "q") if kept else "q"
        first = await query.fetch(session, what, ())
        return first, await query.fetch(session, what, ()), await query.fetch(session, what, ())

    async def script(backend: Backend) -> None:
        name = (await parse(backend, column("a"))).statement
        await bound(backend, [b"\0\0\0\1"])
        await backend.expect(Bind)
        await backend.say(stale)
        await backend.expect(Sync)
        await backend.say(READY)
        assert (await backend.expect(Close)).name == name
        await backend.say(CloseComplete())
        other = (await parse(backend, column("a", TEXT))).statement
        assert other != name
        await bound(backend, [b"one"])
        assert (await bound(backend, [b"two"])).statement == other
        await backend.expect(Terminate)

    assert conversation(client, script) == ([(1,)], [("one",)], [("two",)])


def test_a_stale_statement_is_tried_again_only_once() -> None:
    async def client(session: Session) -> None:
        await query.fetch(session, "q", ())
        with pytest.raises(PostgresError, match="gone"):
            await query.fetch(session, "q", ())

    async def script(backend: Backend) -> None:
        await parse(backend)
        await bound(backend)
        for again in (True, False):
            await backend.expect(Bind)
            await backend.say(error("26000", "gone"))
            await backend.expect(Sync)
            await backend.say(READY)
            if again:
                await backend.expect(Close)
                await backend.say(CloseComplete())
                await parse(backend)
        await backend.expect(Terminate)

    conversation(client, script)


def test_inside_a_transaction_a_stale_statement_is_an_error() -> None:
    async def client(session: Session) -> None:
        await query.fetch(session, "q", ())
        await query.execute(session, "begin", ())
        with pytest.raises(PostgresError, match="gone") as caught:
            await query.fetch(session, "q", ())
        assert "prepared anew" in caught.value.__notes__[0]
        await query.execute(session, "rollback", ())
        await query.fetch(session, "q", ())

    async def script(backend: Backend) -> None:
        await parse(backend)
        await bound(backend)
        await backend.expect(Query)
        await backend.say(CommandComplete(tag="BEGIN"), ReadyForQuery(status="T"))
        await backend.expect(Bind)
        await backend.say(error("26000", "gone"))
        await backend.expect(Sync)
        await backend.say(ReadyForQuery(status="E"))
        await backend.expect(Query)
        await backend.say(CommandComplete(tag="ROLLBACK"), READY)
        await backend.expect(Close)
        await backend.say(CloseComplete())
        await parse(backend)
        await bound(backend)
        await backend.expect(Terminate)

    conversation(client, script)


def test_an_error_of_the_statement_itself_is_not_mistaken_for_a_stale_one() -> None:
    async def client(session: Session) -> None:
        with pytest.raises(PostgresError, match="inner"):
            await query.fetch(session, "q", ())

    async def script(backend: Backend) -> None:
        await parse(backend)
        await backend.expect_all(Bind, Execute)
        await backend.say(BindComplete(), error("26000", "inner"))
        await backend.expect(Sync)
        await backend.say(READY)
        await backend.expect(Terminate)

    conversation(client, script)


@CHUNKS
def test_what_comes_at_any_time(chunk: int) -> None:
    notices: list[PostgresError] = []
    notifications: list[NotificationResponse] = []
    news = NotificationResponse(process_id=1, channel="c", payload="p")

    def fail(notice: PostgresError) -> None:
        notices.append(notice)
        raise ValueError("the program's own")

    async def client(session: Session) -> Any:
        rows = await query.fetch(session, "q", ())
        return rows, session.parameters["TimeZone"]

    async def script(backend: Backend) -> None:
        await parse(backend, column("a"))
        await bound(backend, [b"\0\0\0\1"], between=(NOTICE, news, ParameterStatus(name="TimeZone", value="UTC")))
        await backend.expect(Terminate)

    rows, zone = conversation(client, script, chunk=chunk, on_notice=fail, on_notification=notifications.append)
    assert (rows, zone) == ([(1,)], "UTC")
    assert [str(notice) for notice in notices] == ["NOTICE: by the way (SQLSTATE 00000)"] * 2
    assert notifications == [news, news]


@CHUNKS
def test_simple_query_of_several_statements(chunk: int) -> None:
    async def client(session: Session) -> Any:
        first = await query.execute(session, "select 1; insert; ;", ())
        empty = await query.execute(session, "", ())
        with pytest.raises(PostgresError, match="second"):
            await query.execute(session, "one; two", ())
        with pytest.raises(LocalProtocolError, match="NUL"):
            await query.execute(session, "a\0b", ())
        with pytest.raises(LocalProtocolError, match="NUL"):
            await query.fetch(session, "a\0b", ())
        return first, empty

    async def script(backend: Backend) -> None:
        await backend.expect(Query)
        await backend.say(RowDescription(columns=[column("a")]), DataRow(values=[b"1"]),
                          CommandComplete(tag="SELECT 1"), CommandComplete(tag="INSERT 0 1"), READY)
        await backend.expect(Query)
        await backend.say(EmptyQueryResponse(), READY)
        await backend.expect(Query)
        await backend.say(CommandComplete(tag="one"), error("42601", "second"), READY)
        await backend.expect(Terminate)

    assert conversation(client, script, chunk=chunk) == ("INSERT 0 1", "")


@CHUNKS
@pytest.mark.parametrize("extended", [False, True])
def test_copy_is_refused_and_the_session_goes_on(chunk: int, extended: bool) -> None:
    async def client(session: Session) -> Any:
        for _ in range(2):
            with pytest.raises(NotSupported, match="COPY"):
                await (query.fetch if extended else query.execute)(session, "copy", ())
        return await query.execute(session, "select", ())

    async def ask(backend: Backend) -> None:
        if extended:
            await backend.expect_all(Bind, Execute)
            await backend.say(BindComplete())
        else:
            await backend.expect(Query)

    async def script(backend: Backend) -> None:
        if extended:
            await parse(backend)
        await ask(backend)
        await backend.say(CopyInResponse(format=0, column_formats=[0]))
        await backend.expect(CopyFail)
        await backend.say(error("57014", "COPY from stdin failed"))
        if extended:
            await backend.expect(Sync)
        await backend.say(READY)
        await ask(backend)
        await backend.say(CopyOutResponse(format=0, column_formats=[0]), CopyData(data=b"1\n"), CopyData(data=b"2\n"),
                          CopyDone(), CommandComplete(tag="COPY 2"))
        if extended:
            await backend.expect(Sync)
        await backend.say(READY)
        await backend.expect(Query)
        await backend.say(CommandComplete(tag="SELECT 0"), READY)
        await backend.expect(Terminate)

    assert conversation(client, script, chunk=chunk) == "SELECT 0"


def test_a_changed_client_encoding_is_told() -> None:
    async def client(session: Session) -> None:
        with pytest.raises(NotSupported, match="LATIN1"):
            await query.execute(session, "set client_encoding", ())
        await query.execute(session, "reset client_encoding", ())

    async def script(backend: Backend) -> None:
        for encoding in ("LATIN1", "UTF8"):
            await backend.expect(Query)
            changed = ParameterStatus(name="client_encoding", value=encoding)
            await backend.say(CommandComplete(tag="SET"), changed, READY)
        await backend.expect(Terminate)

    conversation(client, script)


FAREWELL = error("57P01", "shutdown", V="FATAL")


def test_a_server_that_says_good_bye_while_nothing_is_asked() -> None:
    async def client(session: Session) -> None:
        assert isinstance(session.port, MemoryPort)
        await session.port.peer.flush(FAREWELL.encode())
        session.port.peer.abort()
        with pytest.raises(PostgresError, match="shutdown") as caught:
            await query.execute(session, "select", ())
        assert isinstance(caught.value.__cause__, ConnectionLost)
        with pytest.raises(ConnectionLost, match="is closed") as lost:
            await query.execute(session, "select", ())
        assert lost.value.retry_is_safe
        assert session.is_closed

    async def script(backend: Backend) -> None:
        await backend.expect(Message)

    conversation(client, script)


def test_a_server_that_says_good_bye_after_an_answer() -> None:
    async def client(session: Session) -> str:
        tag = await query.execute(session, "select", ())
        with pytest.raises(ConnectionLost, match="shutdown") as lost:
            await query.execute(session, "select", ())
        assert lost.value.retry_is_safe
        return tag

    async def script(backend: Backend) -> None:
        await backend.expect(Query)
        await backend.say(CommandComplete(tag="SELECT 0"), READY, FAREWELL)
        await backend.port.aclose()

    assert conversation(client, script) == "SELECT 0"


def test_a_connection_that_is_cut() -> None:
    async def client(session: Session) -> None:
        with pytest.raises(ConnectionLost) as lost:
            await query.execute(session, "select", ())
        assert not lost.value.retry_is_safe

    async def script(backend: Backend) -> None:
        await backend.expect(Query)
        await backend.port.aclose()

    conversation(client, script)


def test_an_interrupted_exchange_ends_the_session() -> None:
    left, right = pair()
    backend = Backend(right)

    async def client() -> Session:
        from febe.flows.connect import Login, connect

        return await connect(left, Login(user="u"))

    session = run(client(), backend.open())
    flow = query.fetch(session, "select", ())
    flow.send(None)  # it waits for the answer to Parse
    with pytest.raises(KeyboardInterrupt) as caught:
        flow.throw(KeyboardInterrupt())
    assert "not read to the end" in caught.value.__notes__[0]
    assert session.is_closed
    with pytest.raises(ConnectionLost, match="KeyboardInterrupt"):
        run(query.fetch(session, "select", ()))


def test_statements_closed_and_forgotten() -> None:
    async def client(session: Session) -> Any:
        kept = await prepare.prepare(session, "kept")
        await prepare.close_statement(session, kept)
        await prepare.close_statement(session, kept)
        forgotten = await prepare.prepare(session, "forgotten")
        prepare.discard(session, forgotten)
        return await query.fetch(session, kept, ())

    async def script(backend: Backend) -> None:
        name = (await parse(backend)).statement
        assert (await backend.expect_all(Close, Sync))[0].name == name
        await backend.say(CloseComplete(), READY)
        other = (await parse(backend)).statement
        # closed with the next Parse, here that of "kept", which is used after its close
        assert (await backend.expect(Close)).name == other
        await backend.say(CloseComplete())
        await parse(backend)
        await bound(backend)
        await backend.expect(Terminate)

    assert conversation(client, script) == []
