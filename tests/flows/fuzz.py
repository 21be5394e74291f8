"""A fuzz target over start-up and authentication: a hostile client before a server, a hostile server before a client.

    python -m tests.flows.fuzz --rounds 1000000 [--seed 7]

What must not happen: an exception that is none of febe's, an entry without proof, a client that believes a server
without proof, memory that grows.
"""

from __future__ import annotations

import argparse
import random
import re
import resource
import time
from collections.abc import Awaitable, Callable
from typing import Any

from febe.flows.authenticate_oauth import OAuth
from febe.flows.connect import Login, connect
from febe.flows.port import READY, Layer
from febe.flows.require_auth import RequireAuth
from febe.flows.serve import Conversation
from febe.flows.serve_attempt import Attempt, Credential, PresentedToken, TokenVerdict
from febe.flows.serve_authentication import METHODS
from febe.flows.serve_startup import Offer, greet, settle_version
from febe.ports.encryption import Encryptable
from febe.protocol.authentication import (
    AuthenticationCleartextPassword,
    AuthenticationGSS,
    AuthenticationMD5Password,
    AuthenticationOk,
    AuthenticationSASL,
    AuthenticationSASLContinue,
    AuthenticationSASLFinal,
    PasswordMessage,
    SASLInitialResponse,
    SASLResponse,
)
from febe.protocol.connection import Connection
from febe.protocol.encryption import Encryption
from febe.protocol.errors import AuthenticationError, ConnectionLost, EncryptionError, PostgresError, ProtocolError
from febe.protocol.message import Message, Sender
from febe.protocol.oauthbearer import failure
from febe.protocol.scram import ScramClient, ScramVerifier
from febe.protocol.startup import (
    BackendKeyData,
    CancelRequest,
    GSSENCRequest,
    NegotiateProtocolVersion,
    ReadyForQuery,
    SSLRequest,
    StartupMessage,
)
from tests.flows.backend import error

EXPECTED = (ProtocolError, AuthenticationError, ConnectionLost, EncryptionError, PostgresError)
VERIFIER = ScramVerifier.make("a password that nobody guesses", b"0123456789abcdef", 1)
ISSUER = "https://issuer.example"
OAUTH = OAuth(issuer=ISSUER, client_id="c", source=lambda _: "a.token")
CHALLENGE = re.compile(rb"r=[!-+\--~]+,s=[^,]+,i=\d+")
NONCE = re.compile(rb"n=,r=([!-+\--~]+)")
WORDS = [b"\0\0\0\0", b"\0\0\0\3", b"\0\0\0\4", b"\0\0\x27\x10", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0", b",",
         b"=", b"r=", b"p=", b"m=", b"i=99999999999", b"\xff"]


class Hostile(Encryptable):
    """A port whose peer says what `answer` makes of what it was told, so many times."""

    def __init__(self, answer: Callable[[bytes], bytes], times: int) -> None:
        self._answer, self._left = answer, times
        self._told = b""
        self._data = b""

    def write(self, out: bytes) -> None:
        self._told += out

    def wait(self) -> Awaitable[None]:
        if not self._left:
            raise ConnectionLost("the peer is gone")
        self._left -= 1
        self._data = self._answer(self._told)
        self._told = b""
        if not self._data:
            raise ConnectionLost("the peer is gone")
        return READY

    def take(self) -> bytes:
        return self._data

    async def exchange(self, out: bytes) -> bytes:
        self.write(out)
        await self.wait()
        return self.take()

    async def flush(self, out: bytes) -> None:
        self.write(out)

    def abort(self) -> None:
        self._left = 0

    def signal(self) -> Any:
        raise NotImplementedError

    def me(self) -> object:
        return self

    async def aclose(self) -> None:
        self.abort()

    async def run(self, call: Callable[..., Any], *args: Any) -> Any:
        return call(*args)


