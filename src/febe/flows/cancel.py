"""Cancelling what another connection's backend is doing (manual: "Canceling Requests in Progress")."""

from __future__ import annotations

import contextlib

from febe.flows.encrypt import encrypt
from febe.flows.port import Layer, Stream
from febe.flows.session import Session
from febe.protocol.connection import Connection
from febe.protocol.encryption import Encryption, Plan, Way
from febe.protocol.errors import ConnectionLost, EncryptionError
from febe.protocol.message import Sender
from febe.protocol.startup import CancelRequest

_WAYS = {"SSL": Way.TLS, "GSS": Way.GSS}


async def cancel(port: Stream, session: Session, encryption: Encryption[Layer]) -> None:
    """Ask on a fresh connection that the backend of this session stop what it does.

    The request is encrypted as the session is, or is not made: its key in clear would let anybody who listens cancel
    whatever comes later.  There is no answer.  The server closes the connection when it has sent the signal, so that
    what is asked of that backend afterwards is not hit.
    """
    layer = session.port.layer
    try:
        with contextlib.suppress(ConnectionLost, EncryptionError):
            core = Connection(Sender.FRONTEND)
            await encrypt(core, port, Plan(encryption, only=_WAYS[layer.kind] if layer is not None else Way.CLEAR))
            await port.exchange(core.send(CancelRequest(process_id=session.process_id,
                                                        secret_key=session.secret_key)))
    finally:
        port.abort()


__all__ = ["cancel"]
