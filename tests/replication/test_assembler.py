"""What servers send that a subscription must take as it comes."""

from __future__ import annotations

from febe.protocol.logical import Begin, Commit, StreamAbort
from febe.protocol.message import Message
from febe.protocol.replication import XLogData
from febe.replication import changes
from febe.replication.assembler import Assembler
from febe.types import Registry


def frame(position: int, message: Message | None) -> bytes:
    """A CopyData message."""
    body = XLogData(start_lsn=position, end_lsn=position, sent_at=0, data=message.encode() if message else b"").encode()
    return b"d" + (len(body) + 4).to_bytes(4, "big") + body


def test_an_empty_message_is_no_message() -> None:
    """PostgreSQL 13 opens a message for a transaction's origin before it finds that the origin was dropped."""
    assembler = Assembler(Registry(), version=1)
    data = b"".join([frame(1, Begin(final_lsn=3, committed_at=0, xid=7)), frame(2, None),
                     frame(3, Commit(flags=0, commit_lsn=3, end_lsn=4, committed_at=0))])
    events = [event for batch in assembler.feed(data, 0, len(data)) if isinstance(batch, list) for event in batch]
    assert [type(event) for event in events] == [changes.Begin, changes.Commit]
    assert assembler.received >= 3


def test_an_abort_is_nothing_to_who_streams_nothing() -> None:
    """PostgreSQL 18 tells of undone subtransactions where it was not asked to (bug 19616)."""
    data = frame(1, StreamAbort(xid=7, subtransaction=8)) + frame(2, Begin(final_lsn=3, committed_at=0, xid=9)) + \
        frame(3, Commit(flags=0, commit_lsn=3, end_lsn=4, committed_at=0))
    for version in (1, 2, 4):
        assembler = Assembler(Registry(), version=version)
        events = [event for batch in assembler.feed(data, 0, len(data)) if isinstance(batch, list) for event in batch]
        assert [type(event) for event in events] == [changes.Begin, changes.Commit]