class Refusing:
    """Encryption that comes to nothing, whatever the peer says."""

    kind = "SSL"
    certificate = principal = None

    def channel_binding(self) -> bytes:
        return b"x"

    def handshake(self, data: bytes) -> tuple[bytes, bool]:
        if data:
            raise EncryptionError("no")
        return b"hello", False

    def encrypt(self, data: bytes) -> bytes:
        return data

    decrypt = encrypt

    def farewell(self) -> bytes:
        return b""


def damaged(source: random.Random, data: bytes) -> bytes:
    """The bytes with some damage, often none."""
    stream = bytearray(data)
    for _ in range(source.choice((0, 0, 0, 1, 1, 2, 4))):
        pos = source.randrange(len(stream) + 1)
        match source.randrange(4):
            case 0:
                stream[pos:pos + 1] = source.randbytes(1)
            case 1:
                del stream[pos:pos + source.randrange(1, 9)]
            case 2:
                stream[pos:pos] = source.randbytes(source.randrange(9))
            case _:
                stream[pos:pos + 2] = source.choice(WORDS)
    return bytes(stream)


async def accepts_nobody(_: PresentedToken) -> TokenVerdict:
    return TokenVerdict(authorized=False, authn_id="u")


def client_says(source: random.Random) -> Callable[[bytes], bytes]:
    scram = ScramClient("a guess", b"c" * 18)
    firsts: list[Message] = [SSLRequest(), GSSENCRequest(), CancelRequest(process_id=1, secret_key=b"0123")]
    started = False

    def say(told: bytes) -> bytes:
        nonlocal started
        if not started:
            if source.random() < 0.2:
                return damaged(source, source.choice(firsts).encode())
            started = True
            parameters = {"user": "u", "database": "d"} | source.choice(({}, {"_pq_.x": "1"}, {"options": "-c a=b"}))
            return damaged(source, StartupMessage(version=source.choice((0x30000, 0x30002, 0x3270F)),
                                                  parameters=parameters).encode())
        challenge = CHALLENGE.search(told)
        if challenge is not None:
            try:
                final = scram.final(challenge[0])
            except EXPECTED:
                final = b"c=biws,r=x,p=x"
            return damaged(source, SASLResponse(data=damaged(source, final)).encode())
        if b"openid-configuration" in told:
            return damaged(source, SASLResponse(data=source.choice((b"\x01", b"\x01", b"", b"x"))).encode())
        if b"OAUTHBEARER" in told and source.random() < 0.9:
            auth = source.choice((b"", b"Bearer x.y.z", b"bearer  x", b"Basic x"))
            return damaged(source, SASLInitialResponse(mechanism="OAUTHBEARER", data=damaged(
                source, b"n,,\x01auth=" + auth + b"\x01\x01")).encode())
        flag = source.choice((b"n,,", b"n,,", b"y,,", b"p=tls-server-end-point,,", b"n,a=x,", b""))
        first = flag + scram.first()[3:]
        mechanism = source.choice(("SCRAM-SHA-256", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "OAUTHBEARER", ""))
        return damaged(source, source.choice((
            PasswordMessage(password=source.choice(("", "x", "md5" + "0" * 32, "x" * 2000))),
            SASLInitialResponse(mechanism=mechanism, data=source.choice((None, damaged(source, first), first))),
            SASLResponse(data=first))).encode())

    return say


def hostile_client(source: random.Random) -> bool:
    """One client before a server; whether it got as far as an answer to its proof."""
    port = Hostile(client_says(source), 12)
    conversation = Conversation(Connection(Sender.BACKEND), port)
    method = METHODS[source.choice(("scram-sha-256", "scram-sha-256", "oauth", "password", "md5", "gss", "cert"))]
    offer = Offer(tls=Refusing, direct_tls=Refusing) if source.random() < 0.3 else Offer()
    verifier = source.choice((VERIFIER, ScramVerifier.mock("u", b"secret")))
    if not verifier.real:
        verifier = ScramVerifier(1, verifier.salt, verifier.stored_key, verifier.server_key, real=False)
    credential = Credential(verifier=verifier, md5="0123456789abcdef" * 2 if method.name == "md5" else None)

    async def serve() -> None:
        first = await greet(conversation, offer)
        if isinstance(first, StartupMessage):
            settle_version(conversation, first)
            proof = await method.exchange(Attempt(
                conversation=conversation, user="u", database="d", credential=credential,
                options={"issuer": ISSUER, "scope": "x"}, validate=accepts_nobody, check_map=lambda _: None))
            raise AssertionError(f"let in by {method.name}: {proof}")

    return finished(serve())


