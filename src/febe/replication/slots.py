"""A slot, and whether it still is what the program takes it for."""

from __future__ import annotations

import re
from dataclasses import dataclass

from febe.flows import replicate
from febe.flows.session import Session
from febe.protocol.errors import PostgresError
from febe.protocol.lsn import format_lsn, parse_lsn
from febe.protocol.replication_commands import CreateReplicationSlot, Show, quote_text
from febe.replication.errors import LOST, SlotLost

_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


@dataclass(slots=True, kw_only=True)
class NewSlot:
    """What CREATE_REPLICATION_SLOT answered."""

    name: str
    lsn: int
    snapshot: str | None


async def create_slot(session: Session, name: str, plugin: str | None, *, temporary: bool = False,
                      two_phase: bool = False, failover: bool = False, snapshot: str = "nothing") -> NewSlot:
    """Create a slot.  Errors: PostgresError; LocalProtocolError for what the server does not know."""
    options: dict[str, str | None] = {}
    if plugin is not None and replicate.major_version(session) >= 10:
        options["snapshot"] = snapshot
    options |= {"two_phase": "true"} if two_phase else {}
    options |= {"failover": "true"} if failover else {}
    made = (await replicate.command(session, CreateReplicationSlot(
        slot=name, plugin=plugin, temporary=temporary, options=options))).rows[0]
    # later versions may add columns: the first four are what they were
    exported = None if made[2] is None else text(made[2])
    return NewSlot(name=text(made[0]), lsn=parse_lsn(text(made[1])), snapshot=exported)


async def find_slot(session: Session, name: str) -> int | None:
    """The confirmed position of a logical slot; None when there is no such slot.

    Errors: SlotLost when the server has given it up.
    """
    status = "wal_status" if replicate.major_version(session) >= 13 else "null"
    rows = (await replicate.ask(session, f"SELECT confirmed_flush_lsn, {status} FROM pg_catalog.pg_replication_slots "
                                         f"WHERE slot_name = {quote_text(name)}")).rows
    if not rows:
        return None
    if rows[0][1] == b"lost":
        raise SlotLost(f'slot "{name}" is invalidated: the server has removed what it needs')
    return parse_lsn(text(rows[0][0])) if rows[0][0] is not None else 0


def check_position(name: str, confirmed: int | None, wanted: int) -> None:
    """Refuse a slot that is gone or ahead: a server begins there in silence (walsender.c, StartLogicalReplication).

    Errors: SlotLost.
    """
    if confirmed is None:
        raise SlotLost(f'slot "{name}" does not exist', sqlstate="42704")
    if wanted and confirmed > wanted:
        raise SlotLost(f'slot "{name}" is at {format_lsn(confirmed)}, past {format_lsn(wanted)}: what lies between is '
                       "not sent any more")


def as_lost(error: PostgresError, name: str) -> SlotLost | None:
    """The slot's loss, if that is what an error of START_REPLICATION says."""
    return SlotLost(f'slot "{name}": {error.message}', sqlstate=error.sqlstate) if error.sqlstate in LOST else None


async def sender_timeout(session: Session) -> float:
    """wal_sender_timeout in seconds; 0 when the server never gives up."""
    if replicate.major_version(session) < 10:
        return 60.0
    said = text((await replicate.command(session, Show(name="wal_sender_timeout"))).rows[0][0])
    match = re.fullmatch(r"(\d+)(\w*)", said)
    return int(match[1]) * _UNITS.get(match[2] or "ms", 1e-3) if match else 60.0


def text(value: bytes | None) -> str:
    """A value that is never NULL."""
    return (value or b"").decode()


__all__ = ["NewSlot", "as_lost", "check_position", "create_slot", "find_slot", "sender_timeout", "text"]
