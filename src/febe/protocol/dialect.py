"""A dialect: the tables of one member of the protocol's family, ready for dispatch.

PostgreSQL's own is `POSTGRESQL`.  Others, such as that between a Postgres-XC coordinator and its datanodes, are made
from it with `extended`: messages added for one sender in some states, or put in the place of others.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import Any, TypeAlias

from febe._kernel.dialogue import Entry
from febe.protocol.copy import CopyData
from febe.protocol.message import Framing, Message, Sender
from febe.protocol.run import CopyDataRun, DataRowRun, Run
from febe.protocol.simple import DataRow, Query
from febe.protocol.startup import GSSENCAccepted, ReadyForQuery, SSLAccepted
from febe.protocol.states import BACKEND, FRONTEND, REQUESTS, AnswerState, State, Table

Row: TypeAlias = "dict[int, Entry | dict[int, Entry]]"
"""Type byte -> entry, or a second step by the leading Int32 (`code`).  Start-up packets have byte -1."""

UNTYPED = -1
# The length words of a connection's first packets: a StartupMessage is what no other code claims.
ANY_CODE = 1 << 32  # no Int32


# The messages that few bodies tell whole need not be read: those without fields, and ReadyForQuery, which ends every
# answer.
_KNOWN: dict[type[Message], dict[bytes, Message]] = {
    ReadyForQuery: {status.encode(): ReadyForQuery(status=status) for status in "ITE"}}
RUNS: dict[type[Message], type[Run]] = {DataRow: DataRowRun, CopyData: CopyDataRun}


def _row(entries: Mapping[type[Message], Entry]) -> Row:
    row: Row = {}
    for cls, entry in entries.items():
        byte = ord(cls.type) if cls.type else UNTYPED
        if cls.framing is Framing.STARTUP or cls.code is not None:
            by_code: Any = row.setdefault(byte, {})
            by_code[ANY_CODE if cls.code is None else cls.code] = entry
        elif byte in row:
            raise ValueError(f"{cls.__name__} shares its type byte in one state with {row[byte]}")
        else:
            row[byte] = entry
    return row


class Dialect:
    """The messages of one protocol, where each is legal, and who answers it how."""

    def __init__(self, name: str, frontend: Table, backend: Table,
                 requests: Mapping[type[Message], AnswerState]) -> None:
        self.name = name
        self.most_from_frontend: int | None = None
        self.requests = dict(requests)
        self.tables: dict[Sender, Table] = {Sender.FRONTEND: frontend, Sender.BACKEND: backend}
        self.entries: dict[Sender, dict[State, dict[type[Message], Entry]]] = {
            sender: {state: {cls: self._entry(cls, after) for cls, after in table.get(state, {}).items()}
                     for state in State} for sender, table in self.tables.items()}
        self.rows: dict[Sender, dict[State, Row]] = {
            sender: {state: _row(entries) for state, entries in table.items()}
            for sender, table in self.entries.items()}
        self.taking_requests = frozenset(state for state, row in frontend.items() if State.QUEUED in row.values())
        self.messages: dict[Sender, frozenset[type[Message]]] = {
            sender: frozenset(cls for row in table.values() for cls in row) for sender, table in self.tables.items()}

    def _entry(self, cls: type[Message], after: State) -> Entry:
        return Entry(cls, after, known=_KNOWN.get(cls, {}) if cls.fields else {b"": cls()},
                     answer=self.requests.get(cls), run=RUNS.get(cls), is_ready=cls is ReadyForQuery,
                     last_in_clear=cls in (SSLAccepted, GSSENCAccepted))

    def limits(self, sender: Sender) -> list[int]:
        """The longest length word per type byte (256 entries); -1 for a byte that no message has."""
        limits = [-1] * 256
        for cls in self.messages[sender]:
            if cls.framing is Framing.TYPED:
                limits[ord(cls.type)] = max(limits[ord(cls.type)], cls.limit)
        if sender is Sender.FRONTEND and self.most_from_frontend is not None:
            limits = [min(limit, self.most_from_frontend) for limit in limits]
        return limits

    def limited(self, most: int) -> Dialect:
        """The same, with a frontend's messages no longer than `most`; what has a lower limit keeps it."""
        if self.most_from_frontend is None and all(most >= limit for limit in self.limits(Sender.FRONTEND)):
            return self
        made = copy(self)
        made.most_from_frontend = most
        return made

    def extended(self, name: str, *, requests: Mapping[type[Message], AnswerState] | None = None,
                 frontend: Table | None = None, backend: Table | None = None,
                 replacements: Mapping[type[Message], type[Message]] | None = None) -> Dialect:
        """A new dialect on top of this one.

        `requests` are new frontend messages with the state in which the backend answers them (`State.DIALECT` is kept
        for that), legal where a Query is.  `frontend` and `backend` are entries to add to the tables.  `replacements`
        put a message in the place of another with the same role, such as a RowDescription with one more field.
        """
        swap = dict(replacements or {})
        tables = {sender: {state: {swap.get(cls, cls): after for cls, after in row.items()}
                           for state, row in table.items()} for sender, table in self.tables.items()}
        answers = {swap.get(cls, cls): answer for cls, answer in self.requests.items()} | dict(requests or {})
        for row in tables[Sender.FRONTEND].values():
            if Query in row:
                row |= dict.fromkeys(requests or (), row[Query])
        for sender, added in ((Sender.FRONTEND, frontend), (Sender.BACKEND, backend)):
            for state, entries in (added or {}).items():
                tables[sender].setdefault(state, {}).update(entries)
        return Dialect(name, tables[Sender.FRONTEND], tables[Sender.BACKEND], answers)


POSTGRESQL = Dialect("PostgreSQL", FRONTEND, BACKEND, REQUESTS)