def server_says(source: random.Random) -> Callable[[bytes], bytes]:
    def say(told: bytes) -> bytes:
        said = source.choice((
            b"S", b"N", b"G", b"SX", b"E", AuthenticationOk().encode(), AuthenticationCleartextPassword().encode(),
            AuthenticationMD5Password(salt=b"salt").encode(), AuthenticationGSS().encode(),
            AuthenticationSASL(mechanisms=["SCRAM-SHA-256"]).encode(),
            AuthenticationSASL(mechanisms=["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"]).encode(),
            AuthenticationSASL(mechanisms=["OAUTHBEARER"]).encode(),
            AuthenticationSASLContinue(data=damaged(source, failure(ISSUER, "x"))).encode(),
            AuthenticationSASLFinal(data=b"v=" + b"A" * 43 + b"=").encode(), error("28000").encode(),
            NegotiateProtocolVersion(version=source.choice((0x30000, 0x30001, 0x30002, 0x20000)),
                                     options=source.choice(([], ["_pq_.x"], ["y"]))).encode()))
        nonce = NONCE.search(told)
        if nonce is not None and source.random() < 0.9:
            iterations = source.choice((b"1", b"1", b"2", b"0", b"-1", b"1000001", b"4096x"))
            said = AuthenticationSASLContinue(data=damaged(
                source, b"r=" + nonce[1] + b"server,s=c2FsdA==,i=" + iterations)).encode()
        elif told and source.random() < 0.5 and b"user\0" in told:
            said = AuthenticationSASL(mechanisms=["SCRAM-SHA-256"]).encode()
        if source.random() < 0.2:
            said += AuthenticationOk().encode() + BackendKeyData(process_id=1, secret_key=b"0123").encode()
            said += ReadyForQuery(status="I").encode()
        return damaged(source, said)

    return say


def hostile_server(source: random.Random) -> bool:
    """One server before a client that insists on SCRAM; whether the client heard its last word."""
    encryption: Encryption[Layer] = Encryption(
        sslmode=source.choice(("disable", "disable", "prefer", "require")), tls=Refusing)
    login = Login(user="u", password="secret", database="d", encryption=encryption,
                  max_protocol_version=source.choice(("3.0", "3.2", "grease")), oauth=OAUTH,
                  require_auth=RequireAuth.parse(source.choice(("scram-sha-256", "oauth"))))

    async def open_it() -> None:
        session = await connect(Hostile(server_says(source), 12), login)
        raise AssertionError(f"a server without proof was believed: {session}")

    return finished(open_it())


def finished(flow: Any) -> bool:
    """Run a flow that is to end in one of febe's errors, or in nothing."""
    try:
        flow.send(None)
    except StopIteration:
        return False
    except EXPECTED as caught:
        assert "secret" not in str(caught)
        return isinstance(caught, AuthenticationError)
    raise AssertionError("the flow waits for something else than its peer")


def run(seed: int, rounds: int) -> int:
    """Judge so many inputs of each side, and return how many came to a proof that was refused; the seed names them."""
    refused = 0
    for number in range(rounds):
        for attack in (hostile_client, hostile_server):
            source = random.Random(seed * 1_000_003 + number)
            try:
                refused += attack(source)
            except BaseException as caught:
                caught.add_note(f"{attack.__name__}, seed {seed}, number {number}")
                raise
    return refused


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.flows.fuzz", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=time.time_ns() & 0xFFFF)
    options = parser.parse_args()
    run(options.seed, min(options.rounds, 20_000))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused = run(options.seed + 1, options.rounds)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(f"seed {options.seed}: {2 * options.rounds} inputs, {refused} proofs refused, memory grown by {grown} kB")


if __name__ == "__main__":
    main()
