"""Places, clocks, sizes, and the ways a server ends: scripted clients, and no waiting but for what must come."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from febe import connect
from febe.errors import PostgresError
from febe.protocol.asynchronous import ErrorResponse
from febe.protocol.simple import Query
from febe.protocol.startup import VERSION_3_0, ReadyForQuery, Terminate
from febe.server import Limits, Shutdown, User, UserFile, UserFileError, access_rules
from febe.server.limits import FatalError, Places
from febe.server.parameters import milliseconds
from tests.peers import postgres as servers
from tests.peers.postgres import Postgres
from tests.server.listening import SECONDS, Raw, fatal, listening, startup
from tests.server.test_listener import Waiting
from tests.server.wire import Script, brief


def refusal(client: Raw, **parameters: str) -> tuple[str, str]:
    """The SQLSTATE and the text with which a client is sent away."""
    last = client.log_in(**parameters)[-1]
    assert isinstance(last, ErrorResponse)
    assert last.fields_by_code["S"] == "FATAL"
    return last.fields_by_code["C"], last.fields_by_code["M"]


class TestPlaces:
    def test_all_taken(self) -> None:
        with listening(Script(), limits=Limits(max_connections=2)) as listener, Raw(listener) as a, Raw(listener) as b:
            a.log_in()
            b.log_in()
            with Raw(listener) as c:
                assert refusal(c) == ("53300", "sorry, too many clients already")
            a.say(Terminate())
            assert a.rest() == b""
            with Raw(listener) as d:
                assert isinstance(d.log_in()[-1], ReadyForQuery)

    def test_by_user(self) -> None:
        with listening(Script(), limits=Limits(max_connections_per_user=1)) as listener, Raw(listener) as a:
            a.log_in(user="ann")
            with Raw(listener) as b, Raw(listener) as c:
                assert refusal(b, user="ann") == ("53300", 'too many connections for role "ann"')
                assert isinstance(c.log_in(user="bob")[-1], ReadyForQuery)

    def test_by_address(self, tmp_path: Path) -> None:
        with listening(Script(), unix_socket_dir=tmp_path,
                       limits=Limits(max_connections_per_address=1)) as listener, Raw(listener) as a:
            a.log_in()
            with Raw(listener) as b:
                assert refusal(b) == ("53300", 'too many connections from address "127.0.0.1"')
            for _ in range(3):  # Unix sockets have no address
                with Raw(listener, path=str(tmp_path / f".s.PGSQL.{listener.port}")) as c:
                    assert isinstance(c.log_in()[-1], ReadyForQuery)

    def test_reserved_for_administrators(self) -> None:
        users = {"root": User(administrator=True), "ann": User(), "bob": User()}
        with listening(Script(), users=users, authentication="trust",
                       limits=Limits(max_connections=2, reserved_connections=1)) as listener, Raw(listener) as a:
            a.log_in(user="ann")
            with Raw(listener) as b, Raw(listener) as c:
                assert refusal(b, user="bob") == (
                    "53300", "remaining connection slots are reserved for roles with the SUPERUSER attribute")
                assert isinstance(c.log_in(user="root")[-1], ReadyForQuery)

    def test_as_postgresql_words_it(self, pg18: Postgres) -> None:
        with servers.running(pg18.installation, max_connections="3", superuser_reserved_connections="1") as server:
            server.psql("create role limited login connection limit 1; create role other login")
            hba = Path(server.psql("show hba_file"))
            hba.write_text("host all all 127.0.0.1/32 trust\n" + hba.read_text())
            server.psql("select pg_reload_conf()")
            said = []
            with Raw(server) as a, Raw(server) as b, Raw(server) as c:  # type: ignore[arg-type]
                a.log_in(user="limited", database="postgres")
                said.append(refusal(b, user="limited", database="postgres"))
                with Raw(server) as d:  # type: ignore[arg-type]
                    d.log_in(user="other", database="postgres")
                    said.append(refusal(c, user="other", database="postgres"))
            assert said == [("53300", 'too many connections for role "limited"'),
                            ("53300", "remaining connection slots are reserved for roles with the SUPERUSER attribute")]

    def test_a_flood_of_silent_clients(self) -> None:
        with listening(Script(), limits=Limits(max_connections=1)) as listener, contextlib.ExitStack() as stack:
            silent = [stack.enter_context(Raw(listener)) for _ in range(18)]
            with Raw(listener) as one_more:
                assert fatal(one_more.rest())["C"] == "53300"
            silent.pop().socket.close()
            silent[0].log_in()
            assert isinstance(silent[0].query("one")[-1], ReadyForQuery)

    def test_the_books(self) -> None:
        places = Places(Limits(max_connections=3, max_connections_per_address=2))
        for address in ("a", "a", "b"):
            places.take(address)
        with pytest.raises(FatalError, match="too many clients"):
            places.take("c")
        places.give_back("b")
        with pytest.raises(FatalError, match='from address "a"'):
            places.take("a")
        places.give_back("a")
        places.give_back("a")
        assert places.taken == 0 and not places._addresses

    @pytest.mark.parametrize("wrong", [{"max_connections": 0}, {"reserved_connections": 100}, {"send_timeout": -1},
                                       {"authentication_timeout": 0}, {"statement_timeout": -1}])
    def test_what_makes_no_sense(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(ValueError):
            Limits(**wrong)


class TestClocks:
    def test_idle_session(self) -> None:
        with listening(Script(), limits=Limits(idle_session_timeout=0.1)) as listener, Raw(listener) as client:
            client.log_in()
            assert fatal(client.rest())["C"] == "57P05"

    def test_idle_session_that_has_begun_a_message(self) -> None:
        """Who stops in the middle of a message is as idle as who sends none."""
        with listening(Script(), limits=Limits(idle_session_timeout=0.1)) as listener, Raw(listener) as client:
            client.log_in()
            client.send(b"Q\0\0\0\x08on")
            assert fatal(client.rest()) == {"S": "FATAL", "V": "FATAL", "C": "57P05",
                                            "M": "terminating connection due to idle-session timeout"}

    @pytest.mark.parametrize("statement", ["begin", "begin; fail '22012'"])
    def test_idle_in_transaction(self, statement: str) -> None:
        with listening(Script(), limits=Limits(idle_in_transaction_session_timeout=0.1)) as listener, \
                Raw(listener) as client:
            client.log_in()
            client.query("one")
            client.query(statement)
            assert fatal(client.rest()) == {"S": "FATAL", "V": "FATAL", "C": "25P03",
                                            "M": "terminating connection due to idle-in-transaction timeout"}

    def test_transaction(self) -> None:
        with listening(Script(), limits=Limits(transaction_timeout=0.1)) as listener, Raw(listener) as client:
            client.log_in()
            client.query("begin")
            assert fatal(client.rest()) == {"S": "FATAL", "V": "FATAL", "C": "25P04",
                                            "M": "terminating connection due to transaction timeout"}

    @pytest.mark.parametrize("extended", [False, True])
    def test_statement(self, extended: bool) -> None:
        engine = Waiting()
        with listening(engine, limits=Limits(statement_timeout=0.1)) as listener, Raw(listener) as client:
            client.log_in()
            data = b""
            client.send(b"P\0\0\0\x0b\0one\0\0\0B\0\0\0\x0c\0\0\0\0\0\0\0\0E\0\0\0\x09\0\0\0\0\0S\0\0\0\4" if extended
                        else b"Q\0\0\0\x08one\0")
            while not data.endswith(b"Z\0\0\0\5I"):
                data += client.socket.recv(65536)
            assert b"C57014\0Mcanceling statement due to statement timeout\0" in data
            engine.stopped.set()
            client.query("set statement_timeout = 0")
            # and now by hand: the words are those of a request again
            assert brief(client.query("one"))[-2:] == ["ErrorResponse 57014", "ReadyForQuery I"]  # type: ignore[arg-type]

    def test_they_can_be_set(self) -> None:
        with listening(Script()) as listener, Raw(listener) as client:
            client.log_in(options="-c idle_session_timeout=1h")
            client.query("set idle_session_timeout = '1d'")
            client.query("set idle_session_timeout = 100")
            assert fatal(client.rest())["C"] == "57P05"

    def test_as_postgresql_words_it(self, pg18: Postgres) -> None:
        for setting, statement, expected in (("idle_session_timeout", "select 1", "57P05"),
                                             ("idle_in_transaction_session_timeout", "begin", "25P03"),
                                             ("transaction_timeout", "begin", "25P04")):
            said = []
            with listening(Script()) as listener:
                for server in (pg18, listener):
                    with Raw(server) as client:  # type: ignore[arg-type]
                        client.log_in(user="postgres", database="postgres", options=f"-c {setting}=100")
                        client.query(statement if server is pg18 else statement.replace("select 1", "one"))
                        found = fatal(client.rest())
                        said.append((found["S"], found["C"], found["M"]))
            assert said[0] == said[1]
            assert said[0][1] == expected

    @pytest.mark.parametrize("value", ["0", "1", "1000", "1s", "1500ms", "90s", "2min", "1h", "1d", "1.5s", " 5 s ",
                                       "0.5ms", "1e3", "-1", "x", "1 week", "25d", "9999d", "", "100us", "1.5min"])
    def test_values_as_postgresql_takes_them(self, pg18: Postgres, value: str) -> None:
        said = []
        with listening(Script()) as listener:
            for server in (pg18, listener):
                with Raw(server) as client:  # type: ignore[arg-type]
                    client.log_in(user="postgres", database="postgres")
                    first = client.query(f"set statement_timeout = '{value}'")[0]
                    if isinstance(first, ErrorResponse):
                        fields = first.fields_by_code
                        said.append({code: fields[code] for code in "CMH" if code in fields})
                    else:
                        said.append(brief(client.query("show statement_timeout"))[1])  # type: ignore[arg-type, arg-type]
        assert said[0] == said[1]

    @pytest.mark.parametrize(("text", "expected"), [("0", 0), ("5s", 5000), ("7ms", 7), ("2min", 120000),
                                                    ("1d", 86400000), ("3h", 10800000)])
    def test_milliseconds(self, text: str, expected: int) -> None:
        assert milliseconds(text) == expected


class TestSizes:
    def test_before_authentication(self) -> None:
        """PostgreSQL's: 65,535 bytes for a password; nothing is set aside for what is announced beyond."""
        with listening(Script(), users={"demo": "x"}, authentication="password") as listener, Raw(listener) as client:
            client.send(startup(VERSION_3_0, "user", "demo") + b"p" + struct.pack("!i", 65_536))
            assert fatal(client.rest()[9:])["C"] == "08P01"

    def test_after_authentication(self) -> None:
        with listening(Script(), limits=Limits(max_message_bytes=1000)) as listener:
            with Raw(listener) as client:
                client.log_in()
                client.send(b"Q" + struct.pack("!i", 1000) + b"one".ljust(995) + b"\0")
                data = b""
                while not data.endswith(b"Z\0\0\0\5I"):
                    data += client.socket.recv(65536)
                assert b"SELECT 1" in data
            with Raw(listener) as client:
                client.log_in()
                client.send(b"Q" + struct.pack("!i", 1001))
                assert fatal(client.rest()) == {"S": "FATAL", "V": "FATAL", "C": "08P01", "M": "invalid message length"}

    def test_a_client_that_does_not_read(self) -> None:
        """Its rows stop, its session ends, and others are served meanwhile."""
        engine = Script()
        with listening(engine, limits=Limits(send_timeout=0.2)) as listener, Raw(listener) as client:
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.log_in()
            client.say(Query(query="rows 1000000 by 100000"))
            with Raw(listener) as other:
                other.log_in()
                while "rows closed" not in engine.log:  # each answer is a step of the server's loop
                    assert isinstance(other.query("one")[-1], ReadyForQuery)
            assert "batch 900000" not in engine.log


