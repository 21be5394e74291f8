"""What other drivers lack, where no other test says it: the page docs/peers.md names the test of each line."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pydantic
import pytest

import febe
from febe.errors import ConnectionLost, PostgresError
from febe.ports import asyncio as port
from febe.protocol.errors import postgres_error
from tests.client.faces import FACES, run
from tests.peers.postgres import Postgres


@pytest.mark.parametrize("face", FACES)
def test_a_listener_hears_that_the_server_is_gone(face: str, pg18: Postgres) -> None:
    async def main(connect: Any) -> None:
        connection, other = await connect(pg18.dsn()), await connect(pg18.dsn())
        with pytest.raises(ConnectionLost) as caught:
            async with connection.listen("news") as news:
                await other.execute("notify news, 'last'")
                assert (await news.__anext__()).payload == "last"
                await other.execute("select pg_terminate_backend($1)", connection.process_id)
                await news.__anext__()
        assert isinstance(caught.value, febe.Error) and connection.is_closed
        # Nothing is taken up again in silence: what was said meanwhile is lost, and the program has to know.
        with pytest.raises(ConnectionLost) as after:
            await connection.fetchval("select 1")
        assert after.value.retry_is_safe
        again = await connect(pg18.dsn())
        async with again.listen("news") as news:
            await other.execute("notify news, 'new'")
            assert (await news.__anext__()).payload == "new"
        await again.close()
        await other.close()

    run(face, main)


class Person(pydantic.BaseModel):
    name: str
    age: int


@pytest.mark.parametrize("face", FACES)
def test_rows_become_models(face: str, pg18: Postgres) -> None:
    async def main(connect: Any) -> None:
        connection = await connect(pg18.dsn())
        people = connection.into(Person)
        assert await people.fetch("select 'Ada' as name, $1::int4 as age", 36) == [Person(name="Ada", age=36)]
        with pytest.raises(pydantic.ValidationError):
            await people.fetchrow("select 'Ada' as name, 'old' as age")
        assert await connection.fetchval("select 1") == 1
        await connection.close()

    run(face, main)


@pytest.mark.parametrize("face", FACES)
def test_notices_have_all_fields(face: str, pg18: Postgres) -> None:
    notices: list[PostgresError] = []

    async def main(connect: Any) -> None:
        connection = await connect(pg18.dsn(), on_notice=notices.append)
        await connection.execute("do $$ begin raise warning 'w' using detail = 'd', hint = 'h', errcode = '01007', "
                                 "schema = 's', table = 't', column = 'c', datatype = 'y', constraint = 'n'; end $$")
        await connection.close()

    run(face, main)
    (notice,) = notices
    assert (notice.severity, notice.message, notice.detail, notice.hint, notice.sqlstate) == (
        "WARNING", "w", "d", "h", "01007")
    assert (notice.schema_name, notice.table_name, notice.column_name, notice.data_type_name,
            notice.constraint_name) == ("s", "t", "c", "y", "n")
    assert notice.where is not None and notice.file == "pl_exec.c" and notice.routine and notice.line


@pytest.mark.parametrize(("sqlstate", "expected"), [
    ("40001", True), ("40P01", True), ("53300", True), ("57P03", True), ("40003", False), ("57P01", False),
    ("23505", False)])
def test_errors_say_whether_a_retry_is_safe(sqlstate: str, expected: bool) -> None:
    assert postgres_error({"C": sqlstate, "M": "x"}).retry_is_safe is expected


def test_a_session_that_the_server_ends_is_lost() -> None:
    ended = postgres_error({"S": "FATAL", "C": "57P01", "M": "terminating connection"})
    assert isinstance(ended, febe.errors.AdminShutdown) and isinstance(ended, ConnectionLost)
    assert (str(ended), ended.retry_is_safe) == ("FATAL: terminating connection (SQLSTATE 57P01)", False)
    assert isinstance(postgres_error({"C": "25P03", "M": "x"}), ConnectionLost)
    assert not isinstance(postgres_error({"C": "57014", "M": "x"}), ConnectionLost)


@pytest.mark.slow
def test_a_type_checker_knows_what_rows_are(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent("""
        from dataclasses import dataclass
        import febe

        @dataclass
        class Person:
            name: str

        connection = febe.connect()
        reveal_type(connection.into(Person).fetch("select 1"))
        reveal_type(connection.into(Person).fetchrow("select 1"))
        reveal_type(connection.executemany("select 1", []))
    """))
    done = subprocess.run([sys.executable, "-m", "mypy", "--cache-dir", tmp_path / "cache", program],
                          capture_output=True, text=True, cwd=tmp_path)
    for kind in ("list[program.Person]", "program.Person | None", "int"):
        assert f'Revealed type is "{kind}"' in done.stdout.replace("builtins.", ""), done.stdout


def test_the_asyncio_port_asks_for_no_readiness() -> None:
    names = {node.attr for node in ast.walk(ast.parse(inspect.getsource(port))) if isinstance(node, ast.Attribute)}
    assert {"create_connection"} <= names
    assert not names & {"add_reader", "add_writer", "remove_reader", "sock_recv", "sock_sendall"}


@pytest.mark.parametrize("face", FACES)
def test_a_statement_has_a_deadline(face: str, pg18: Postgres) -> None:
    async def main(connect: Any) -> None:
        connection = await connect(pg18.dsn(), settings={"statement_timeout": "50"})
        for _ in range(2):
            with pytest.raises(febe.errors.QueryCanceled, match="statement timeout"):
                await connection.fetchval("select pg_sleep($1)", 60.0)
            assert await connection.fetchval("select $1::int4", 5) == 5
        async with connection.transaction():
            await connection.execute("set local statement_timeout = 0")
            assert await connection.fetchval("select pg_sleep(0.1) is not null") is True
        await connection.close()

    run(face, main)


@pytest.mark.parametrize("face", FACES)
def test_changes_of_parameters_are_seen(face: str, pg18: Postgres) -> None:
    async def main(connect: Any) -> None:
        connection = await connect(pg18.dsn(), application_name="first")
        assert connection.parameters["application_name"] == "first"
        await connection.execute("set application_name = 'second'")
        assert connection.parameters["application_name"] == "second"
        async with connection.transaction() as block:
            await connection.execute("set local application_name = 'third'")
            assert connection.parameters["application_name"] == "third"
            await block.rollback()
        assert connection.parameters["application_name"] == "second"
        await connection.close()

    run(face, main)


@pytest.mark.parametrize("face", FACES)
def test_a_restart_is_survived_by_connecting_again(face: str, pg18: Postgres) -> None:
    """What is told of a lost connection is one class, whoever closed it and whatever was asked."""
    async def main(connect: Any) -> None:
        connection, other = await connect(pg18.dsn()), await connect(pg18.dsn())
        for ask in ("fetch", "fetchrow", "fetchval", "execute"):
            lost = await connect(pg18.dsn())
            await other.execute("select pg_terminate_backend($1)", lost.process_id)
            with pytest.raises(ConnectionLost):
                while True:
                    await getattr(lost, ask)("select 1")
            with pytest.raises(ConnectionLost) as caught:
                await getattr(lost, ask)("select 1")
            assert caught.value.retry_is_safe and lost.is_closed
        assert await connection.fetchval("select 1") == 1
        await connection.close()
        await other.close()

    run(face, main)
