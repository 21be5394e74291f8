"""Authentication, seen from the server (manual: "Start-up", "SASL Authentication")."""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from enum import Enum
from hashlib import md5

from febe.flows.serve import Conversation
from febe.protocol.authentication import (
    SASL_LIMIT,
    AuthenticationCleartextPassword,
    AuthenticationMD5Password,
    AuthenticationSASL,
    AuthenticationSASLContinue,
    AuthenticationSASLFinal,
    PasswordMessage,
    SASLInitialResponse,
    SASLResponse,
)
from febe.protocol.errors import AuthenticationError, RemoteProtocolError
from febe.protocol.scram import MECHANISM, NONCE_BYTES, ScramServer, ScramVerifier


class Method(Enum):
    """How a client proves who it is, by the names of pg_hba.conf."""

    TRUST = "trust"
    PASSWORD = "password"
    MD5 = "md5"
    SCRAM = "scram-sha-256"


@dataclass(slots=True, kw_only=True, repr=False)
class Credential:
    """What the server knows of one user's password.

    `md5` is the 32 digits of the MD5 of password and user name; an unknown user has a verifier that nothing satisfies.
    """

    verifier: ScramVerifier | None = None
    md5: str | None = None

    def accepts(self, user: str, password: str) -> bool:
        """Whether this is the password."""
        if self.verifier is not None:
            made = ScramVerifier.make(password, self.verifier.salt, self.verifier.iterations)
            return hmac.compare_digest(made.stored_key, self.verifier.stored_key) and self.verifier.real
        return self.md5 is not None and hmac.compare_digest(md5_of(user, password), self.md5)


def md5_of(user: str, password: str) -> str:
    """The digest that pg_authid keeps for an MD5 password, without its prefix."""
    text = password.encode("utf-8", "surrogateescape") + user.encode("utf-8", "surrogateescape")
    return md5(text, usedforsecurity=False).hexdigest()


async def authenticate(conversation: Conversation, method: Method, user: str, credential: Credential) -> None:
    """Have the client prove that it is `user`; AuthenticationOk is left to the caller.

    Errors: AuthenticationError; RemoteProtocolError; ConnectionLost.
    """
    if method is Method.TRUST:
        return
    # As in PostgreSQL: who has a SCRAM verifier only is asked for SCRAM where MD5 would do.
    if method is Method.MD5 and credential.md5 is None:
        method = Method.SCRAM
    if method is Method.SCRAM:
        if credential.verifier is None:
            raise AuthenticationError(f'user "{user}" has no SCRAM verifier')
        return await _scram(conversation, credential.verifier)
    salt = secrets.token_bytes(4)
    conversation.say(AuthenticationCleartextPassword() if method is Method.PASSWORD
                     else AuthenticationMD5Password(salt=salt))
    answer = await conversation.next_event()
    assert isinstance(answer, PasswordMessage)
    if method is Method.PASSWORD:
        right = credential.accepts(user, answer.password)
    else:
        expected = md5(str(credential.md5).encode() + salt, usedforsecurity=False).hexdigest()
        right = hmac.compare_digest(f"md5{expected}".encode(), answer.password.encode("utf-8", "surrogateescape"))
    if not right:
        raise AuthenticationError("wrong password")


async def _scram(conversation: Conversation, verifier: ScramVerifier) -> None:
    exchange = ScramServer(verifier, secrets.token_bytes(NONCE_BYTES))
    conversation.say(AuthenticationSASL(mechanisms=[MECHANISM]))
    chosen = await conversation.next_event()
    assert isinstance(chosen, SASLInitialResponse)
    if chosen.mechanism != MECHANISM:
        raise RemoteProtocolError("client selected an invalid SASL authentication mechanism")
    first = chosen.data
    if first is None:  # the client's first message may also follow an empty challenge (RFC 4422, section 3)
        conversation.say(AuthenticationSASLContinue(data=b""))
        first = await _response(conversation)
    conversation.say(AuthenticationSASLContinue(data=exchange.challenge(_bounded(first))))
    conversation.say(AuthenticationSASLFinal(data=exchange.finish(await _response(conversation))))


async def _response(conversation: Conversation) -> bytes:
    answer = await conversation.next_event()
    assert isinstance(answer, SASLResponse)
    return _bounded(answer.data)


def _bounded(data: bytes) -> bytes:
    if len(data) > SASL_LIMIT:
        raise RemoteProtocolError("invalid message length")
    return data
