"""What other servers get wrong, each a test: the sequences of messages that broke them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence

import pytest

from febe.engines.duckdb import DuckDBEngine
from febe.engines.duckdb.types import _PLAIN, announced
from febe.protocol.connection import DataRowRun
from febe.protocol.copy import CopyData, CopyDone, CopyInResponse
from febe.protocol.extended import Bind, Close, Describe, Execute, Parse, Sync
from febe.protocol.message import Message
from febe.protocol.simple import Query, RowDescription
from febe.protocol.startup import CancelRequest, ParameterStatus, Terminate
from febe.server import Listener, Session
from febe.types.registry import TYPES
from tests.server.listening import SECONDS, Raw, listening
from tests.server.parity import said
from tests.server.wire import Script
from tests.types.live import decode


@pytest.fixture(scope="module")
def listener() -> Iterator[Listener]:
    with listening(DuckDBEngine()) as made:
        yield made


@pytest.fixture
def raw(listener: Listener) -> Iterator[Raw]:
    with Raw(listener) as made:
        made.log_in()
        yield made


def parse(sql: str, name: str = "") -> Parse:
    return Parse(statement=name, query=sql, parameter_types=[])


def bind(portal: str = "", statement: str = "", results: Sequence[int] = ()) -> Bind:
    return Bind(portal=portal, statement=statement, parameter_formats=[], parameters=[], result_formats=list(results))


def execute(portal: str = "", rows: int = 0) -> Execute:
    return Execute(portal=portal, maximum_rows=rows)


def ask(raw: Raw, *messages: Message) -> list[str]:
    return said(raw, messages)


def test_describe_does_not_run_the_query(raw: Raw) -> None:
    said(raw, "create temp table t (a int)")
    insert = parse("insert into t values (1) returning a")
    assert ask(raw, insert, Describe(kind="S", name=""), Sync())[2] == "RowDescription a"
    assert said(raw, "select count(*) as n from t")[1] == "DataRow 0"
    assert ask(raw, insert, bind(), Describe(kind="P", name=""), execute(), Sync())[-3:] == [
        "DataRow 1", "CommandComplete INSERT 0 1", "ReadyForQuery I"]
    assert said(raw, "select count(*) as n from t")[1] == "DataRow 1"


def test_after_an_error_all_up_to_sync_is_skipped_and_no_more(raw: Raw) -> None:
    assert ask(raw, parse("selec"), parse("select 1 as a", "s"), bind(statement="s"), execute(), Sync()) == [
        "ErrorResponse 42601", "ReadyForQuery I"]
    raw.say(parse("selec"), Sync(), parse("select 2 as b"), bind(), execute(), Sync())
    assert [type(one).__name__ for one in (*raw.answers(), *raw.answers())] == [
        "ErrorResponse", "ReadyForQuery", "ParseComplete", "BindComplete", "DataRowRun", "CommandComplete",
        "ReadyForQuery"]


def test_a_suspended_portal_is_not_complete(raw: Raw) -> None:
    assert ask(raw, parse("select x from generate_series(1, 3) t(x)"), bind(), execute(rows=2), execute(rows=2),
               Sync())[2:] == ["DataRow 1", "DataRow 2", "PortalSuspended", "DataRow 3", "CommandComplete SELECT 1",
                               "ReadyForQuery I"]


def test_named_portals_outlive_sync_within_a_transaction(raw: Raw) -> None:
    said(raw, "begin")
    ask(raw, parse("select x from generate_series(1, 3) t(x)"), bind("p"), execute("p", 1), Sync())
    assert ask(raw, execute("p", 1), Sync()) == ["DataRow 2", "PortalSuspended", "ReadyForQuery T"]
    said(raw, "rollback")


def test_close_never_fails(raw: Raw) -> None:
    assert ask(raw, Close(kind="P", name="none"), Close(kind="S", name="none"), Sync()) == [
        "CloseComplete", "CloseComplete", "ReadyForQuery I"]


def test_the_status_after_a_copy_is_the_transactions(raw: Raw) -> None:
    said(raw, "create temp table t (a int)")
    said(raw, "begin")
    raw.say(Query(query="copy t from stdin"))
    assert isinstance(raw.answer(), CopyInResponse)
    raw.say(CopyData(data=b"1\n"), CopyDone())
    assert raw.answers()[-1].status == "T"  # type: ignore[union-attr]
    said(raw, "rollback")
    assert said(raw, "select count(*) as n from t")[1] == "DataRow 0"


def test_a_failed_transaction_does_nothing_more(raw: Raw) -> None:
    assert said(raw, "begin")[-1] == "ReadyForQuery T"
    assert said(raw, "selec")[-1] == "ReadyForQuery E"
    assert said(raw, "select 1") == ["ErrorResponse 25P02", "ReadyForQuery E"]
    assert said(raw, "commit") == ["CommandComplete ROLLBACK", "ReadyForQuery I"]


VALUES = {
    "BOOLEAN": "true", "TINYINT": "-7", "UTINYINT": "255", "SMALLINT": "-32768", "USMALLINT": "65535",
    "INTEGER": "-2147483648", "UINTEGER": "4294967295", "BIGINT": "9223372036854775807",
    "UBIGINT": "18446744073709551615", "HUGEINT": "170141183460469231731687303715884105727", "FLOAT": "0.1",
    "DOUBLE": "-1e300", "DECIMAL": "1.25", "VARCHAR": "'ä b'", "BLOB": "'\\xAB\\x00'", "JSON": """'{"a": [1]}'""",
    "UUID": "'12345678-1234-5678-1234-567812345678'", "ENUM": "'a'", "DATE": "'2024-02-29'",
    "TIME": "'23:59:59.999999'", "TIME_NS": "'23:59:59.999999'", "TIMESTAMP": "'2024-02-29 12:34:56.789012'",
    "TIMESTAMP_S": "'2024-02-29 12:34:56'", "TIMESTAMP_MS": "'2024-02-29 12:34:56.789'",
    "TIMESTAMP_NS": "'2024-02-29 12:34:56.789012'", "TIMESTAMP WITH TIME ZONE": "'2024-02-29 12:34:56+02'",
    "TIMESTAMPTZ_NS": "'2024-02-29 12:34:56+02'", "INTERVAL": "'1 month 2 days 3.5 seconds'",
    "INTEGER[]": "[1, NULL, 3]", "STRUCT(a INTEGER)": "{'a': 1}",
}


@pytest.mark.parametrize("duckdb_type", [*_PLAIN, "INTEGER[]", "STRUCT(a INTEGER)"])
def test_a_type_that_is_announced_is_sent_in_both_formats(raw: Raw, duckdb_type: str) -> None:
    codec = TYPES.by_oid(announced(duckdb_type).type_oid)
    kind = "ENUM('a')" if duckdb_type == "ENUM" else duckdb_type
    found = []
    for form in (0, 1):
        raw.say(parse(f"select ({VALUES[duckdb_type]})::{kind} as a"), bind(results=[form]),
                Describe(kind="P", name=""), execute(), Sync())
        described, rows = raw.answers()[2:4]
        assert isinstance(described, RowDescription) and isinstance(rows, DataRowRun)
        assert (described.columns[0].type_oid, described.columns[0].format) == (codec.oid, form)
        value = next(iter(rows.messages())).values[0]
        assert value is not None
        found.append(decode(codec, form, value))
    assert found[0] == found[1]


def test_sql_is_not_changed_on_the_way(raw: Raw) -> None:
    assert said(raw, "select 'MiXed  Case -- no comment' as \"NaMe\"")[:2] == [
        "RowDescription NaMe", "DataRow MiXed  Case -- no comment"]


def test_a_cancel_request_is_not_answered(listener: Listener) -> None:
    with Raw(listener) as raw:
        raw.say(CancelRequest(process_id=1, secret_key=b"1234"))
        assert raw.rest() == b""


def test_a_silent_client_keeps_nobody_out(listener: Listener) -> None:
    with Raw(listener), Raw(listener) as other:
        other.log_in()
        assert said(other, "select 1 as one")[-1] == "ReadyForQuery I"


def test_terminate_ends_the_connection(raw: Raw) -> None:
    raw.say(Terminate())
    assert raw.rest() == b""


def test_who_goes_away_stops_his_query(listener: Listener) -> None:
    raw = Raw(listener)
    raw.log_in()
    sessions = listener.sessions
    raw.say(Query(query="select count(*) from range(1000000) a, range(1000000) b"))
    raw.socket.close()
    event = threading.Event()
    while listener.sessions >= sessions:
        event.wait(0.001)


def test_an_exception_in_one_session_is_no_matter_to_others() -> None:
    class Failing(Session):
        async def on_query(self, message: Query) -> None:
            if message.query == "fail":
                raise ZeroDivisionError
            await super().on_query(message)

    with listening(Script(), session=Failing) as listener, Raw(listener) as one, Raw(listener) as other:
        one.log_in()
        other.log_in()
        assert said(one, "fail") == ["ErrorResponse XX000", "ReadyForQuery I"]
        for client in (one, other):
            assert said(client, "one")[-2:] == ["CommandComplete SELECT 1", "ReadyForQuery I"]


def test_rows_are_sent_before_the_last_is_known() -> None:
    script = Script(blocking=True)
    with listening(script) as listener, Raw(listener) as raw:
        raw.log_in()
        raw.socket.settimeout(SECONDS)
        raw.say(Query(query="rows 10000000 by 10000"))
        rows = 0
        while rows < 100_000:
            answer = raw.answer()
            rows += answer.count if isinstance(answer, DataRowRun) else 0
        batches = [entry for entry in script.log if entry.startswith("batch")]
        assert len(batches) < 1000


def test_small_packets_do_not_wait(listener: Listener) -> None:
    """TCP_NODELAY: a server that forgets it is ten times slower."""
    found: list[int] = []

    class Watching(Session):
        async def on_query(self, message: Query) -> None:
            held = self.conversation.port.extra("socket")  # type: ignore[attr-defined]
            found.append(held.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            await super().on_query(message)

    with listening(Script(), session=Watching) as watched, Raw(watched) as raw:
        raw.log_in()
        said(raw, "one")
    assert found[0]


def test_set_is_followed_by_parameter_status(raw: Raw) -> None:
    answers = raw.query("set application_name = 'me'")
    assert [(one.name, one.value) for one in answers if isinstance(one, ParameterStatus)] == [
        ("application_name", "me")]


def test_nothing_but_semicolons_is_empty(raw: Raw) -> None:
    assert said(raw, ";;;") == ["EmptyQueryResponse", "ReadyForQuery I"]


def test_nested_transactions_of_frameworks(raw: Raw) -> None:
    """What Django and Rails say around a block within a block."""
    for sql in ("begin", 'savepoint "s1_x1"', "select 1 as one", 'release savepoint "s1_x1"', 'savepoint "s1_x2"'):
        assert said(raw, sql)[-1] == "ReadyForQuery T"
    assert said(raw, "select * from missing")[-1] == "ReadyForQuery E"
    assert said(raw, 'rollback to savepoint "s1_x2"')[-1] == "ReadyForQuery T"
    assert said(raw, "commit") == ["CommandComplete COMMIT", "ReadyForQuery I"]


def test_what_tableau_odbc_and_postgres_fdw_say(raw: Raw) -> None:
    said(raw, "begin")
    assert said(raw, 'declare "SQL_CUR1" cursor with hold for select 1 as a')[0] == "CommandComplete DECLARE CURSOR"
    assert said(raw, 'fetch 2048 in "SQL_CUR1"')[1:3] == ["DataRow 1", "CommandComplete FETCH 1"]
    said(raw, "commit")
    assert said(raw, 'move backward all in "SQL_CUR1"')[0] == "CommandComplete MOVE 1"
    assert said(raw, 'fetch all in "SQL_CUR1"')[1] == "DataRow 1"
    assert said(raw, 'close "SQL_CUR1"')[-1] == "ReadyForQuery I"
