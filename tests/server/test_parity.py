"""Conversations that PostgreSQL 18 and febe on DuckDB have to answer alike, message by message."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from febe.engines.duckdb import DuckDBEngine
from febe.protocol.extended import Bind, Close, Describe, Execute, Parse, Sync
from febe.protocol.function import FunctionCall
from febe.protocol.message import Message
from febe.server import Listener
from tests.peers.postgres import Postgres
from tests.server.listening import listening
from tests.server.parity import connected, said

_FIVE = "select x from (values (1),(2),(3),(4),(5)) t(x)"
Step = str | Sequence[Message]


def parse(sql: str, name: str = "", types: Sequence[int] = ()) -> Parse:
    return Parse(statement=name, query=sql, parameter_types=list(types))


def bind(*values: bytes | None, portal: str = "", statement: str = "", results: Sequence[int] = ()) -> Bind:
    return Bind(portal=portal, statement=statement, parameter_formats=[], parameters=list(values),
                result_formats=list(results))


def execute(portal: str = "", rows: int = 0) -> Execute:
    return Execute(portal=portal, maximum_rows=rows)


def call(oid: int, *arguments: bytes | None, result: int = 1) -> FunctionCall:
    return FunctionCall(function_oid=oid, argument_formats=[1], arguments=list(arguments), result_format=result)


_SCRIPTS: dict[str, Sequence[Step]] = {
    "prepare": [
        "prepare p (int, text) as select $1 + 1 as a, $2 as b", "execute p (1, 'x')", "execute p(null, null)",
        "execute p(-3, 'it''s')", "execute p(1 + 1, upper('x'))", "execute p(1)", "execute p", "execute q",
        "prepare p as select 1", "execute p('x', 'y')", "deallocate q", "deallocate prepare p", "execute p(1, 'x')",
        "prepare none as select 1 as one", "execute none", "deallocate all", "execute none", "prepare x",
        "prepare x as", "prepare x (nonsense) as select 1", "prepare x as begin"],
    "prepare and Parse share their names": [
        "prepare p as select 1 as one", [parse("select 2", "p"), Sync()],
        [bind(statement="p"), execute(), Sync()], [Describe(kind="S", name="p"), Sync()],
        [Close(kind="S", name="p"), Sync()], "execute p",
        [parse("select 7::int4 as seven", "q"), Sync()], "execute q", [parse("execute q"), Describe(kind="S", name=""),
                                                                     bind(results=[1]), execute(), Sync()],
        "deallocate q", [bind(statement="q"), Sync()]],
    "cursor": [
        "begin", f"declare c cursor for {_FIVE}", "fetch c", "fetch 2 from c", "fetch forward 1 in c", "fetch all c",
        "fetch c", "close c", "fetch c", "rollback"],
    "cursor, scrolling": [
        "begin", f"declare c scroll cursor for {_FIVE}", "fetch prior c", "fetch next c", "fetch relative 2 c",
        "fetch backward 1 c", "fetch 0 c", "fetch last c", "fetch next c", "fetch prior c", "fetch first c",
        "fetch absolute 4 c", "fetch absolute -2 c", "fetch absolute 99 c", "fetch backward all c", "fetch all c",
        "fetch backward 2 c", "fetch relative -1 c", "fetch absolute 0 c", "fetch forward all c", "fetch relative 0 c",
        "fetch absolute -9 c", "move 2 c", "move backward all c", "move all c", "move 0 c", "move absolute 3 c",
        "fetch c", "move relative -2 c", "fetch -2 c", "fetch forward 0 c", "fetch backward 0 c", "commit"],
    "cursor that cannot go back": [
        "begin", f"declare c no scroll cursor for {_FIVE}", "fetch 2 c", "fetch prior c", "rollback"],
    "cursor that may go back": [
        "begin", f"declare c cursor for {_FIVE}", "fetch 3 c", "move backward all c", "fetch 1 c", "commit"],
    "cursor with hold": [
        f"declare c cursor with hold for {_FIVE}", "fetch 2 c", f"declare c cursor with hold for {_FIVE}", "begin",
        "fetch 1 c", "rollback", "fetch 1 c", "fetch backward 2 c", "close c", "begin",
        f"declare d no scroll cursor with hold for {_FIVE}", "fetch 1 d", "commit", "fetch 2 d", "close all", "fetch d",
        "begin", f"declare e cursor with hold for {_FIVE}", "rollback", "fetch e"],
    "cursor, refused": [
        f"declare c cursor for {_FIVE}", "fetch c", "close c", "move c", "begin", "declare c cursor for select 1/x",
        "commit", "declare c", "fetch", "fetch 1 from", "fetch sideways 2 from c", "begin",
        f"declare c cursor for {_FIVE}", f"declare c cursor for {_FIVE}", "rollback"],
    "cursor, binary": [
        "begin", f"declare c binary cursor for {_FIVE}", "fetch 2 c", "commit"],
    "cursor in the extended protocol": [
        "begin", [parse("declare c cursor for select x from (values (1),(2),(3)) t(x) where x > $1", types=[23]),
                  bind(b"1"), execute(), Sync()],
        [parse("fetch 1 from c"), Describe(kind="S", name=""), bind(results=[1]), execute(), Sync()],
        [parse("fetch 5 from c"), bind(), execute(), Sync()], "fetch c", "commit"],
    "portals are cursors": [
        "begin", [parse(_FIVE), bind(portal="p"), execute("p", 2), Sync()], "fetch 1 from p", [execute("p", 1), Sync()],
        "move p", "fetch p", "close p", [execute("p"), Sync()], "rollback"],
    "discard": [
        "prepare p as select 1 as one", "discard plans", "execute p", "discard all", "execute p", "begin",
        "discard all", "rollback", "discard", "discard sequences", "create temp table febe_t (a int)", "discard temp",
        "select * from febe_t"],
    "set": [
        "set application_name = 'x'", "show application_name", "begin", "set local application_name to 'y'",
        "show application_name", "commit", "show application_name", "begin", "set application_name to 'z'", "rollback",
        "show application_name", "set local application_name = 'w'", "show application_name", "reset application_name",
        "set nonsense = 1", "set febe.own = 'v'", "show febe.own", "show febe.missing", "set timezone = 'Mars'",
        "select set_config('application_name', 'a', false)", "select current_setting('application_name')",
        "select set_config('febe.x', 'b', true)", "select current_setting('febe.missing', true)",
        "select current_setting('febe.missing')",
        "select pg_catalog.set_config('application_name', null, false) as was", "begin",
        "select set_config('application_name', 'c', true)", "rollback", "show application_name"],
    "savepoints": [
        "savepoint a", "release a", "rollback to a", "begin", "savepoint a", "savepoint b", "release savepoint a",
        "rollback to b", "rollback", "begin", "savepoint a", "selec", "select 1", "rollback to savepoint a",
        "select 1 as one", "release a", "commit", "begin", "savepoint a", "savepoint a", "rollback to a", "release a",
        "rollback to a", "release nothing", "rollback to a", "commit", "begin", "savepoint a", "selec", "commit"],
    "savepoints and settings": [
        "begin", "set application_name = 'one'", "savepoint a", "set application_name = 'two'", "rollback to a",
        "show application_name", "commit", "show application_name", "reset application_name"],
    "savepoints and cursors": [
        "begin", "savepoint a", f"declare c cursor for {_FIVE}", "fetch c", "rollback to a", "fetch c", "rollback"],
    "listening": [
        "listen a", "notify a", "notify a, 'text'", "select pg_listening_channels()", "begin", "notify a, 'one'",
        "notify a, 'two'", "notify a, 'one'", "select 1 as one", "commit", "begin", "notify a, 'never'", "rollback",
        "select pg_notify('a', 'by call')", "unlisten b", "begin", "unlisten a", "rollback", "notify a", "unlisten *",
        "notify a", "listen", "notify", "notify a, b", "select pg_notify('', '')", "begin", "listen c", "notify c",
        "commit", "select * from pg_listening_channels()", 'listen "Quoted Name"', 'notify "Quoted Name"',
        "begin", "savepoint s", "notify c, 'undone'", "rollback to s", "notify c, 'kept'", "commit", "discard all",
        "notify c"],
    "advisory locks": [
        "select pg_advisory_lock(1)", "select pg_try_advisory_lock(1)", "select pg_advisory_unlock(1)",
        "select pg_advisory_unlock(1)", "select pg_advisory_unlock(1)", "begin", "select pg_advisory_xact_lock(1, 2)",
        "select pg_try_advisory_xact_lock_shared(1, 2)", "commit", "select pg_advisory_unlock(1, 2)",
        "select pg_advisory_lock_shared(5)", "select pg_advisory_unlock_all()", "select pg_advisory_unlock_shared(5)",
        "select pg_advisory_lock(null)"],
    "processes": [
        "select pg_cancel_backend(0)", "select pg_terminate_backend(0)", "select pg_sleep(0)", "select pg_sleep('x')"],
    "functions by OID": [
        [call(715, b"\0\0\xff\xff")], "begin", [call(952, b"\0\0\xff\xff", b"\0\6\0\0")],
        [call(955, b"\0\0\0\0", b"hello")], [call(956, b"\0\0\0\0", b"\0\0\0\1", b"\0\0\0\0")],
        [call(954, b"\0\0\0\0", b"\0\0\0\3")], [call(958, b"\0\0\0\0")], [call(1004, b"\0\0\0\0", b"\0\0\0\2")],
        [call(953, b"\0\0\0\0")], "commit", [call(3458, b"\0\0\xff\xff")], [call(3458, b"\0\0\xff\xff", result=0)],
        [call(3458, None)], [call(964, b"\0\0\xff\xff")], [call(964, b"\0\0\xff\xff")], [call(953, b"\0\0\0\7")],
        [call(1)], [call(3458)], [call(3458, b"\0\0\0\0\0")], "begin", "selec", [call(2026)], "rollback",
        "begin", [call(715, b"\0\0\xff\xff")], "rollback", [call(964, b"\0\0\xff\xff")]],
    "lock": [
        "create temp table febe_l (a int)", "lock table febe_l in access share mode", "begin",
        "lock table febe_l in access share mode", "lock febe_l, febe_l in row share mode nowait",
        "lock table febe_missing in access share mode", "rollback", "lock febe_l in nonsense mode"],
    "empty and several": [
        "", ";;", " -- nothing", "select 1 as a; select 2 as b", "begin; select 1 as a",
        "select 2 as b; commit; select 3 as c", "select 1 as a; begin; select 2 as b", "rollback"],
    "pipeline": [
        [parse("select 1 as a"), bind(), execute(), parse("select 2 as b"), bind(), execute(), Sync()],
        [parse("select 1 as a"), bind(), execute(), parse("selec"), bind(), execute(), Sync()],
        [parse("begin"), bind(), execute(), parse("select 1 as a"), bind(portal="p"), execute("p"), Sync()],
        [parse("commit"), bind(), execute(), parse("select 1 as a"), bind(), execute(), Sync()],
        [parse("rollback"), bind(), execute(), Sync()]],
    "types of parameters": [
        [parse("select $1::int4 + 1 as a"), Describe(kind="S", name=""), Sync()],
        [parse("select $1 as a"), Describe(kind="S", name=""), bind(b"x"), execute(), Sync()],
        [parse("select x from (values (1)) t(x) where x = $1"), Describe(kind="S", name=""), Sync()],
        [parse("select x from (values ('a'::text)) t(x) where x like $1"), Describe(kind="S", name=""), Sync()]],
}


@pytest.fixture(scope="module")
def served() -> Iterator[Listener]:
    with listening(DuckDBEngine()) as listener:
        yield listener


@pytest.mark.parametrize("name", _SCRIPTS)
def test_alike(served: Listener, pg18: Postgres, name: str) -> None:
    with connected(pg18.port, "trust", "postgres") as real, connected(served.port, "trust", "postgres") as ours:
        for step in _SCRIPTS[name]:
            assert said(ours, step) == said(real, step), step
