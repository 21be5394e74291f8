"""SCRAM-SHA-256 and SCRAM-SHA-256-PLUS, seen from the server (manual: "SASL Authentication")."""

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
from febe.protocol.errors import EncryptionError, RemoteProtocolError
from febe.protocol.scram import MECHANISM, NONCE_BYTES, PLUS, ScramServer


async def scram(attempt: Attempt) -> Proof:
    """Have the client prove its password without saying it.  Errors: AuthenticationError, RemoteProtocolError."""
    conversation = attempt.conversation
    binding = _binding(conversation)
    offered = [MECHANISM] if binding is None else [PLUS, MECHANISM]
    conversation.say(AuthenticationSASL(mechanisms=offered))
    chosen = await conversation.next_event()
    assert isinstance(chosen, SASLInitialResponse)
    if chosen.mechanism not in offered:
        raise RemoteProtocolError("client selected an invalid SASL authentication mechanism")
    exchange = ScramServer(attempt.credential.verifier, secrets.token_bytes(NONCE_BYTES), binding=binding,
                           is_plus=chosen.mechanism == PLUS)
    first = chosen.data
    if first is None:  # the client's first message may also follow an empty challenge (RFC 4422, section 3)
        conversation.say(AuthenticationSASLContinue(data=b""))
        first = await _response(conversation)
    conversation.say(AuthenticationSASLContinue(data=exchange.challenge(_bounded(first))))
    conversation.say(AuthenticationSASLFinal(data=exchange.finish(await _response(conversation))))
    return Proof(identity=attempt.user)


def _binding(conversation: Conversation) -> bytes | None:
    """What the channel can be bound to.

    A certificate whose signature names no hash, such as Ed25519, has nothing to offer (RFC 5929, section 4.1), and so
    has a server without the package that reads certificates.
    """
    layer = conversation.port.layer
    try:
        return None if layer is None else layer.channel_binding()
    except EncryptionError:
        return None


async def _response(conversation: Conversation) -> bytes:
    answer = await conversation.next_event()
    assert isinstance(answer, SASLResponse)
    return _bounded(answer.data)


def _bounded(data: bytes) -> bytes:
    if len(data) > SASL_LIMIT:
        raise RemoteProtocolError("invalid message length")
    return data


__all__ = ["scram"]
