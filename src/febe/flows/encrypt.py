"""Agreeing on encryption, seen from the client (manual: "SSL Session Encryption", "GSSAPI Session Encryption")."""

from __future__ import annotations

from typing import Any

from febe.flows.port import Layer, Stream
from febe.protocol.connection import Connection
from febe.protocol.encryption import Plan, Way
from febe.protocol.errors import ConnectionLost, EncryptionError
from febe.protocol.startup import EncryptionRefused, GSSENCRequest, SSLRequest

_ERROR_RESPONSE = b"E"
_ASKING: dict[Way, tuple[Any, str]] = {Way.TLS: (SSLRequest, "SSL"), Way.GSS: (GSSENCRequest, "GSS encryption")}


class HandshakeFailed(EncryptionError):
    """A handshake that was begun went wrong; another way may work, on another connection."""


class NewConnection(Exception):
    """The way whose turn it is now needs a fresh connection."""


async def encrypt(core: Connection, port: Stream, plan: Plan[Layer]) -> None:
    """Encrypt a fresh connection in the way whose turn it is, or in the next that the server does not refuse.

    Errors: EncryptionError, HandshakeFailed among them; NewConnection; RemoteProtocolError; ConnectionLost.
    """
    while True:
        if plan.way is None:
            raise EncryptionError(plan.why_none)
        if plan.way is Way.CLEAR:
            return
        if plan.way is Way.TLS and plan.is_direct:
            return await _handshake(port, plan)
        request, name = _ASKING[plan.way]
        data = await port.exchange(core.send(request()))
        if data[:1] == _ERROR_RESPONSE:
            # Nobody has proved to be the server: its words are not shown (CVE-2024-10977).
            raise EncryptionError(f"server sent an error response during {name} exchange")
        core.receive(data)
        if not isinstance(core.next_event(), EncryptionRefused):
            return await _handshake(port, plan)
        if not plan.failed():
            raise EncryptionError(plan.why_none)
        if plan.way is Way.TLS and plan.is_direct:
            raise NewConnection


async def _handshake(port: Stream, plan: Plan[Layer]) -> None:
    try:
        await port.encrypt(plan.layer())
    except EncryptionError as error:
        raise HandshakeFailed(str(error)) from error
    except ConnectionLost as lost:
        raise HandshakeFailed(f"{lost}, in the {plan.way.value if plan.way else ''} handshake") from lost


__all__ = ["HandshakeFailed", "NewConnection", "encrypt"]
