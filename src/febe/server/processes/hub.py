"""What the processes of one server must know of each other: places, cancel keys, who listens, who is at what."""

from __future__ import annotations

import hmac
import itertools
import json
import secrets
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from febe.server.keys import LONG, SHORT
from febe.server.limits import FatalError, Places
from febe.server.processes.outbox import Outbox

LONGEST_LINE = 1 << 24
"""Bytes of one line that a process says: 256 notifications, each character of them escaped."""
MOST_WAITING = 1 << 26
"""Bytes that may wait for a process that does not take them, before NOTIFY fails."""
ANSWER_SECONDS = 1.0
"""How long a process may take to say what its sessions are at."""


@dataclass(slots=True, kw_only=True, eq=False)
class Member:
    """A process, and what it has been given."""

    process_id: int
    outbox: Outbox
    own_id: bool = False
    """Its one session has the number of the process, as in PostgreSQL."""
    ready: bool = False
    clients: int = 0
    received: bytearray = field(default_factory=bytearray)
    addresses: Counter[str] = field(default_factory=Counter)
    users: Counter[str] = field(default_factory=Counter)
    sessions: dict[int, bytes] = field(default_factory=dict, repr=False)


@dataclass(slots=True, kw_only=True)
class _Question:
    """What somebody wants to know of all others."""

    asker: Member
    number: int
    waiting: set[int]
    until: float
    found: list[Any] = field(default_factory=list)


class Hub:
    """The postmaster's memory.  Each method that `_CALLS` names is what a process may ask."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self.members: dict[int, Member] = {}
        self._sessions: dict[int, Member] = {}
        self._channels: dict[str, dict[Member, None]] = {}
        self._questions: dict[int, _Question] = {}
        self._numbers = itertools.count(1)

    def received(self, member: Member, data: bytes) -> None:
        """Do what a process asks.  Errors: ValueError for what is no call."""
        member.received += data
        if len(member.received) > LONGEST_LINE:
            raise ValueError("too long a line")
        *lines, rest = member.received.split(b"\n")
        member.received = rest
        for line in lines:
            number, name, *arguments = json.loads(line)
            try:
                value = _CALLS[name](self, member, *arguments)
            except FatalError as error:
                self._say(member, "answer", number, None, [str(error), error.sqlstate])
                continue
            if name == "activity":
                self._everybody(member, number)
            elif number:
                self._say(member, "answer", number, value, None)

    def gone(self, member: Member) -> None:
        """A process has ended: what it had is free."""
        del self.members[member.process_id]
        for user, count in member.users.items():
            for _ in range(count):
                self._places.leave(user)
        for address, count in member.addresses.items():
            for _ in range(count):
                self._places.give_back(address)
        for process_id in member.sessions:
            del self._sessions[process_id]
        for channel in [name for name, found in self._channels.items() if member in found]:
            self._unlisten(member, channel)
        for number in list(self._questions):
            self._told(member, number, [])

    def due(self) -> float | None:
        """In how many seconds a question is to be answered with what there is; None: no question is open."""
        return min((max(one.until - time.monotonic(), 0) for one in self._questions.values()), default=None)

    def expire(self) -> None:
        """Answer the questions that have waited long enough."""
        for number, question in list(self._questions.items()):
            if question.until <= time.monotonic():
                self._finish(number, question)

    @staticmethod
    def _say(member: Member, name: str, *arguments: object) -> None:
        member.outbox.send(json.dumps([name, *arguments]).encode() + b"\n")

    # Places

    def _take(self, member: Member, address: str) -> None:
        self._places.take(address)
        member.addresses[address] += 1

    def _enter(self, member: Member, user: str, administrator: bool) -> None:
        self._places.enter(user, administrator=administrator)
        member.users[user] += 1

    def _leave(self, member: Member, user: str) -> None:
        if member.users[user] > 0:
            member.users[user] -= 1
            self._places.leave(user)
        member.users += Counter()

    def _give_back(self, member: Member, address: str) -> None:
        if member.addresses[address] > 0:
            member.addresses[address] -= 1
            self._places.give_back(address)
        member.addresses += Counter()

    def _ready(self, member: Member) -> None:
        member.ready = True

    def _done(self, member: Member) -> None:
        member.clients -= 1

    # Cancel keys

    def _issue(self, member: Member, long: bool, process_id: int) -> tuple[int, str]:
        process_id = process_id or (member.process_id if member.own_id else 0)
        while not process_id or process_id in self._sessions:
            process_id = secrets.randbits(31)
        key = secrets.token_bytes(LONG if long else SHORT)
        member.sessions[process_id] = key
        self._sessions[process_id] = member
        return process_id, key.hex()

    def _cancel(self, _: Member, process_id: int, key: str) -> None:
        member = self._sessions.get(process_id)
        known = member.sessions[process_id] if member is not None else b""
        if hmac.compare_digest(known, bytes.fromhex(key)) and member is not None:
            self._say(member, "cancel", process_id)

    def _withdraw(self, member: Member, process_id: int) -> None:
        if member.sessions.pop(process_id, None) is not None:
            del self._sessions[process_id]

    def _stop(self, _: Member, what: str, process_id: int) -> None:
        member = self._sessions.get(process_id)
        if member is not None:
            self._say(member, "stop", what, process_id)

    # Notifications

    def _listen(self, member: Member, channel: str) -> None:
        self._channels.setdefault(channel, {})[member] = None

    def _unlisten(self, member: Member, channel: str) -> None:
        found = self._channels.get(channel)
        if found is not None:
            found.pop(member, None)
            if not found:
                del self._channels[channel]

    def _room(self, _: Member) -> bool:
        return all(member.outbox.waiting < MOST_WAITING for found in self._channels.values() for member in found)

    def _publish(self, _: Member, sent: list[tuple[int, str, str]]) -> None:
        told: dict[Member, list[tuple[int, str, str]]] = {}
        for one in sent:
            for member in self._channels.get(one[1], ()):
                told.setdefault(member, []).append(one)
        for member, rows in told.items():
            self._say(member, "deliver", rows)

    # What everybody is at

    def _activity(self, member: Member) -> None:
        """Answered once the others have said it."""

    def _everybody(self, asker: Member, number: int) -> None:
        others = {one.process_id for one in self.members.values() if one is not asker and one.sessions}
        mine = next(self._numbers)
        question = _Question(asker=asker, number=number, waiting=others, until=time.monotonic() + ANSWER_SECONDS)
        self._questions[mine] = question
        for process_id in others:
            self._say(self.members[process_id], "activity", mine)
        if not others:
            self._finish(mine, question)

    def _told(self, member: Member, number: int, rows: list[Any]) -> None:
        question = self._questions.get(number)
        if question is None or member.process_id not in question.waiting:
            return
        question.waiting.discard(member.process_id)
        question.found += rows
        if not question.waiting:
            self._finish(number, question)

    def _finish(self, number: int, question: _Question) -> None:
        del self._questions[number]
        self._say(question.asker, "answer", question.number, question.found, None)


_CALLS: dict[str, Callable[..., Any]] = {
    "take": Hub._take, "enter": Hub._enter, "leave": Hub._leave, "give_back": Hub._give_back, "ready": Hub._ready,
    "done": Hub._done, "issue": Hub._issue, "cancel": Hub._cancel, "withdraw": Hub._withdraw, "stop": Hub._stop,
    "listen": Hub._listen, "unlisten": Hub._unlisten, "room": Hub._room, "publish": Hub._publish,
    "activity": Hub._activity, "told": Hub._told}

__all__ = ["Hub", "Member"]
