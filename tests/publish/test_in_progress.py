"""What a publisher sends of transactions in progress, message by message."""

from __future__ import annotations

import itertools
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from febe.protocol.logical import (
    Begin,
    Commit,
    Delete,
    Insert,
    Relation,
    StreamAbort,
    StreamCommit,
    StreamStart,
    Truncate,
    Update,
)
from febe.protocol.message import Message
from febe.publish import Publisher, PublishError, Table
from febe.publish.transaction import OVERHEAD
from tests.publish.running import Running, create, ids, insert, names, reading, written

NOTHING = {"log": 0, "changes": 0, "pending": 0, "transactions": 0}


class Backing(Exception):
    """Raised to undo."""


@pytest.fixture
def running(tmp_path: Path) -> Running:
    """Its transactions are in progress from the fourth change on."""
    return Running(tmp_path / "changes.db", logical_decoding_work_mem=4 * OVERHEAD)


@pytest.mark.parametrize(("version", "streaming"), [(2, "on"), (3, "on"), (4, "on"), (4, "parallel")])
def test_a_large_transaction_is_sent_before_it_is_committed(running: Running, version: int, streaming: str) -> None:
    with running.started() as publisher:
        create(running.port)
        with reading(running, version=version, streaming=streaming) as stream:
            with publisher.transaction() as change:
                insert(change, running.table, *range(5))
                first = stream.read()
                insert(change, running.table, *range(5, 10))
                second = stream.read()
            third = stream.read()
            assert names(first) == ["StreamStart", "Relation", *["Insert"] * 4, "StreamStop"]
            assert names(second) == ["StreamStart", *["Insert"] * 4, "StreamStop"]
            assert names(third) == ["StreamStart", *["Insert"] * 2, "StreamStop", "StreamCommit"]
            start, again, commit = first[0], second[0], third[-1]
            assert isinstance(start, StreamStart)
            assert isinstance(again, StreamStart)
            assert isinstance(commit, StreamCommit)
            assert (start.first, again.first) == (1, 0)
            assert start.xid == again.xid == commit.xid
            assert {message.xid for message in (*first, *second) if isinstance(message, Insert | Relation)} == {
                start.xid}
            assert ids(first + second + third) == list(range(10))
            stream.leave(commit.end_lsn)
            assert written(publisher) == NOTHING


def test_who_does_not_ask_gets_it_at_its_commit(running: Running) -> None:
    with running.started() as publisher:
        create(running.port)
        with reading(running, version=1) as stream:
            with publisher.transaction() as change:
                insert(change, running.table, *range(9))
                assert stream.read() == []
                with pytest.raises(Backing), change.savepoint():
                    insert(change, running.table, *range(100, 109))
                    raise Backing
                insert(change, running.table, 9, 10)
            found = stream.read()
    assert names(found) == ["Begin", "Relation", *["Insert"] * 11, "Commit"]
    assert ids(found) == list(range(11))
    assert all(message.xid is None for message in found if isinstance(message, Insert))


@pytest.mark.parametrize(("version", "streaming"), [(2, "on"), (4, "parallel")])
def test_a_subtransaction_that_was_sent_is_taken_back(running: Running, version: int, streaming: str) -> None:
    with running.started() as publisher:
        create(running.port)
        with reading(running, version=version, streaming=streaming) as stream, publisher.transaction() as change:
            insert(change, running.table, 0, 1)
            with pytest.raises(Backing), change.savepoint():
                insert(change, running.table, 10)
                with change.savepoint():
                    insert(change, running.table, 20)
                insert(change, running.table, 11, 12)  # the first four are written before these
                with pytest.raises(Backing), change.savepoint():
                    insert(change, running.table, 30)  # not written: nobody hears of it
                    raise Backing
                raise Backing
            found = stream.read()
            insert(change, running.table, 20)  # the key is free again
    inserted = [message.xid for message in found if isinstance(message, Insert)]
    top, inner, innermost = inserted[1:4]
    assert names(found) == ["StreamStart", "Relation", *["Insert"] * 4, "StreamStop", *["StreamAbort"] * 2]
    assert len({top, inner, innermost}) == 3
    aborts = [message for message in found if isinstance(message, StreamAbort)]
    assert [(abort.xid, abort.subtransaction) for abort in aborts] == [(top, innermost), (top, inner)]
    assert {(abort.aborted_lsn is not None, abort.aborted_at is not None) for abort in aborts} == {
        (streaming == "parallel",) * 2}
    assert sorted(cells[0] or b"" for cells in _rows(running)) == [b"0", b"1", b"20"]


