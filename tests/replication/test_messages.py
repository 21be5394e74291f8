"""Payloads and logical messages without a server: golden bytes, cut and mutated ones, and what the reader refuses."""

from __future__ import annotations

import random

import pytest

from febe.protocol import logical, replication
from febe.protocol.errors import LocalProtocolError, RemoteProtocolError
from febe.protocol.fields import Hide
from febe.protocol.logical import LOGICAL, PARALLEL, STREAM, LogicalReader
from febe.protocol.lsn import format_lsn, from_unix, parse_lsn, to_unix
from febe.protocol.message import Framing, Message, Sender
from febe.protocol.replication import BACKUP, STREAMING, read_payload
from febe.protocol.tuples import UNCHANGED, Cell, OldTuple
from tests.replication.golden import LOGICAL_GOLDEN

F, B = Sender.FRONTEND, Sender.BACKEND
PAYLOADS: list[tuple[Message, replication.Payloads, bytes]] = [
    (replication.XLogData(start_lsn=1, end_lsn=(1 << 64) - 1, sent_at=-1, data=b"x"), STREAMING[B],
     b"w\0\0\0\0\0\0\0\1" + b"\xff" * 16 + b"x"),
    (replication.PrimaryKeepalive(end_lsn=2, sent_at=3, reply_requested=1), STREAMING[B],
     b"k\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0\3\1"),
    (replication.PrimaryStatusUpdate(lsn=1, oldest_xid=2, next_xid=3, sent_at=4), STREAMING[B],
     b"s\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0\3\0\0\0\0\0\0\0\4"),
    (replication.StandbyStatusUpdate(written=3, flushed=2, applied=1, sent_at=4, reply_requested=0), STREAMING[F],
     b"r\0\0\0\0\0\0\0\3\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\4\0"),
    (replication.HotStandbyFeedback(sent_at=1, xmin=2, epoch=3,
                                    catalog=replication.CatalogHorizon(xmin=4, epoch=5)), STREAMING[F],
     b"h\0\0\0\0\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0\5"),
    (replication.HotStandbyFeedback(sent_at=1, xmin=2, epoch=3), STREAMING[F],
     b"h\0\0\0\0\0\0\0\1\0\0\0\2\0\0\0\3"),
    (replication.PrimaryStatusRequest(sent_at=1), STREAMING[F], b"p\0\0\0\0\0\0\0\1"),
    (replication.NewArchive(name="base.tar", tablespace=""), BACKUP, b"nbase.tar\0\0"),
    (replication.BackupManifest(), BACKUP, b"m"),
    (replication.BackupData(data=b"\0tar"), BACKUP, b"d\0tar"),
    (replication.BackupProgress(done=258), BACKUP, b"p\0\0\0\0\0\0\1\2"),
]
CASES = [(name, inside, bytes.fromhex(text)) for name, inside, text in LOGICAL_GOLDEN]
IDS = [f"{name}-{number}" for number, (name, *_) in enumerate(CASES)]
WHEN = {True: (STREAM, PARALLEL), False: (PARALLEL,)}


@pytest.mark.parametrize(("payload", "table", "data"), PAYLOADS, ids=lambda value: type(value).__name__)
def test_payloads(payload: Message, table: replication.Payloads, data: bytes) -> None:
    assert payload.encode() == data
    assert read_payload(table, data) == payload
    assert payload.framing is Framing.PAYLOAD
    for end in range(len(data)):
        if payload.fields and payload.fields[-1][1].notation != "Byten" and end != 17:
            with pytest.raises(RemoteProtocolError):
                read_payload(table, data[:end])


def test_a_payload_of_an_unknown_byte_is_refused() -> None:
    with pytest.raises(RemoteProtocolError, match='unexpected message type "z"'):
        read_payload(STREAMING[B], b"z")
    with pytest.raises(RemoteProtocolError):
        read_payload(BACKUP, b"")


def test_all_nineteen_are_in_the_golden_bytes() -> None:
    assert {cls.__name__ for cls in LOGICAL.values()} == {name for name, *_ in CASES}
    assert len(LOGICAL) == 19


