"""The first packets, seen from the server (manual: "Start-up", "SSL Session Encryption", "GSSAPI Session Encryption",
"Canceling Requests in Progress")."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from febe.flows.port import Layer
from febe.flows.serve import Conversation
from febe.protocol import negotiation
from febe.protocol.connection import DirectTLS
from febe.protocol.errors import EncryptionError, RemoteProtocolError
from febe.protocol.startup import (
    CancelRequest,
    EncryptionRefused,
    GSSENCAccepted,
    GSSENCRequest,
    SSLAccepted,
    SSLRequest,
    StartupMessage,
)


@dataclass(slots=True, kw_only=True, frozen=True)
class Offer:
    """The encryption that a server has: what makes the layer of one connection, for each kind."""

    tls: Callable[[], Layer] | None = None
    direct_tls: Callable[[], Layer] | None = None
    gss: Callable[[], Layer] | None = None


NOTHING = Offer()


async def greet(conversation: Conversation, offer: Offer = NOTHING) -> StartupMessage | CancelRequest:
    """Encrypt the connection, or refuse to, as often as may be asked, and return what the client has really come for.

    Errors: ConnectionLost; EncryptionError, to be told to nobody; RemoteProtocolError, UnsupportedVersion among them.
    """
    port = conversation.port
    while True:
        event = await conversation.next_event()
        if isinstance(event, SSLRequest | GSSENCRequest):
            make, accepted = ((offer.tls, SSLAccepted) if isinstance(event, SSLRequest) else
                              (offer.gss, GSSENCAccepted))
            if make is None or port.layer is not None:
                conversation.say(EncryptionRefused())
                continue
            layer = make()
            conversation.say(accepted())
            await conversation.deliver()
            await port.encrypt(layer)
        elif isinstance(event, DirectTLS):
            if port.layer is not None:
                raise RemoteProtocolError("invalid length of startup packet")
            if offer.direct_tls is None:
                raise EncryptionError("received direct SSL connection request, and this server has no SSL")
            await port.encrypt(offer.direct_tls(), conversation.core.take_unread())
        else:
            assert isinstance(event, StartupMessage | CancelRequest)
            return event


def settle_version(conversation: Conversation, startup: StartupMessage) -> int:
    """The version to speak; the client is told when it asked for a later one or for unknown extensions."""
    version, notice = negotiation.answer(startup)
    if notice is not None:
        conversation.say(notice)
    return version


__all__ = ["NOTHING", "Offer", "greet", "settle_version"]
