"""The first packets, seen from the server (manual: "Start-up", "SSL Session Encryption", "Canceling Requests in
Progress")."""

from __future__ import annotations

from febe.flows.serve import Conversation
from febe.protocol import negotiation
from febe.protocol.connection import DirectTLS
from febe.protocol.startup import (
    CancelRequest,
    EncryptionRefused,
    GSSENCRequest,
    SSLRequest,
    StartupMessage,
)


async def greet(conversation: Conversation) -> StartupMessage | CancelRequest | DirectTLS:
    """Refuse encryption as often as it may be asked for, and return what the client has really come for.

    Errors: ConnectionLost; RemoteProtocolError, UnsupportedVersion among them.
    """
    while True:
        event = await conversation.next_event()
        if isinstance(event, SSLRequest | GSSENCRequest):
            conversation.say(EncryptionRefused())
        else:
            assert isinstance(event, StartupMessage | CancelRequest | DirectTLS)
            return event


def settle_version(conversation: Conversation, startup: StartupMessage) -> int:
    """The version to speak; the client is told when it asked for a later one or for unknown extensions."""
    version, notice = negotiation.answer(startup)
    if notice is not None:
        conversation.say(notice)
    return version