@contextlib.contextmanager
def on_loop(engine: Any, **options: Any) -> Iterator[tuple[Any, Callable[[Any], Any]]]:
    """A listener, and a way to run its coroutines where it runs."""
    with listening(engine, **options) as listener:
        loop = listener._servers[0].get_loop()
        yield listener, lambda coroutine: asyncio.run_coroutine_threadsafe(coroutine, loop)


class TestShutdown:
    def test_smart(self) -> None:
        with on_loop(Script()) as (listener, run), Raw(listener) as client:
            client.log_in()
            closing = run(listener.close(Shutdown.SMART))
            with contextlib.ExitStack() as stack:
                while True:  # until the order has been taken
                    last = stack.enter_context(Raw(listener)).log_in()[-1]
                    if isinstance(last, ErrorResponse):
                        break
                assert (last.fields_by_code["C"], last.fields_by_code["M"]) == (
                    "57P03", "the database system is shutting down")
            assert not closing.done()
            assert isinstance(client.query("one")[-1], ReadyForQuery)
            client.say(Terminate())
            closing.result(SECONDS)
            assert client.rest() == b""
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", listener.port))

    def test_fast(self) -> None:
        engine = Waiting()
        with on_loop(engine) as (listener, run), Raw(listener) as busy, Raw(listener) as idle:
            busy.log_in()
            idle.log_in()
            busy.send(b"Q\0\0\0\x08one\0")
            assert engine.runs.wait(SECONDS)
            run(listener.close(Shutdown.FAST)).result(SECONDS)
            for client in (busy, idle):
                assert fatal(client.rest()) == {"S": "FATAL", "V": "FATAL", "C": "57P01",
                                                "M": "terminating connection due to administrator command"}
            assert engine.stopped.is_set()

    def test_immediate_does_not_wait_for_a_client_that_does_not_read(self) -> None:
        engine = Script()
        with on_loop(engine) as (listener, run), Raw(listener) as client, Raw(listener) as idle:
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.log_in()
            idle.log_in()
            client.say(Query(query="rows 1000000 by 100000"))
            run(listener.close(Shutdown.IMMEDIATE)).result(SECONDS)
            # a notice, as PostgreSQL's quickdie gives (which does not always get it out)
            assert fatal(idle.rest().replace(b"N", b"E", 1)) == {
                "S": "WARNING", "V": "WARNING", "C": "57P01",
                "M": "terminating connection due to immediate shutdown command"}
        assert engine.log[-1] == "close"

    def test_smart_can_be_hurried(self) -> None:
        with on_loop(Script()) as (listener, run), Raw(listener) as client:
            client.log_in()
            closing = run(listener.close(Shutdown.SMART))
            run(listener.close(Shutdown.FAST)).result(SECONDS)
            assert fatal(client.rest())["C"] == "57P01"
            closing.result(SECONDS)

    def test_as_postgresql_words_it(self, pg18: Postgres) -> None:
        with servers.running(pg18.installation) as server, on_loop(Script()) as (listener, run), \
                Raw(server) as theirs, Raw(listener) as ours:  # type: ignore[arg-type]
            theirs.log_in(user="postgres", database="postgres")
            ours.log_in()
            server.process.send_signal(signal.SIGINT)
            run(listener.close(Shutdown.FAST)).result(SECONDS)
            said = [fatal(client.rest()) for client in (theirs, ours)]
            assert [said[0][code] for code in "SVCM"] == [said[1][code] for code in "SVCM"]


