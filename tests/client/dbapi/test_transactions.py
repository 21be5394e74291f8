"""Transactions of DB-API 2.0: they begin by themselves, and may end in two phases."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

import febe
from febe import dbapi
from febe.errors import ConnectionLost, TransactionRolledBack
from tests.peers.postgres import Postgres


def test_they_begin_with_the_first_statement(connection: dbapi.Connection, pg18: Postgres) -> None:
    with febe.connect(pg18.dsn()) as other:
        other.execute("drop table if exists begun; create table begun (a int4)")
        assert not connection.in_transaction
        connection.execute("insert into begun values (%s)", (1,))
        assert connection.in_transaction and other.fetchval("select count(*) from begun") == 0
        connection.commit()
        assert not connection.in_transaction and other.fetchval("select count(*) from begun") == 1
        connection.execute("delete from begun")
        connection.rollback()
        assert other.fetchval("select count(*) from begun") == 1
        connection.commit()
        connection.autocommit = True
        connection.execute("delete from begun")
        assert not connection.in_transaction and other.fetchval("select count(*) from begun") == 0
        other.execute("drop table begun")


def test_begin_and_the_first_statement_are_one_flight(connection: dbapi.Connection) -> None:
    connection.execute("select %s::int4", (1,))
    connection.rollback()
    port = connection.session.port
    sent: list[bytes] = []
    sent_before_waiting: list[int] = []
    write, wait = port.write, port.wait

    def counted_write(out: bytes) -> None:
        sent.append(out)
        write(out)

    async def counted_wait() -> None:
        sent_before_waiting.append(len(sent))
        await wait()

    port.write, port.wait = counted_write, counted_wait  # type: ignore[method-assign, assignment]
    assert connection.execute("select %s::int4", (2,)).fetchone() == (2,)
    assert set(sent_before_waiting) == {2}


def test_an_error_before_anything_is_sent_leaves_a_transaction(connection: dbapi.Connection) -> None:
    connection.execute("select %s::int4", (1,))
    connection.rollback()
    with pytest.raises(dbapi.DataError):
        connection.execute("select %s::int4", ("x",))
    assert connection.in_transaction
    assert connection.execute("select 1").fetchone() == (1,)


def test_a_stale_statement_is_healed_at_the_beginning(connection: dbapi.Connection, pg18: Postgres) -> None:
    with febe.connect(pg18.dsn()) as other:
        other.execute("drop table if exists stale; create table stale (a int4); insert into stale values (1)")
        for _ in range(2):
            assert connection.execute("select * from stale", ()).fetchone() == (1,)
            connection.commit()
        other.execute("alter table stale add b text default 'new'")
        assert connection.execute("select * from stale", ()).fetchone() == (1, "new")
        connection.rollback()
        connection.execute("select 1")
        other.execute("alter table stale drop b")
        with pytest.raises(dbapi.NotSupportedError) as caught:  # in the middle of one it cannot be
            connection.execute("select * from stale", ())
        assert "prepared anew" in caught.value.__notes__[0]
        connection.rollback()
        assert connection.execute("select * from stale", ()).fetchone() == (1,)
        connection.rollback()
        other.execute("drop table stale")


def test_properties(connection: dbapi.Connection) -> None:
    connection.isolation_level = "repeatable read"
    connection.read_only = True
    connection.deferrable = True
    sql = "select current_setting('transaction_isolation'), current_setting('transaction_read_only')"
    assert connection.execute(sql).fetchone() == ("repeatable read", "on")
    assert (connection.isolation_level, connection.read_only, connection.deferrable) == ("repeatable read", True, True)
    for name in ("isolation_level", "read_only", "deferrable", "autocommit"):
        with pytest.raises(dbapi.ProgrammingError):
            setattr(connection, name, None)
    connection.rollback()
    connection.isolation_level = connection.read_only = connection.deferrable = None
    assert connection.execute(sql).fetchone() == ("read committed", "off")
    connection.rollback()
    with pytest.raises(dbapi.ProgrammingError):
        connection.isolation_level = "chaos"


def test_a_commit_that_was_none_is_told(connection: dbapi.Connection) -> None:
    with pytest.raises(dbapi.ProgrammingError):
        connection.execute("selec")
    assert connection.has_failed
    with pytest.raises(TransactionRolledBack) as caught:
        connection.commit()
    assert isinstance(caught.value, dbapi.InternalError)
    connection.rollback()


def test_a_block_commits_and_closes(pg18: Postgres) -> None:
    with dbapi.connect(pg18.dsn()) as connection:
        connection.execute("drop table if exists block; create table block (a int4)")
    assert connection.closed
    with pytest.raises(LookupError), dbapi.connect(pg18.dsn()) as connection:
        connection.execute("insert into block values (1)")
        raise LookupError
    with dbapi.connect(pg18.dsn()) as connection:
        assert connection.execute("select count(*) from block").fetchone() == (0,)
        connection.execute("drop table block")
    for use in (connection.commit, connection.rollback, connection.cursor, connection.close):
        with pytest.raises(dbapi.InterfaceError):
            use()


def test_a_connection_that_is_lost(connection: dbapi.Connection, pg18: Postgres) -> None:
    cursor = connection.execute("select pg_backend_pid()")
    with febe.connect(pg18.dsn()) as other:
        other.execute("select pg_terminate_backend($1)", cursor.fetchone()[0])
    with pytest.raises(dbapi.OperationalError):
        connection.execute("select 1")
    assert connection.closed
    with pytest.raises(ConnectionLost):
        connection.commit()


def test_threads_share_a_connection(connection: dbapi.Connection) -> None:
    found: list[object] = []

    def ask(number: int) -> None:
        found.append(connection.execute("select %s::int4", (number,)).fetchone()[0])

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == list(range(20))  # type: ignore[type-var]


# Two phases

@pytest.fixture
def tpc(pg18: Postgres) -> Iterator[dbapi.Connection]:
    with dbapi.connect(pg18.dsn()) as made:
        made.execute("create table two_phases (a int4)")
        made.commit()
        yield made
        made.autocommit = False
        made.execute("drop table two_phases")


def count(connection: dbapi.Connection) -> int:
    found = connection.execute("select count(*) from two_phases").fetchone()[0]
    connection.rollback()
    assert isinstance(found, int)
    return found


@pytest.mark.parametrize("is_prepared", [False, True])
@pytest.mark.parametrize("commits", [False, True])
def test_two_phases_of_one_connection(tpc: dbapi.Connection, is_prepared: bool, commits: bool) -> None:
    tpc.tpc_begin(tpc.xid(42, "global", "branch"))
    tpc.execute("insert into two_phases values (1)")
    for misused in (tpc.commit, tpc.rollback, lambda: tpc.tpc_begin("again"), lambda: tpc.tpc_commit("another")):
        with pytest.raises(dbapi.ProgrammingError):
            misused()
    if is_prepared:
        tpc.tpc_prepare()
        for misused in (tpc.tpc_prepare, lambda: tpc.execute("select 1")):
            with pytest.raises(dbapi.ProgrammingError):
                misused()
    (tpc.tpc_commit if commits else tpc.tpc_rollback)()
    assert count(tpc) == commits
    assert tpc.tpc_recover() == []
    for misused in (tpc.tpc_prepare, tpc.tpc_commit, tpc.tpc_rollback):
        with pytest.raises(dbapi.ProgrammingError):
            misused()


@pytest.mark.parametrize("commits", [False, True])
def test_another_connection_ends_what_was_prepared(pg18: Postgres, tpc: dbapi.Connection, commits: bool) -> None:
    first = dbapi.connect(pg18.dsn())
    for name in (first.xid(7, "gtrid", "bqual"), "it's a \\ name"):
        first.tpc_begin(name)
        first.execute("insert into two_phases values (1)")
        first.tpc_prepare()
        first.close()
        first = dbapi.connect(pg18.dsn())
    first.close()
    found = tpc.tpc_recover()
    assert [(xid.format_id, xid.gtrid, xid.bqual, xid.owner, xid.database) for xid in found] == [
        (7, "gtrid", "bqual", "postgres", "postgres"), (None, "it's a \\ name", None, "postgres", "postgres")]
    assert str(found[0]) == "7_Z3RyaWQ=_YnF1YWw=" and found[0].prepared is not None
    tpc.execute("select 1")
    with pytest.raises(dbapi.ProgrammingError):
        tpc.tpc_commit(found[0])
    tpc.rollback()
    for xid in found:
        (tpc.tpc_commit if commits else tpc.tpc_rollback)(xid)
    assert count(tpc) == 2 * commits
    with pytest.raises(dbapi.ProgrammingError, match="does not exist"):
        tpc.tpc_commit(found[0])


def test_what_cannot_be_an_identifier(tpc: dbapi.Connection) -> None:
    for arguments in ((-1, "a", "b"), (1 << 31, "a", "b"), (1, "a" * 65, "b"), (1, "a", "\n"), (1, "ä", "b")):
        with pytest.raises(dbapi.ProgrammingError):
            tpc.xid(*arguments)
    for gid in ("1_2", "x_Zw==_Zw==", "1_Zw_Zw==", "1_Zw==_Zw== ", "-1_Zw==_Zw=="):
        assert str(dbapi.Xid.parse(gid)) == gid and dbapi.Xid.parse(gid).format_id is None
    tpc.autocommit = True
    with pytest.raises(dbapi.ProgrammingError):
        tpc.tpc_begin("x")


def test_a_prepare_of_what_has_failed_is_told(tpc: dbapi.Connection) -> None:
    tpc.tpc_begin("failing")
    with pytest.raises(dbapi.ProgrammingError):
        tpc.execute("selec")
    with pytest.raises(TransactionRolledBack):
        tpc.tpc_prepare()
    tpc.tpc_rollback()
    assert tpc.tpc_recover() == []
