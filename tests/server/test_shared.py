"""What sessions have of each other: notifications, cancelling, locks, pg_stat_activity's data."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from febe.engines.duckdb import DuckDBEngine
from febe.protocol.asynchronous import NotificationResponse
from febe.protocol.startup import BackendKeyData, CancelRequest
from febe.server import Listener
from tests.server.listening import SECONDS, Raw, listening
from tests.server.parity import said
from tests.server.wire import Script


@pytest.fixture(params=["duckdb", "on the loop"])
def listener(request: pytest.FixtureRequest) -> Iterator[Listener]:
    engine = DuckDBEngine() if request.param == "duckdb" else Script()
    with listening(engine) as made:
        yield made


class Client(Raw):
    """A raw client that has logged in."""

    def __init__(self, listener: Listener, user: str = "demo") -> None:
        super().__init__(listener)
        (self.key,) = [one for one in self.log_in(user=user) if isinstance(one, BackendKeyData)]

    def ask(self, sql: str) -> list[str]:
        return said(self, sql)

    def start(self, sql: str) -> tuple[threading.Thread, list[list[str]]]:
        """Ask in a thread of its own."""
        found: list[list[str]] = []
        thread = threading.Thread(target=lambda: found.append(self.ask(sql)))
        thread.start()
        return thread, found


def until_active(listener: Listener, client: Client) -> None:
    """Wait until the server is at this client's query."""
    backend = listener.shared.activity.get(client.key.process_id)
    assert backend is not None
    event = threading.Event()
    while backend.state != "active":
        event.wait(0.001)


def cancel(listener: Listener, client: Client) -> None:
    with Raw(listener) as other:
        other.say(CancelRequest(process_id=client.key.process_id, secret_key=client.key.secret_key))
        assert other.rest() == b""


class TestNotifications:
    def test_an_idle_client_is_told(self, listener: Listener) -> None:
        with Client(listener) as a, Client(listener) as b:
            a.ask("listen here")
            b.ask("begin; notify here, 'one'; notify here, 'two'; commit")
            for payload in ("one", "two"):
                told = a.answer()
                assert isinstance(told, NotificationResponse)
                assert (told.process_id, told.channel, told.payload) == (b.key.process_id, "here", payload)

    def test_within_a_block_they_wait(self, listener: Listener) -> None:
        with Client(listener) as a, Client(listener) as b:
            a.ask("listen here")
            a.ask("begin")
            b.ask("notify here")
            assert a.ask("show timezone")[-1] == "ReadyForQuery T"
            assert a.ask("commit") == ["CommandComplete COMMIT", "NotificationResponse", "ReadyForQuery I"]

    def test_who_is_gone_is_not_told(self, listener: Listener) -> None:
        with Client(listener) as b:
            with Client(listener) as a:
                a.ask("listen here")
            while listener.sessions > 1:
                threading.Event().wait(0.001)
            assert b.ask("notify here") == ["CommandComplete NOTIFY", "ReadyForQuery I"]


class TestCancel:
    def test_by_request(self, listener: Listener) -> None:
        with Client(listener) as a:
            thread, found = a.start("select pg_sleep(1000)")
            until_active(listener, a)
            cancel(listener, a)
            thread.join(SECONDS)
            assert found == [["RowDescription pg_sleep", "ErrorResponse 57014", "ReadyForQuery I"]]
            assert a.ask("show timezone")[-1] == "ReadyForQuery I"

    def test_by_function(self, listener: Listener) -> None:
        with Client(listener) as a, Client(listener) as b:
            thread, found = a.start("select pg_sleep(1000)")
            until_active(listener, a)
            assert b.ask(f"select pg_cancel_backend({a.key.process_id})")[1] == "DataRow t"
            thread.join(SECONDS)
            assert found[0][1] == "ErrorResponse 57014"

    def test_terminate(self, listener: Listener) -> None:
        with Client(listener) as a, Client(listener) as b:
            thread, found = a.start("select pg_sleep(1000)")
            until_active(listener, a)
            assert b.ask(f"select pg_terminate_backend({a.key.process_id}, 20000)")[1] == "DataRow t"
            thread.join(SECONDS)
            assert found[0][-1] == "ErrorResponse 57P01"
            assert listener.shared.activity.get(a.key.process_id) is None

    def test_another_users_is_refused(self, listener: Listener) -> None:
        with Client(listener) as a, Client(listener, user="other") as b:
            assert b.ask(f"select pg_cancel_backend({a.key.process_id})")[1] == "ErrorResponse 42501"

    def test_who_goes_away_sleeps_no_longer(self, listener: Listener) -> None:
        a = Client(listener)
        a.start("select pg_sleep(1000)")
        until_active(listener, a)
        a.socket.shutdown(2)
        while listener.sessions:
            threading.Event().wait(0.001)
        a.socket.close()