def _rows(running: Running) -> list[list[bytes | None]]:
    publisher = Publisher(running.path, publication="febe")
    try:
        return publisher.store.rows(running.table.oid)
    finally:
        publisher.close()


def test_a_transaction_that_raises_is_taken_back_whole(running: Running) -> None:
    with running.started() as publisher:
        for slot in ("s", "other"):
            create(running.port, slot)
        with reading(running, streaming="on") as stream, reading(running, slot="other") as other:
            with pytest.raises(Backing), publisher.transaction() as change:
                insert(change, running.table, *range(9))
                start = stream.read()[0]
                raise Backing
            (abort,) = stream.read()
            assert isinstance(abort, StreamAbort)
            assert isinstance(start, StreamStart)
            assert abort.xid == abort.subtransaction == start.xid
            assert other.read() == []
        assert publisher.store.rows(running.table.oid) == []
        assert written(publisher) == NOTHING | {"log": 1}


def test_a_new_connection_begins_it_anew(running: Running) -> None:
    with running.started() as publisher:
        create(running.port)
        with publisher.transaction() as change:
            insert(change, running.table, *range(5))
            with pytest.raises(Backing), change.savepoint():
                insert(change, running.table, *range(100, 109))
                raise Backing
            with reading(running, streaming="on") as stream:
                found = stream.read()
                stream.leave()  # it has confirmed where it is, as a subscriber does that waits for no commit
            with reading(running, streaming="on") as stream:
                assert stream.read() == []  # until there is more of it
                insert(change, running.table, *range(5, 10))
                again = stream.read()
        assert names(again)[:2] == ["StreamStart", "Relation"]
        assert ids(again) == list(range(len(ids(again))))  # all from the beginning, nothing that was taken back
        assert set(ids(again)) > {number for number in ids(found) if number < 100}
        with reading(running, streaming="on") as stream:
            last = stream.read()
        assert (names(last)[0], names(last)[-1]) == ("StreamStart", "StreamCommit")
        assert ids(last) == list(range(10))


def test_what_was_in_progress_when_the_publisher_died_is_void(running: Running, tmp_path: Path) -> None:
    with running.started() as publisher:
        create(running.port)
        insert_all(publisher, running.table, [1])
        with publisher.transaction() as change:
            insert(change, running.table, *range(10, 20))
            assert written(publisher)["pending"] > 0
            for name in tmp_path.iterdir():
                shutil.copy(name, tmp_path / f"copy-{name.name}")
    running.path = tmp_path / "copy-changes.db"
    with running.started() as publisher:
        assert publisher.store.rows(running.table.oid) == [[b"1", b"x"]]
        insert_all(publisher, running.table, [10])
        with reading(running, streaming="on") as stream:
            assert ids(stream.read()) == [1, 10]
        assert written(publisher) == {"log": 2, "changes": 2, "pending": 0, "transactions": 0}


def insert_all(publisher: Publisher, table: Table, keys: list[int]) -> None:
    with publisher.transaction() as change:
        insert(change, table, *keys)


def test_a_slot_made_while_a_transaction_is_in_progress_gets_all_of_it(running: Running) -> None:
    with running.started() as publisher:
        with publisher.transaction() as change:
            insert(change, running.table, *range(9))
            create(running.port)
            assert publisher.store.rows(running.table.oid) == []
            insert(change, running.table, *range(9, 15))
        with reading(running) as stream:
            assert ids(stream.read()) == list(range(15))


def test_a_transaction_within_a_transaction_is_refused(running: Running) -> None:
    with running.started() as publisher, publisher.transaction() as change:
        insert(change, running.table, 1)
        with pytest.raises(PublishError, match="is open in this thread"), publisher.transaction():
            pass
        with pytest.raises(PublishError, match="is open in this thread"):
            publisher.commit_prepared("g")
        insert(change, running.table, 2)
    assert len(_rows(running)) == 2


