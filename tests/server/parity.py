"""The same conversation with PostgreSQL and with febe, answer by answer."""

from __future__ import annotations

from collections.abc import Sequence

from febe.protocol.message import Message
from febe.protocol.startup import ParameterStatus
from tests.server.listening import Raw
from tests.server.wire import brief


class _Port:
    def __init__(self, port: int) -> None:
        self.port = port


def connected(port: int, user: str, database: str) -> Raw:
    """A raw client that has logged in."""
    raw = Raw(_Port(port))  # type: ignore[arg-type]
    raw.log_in(user=user, database=database)
    return raw


def said(raw: Raw, messages: Sequence[Message] | str) -> list[str]:
    """What is answered to a query string or to messages, without what one server reports and another does not."""
    if isinstance(messages, str):
        answers = raw.query(messages)
    else:
        raw.say(*messages)
        answers = raw.answers()
    flat: list[Message] = []
    for answer in answers:
        flat += answer.messages() if hasattr(answer, "messages") else [answer]  # type: ignore[list-item]
    return brief([one for one in flat if not isinstance(one, ParameterStatus)])
