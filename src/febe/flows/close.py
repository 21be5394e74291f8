"""The end of a session (manual: "Termination")."""

from __future__ import annotations

import contextlib

from febe.flows.session import Session
from febe.protocol.errors import ConnectionLost
from febe.protocol.startup import Terminate
from febe.protocol.states import State


async def close(session: Session) -> None:
    """Say good-bye, if the conversation is at a point where that can be said, and close the connection."""
    if not session.is_closed and session.core.state is State.IDLE:
        with contextlib.suppress(ConnectionLost):
            await session.port.flush(session.core.send(Terminate()))
    session.closed("close() was called")
    await session.port.aclose()


__all__ = ["close"]
