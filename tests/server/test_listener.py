"""Connections from their first packet to their last, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import stat
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from febe.protocol.asynchronous import ErrorResponse
from febe.protocol.authentication import (
    AuthenticationCleartextPassword,
    AuthenticationMD5Password,
    AuthenticationOk,
    AuthenticationSASL,
    AuthenticationSASLContinue,
    AuthenticationSASLFinal,
    PasswordMessage,
    SASLInitialResponse,
    SASLResponse,
)
from febe.protocol.scram import ScramClient, ScramVerifier, md5_password
from febe.protocol.startup import (
    VERSION_3_0,
    VERSION_3_2,
    BackendKeyData,
    CancelRequest,
    EncryptionRefused,
    GSSENCRequest,
    NegotiateProtocolVersion,
    ParameterStatus,
    ReadyForQuery,
    SSLRequest,
    StartupMessage,
    Terminate,
)
from febe.server import EngineError, Limits, Listener, Prepared, Result, is_loopback
from tests.server.listening import SECONDS, Raw, fatal, listening, startup
from tests.server.wire import Script, ScriptSession, brief


def _uvloop() -> Callable[[], asyncio.AbstractEventLoop]:
    uvloop = pytest.importorskip("uvloop")
    return uvloop.new_event_loop  # type: ignore[no-any-return]


@pytest.fixture(params=["asyncio", "uvloop"])
def loop_factory(request: pytest.FixtureRequest) -> Callable[[], asyncio.AbstractEventLoop]:
    return asyncio.new_event_loop if request.param == "asyncio" else _uvloop()


@pytest.fixture
def listener(loop_factory: Callable[[], asyncio.AbstractEventLoop]) -> Iterator[Listener]:
    """One with no authentication; another of its clients must be unharmed by the test."""
    with listening(Script(), loop_factory=loop_factory) as made, Raw(made) as other:
        other.log_in()
        yield made
        assert "CommandComplete SELECT 1" in brief(other.query("one")[2:])  # type: ignore[arg-type]


class TestStartUp:
    def test_refused_encryption_in_either_order(self, listener: Listener) -> None:
        for requests in ((SSLRequest(), GSSENCRequest()), (GSSENCRequest(), SSLRequest())):
            with Raw(listener) as client:
                for request in requests:
                    client.say(request)
                    assert client.answer() == EncryptionRefused()
                assert isinstance(client.log_in()[-1], ReadyForQuery)

    def test_encryption_is_asked_for_once(self, listener: Listener) -> None:
        with Raw(listener) as client:
            client.send(struct.pack("!ii", 8, 80877103) * 2)
            # PostgreSQL takes the second one for a version (ProcessStartupPacket)
            assert fatal(client.rest().removeprefix(b"N"))["C"] == "0A000"

    def test_direct_tls(self, listener: Listener) -> None:
        with Raw(listener) as client:
            client.send(bytes.fromhex("16030100f8010000f4"))
            assert client.rest() == b""

    def test_session(self, listener: Listener) -> None:
        with Raw(listener) as client:
            answers = client.log_in(application_name="tool", options="-c timezone=Asia/Tokyo")
            told = {one.name: one.value for one in answers if isinstance(one, ParameterStatus)}
            assert told["application_name"] == "tool"
            assert told["TimeZone"] == "Asia/Tokyo"
            assert len(told) == 15
            (key,) = [one for one in answers if isinstance(one, BackendKeyData)]
            assert len(key.secret_key) == 4
            client.say(Terminate())
            assert client.rest() == b""

    def test_version_3_2(self, listener: Listener) -> None:
        with Raw(listener) as client:
            answers = client.log_in(VERSION_3_2)
            assert not any(isinstance(one, NegotiateProtocolVersion) for one in answers)
            (key,) = [one for one in answers if isinstance(one, BackendKeyData)]
            assert len(key.secret_key) == 32

    def test_version_and_extensions_negotiated(self, listener: Listener) -> None:
        with Raw(listener) as client:
            client.say(StartupMessage(version=3 << 16 | 9999, parameters={"user": "demo", "_pq_.anything": "1"}))
            answers = client.answers()
            assert answers[0] == NegotiateProtocolVersion(version=VERSION_3_2, options=["_pq_.anything"])
            assert isinstance(answers[-1], ReadyForQuery)

    def test_major_version_4(self, listener: Listener) -> None:
        with Raw(listener) as client:
            client.send(startup(4 << 16, "user", "demo"))
            assert fatal(client.rest()) == {
                "S": "FATAL", "V": "FATAL", "C": "0A000",
                "M": "unsupported frontend protocol 4.0: server supports 3.0 to 3.2"}

    def test_protocol_2_gets_the_error_in_its_own_form(self, listener: Listener) -> None:
        with Raw(listener) as client:
            client.send(struct.pack("!ii64s32s64s64s64s", 296, 2 << 16, b"demo", b"demo", b"", b"", b""))
            assert client.rest() == b"EFATAL:  unsupported frontend protocol 2.0: server supports 3.0 to 3.2\n\0"

    @pytest.mark.parametrize(("pairs", "sqlstate"), [
        ((), "28000"),
        (("database", "demo"), "28000"),
        (("user", ""), "28000"),
        (("user", "demo", "replication", "database"), "0A000"),
        (("user", "demo", "replication", "on"), "0A000"),
        (("user", "demo", "replication", "perhaps"), "22023"),
        (("user", "demo", "no_such_parameter", "1"), "42704"),
        (("user", "demo", "client_encoding", "LATIN1"), "0A000"),
        (("user", "demo", "options", "-c"), "42601"),
        (("user", "demo", "options", "--nope"), "42601"),
    ])
    def test_refused(self, listener: Listener, pairs: Sequence[str], sqlstate: str) -> None:
        with Raw(listener) as client:
            client.send(startup(VERSION_3_0, *pairs))
            data = client.rest()
            assert fatal(data.removeprefix(b"R\0\0\0\x08\0\0\0\0"))["C"] == sqlstate

    def test_replication_off(self, listener: Listener) -> None:
        with Raw(listener) as client:
            assert isinstance(client.log_in(replication="false")[-1], ReadyForQuery)

    def test_the_engine_may_refuse(self) -> None:
        class Picky(Script):
            def open(self, **_: Any) -> Any:
                raise EngineError('database "nope" does not exist', sqlstate="3D000")

        with listening(Picky()) as listener, Raw(listener) as client:
            refusal = client.log_in()[-1]
            assert isinstance(refusal, ErrorResponse)
            assert (refusal.fields_by_code["C"], refusal.fields_by_code["S"]) == ("3D000", "FATAL")

    def test_too_many(self) -> None:
        with (listening(Script(), limits=Limits(max_connections=1)) as listener, Raw(listener) as client,
              Raw(listener) as second):
            client.log_in()
            assert brief(second.log_in()) == ["ErrorResponse 53300"]  # type: ignore[arg-type]
            client.say(Terminate())
            client.rest()
            with Raw(listener) as third:
                assert isinstance(third.log_in()[-1], ReadyForQuery)

    def test_no_delay(self, listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
        with Raw(listener) as client:
            client.log_in()
            ports = [visit._port for visit in listener._visits.values()]
            assert ports
            assert all(port.extra("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) for port in ports)


HOSTILE = {
    "length too small": b"\0\0\0\7",
    "length zero": bytes(4),
    "length negative": b"\xff\xff\xff\xff",
    "over the limit": startup(VERSION_3_0, "user", "demo", "application_name", "x" * 10_001),
    "not terminated": startup(VERSION_3_0, "user", "demo", end=b""),
    "a name without value": startup(VERSION_3_0, "user", end=b""),
    "bytes left over": startup(VERSION_3_0, "user", "demo", end=b"\0more"),
    "unknown request": struct.pack("!ii", 8, 1234 << 16 | 1),
    "http": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a query first": b"Q\0\0\0\x0dselect 1\0",
}


class TestHostile:
    @pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
    def test_first_packets(self, listener: Listener, data: bytes) -> None:
        with Raw(listener) as client:
            client.send(data)
            assert fatal(client.rest())["S"] == "FATAL"

    @pytest.mark.parametrize("data", [
        b"Q\0\0\0\3", b"Q\xff\xff\xff\xff", b"Q\x7f\xff\xff\xff", b"D\0\1\0\0", b"?\0\0\0\4", b"\0\0\0\0\0",
        b"p\0\0\0\5\0", b"Z\0\0\0\5I"])
    def test_broken_frames(self, listener: Listener, data: bytes) -> None:
        with Raw(listener) as client:
            client.log_in()
            client.send(data)
            error = fatal(client.rest())
            assert (error["S"], error["C"]) == ("FATAL", "08P01")

    @pytest.mark.parametrize("data", [
        b"Q\0\0\0\x08one\1", b"Q\0\0\0\x0aone\0\0\0", b"P\0\0\0\x08\0x\0\0", b"B\0\0\0\x08\0\0\x7f\xff",
        b"D\0\0\0\6x\0", b"C\0\0\0\4", b"E\0\0\0\x06\0\0", b"B\0\0\0\x10\0\0\0\0\0\1\x7f\xff\xff\xff\0\0"])
    def test_broken_messages(self, listener: Listener, data: bytes) -> None:
        """Well framed, so the session goes on."""
        with Raw(listener) as client:
            client.log_in()
            client.send(data + (b"" if data[:1] == b"Q" else b"S\0\0\0\4"))
            found = b""
            while not found.endswith(b"Z\0\0\0\5I"):
                found += client.socket.recv(65536)
            assert b"C08P01\0" in found
            assert isinstance(client.query("one")[-1], ReadyForQuery)

    def test_every_byte_mutated(self, listener: Listener) -> None:
        """Whatever one byte is changed to, the answer is an answer or an end, and never silence."""
        flight = (b"P\0\0\0\x10s\0echo $1\0\0\0" + b"B\0\0\0\x12\0s\0\0\0\0\1\0\0\0\1x\0\0"
                  + b"E\0\0\0\x09\0\0\0\0\0S\0\0\0\4")
        for place in range(len(flight)):
            for byte in {flight[place] ^ 0xFF, 0, 0xFF, flight[place] ^ 1}:
                with Raw(listener) as client:
                    client.log_in()
                    client.send(flight[:place] + bytes([byte]) + flight[place + 1:])
                    client.socket.shutdown(socket.SHUT_WR)
                    found = client.rest()
                    assert b"Traceback" not in found

    def test_byte_by_byte(self, listener: Listener) -> None:
        with Raw(listener) as client:
            client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in startup(VERSION_3_0, "user", "demo"):
                client.send(bytes([byte]))
            data = b""
            while not data.endswith(b"Z\0\0\0\5I"):
                data += client.socket.recv(65536)
            for byte in b"Q\0\0\0\x08one\0":
                client.send(bytes([byte]))
            data = b""
            while not data.endswith(b"Z\0\0\0\5I"):
                data += client.socket.recv(65536)
            assert b"SELECT 1\0" in data

    @pytest.mark.parametrize("said", [b"", b"\0\0", startup(VERSION_3_0, "user", "demo")[:-3]])
    def test_silence(self, loop_factory: Callable[[], asyncio.AbstractEventLoop], said: bytes) -> None:
        with listening(Script(), loop_factory=loop_factory, limits=Limits(authentication_timeout=0.2)) as listener, \
                Raw(listener) as silent:
            silent.send(said)
            with Raw(listener) as other:  # nobody waits for the silent one
                assert isinstance(other.log_in()[-1], ReadyForQuery)
                assert silent.rest() == b""
                assert isinstance(other.query("one")[-1], ReadyForQuery)

    def test_silence_at_the_password(self) -> None:
        limits = Limits(authentication_timeout=0.2)
        with listening(Script(), users={"demo": "x"}, limits=limits) as listener, Raw(listener) as silent:
            silent.say(StartupMessage(version=VERSION_3_0, parameters={"user": "demo"}))
            assert isinstance(silent.answer(), AuthenticationSASL)
            refusal = silent.answer()
            assert isinstance(refusal, ErrorResponse)
            assert refusal.fields_by_code["C"] == "57014"
            assert silent.answer() is None

    def test_who_does_not_read_does_not_fill_the_memory(self, listener: Listener) -> None:
        """A pipeline of endless questions is answered only as fast as the answers are read."""
        with Raw(listener) as client:
            client.log_in()
            client.socket.setblocking(False)
            question, sent = b"Q\0\0\0\x0erows 4000\0" * 100, 0
            with contextlib.suppress(BlockingIOError):
                while sent < 200_000_000:
                    sent += client.socket.send(question)
            assert sent < 200_000_000


USERS = {"plain": "secret", "verified": str(ScramVerifier.make("secret", b"0123456789abcdef"))}


class TestAuthentication:
    def _scram(self, client: Raw, user: str, password: str) -> list[Any]:
        client.say(StartupMessage(version=VERSION_3_0, parameters={"user": user}))
        asked = client.answer()
        assert isinstance(asked, AuthenticationSASL)
        exchange = ScramClient(password, b"n" * 18)
        client.say(SASLInitialResponse(mechanism=asked.mechanisms[0], data=exchange.first()))
        challenge = client.answer()
        assert isinstance(challenge, AuthenticationSASLContinue)
        client.say(SASLResponse(data=exchange.final(challenge.data)))
        outcome = client.answer()
        if isinstance(outcome, AuthenticationSASLFinal):
            exchange.verify(outcome.data)
            outcome = client.answer()
        return [outcome]

    @pytest.mark.parametrize(("user", "password", "right"), [
        ("plain", "secret", True), ("verified", "secret", True), ("plain", "wrong", False), ("plain", "", False),
        ("nobody", "secret", False), ("nobody", "", False), ("verified", "", False)])
    def test_scram(self, user: str, password: str, right: bool) -> None:
        with listening(Script(), users=USERS) as listener, Raw(listener) as client:
            outcome = self._scram(client, user, password)[0]
            if right:
                assert isinstance(outcome, AuthenticationOk)
            else:
                assert isinstance(outcome, ErrorResponse)
                assert outcome.fields_by_code["C"] == "28P01"
                assert outcome.fields_by_code["M"] == f'password authentication failed for user "{user}"'
                assert client.answer() is None

    def test_an_unknown_user_is_asked_the_same_each_time(self) -> None:
        challenges = []
        with listening(Script(), users=USERS) as listener:
            for _ in range(2):
                with Raw(listener) as client:
                    client.say(StartupMessage(version=VERSION_3_0, parameters={"user": "nobody"}))
                    client.answer()
                    client.say(SASLInitialResponse(mechanism="SCRAM-SHA-256", data=ScramClient("x", b"n" * 18).first()))
                    answer = client.answer()
                    assert isinstance(answer, AuthenticationSASLContinue)
                    challenges.append(answer.data.split(b",", 1)[1])
        assert challenges[0] == challenges[1]

    @pytest.mark.parametrize("data", [b"", b"n,,", b"p=tls-server-end-point,,n=,r=x", b"x" * 1025, b"n,,n=,r=\xff"])
    def test_malformed_scram(self, data: bytes) -> None:
        with listening(Script(), users=USERS) as listener, Raw(listener) as client:
            client.say(StartupMessage(version=VERSION_3_0, parameters={"user": "plain"}))
            client.answer()
            client.say(SASLInitialResponse(mechanism="SCRAM-SHA-256", data=data))
            refusal = client.answer()
            assert isinstance(refusal, ErrorResponse)
            assert refusal.fields_by_code["C"] in ("08P01", "28P01")
            assert client.answer() is None

    def test_another_mechanism(self) -> None:
        with listening(Script(), users=USERS) as listener, Raw(listener) as client:
            client.say(StartupMessage(version=VERSION_3_0, parameters={"user": "plain"}))
            client.answer()
            client.say(SASLInitialResponse(mechanism="PLAIN", data=b"x"))
            assert brief([client.answer()]) == ["ErrorResponse 08P01"]  # type: ignore[list-item]

    @pytest.mark.parametrize(("user", "password", "right"), [
        ("plain", "secret", True), ("verified", "secret", True), ("plain", "wrong", False), ("nobody", "", False)])
    def test_password(self, user: str, password: str, right: bool) -> None:
        with listening(Script(), users=USERS, authentication="password") as listener, Raw(listener) as client:
            client.say(StartupMessage(version=VERSION_3_0, parameters={"user": user}))
            assert isinstance(client.answer(), AuthenticationCleartextPassword)
            client.say(PasswordMessage(password=password))
            assert isinstance(client.answer(), AuthenticationOk if right else ErrorResponse)

    @pytest.mark.parametrize(("user", "password", "right"), [
        ("plain", "secret", True), ("plain", "wrong", False), ("nobody", "secret", False)])
    def test_md5(self, user: str, password: str, right: bool) -> None:
        with listening(Script(), users=USERS.get, authentication="md5") as listener, Raw(listener) as client:
            client.say(StartupMessage(version=VERSION_3_0, parameters={"user": user}))
            asked = client.answer()
            assert isinstance(asked, AuthenticationMD5Password)
            client.say(PasswordMessage(password=md5_password(user, password, asked.salt)))
            assert isinstance(client.answer(), AuthenticationOk if right else ErrorResponse)

    def test_md5_falls_back_to_scram(self) -> None:
        with listening(Script(), users=USERS, authentication="md5") as listener, Raw(listener) as client:
            assert isinstance(self._scram(client, "verified", "secret")[0], AuthenticationOk)

    def test_a_message_that_is_no_password(self) -> None:
        with listening(Script(), users=USERS, authentication="password") as listener, Raw(listener) as client:
            client.say(StartupMessage(version=VERSION_3_0, parameters={"user": "plain"}))
            client.answer()
            client.send(b"Q\0\0\0\x08one\0")
            assert fatal(client.rest())["C"] == "08P01"


class TestListening:
    @pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "localhost", "::1"])
    def test_loopback(self, host: str) -> None:
        assert is_loopback(host)

    @pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.0.2.1", "fe80::1"])
    def test_not_loopback(self, host: str) -> None:
        assert not is_loopback(host)

    @pytest.mark.parametrize("host", ["0.0.0.0", "::", ""])
    def test_beyond_loopback_only_with_authentication(self, host: str) -> None:
        with pytest.raises(ValueError, match="beyond loopback"), listening(Script(), host=host):
            pass

    def test_beyond_loopback_with_users(self) -> None:
        with listening(Script(), host="0.0.0.0", users=USERS) as listener:
            assert listener.port

    def test_authentication_needs_users(self) -> None:
        with pytest.raises(ValueError, match="needs users"), listening(Script(), authentication="md5"):
            pass

    def test_unix_socket(self, tmp_path: Path, loop_factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
        with listening(Script(), loop_factory=loop_factory, unix_socket_dir=tmp_path) as listener:
            path = tmp_path / f".s.PGSQL.{listener.port}"
            assert stat.S_ISSOCK(path.stat().st_mode)
            with Raw(listener, path=str(path)) as client:
                assert isinstance(client.log_in()[-1], ReadyForQuery)
            with pytest.raises(OSError, match="another server"), listening(Script(), host=None, port=listener.port,
                                                                           unix_socket_dir=tmp_path):
                pass
        assert list(tmp_path.iterdir()) == []

    def test_a_stale_socket_is_replaced(self, tmp_path: Path) -> None:
        stale = socket.socket(socket.AF_UNIX)
        stale.bind(str(tmp_path / ".s.PGSQL.7777"))
        stale.close()
        with listening(Script(), host=None, port=7777, unix_socket_dir=tmp_path) as listener, \
                Raw(listener, path=str(tmp_path / ".s.PGSQL.7777")) as client:
            assert isinstance(client.log_in()[-1], ReadyForQuery)

    def test_the_end_is_told(self, loop_factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
        engine = Script()
        with contextlib.ExitStack() as stack:
            with listening(engine, loop_factory=loop_factory) as listener:
                client = stack.enter_context(Raw(listener))
                client.log_in()
            goodbye = client.answer()
            assert isinstance(goodbye, ErrorResponse)
            assert (goodbye.fields_by_code["C"], goodbye.fields_by_code["S"]) == ("57P01", "FATAL")
            assert client.answer() is None
        assert engine.log == ["close"]

    def test_a_line_for_each_connection(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.INFO, "febe.server"), listening(Script()) as listener, Raw(listener) as client:
            client.log_in(application_name="tool", database="d")
            client.say(Terminate())
            client.rest()
        opened, closed = [record.getMessage() for record in caplog.records]
        assert opened.startswith("connection opened: user=demo database=d address=127.0.0.1:")
        assert opened.endswith(" application_name=tool")
        assert closed == opened.replace("opened", "closed")


def test_a_name_cannot_forge_a_line(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "febe.server"), listening(Script()) as listener, Raw(listener) as client:
        client.log_in(database="d\nconnection opened: user=root", application_name="é\n")
        client.say(Terminate())
        client.rest()
    assert all("\n" not in record.getMessage() for record in caplog.records)
    assert caplog.records[0].getMessage().endswith(r" application_name=\xc3\xa9\x0a")


class Waiting(Script):
    """`one` waits until it is cancelled."""

    def __init__(self) -> None:
        super().__init__(blocking=True)
        self.runs = threading.Event()
        self.stopped = threading.Event()
        self.left = threading.Event()

    def open(self, **_: Any) -> Any:
        return WaitingSession(self)


class WaitingSession(ScriptSession):
    def __init__(self, engine: Waiting) -> None:
        super().__init__(engine)
        self.engine = engine

    def prepare(self, sql: str, parameter_types: Sequence[int]) -> Prepared:
        made = super().prepare(sql, parameter_types)
        if sql == "one":
            made.execute = self.wait  # type: ignore[method-assign]
        return made

    def wait(self, values: Sequence[Any]) -> Result:
        self.engine.runs.set()
        assert self.engine.stopped.wait(SECONDS)
        raise EngineError("canceling statement due to user request", sqlstate="57014")

    def cancel(self) -> None:
        self.engine.stopped.set()

    def close(self) -> None:
        self.engine.left.set()


class TestStopping:
    @pytest.mark.parametrize("version", [VERSION_3_0, VERSION_3_2])
    def test_cancel(self, loop_factory: Callable[[], asyncio.AbstractEventLoop], version: int) -> None:
        engine = Waiting()
        with listening(engine, loop_factory=loop_factory) as listener, Raw(listener) as client:
            (key,) = [one for one in client.log_in(version) if isinstance(one, BackendKeyData)]
            client.send(b"Q\0\0\0\x08one\0")
            assert engine.runs.wait(SECONDS)
            for wrong in (CancelRequest(process_id=key.process_id, secret_key=bytes(len(key.secret_key))),
                          CancelRequest(process_id=key.process_id ^ 1, secret_key=key.secret_key),
                          CancelRequest(process_id=key.process_id, secret_key=key.secret_key[:-1])):
                with Raw(listener) as other:
                    other.say(wrong)
                    assert other.rest() == b""
            assert not engine.stopped.is_set()
            with Raw(listener) as other:
                other.say(CancelRequest(process_id=key.process_id, secret_key=key.secret_key))
                assert other.rest() == b""
            data = b""
            while not data.endswith(b"Z\0\0\0\5I"):
                data += client.socket.recv(65536)
            assert fatal(data[:-6])["C"] == "57014"

    def test_a_client_that_goes_away(self, loop_factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
        engine = Waiting()
        with listening(engine, loop_factory=loop_factory) as listener:
            with Raw(listener) as client:
                client.log_in()
                client.send(b"Q\0\0\0\x08one\0")
                assert engine.runs.wait(SECONDS)
            assert engine.stopped.wait(SECONDS)
            assert engine.left.wait(SECONDS)

    def test_the_end_of_the_server(self, loop_factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
        engine = Waiting()
        with contextlib.ExitStack() as stack:
            with listening(engine, loop_factory=loop_factory) as listener:
                client = stack.enter_context(Raw(listener))
                client.log_in()
                client.send(b"Q\0\0\0\x08one\0")
                assert engine.runs.wait(SECONDS)
            assert engine.stopped.is_set()
            assert fatal(client.rest())["C"] == "57P01"

    def test_others_go_on(self, loop_factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
        engine = Waiting()
        with listening(engine, loop_factory=loop_factory) as listener, Raw(listener) as busy, Raw(listener) as other:
            busy.log_in()
            other.log_in()
            busy.send(b"Q\0\0\0\x08one\0")
            assert engine.runs.wait(SECONDS)
            assert isinstance(other.query("rows 3")[-1], ReadyForQuery)
