"""Cancelling what another connection's backend is doing (manual: "Canceling Requests in Progress")."""

from __future__ import annotations

import contextlib

from febe.flows.port import Stream
from febe.protocol.connection import Connection
from febe.protocol.errors import ConnectionLost
from febe.protocol.message import Sender
from febe.protocol.startup import CancelRequest


async def cancel(port: Stream, process_id: int, secret_key: bytes) -> None:
    """Ask on a fresh connection that the backend of this process stop what it does.

    There is no answer.  The server closes the connection when it has sent the signal, so that what is asked of that
    backend afterwards is not hit.
    """
    try:
        request = CancelRequest(process_id=process_id, secret_key=secret_key)
        with contextlib.suppress(ConnectionLost):
            await port.exchange(Connection(Sender.FRONTEND).send(request))
    finally:
        port.abort()


__all__ = ["cancel"]
