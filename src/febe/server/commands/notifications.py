"""LISTEN, UNLISTEN and NOTIFY (manual: "SQL Commands")."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from febe.server.command import Command, done
from febe.server.commands._words import Words

if TYPE_CHECKING:
    from febe.server.execution import Execution


def _with_effect(session: Execution, act: Callable[[], object]) -> Callable[[], object]:
    def acting() -> None:
        session.effects = True
        act()

    return acting


def listen(session: Execution, words: Words) -> Command:
    """LISTEN."""
    words.token()
    channel = words.identifier()
    words.end()
    return done("LISTEN", _with_effect(session, lambda: session.mailbox.listen(channel)))


def unlisten(session: Execution, words: Words) -> Command:
    """UNLISTEN."""
    words.token()
    channel = None if words.symbol("*") else words.identifier()
    words.end()
    return done("UNLISTEN", _with_effect(session, lambda: session.mailbox.unlisten(channel)))


def notify(session: Execution, words: Words) -> Command:
    """NOTIFY."""
    words.token()
    channel = words.identifier()
    payload = words.string() if words.symbol(",") else ""
    words.end()
    return done("NOTIFY", _with_effect(session, lambda: session.mailbox.notify(session.process_id, channel, payload)))