class Model:
    """What a publisher should hold, and what a subscriber has that applies its messages."""

    def __init__(self) -> None:
        self.rows: dict[str, str | None] = {}
        self._open: dict[int, list[Any]] = {}
        self._block = 0

    def apply(self, message: Message) -> None:
        match message:
            case Begin():
                self._block = 0
                self._open[0] = []
            case Commit():
                self._settle(0)
            case StreamStart():
                assert bool(message.first) is (message.xid not in self._open)
                self._block = message.xid
                self._open.setdefault(message.xid, [])
            case StreamAbort() if message.xid == message.subtransaction:
                del self._open[message.xid]
            case StreamAbort():
                kept = self._open[message.xid]
                places = [place for place, change in enumerate(kept) if change.xid == message.subtransaction]
                del kept[places[0] if places else len(kept):]  # as worker.c does: all from its first change on
            case StreamCommit():
                self._settle(message.xid)
            case Insert() | Update() | Delete() | Truncate():
                self._open[self._block].append(message)

    def _settle(self, xid: int) -> None:
        for message in self._open.pop(xid):
            if isinstance(message, Truncate):
                self.rows.clear()
                continue
            if not isinstance(message, Insert):
                old = message.old.cells if message.old is not None else message.new
                del self.rows[old[0].data.decode()]
            if not isinstance(message, Delete):
                key = message.new[0].data.decode()
                assert key not in self.rows
                self.rows[key] = message.new[1].data.decode()


def changing(chosen: random.Random, change: Any, table: Table, rows: dict[str, str | None], depth: int = 0) -> None:
    """Random changes, some of them in savepoints, some of these undone; `rows` is what they come to."""
    for _ in range(chosen.randrange(12)):
        key, text, what = str(chosen.randrange(30)), f"v{chosen.random()}", chosen.random()
        if what < 0.25 and depth < 3:
            before = dict(rows)
            try:
                with change.savepoint():
                    changing(chosen, change, table, rows, depth + 1)
                    if chosen.random() < 0.5:
                        raise Backing
            except Backing:
                rows.clear()
                rows |= before
        elif what < 0.28:
            change.truncate(table)
            rows.clear()
        elif key not in rows:
            change.insert(table, (int(key), text))
            rows[key] = text
        elif what < 0.6:
            change.update(table, (int(key), text))
            rows[key] = text
        elif what < 0.7 and (new := str(chosen.randrange(30))) not in rows:
            change.update(table, (int(new), text), old=(int(key), None))
            del rows[key]
            rows[new] = text
        else:
            change.delete(table, (int(key), None))
            del rows[key]


@pytest.mark.parametrize("changes", [0, 1, 2, 5, 20])
def test_random_transactions_whatever_is_written_of_them_before_their_end(tmp_path: Path, changes: int) -> None:
    chosen = random.Random(changes)
    running = Running(tmp_path / "changes.db", logical_decoding_work_mem=changes * OVERHEAD)
    modes: list[Callable[[], Any]] = [lambda: reading(running, slot="a", version=1),
                                      lambda: reading(running, slot="b", version=2, streaming="on"),
                                      lambda: reading(running, slot="c", version=4, streaming="parallel")]
    rows: dict[str, str | None] = {}
    with running.started() as publisher:
        for slot in "abc":
            create(running.port, slot)
        models = [Model() for _ in modes]
        with modes[0]() as plain, modes[1]() as streamed, modes[2]() as parallel:
            for _ in range(40):
                before = dict(rows)
                try:
                    with publisher.transaction() as change:
                        changing(chosen, change, running.table, rows)
                        if chosen.random() < 0.2:
                            raise Backing
                except Backing:
                    rows = before
                kept = {str(cells[0], "ascii"): str(cells[1], "ascii") for cells in publisher.store.rows(
                    running.table.oid) if cells[0] is not None and cells[1] is not None}
                assert kept == rows
            for model, stream in zip(models, (plain, streamed, parallel), strict=True):
                for message in stream.read():
                    model.apply(message)
                assert model.rows == rows
                stream.leave()
        assert written(publisher) == NOTHING


@pytest.mark.parametrize("busy", [False, True])
def test_a_subscription_that_says_nothing_loses_its_place(tmp_path: Path, busy: bool) -> None:
    running = Running(tmp_path / "changes.db", wal_sender_timeout=0.2)
    with running.started() as publisher:
        create(running.port)
        with reading(running) as stream:
            for number in itertools.count():
                if busy:
                    insert_all(publisher, running.table, [number])
                if stream.is_ended():
                    break
        publisher.wal_sender_timeout = 60.0
        with reading(running) as stream:  # its slot is free
            assert len(ids(stream.read())) == (number + 1) * busy


def test_a_subscription_that_takes_nothing_loses_its_place(tmp_path: Path) -> None:
    running = Running(tmp_path / "changes.db", wal_sender_timeout=0.2)
    with running.started() as publisher:
        create(running.port)
        with publisher.transaction() as change:
            for number in range(20_000):
                change.insert(running.table, (number, "x" * 1000))
        with reading(running), reading(running):  # the second gets the slot that the first has lost
            pass