class TestUsers:
    def test_a_file(self, tmp_path: Path) -> None:
        file = tmp_path / "users"
        file.write_text('; userlist.txt\n"ann" "secret"\n"b""ob" "" roles=staff,shop administrator\n\ncarl:pass:word\n'
                        '"old" "secret" valid-until=2001-01-01\n')
        found = dict(UserFile(file).items())
        assert found["ann"].secret == "secret"
        assert found['b"ob'].roles == {"staff", "shop"} and found['b"ob'].administrator
        assert found["carl"].secret == "pass:word"
        assert found["old"].valid_until is not None
        assert "secret" not in repr(found)

    @pytest.mark.parametrize("line", ['"ann"', '"ann" secret', "ann", ":x", '"ann" "SCRAM-SHA-256$geheim"',
                                      '"" "geheim"', '"ann" "geheim" what', '"ann" "geheim" valid-until=soon',
                                      "x:SCRAM-SHA-256$4096:geheim"])
    def test_a_bad_line_is_named_and_not_shown(self, tmp_path: Path, line: str) -> None:
        file = tmp_path / "users"
        file.write_text(f"ok:fine\n{line}\n")
        with pytest.raises(UserFileError) as refused:
            UserFile(file)
        assert str(refused.value).startswith(f"{file}, line 2: ")
        assert "geheim" not in str(refused.value)

    @pytest.mark.parametrize("method", ["password", "md5", "scram-sha-256"])
    def test_an_expired_password_is_wrong(self, tmp_path: Path, method: str, caplog: pytest.LogCaptureFixture) -> None:
        """As VALID UNTIL (CVE-2025-2291 was a pooler that did not look)."""
        file = tmp_path / "users"
        file.write_text('"old" "secret" valid-until=2001-01-01\n"new" "secret" valid-until=2999-01-01T00:00:00+01:00\n')
        with listening(Script(), users=UserFile(file), authentication=method) as listener:
            where: dict[str, Any] = {"host": "127.0.0.1", "port": listener.port, "password": "secret"}
            with pytest.raises(PostgresError, match='password authentication failed for user "old"'):
                connect(user="old", **where)
            connect(user="new", **where).close()
        assert "secret" not in caplog.text

    @pytest.mark.parametrize("is_async", [False, True])
    def test_a_function(self, is_async: bool) -> None:
        threads = []

        def look_up(name: str) -> str | User | None:
            threads.append(threading.current_thread())
            return {"ann": "secret", "bob": User(secret="other")}.get(name)

        async def look_up_later(name: str) -> str | User | None:
            return look_up(name)

        with listening(Script(), users=look_up_later if is_async else look_up) as listener:
            where: dict[str, Any] = {"host": "127.0.0.1", "port": listener.port}
            connect(user="ann", password="secret", **where).close()
            connect(user="bob", password="other", **where).close()
            for user, password in (("ann", "other"), ("nobody", "secret")):
                with pytest.raises(PostgresError, match="password authentication failed"):
                    connect(user=user, password=password, **where)
            assert (listener._service.users, threads[0].name.startswith("asyncio_")) == (
                listener._service.users, not is_async)

    def test_a_function_that_fails(self, caplog: pytest.LogCaptureFixture) -> None:
        def broken(name: str) -> str:
            raise RuntimeError("the directory is down")

        with listening(Script(), users=broken) as listener, Raw(listener) as client:
            assert refusal(client)[0] == "XX000"
        assert "the directory is down" in caplog.text

    def test_reload(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        (tmp_path / "users").write_text("ann:one\n")
        (tmp_path / "hba").write_text("host all all 127.0.0.1/32 scram-sha-256\n")
        with on_loop(Script(), users=UserFile(tmp_path / "users"), rules=access_rules(tmp_path / "hba")) as (
                listener, run), caplog.at_level(logging.ERROR):
            async def reload() -> None:
                listener.reload()

            where: dict[str, Any] = {"host": "127.0.0.1", "port": listener.port, "user": "ann"}
            with connect(password="one", **where) as before:
                (tmp_path / "users").write_text("ann:two\n")
                run(reload()).result(SECONDS)
                assert before.fetchval("one") == 1  # who is in stays in
                with pytest.raises(PostgresError, match="password authentication failed"):
                    connect(password="one", **where)
                connect(password="two", **where).close()
                (tmp_path / "users").write_text("ann\n")
                (tmp_path / "hba").write_text("nonsense\n")
                run(reload()).result(SECONDS)
                connect(password="two", **where).close()
                assert "users were not reloaded" in caplog.text and "line 1" in caplog.text
                assert 'invalid connection type "nonsense"' in caplog.text
                (tmp_path / "hba").write_text("host all all all reject\n")
                run(reload()).result(SECONDS)
                with pytest.raises(PostgresError, match=r"pg_hba\.conf rejects"):
                    connect(password="two", **where)