class TestLocks:
    def test_waiting(self, listener: Listener) -> None:
        with Client(listener) as a, Client(listener) as b:
            a.ask("select pg_advisory_lock(7)")
            assert b.ask("select pg_try_advisory_lock(7)")[1] == "DataRow f"
            thread, found = b.start("select pg_advisory_lock(7)")
            until_active(listener, b)
            a.ask("select pg_advisory_unlock(7)")
            thread.join(SECONDS)
            assert found[0][1:] == ["DataRow ", "CommandComplete SELECT 1", "ReadyForQuery I"]

    def test_they_go_with_the_client(self, listener: Listener) -> None:
        with Client(listener) as b:
            with Client(listener) as a:
                a.ask("select pg_advisory_lock(7)")
                thread, found = b.start("select pg_advisory_lock(7)")
                until_active(listener, b)
            thread.join(SECONDS)
            assert found[0][1] == "DataRow "

    def test_they_go_with_the_transaction(self, listener: Listener) -> None:
        with Client(listener) as a, Client(listener) as b:
            a.ask("select pg_advisory_xact_lock(7)")
            assert b.ask("select pg_try_advisory_lock(7)")[1] == "DataRow t"

    def test_deadlock(self, listener: Listener) -> None:
        with Client(listener) as a, Client(listener) as b:
            a.ask("select pg_advisory_lock(1)")
            b.ask("select pg_advisory_lock(2)")
            thread, found = a.start("select pg_advisory_lock(2)")
            until_active(listener, a)
            # whichever of the two comes last sees the circle
            second, other = b.start("select pg_advisory_lock(1)")
            if not _joined(thread, second):
                raise AssertionError("nobody has seen the deadlock")
            assert (found or other)[0][1] == "ErrorResponse 40P01"
            (b if other else a).ask("select pg_advisory_unlock_all()")
            thread.join(SECONDS)
            second.join(SECONDS)

    def test_cancelled(self, listener: Listener) -> None:
        with Client(listener) as a, Client(listener) as b:
            a.ask("select pg_advisory_lock(7)")
            thread, found = b.start("select pg_advisory_lock(7)")
            until_active(listener, b)
            cancel(listener, b)
            thread.join(SECONDS)
            assert found[0][1] == "ErrorResponse 57014"


def _joined(*threads: threading.Thread) -> bool:
    """Wait until one of them is done."""
    event = threading.Event()
    for _ in range(int(SECONDS * 1000)):
        if not all(thread.is_alive() for thread in threads):
            return True
        event.wait(0.001)
    return False


def test_activity(listener: Listener) -> None:
    with Client(listener) as a:
        a.ask("set application_name = 'tester'")
        a.ask("begin")
        a.ask("show timezone")
        (backend,) = listener.shared.activity.all()
        assert (backend.process_id, backend.user, backend.state, backend.query) == (
            a.key.process_id, "demo", "idle in transaction", "show timezone")
        assert backend.application_name == "tester" and backend.client_address == "127.0.0.1"
        assert backend.xact_start is not None and backend.query_start is not None
        assert backend.backend_start <= backend.xact_start <= backend.query_start
        a.ask("selec")
        assert backend.state == "idle in transaction (aborted)"
        a.ask("rollback")
        assert backend.state == "idle" and backend.xact_start is None
