"""SCRAM-SHA-256, seen from the server (manual: "SASL Authentication")."""

from __future__ import annotations

import secrets

from febe.flows.serve import Conversation
from febe.flows.serve_attempt import Attempt, Proof
from febe.protocol.authentication import (
    SASL_LIMIT,
    AuthenticationSASL,
    AuthenticationSASLContinue,
    AuthenticationSASLFinal,
    SASLInitialResponse,
    SASLResponse,
)
from febe.protocol.errors import RemoteProtocolError
from febe.protocol.scram import MECHANISM, NONCE_BYTES, ScramServer


async def scram(attempt: Attempt) -> Proof:
    """Have the client prove its password without saying it.  Errors: AuthenticationError, RemoteProtocolError."""
    conversation = attempt.conversation
    exchange = ScramServer(attempt.credential.verifier, secrets.token_bytes(NONCE_BYTES))
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
    return Proof(identity=attempt.user)


async def _response(conversation: Conversation) -> bytes:
    answer = await conversation.next_event()
    assert isinstance(answer, SASLResponse)
    return _bounded(answer.data)


def _bounded(data: bytes) -> bytes:
    if len(data) > SASL_LIMIT:
        raise RemoteProtocolError("invalid message length")
    return data


__all__ = ["scram"]