@pytest.mark.parametrize(("name", "inside", "data"), CASES, ids=IDS)
def test_logical_messages(name: str, inside: bool, data: bytes) -> None:
    cls = LOGICAL[data[0]]
    assert cls.__name__ == name
    message = cls.decode(data, 1, len(data), WHEN[inside])
    assert message.encode() == data
    assert cls.decode(message.encode(), 1, len(data), WHEN[inside]) == message
    assert message.trace(Hide.VOLATILE).isprintable()


@pytest.mark.parametrize(("name", "inside", "data"), CASES, ids=IDS)
def test_what_is_cut_is_refused(name: str, inside: bool, data: bytes) -> None:
    for end in range(1, len(data)):
        with pytest.raises(RemoteProtocolError):
            LOGICAL[data[0]].decode(data[:end], 1, end, WHEN[inside])
    with pytest.raises(RemoteProtocolError, match="left over"):
        LOGICAL[data[0]].decode(data + b"\0", 1, len(data) + 1, WHEN[inside])


def test_what_is_mutated_is_refused_or_read_and_written_again() -> None:
    chosen = random.Random(7)
    for _ in range(3000):
        _name, inside, data = chosen.choice(CASES)
        mutated = bytearray(data)
        for _ in range(chosen.randint(1, 3)):
            mutated[chosen.randrange(len(mutated))] = chosen.randrange(256)
        reader = LogicalReader(4, streaming="parallel")
        reader.in_stream = inside
        try:
            message = reader.read(bytes(mutated))
        except RemoteProtocolError:
            continue
        assert message.encode() == bytes(mutated)


def test_blocks_are_kept_track_of() -> None:
    reader = LogicalReader(2, streaming="on")
    start, stop = logical.StreamStart(xid=1, first=1).encode(), logical.StreamStop().encode()
    with pytest.raises(RemoteProtocolError, match="unexpected StreamStop"):
        reader.read(stop)
    reader.read(start)
    assert reader.read(logical.Insert(xid=7, relation=1, new=[]).encode()) == logical.Insert(
        xid=7, relation=1, new=[])
    with pytest.raises(RemoteProtocolError, match="unexpected StreamStart"):
        reader.read(start)
    reader.read(stop)
    assert reader.read(logical.Insert(relation=1, new=[]).encode()).encode() == b"I\0\0\0\1N\0\0"


@pytest.mark.parametrize(("version", "message"), [
    (1, logical.StreamStart(xid=1, first=1)), (2, logical.BeginPrepare(
        prepare_lsn=1, end_lsn=2, prepared_at=3, xid=4, gid="g"))])
def test_a_message_of_a_later_version_is_refused(version: int, message: Message) -> None:
    with pytest.raises(RemoteProtocolError, match="of protocol version"):
        LogicalReader(version).read(message.encode())
    LogicalReader(version + 1).read(message.encode())


def test_an_abort_tells_where_only_to_who_asked_for_parallel_streaming() -> None:
    plain = logical.StreamAbort(xid=1, subtransaction=2)
    whole = logical.StreamAbort(xid=1, subtransaction=2, aborted_lsn=3, aborted_at=4)
    assert LogicalReader(4, streaming="on").read(plain.encode()) == plain
    assert LogicalReader(4, streaming="parallel").read(whole.encode()) == whole
    for reader, wrong in ((LogicalReader(4, streaming="parallel"), plain), (LogicalReader(3), whole)):
        with pytest.raises(RemoteProtocolError):
            reader.read(wrong.encode())


def test_what_cannot_be_said_is_not_written() -> None:
    for message in (logical.Insert(relation=1, new=[Cell("x")]), logical.Insert(relation=1, new=[Cell("n", b"1")]),
                    logical.Delete(relation=1, old=OldTuple("N", [])), logical.Insert(relation=-1, new=[UNCHANGED])):
        with pytest.raises(LocalProtocolError):
            message.encode()


def test_positions_and_times() -> None:
    assert format_lsn(0x16_B374D848) == "16/B374D848"
    assert parse_lsn("16/B374D848") == 0x16_B374D848
    assert parse_lsn("ffffffff/ffffffff") == (1 << 64) - 1
    for wrong in ("", "1", "1/", "/1", "g/0", "1/123456789", "0/0 ", "-1/0"):
        with pytest.raises(RemoteProtocolError) as error:
            parse_lsn(wrong)
        assert error.value.sqlstate == "22P02"
    assert from_unix(946_684_800) == 0
    assert to_unix(from_unix(1.5e9)) == 1.5e9
