"""Authentication, seen from the server: a table of methods (manual: "Start-up", "Authentication Methods").

A method is a name of pg_hba.conf, a coroutine that talks to the client until it has proved something, and the words in
which PostgreSQL refuses.  A new one is an entry of `METHODS`, its coroutine in a file of its own.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import md5

from febe.flows.serve_attempt import Attempt, Proof
from febe.flows.serve_gss import gss
from febe.flows.serve_oauth import oauth
from febe.flows.serve_scram import scram
from febe.protocol.authentication import AuthenticationCleartextPassword, AuthenticationMD5Password, PasswordMessage
from febe.protocol.errors import AuthenticationError, RemoteProtocolError


@dataclass(slots=True, frozen=True, kw_only=True)
class Method:
    """How a client proves who it is.

    `exchange` returns what was proved; AuthenticationError says, to the log only, why it was not.  AuthenticationOk is
    left to the caller.  `refusal` and `sqlstate` are what the client is told (auth.c, auth_failed).
    """

    name: str
    exchange: Callable[[Attempt], Awaitable[Proof]]
    refusal: str
    sqlstate: str = "28000"
    needs_users: bool = False
    """It asks what the server knows of the user's password."""


async def trust(attempt: Attempt) -> Proof:
    """Believe what the client says."""
    return Proof()


async def reject(attempt: Attempt) -> Proof:
    """Let nobody in; a rule that says so is worded by whoever found it."""
    raise AuthenticationError("host rejected")


async def password(attempt: Attempt) -> Proof:
    """Have the client say its password.  Errors: AuthenticationError, RemoteProtocolError, ConnectionLost."""
    attempt.conversation.say(AuthenticationCleartextPassword())
    if not attempt.credential.accepts(attempt.user, await _password(attempt)):
        raise AuthenticationError("wrong password")
    return Proof(identity=attempt.user)


async def md5_or_scram(attempt: Attempt) -> Proof:
    """Have the client prove its password by MD5, or by SCRAM where the server has a SCRAM verifier only.

    Errors: as `password`.
    """
    if attempt.credential.md5 is None:
        return await scram(attempt)
    salt = secrets.token_bytes(4)
    attempt.conversation.say(AuthenticationMD5Password(salt=salt))
    answer = await _password(attempt)
    expected = md5(attempt.credential.md5.encode() + salt, usedforsecurity=False).hexdigest()
    if not hmac.compare_digest(f"md5{expected}".encode(), answer.encode("utf-8", "surrogateescape")):
        raise AuthenticationError("wrong password")
    return Proof(identity=attempt.user)


async def peer(attempt: Attempt) -> Proof:
    """Ask the operating system who is at the other end of the Unix socket.  Errors: AuthenticationError."""
    if attempt.system_user is None:
        raise AuthenticationError("peer authentication is for Unix sockets")
    name = attempt.system_user()
    return Proof(identity=name, system_name=name)


async def certificate(attempt: Attempt) -> Proof:
    """Take the name in the client's TLS certificate.  Errors: AuthenticationError."""
    found = attempt.certificate
    name = found and (found.subject if attempt.options.get("clientname") == "DN" else found.common_name)
    if found is None or not name:
        raise AuthenticationError("client certificate contains no user name")
    return Proof(identity=found.subject, system_name=name)


async def _password(attempt: Attempt) -> str:
    answer = await attempt.conversation.next_event()
    assert isinstance(answer, PasswordMessage)
    if not answer.password:  # recv_password_packet: some clients send one rather than ask their user
        raise RemoteProtocolError("empty password returned by client", sqlstate="28P01")
    return answer.password


_PASSWORD = 'password authentication failed for user "{}"'

METHODS: dict[str, Method] = {method.name: method for method in (
    Method(name="trust", exchange=trust, refusal='"trust" authentication failed for user "{}"'),
    Method(name="reject", exchange=reject, refusal='authentication failed for user "{}": host rejected'),
    Method(name="password", exchange=password, refusal=_PASSWORD, sqlstate="28P01", needs_users=True),
    Method(name="md5", exchange=md5_or_scram, refusal=_PASSWORD, sqlstate="28P01", needs_users=True),
    Method(name="scram-sha-256", exchange=scram, refusal=_PASSWORD, sqlstate="28P01", needs_users=True),
    Method(name="peer", exchange=peer, refusal='Peer authentication failed for user "{}"'),
    Method(name="gss", exchange=gss, refusal='GSSAPI authentication failed for user "{}"'),
    Method(name="cert", exchange=certificate, refusal='certificate authentication failed for user "{}"'),
    Method(name="oauth", exchange=oauth, refusal='OAuth bearer authentication failed for user "{}"'),
)}

__all__ = ["METHODS", "Method"]
