"""The end of a session (manual: "Termination")."""

from __future__ import annotations

import contextlib

from febe.flows.session import Session
from febe.protocol.errors import ConnectionLost, LocalProtocolError
from febe.protocol.startup import Terminate


async def close(session: Session) -> None:
    """Say good-bye, if the conversation is at a point where that can be said, and close the connection.

    What was asked and is not answered yet is cut off.
    """
    if not session.is_closed:
        with contextlib.suppress(ConnectionLost, LocalProtocolError):
            await session.port.flush(session.core.send(Terminate()))
    session.closed("close() was called")
    await session.port.aclose()


__all__ = ["close"]
