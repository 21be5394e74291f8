"""Opening a session, against a backend on a core of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from febe.flows.connect import Login
from febe.flows.errors import NotSupported
from febe.protocol.asynchronous import ErrorResponse, NoticeResponse
from febe.protocol.authentication import (
    AuthenticationCleartextPassword,
    AuthenticationCryptPassword,
    AuthenticationGSS,
    AuthenticationKerberosV4,
    AuthenticationKerberosV5,
    AuthenticationMD5Password,
    AuthenticationOk,
    AuthenticationSASL,
    AuthenticationSASLContinue,
    AuthenticationSASLFinal,
    AuthenticationSCMCredential,
    AuthenticationSSPI,
    PasswordMessage,
    SASLInitialResponse,
    SASLResponse,
)
from febe.protocol.errors import (
    AuthenticationError,
    ConnectionLost,
    LocalProtocolError,
    PostgresError,
    RemoteProtocolError,
)
from febe.protocol.message import Message
from febe.protocol.scram import ScramServer, ScramVerifier, md5_password
from febe.protocol.startup import NegotiateProtocolVersion, ReadyForQuery, StartupMessage
from tests.flows.backend import PARAMETERS, Backend, error, opened

CHUNKS = pytest.mark.parametrize("chunk", [0, 1, 7])


def login(**options: object) -> Login:
    return Login(**{"user": "u", "database": "d"} | options)  # type: ignore[arg-type]


@CHUNKS
def test_trust_and_what_the_server_tells(chunk: int) -> None:
    notices: list[PostgresError] = []

    async def script(backend: Backend) -> None:
        startup = await backend.expect(StartupMessage)
        assert startup.version == 0x30000
        assert startup.parameters == {"user": "u", "database": "d", "search_path": "x", "client_encoding": "UTF8"}
        await backend.say(AuthenticationOk(), NoticeResponse(fields_by_code={"S": "NOTICE", "C": "00000", "M": "hi"}))
        await backend.settle()

    session = opened(script, login(settings={"search_path": "x", "client_encoding": "LATIN1"},
                                   on_notice=notices.append), chunk=chunk)
    assert session.parameters == PARAMETERS
    assert (session.process_id, session.secret_key) == (77, b"\0\1\2\3")
    assert [notice.message for notice in notices] == ["hi"]
    assert not session.is_closed


@CHUNKS
def test_cleartext(chunk: int) -> None:
    async def script(backend: Backend) -> None:
        await backend.expect(StartupMessage)
        await backend.say(AuthenticationCleartextPassword())
        assert (await backend.expect(PasswordMessage)).password == "päss"
        await backend.greet()

    opened(script, login(password="päss"), chunk=chunk)


@CHUNKS
def test_md5(chunk: int) -> None:
    async def script(backend: Backend) -> None:
        await backend.expect(StartupMessage)
        await backend.say(AuthenticationMD5Password(salt=b"salt"))
        assert (await backend.expect(PasswordMessage)).password == md5_password("u", "pw", b"salt")
        await backend.greet()

    opened(script, login(password="pw"), chunk=chunk)


async def scram(backend: Backend, password: str = "pencil", *, final: bool = True, signature: bytes | None = None,
                mechanisms: Sequence[str] = ("OTHER", "SCRAM-SHA-256")) -> None:
    await backend.expect(StartupMessage)
    await backend.say(AuthenticationSASL(mechanisms=list(mechanisms)))
    server = ScramServer(ScramVerifier.make(password, b"0123456789abcdef"), b"n" * 18)
    first = await backend.expect(SASLInitialResponse)
    assert first.mechanism == "SCRAM-SHA-256"
    await backend.say(AuthenticationSASLContinue(data=server.challenge(first.data or b"")))
    outcome = server.finish((await backend.expect(SASLResponse)).data)
    if final:
        await backend.say(AuthenticationSASLFinal(data=signature or outcome))
    await backend.greet()


@CHUNKS
def test_scram(chunk: int) -> None:
    opened(scram, login(password="pencil"), chunk=chunk)


def test_scram_server_that_does_not_know_the_password() -> None:
    forged = b"v=" + b"A" * 43 + b"="
    with pytest.raises(AuthenticationError, match="server signature"):
        opened(lambda backend: scram(backend, signature=forged), login(password="pencil"))


def test_scram_server_that_skips_its_proof() -> None:
    with pytest.raises(AuthenticationError, match="did not prove"):
        opened(lambda backend: scram(backend, final=False), login(password="pencil"))


def test_scram_server_that_lets_in_at_once() -> None:
    async def script(backend: Backend) -> None:
        await backend.expect(StartupMessage)
        await backend.say(AuthenticationSASL(mechanisms=["SCRAM-SHA-256"]))
        await backend.expect(SASLInitialResponse)
        await backend.greet()

    with pytest.raises(AuthenticationError, match="did not prove"):
        opened(script, login(password="pencil"))


def test_scram_final_before_any_challenge() -> None:
    async def script(backend: Backend) -> None:
        await backend.expect(StartupMessage)
        await backend.say(AuthenticationSASL(mechanisms=["SCRAM-SHA-256"]))
        await backend.expect(SASLInitialResponse)
        await backend.say(AuthenticationSASLFinal(data=b"v=AAAA"))
        await backend.greet()

    with pytest.raises(AuthenticationError, match="server signature"):
        opened(script, login(password="pencil"))


def test_scram_final_twice() -> None:
    async def script(backend: Backend) -> None:
        await backend.expect(StartupMessage)
        await backend.say(AuthenticationSASL(mechanisms=["SCRAM-SHA-256"]))
        server = ScramServer(ScramVerifier.make("pencil", b"0123456789abcdef"), b"n" * 18)
        first = await backend.expect(SASLInitialResponse)
        await backend.say(AuthenticationSASLContinue(data=server.challenge(first.data or b"")))
        final = AuthenticationSASLFinal(data=server.finish((await backend.expect(SASLResponse)).data))
        await backend.say(final)
        await backend.raw(final.encode())
        await backend.expect(Message)

    with pytest.raises(RemoteProtocolError):
        opened(script, login(password="pencil"))


def test_no_known_sasl_mechanism() -> None:
    with pytest.raises(AuthenticationError, match="SCRAM-SHA-1, X"):
        opened(lambda backend: scram(backend, mechanisms=("SCRAM-SHA-1", "X")), login(password="pencil"))


@pytest.mark.parametrize("fields", [{}, {"M": "no"}, {"S": "FATAL", "C": "", "M": "no"}])
def test_an_error_without_a_sqlstate(fields: dict[str, str]) -> None:
    """CVE-2026-6666: a peer fell over what the manual says is always there."""
    async def script(backend: Backend) -> None:
        await backend.expect(StartupMessage)
        await backend.say(ErrorResponse(fields_by_code=fields))

    with pytest.raises(PostgresError) as caught:
        opened(script, login())
    assert caught.value.sqlstate == fields.get("C", "XX000")
    assert "no" in str(caught.value) or not fields


@pytest.mark.parametrize(("version", "length", "is_taken"), [
    ("3.0", 4, True), ("3.0", 5, False), ("3.0", 32, False), ("3.2", 4, True), ("3.2", 5, True), ("3.2", 256, True),
    ("3.2", 3, False), ("3.2", 257, False)])
def test_lengths_of_cancel_keys(version: str, length: int, is_taken: bool) -> None:
    key = bytes(range(256))[:length] + b"x" * (length - 256)

    async def script(backend: Backend) -> None:
        await backend.expect(StartupMessage)
        await backend.raw(AuthenticationOk().encode() + b"K" + (length + 8).to_bytes(4) + bytes(4) + key
                          + ReadyForQuery(status="I").encode())

    options = login(max_protocol_version=version)
    if not is_taken:
        with pytest.raises(RemoteProtocolError):
            opened(script, options)
        return
    assert opened(script, options).secret_key == key


@pytest.mark.parametrize("given", [{"user": "a\0b"}, {"database": "a\0b"}, {"settings": {"a.b": "x\0y"}},
                                   {"settings": {"a\0b": "x"}}])
def test_nul_in_what_a_program_says(given: dict[str, Any]) -> None:
    """It would end the value and begin another parameter."""
    async def script(backend: Backend) -> None:
        await backend.expect(StartupMessage)

    with pytest.raises(LocalProtocolError):
        opened(script, login(**given))


@pytest.mark.parametrize("request_", [AuthenticationCleartextPassword(), AuthenticationMD5Password(salt=b"salt"),
                                      AuthenticationSASL(mechanisms=["SCRAM-SHA-256"])], ids=lambda m: type(m).__name__)
def test_a_password_is_asked_for_and_none_given(request_: Message) -> None:
    async def script(backend: Backend) -> None:
        await backend.expect(StartupMessage)
        await backend.say(request_)
        await backend.expect(Message)

    with pytest.raises(AuthenticationError, match="none was given"):
        opened(script, login())


@pytest.mark.parametrize(("request_", "name"), [
    (AuthenticationKerberosV4(), "Kerberos V4"), (AuthenticationKerberosV5(), "Kerberos V5"),
    (AuthenticationCryptPassword(salt=b"xx"), "crypt password"), (AuthenticationSCMCredential(), "SCM credential"),
    (AuthenticationGSS(), "GSSAPI"), (AuthenticationSSPI(), "SSPI")])
def test_unsupported_methods_are_named(request_: Message, name: str) -> None:
    async def script(backend: Backend) -> None:
        await backend.expect(StartupMessage)
        await backend.say(request_)
        await backend.expect(Message)

    with pytest.raises(AuthenticationError, match=name):
        opened(script, login(password="pw"))


def test_error_instead_of_an_answer() -> None:
    async def script(backend: Backend) -> None:
        await backend.expect(StartupMessage)
        await backend.say(error("3D000", 'database "d" does not exist'))

    with pytest.raises(PostgresError, match="does not exist") as caught:
        opened(script)
    assert caught.value.condition == "invalid_catalog_name"


def test_error_after_authentication() -> None:
    async def script(backend: Backend) -> None:
        await backend.expect(StartupMessage)
        await backend.say(AuthenticationOk(), error("53300", "too many clients"))

    with pytest.raises(PostgresError, match="too many clients"):
        opened(script)


def test_server_that_goes_away() -> None:
    async def script(backend: Backend) -> None:
        await backend.expect(StartupMessage)
        await backend.port.aclose()

    with pytest.raises(ConnectionLost, match="while connecting") as caught:
        opened(script)
    assert caught.value.retry_is_safe


def test_what_is_no_postgresql() -> None:
    async def script(backend: Backend) -> None:
        await backend.raw(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await backend.expect(StartupMessage)

    with pytest.raises(RemoteProtocolError, match="expected authentication request"):
        opened(script)


def test_another_encoding_is_refused() -> None:
    async def script(backend: Backend) -> None:
        await backend.expect(StartupMessage)
        await backend.greet(parameters={"client_encoding": "LATIN1"})

    with pytest.raises(NotSupported, match="LATIN1"):
        opened(script)


def test_a_server_that_reports_nothing_is_believed() -> None:
    async def script(backend: Backend) -> None:
        await backend.expect(StartupMessage)
        await backend.greet(parameters={})

    assert opened(script).parameters == {}


def test_startup_packet_that_is_too_long() -> None:
    with pytest.raises(LocalProtocolError, match="longer than"):
        opened(Backend.open, login(settings={"application_name": "x" * 10_000}))


# Version negotiation, as libpq 18 judges it (pqGetNegotiateProtocolVersion3)

def negotiated(version: int, options: list[str], **asked: object) -> int:
    async def script(backend: Backend) -> None:
        await backend.expect(StartupMessage)
        # Not by the core: most of these are not to be said.
        await backend.raw(NegotiateProtocolVersion(version=version, options=options).encode())
        await backend.greet()

    return opened(script, login(**asked)).protocol_version


def test_default_request_is_3_0_and_latest_is_3_2() -> None:
    seen: list[int] = []

    async def script(backend: Backend) -> None:
        seen.append((await backend.expect(StartupMessage)).version)
        await backend.greet(key=bytes(4 if seen[-1] == 0x30000 else 32))

    assert opened(script).protocol_version == 0x30000
    session = opened(script, login(max_protocol_version="latest"))
    assert (session.protocol_version, session.secret_key) == (0x30002, bytes(32))
    assert opened(script, login(min_protocol_version="3.2")).protocol_version == 0x30002
    assert seen == [0x30000, 0x30002, 0x30002]


def test_a_lower_version_is_taken() -> None:
    assert negotiated(0x30000, [], max_protocol_version="3.2") == 0x30000


def test_an_unknown_extension_is_taken() -> None:
    assert negotiated(0x30000, ["_pq_.x"], settings={"_pq_.x": "1"}) == 0x30000


@pytest.mark.parametrize(("version", "options", "asked", "words"), [
    (0x30002, [], {}, "higher-numbered"),
    (0x20000, [], {"max_protocol_version": "3.2"}, "pre-3.0"),
    (0x30001, [], {"max_protocol_version": "3.2"}, "non-existent 3.1"),
    (0x30002, [], {"max_protocol_version": "3.2"}, "asks for no changes"),
    (0x30000, [], {}, "asks for no changes"),
    (0x30000, [], {"min_protocol_version": "3.2"}, "only supports protocol version 3.0"),
    (0x30000, ["x"], {}, "without a"),
    (0x30000, ["_pq_.x"], {}, "not requested"),
])
def test_what_libpq_refuses(version: int, options: list[str], asked: dict[str, object], words: str) -> None:
    with pytest.raises(RemoteProtocolError, match=words):
        negotiated(version, options, **asked)


def test_a_second_negotiation_is_refused() -> None:
    message = NegotiateProtocolVersion(version=0x30000, options=[]).encode()

    async def script(backend: Backend) -> None:
        await backend.expect(StartupMessage)
        await backend.raw(message + message)
        await backend.expect(Message)

    with pytest.raises(RemoteProtocolError):
        opened(script, login(max_protocol_version="3.2"))


@pytest.mark.parametrize(("asked", "words"), [
    ({"max_protocol_version": "3.1"}, 'invalid max_protocol_version value: "3.1"'),
    ({"min_protocol_version": "4.0"}, 'invalid min_protocol_version value: "4.0"'),
    ({"min_protocol_version": "latest", "max_protocol_version": "3.0"}, "greater than"),
])
def test_versions_that_cannot_be_asked_for(asked: dict[str, object], words: str) -> None:
    with pytest.raises(LocalProtocolError, match=words):
        opened(Backend.open, login(**asked))
