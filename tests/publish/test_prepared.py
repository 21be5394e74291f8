"""What a publisher sends of prepared transactions, message by message, and what it keeps of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import febe
from febe.client.run_blocking import run
from febe.flows import replicate
from febe.protocol.logical import (
    BeginPrepare,
    CommitPrepared,
    Prepare,
    RollbackPrepared,
    StreamPrepare,
)
from febe.protocol.replication_commands import AlterReplicationSlot, StartReplication
from febe.publish import PublishError
from febe.publish.transaction import OVERHEAD
from tests.publish.running import Running, create, ids, insert, names, reading, walsender, written

ALL = ["BeginPrepare", "Relation", "Insert", "Insert", "Prepare"]
AT_COMMIT = ["Begin", "Relation", "Insert", "Insert", "Commit"]


@pytest.fixture
def running(tmp_path: Path) -> Running:
    """Its transactions are in progress from the fifth change on."""
    return Running(tmp_path / "changes.db", logical_decoding_work_mem=5 * OVERHEAD)


def prepare(running: Running, *keys: int, gid: str = "g") -> None:
    with running.publisher.transaction(prepare=gid) as change:
        insert(change, running.table, *keys)


def test_a_transaction_is_sent_when_it_is_prepared(running: Running) -> None:
    with running.started() as publisher:
        create(running.port)
        with reading(running, version=3, two_phase=True) as stream:
            prepare(running, 1, 2)
            assert publisher.store.rows(running.table.oid) == []
            assert [one.gid for one in publisher.prepared_transactions] == ["g"]
            prepared = stream.read()
            publisher.commit_prepared("g")
            (committed,) = stream.read()
            begin, prepare_ = prepared[0], prepared[-1]
            assert names(prepared) == ALL
            assert isinstance(begin, BeginPrepare)
            assert isinstance(prepare_, Prepare)
            assert isinstance(committed, CommitPrepared)
            assert {begin.gid, prepare_.gid, committed.gid} == {"g"}
            assert begin.xid == prepare_.xid == committed.xid
            assert begin.prepare_lsn < begin.end_lsn < committed.commit_lsn < committed.end_lsn
            assert len(publisher.store.rows(running.table.oid)) == 2
            assert publisher.prepared_transactions == []
            prepare(running, 3)
            stream.read()
            publisher.rollback_prepared("g")
            (back,) = stream.read()
            assert isinstance(back, RollbackPrepared)
            assert (back.gid, back.xid > committed.xid) == ("g", True)
            assert len(publisher.store.rows(running.table.oid)) == 2
            stream.leave()
        assert not any(written(publisher).values())


@pytest.mark.parametrize(("options", "expected", "at_commit"), [
    ({"version": 3, "streaming": "on"}, [], ["StreamCommit"]),
    ({"version": 4, "streaming": "parallel", "two_phase": True}, ["StreamPrepare"], ["CommitPrepared"]),
    ({"version": 3, "two_phase": True}, ["BeginPrepare", "Relation", *["Insert"] * 14, "Prepare"],
     ["CommitPrepared"]),
    ({"version": 1}, [], ["Begin", "Relation", *["Insert"] * 14, "Commit"])])
@pytest.mark.parametrize("commit", [True, False])
def test_a_large_one(running: Running, options: dict[str, Any], expected: list[str], at_commit: list[str],
                     commit: bool) -> None:
    with running.started() as publisher:
        create(running.port)
        with reading(running, **options) as stream:
            prepare(running, *range(14))
            found = stream.read()
            (publisher.commit_prepared if commit else publisher.rollback_prepared)("g")
            last = stream.read()
            stream.leave()
    blocks = 3 if "streaming" in options else 0
    block = ["StreamStart", *["Insert"] * 5, "StreamStop"]
    in_progress = [*block[:1], "Relation", *block[1:], *block, "StreamStart", *["Insert"] * 4, "StreamStop"]
    assert names(found) == (in_progress if blocks else []) + expected
    at_rollback = {"StreamCommit": ["StreamAbort"], "CommitPrepared": ["RollbackPrepared"], "Begin": []}[at_commit[0]]
    assert names(last) == (at_commit if commit else at_rollback)
    if expected == ["StreamPrepare"]:
        assert isinstance(found[-1], StreamPrepare)


def test_it_survives_a_restart_and_is_not_sent_twice(running: Running) -> None:
    with running.started():
        create(running.port)
        with reading(running, version=3, two_phase=True) as stream:
            prepare(running, 1, 2)
            (*_, last) = stream.read()
            assert isinstance(last, Prepare)
    with running.started() as publisher:
        assert [one.gid for one in publisher.prepared_transactions] == ["g"]
        with reading(running, version=3, two_phase=True) as stream:  # that it arrived was not said
            assert names(stream.read()) == ALL
            stream.leave(last.end_lsn)
        with reading(running, version=3, two_phase=True) as stream:
            assert stream.read() == []
        with reading(running, version=3, two_phase=True, lsn=last.end_lsn) as stream:
            publisher.commit_prepared("g")
            assert names(stream.read()) == ["CommitPrepared"]
        assert publisher.store.cells(running.table.oid, '["1"]') is not None
        with reading(running, version=3, two_phase=True) as stream:
            assert names(stream.read()) == ["CommitPrepared"]
            stream.leave()
        with reading(running, version=3, two_phase=True) as stream:
            assert stream.read() == []


def test_what_was_prepared_before_it_was_asked_for_is_sent_when_it_is_committed(running: Running) -> None:
    """As ReorderBufferFinishPrepared does: a subscription asks when its tables are copied, and not before."""
    with running.started() as publisher:
        create(running.port)
        with reading(running, version=4) as stream:
            prepare(running, 1, 2)
            prepare(running, 8, gid="void")
            assert stream.read() == []
            stream.leave()
        with reading(running, version=4, two_phase=True) as stream:
            prepare(running, 3, 4, gid="later")
            assert names(stream.read()) == ALL
            publisher.rollback_prepared("void")
            assert stream.read() == []
            publisher.commit_prepared("g")
            found = stream.read()
            assert names(found) == ["BeginPrepare", "Insert", "Insert", "Prepare", "CommitPrepared"]
            assert ids(found) == [1, 2]
            stream.leave()
        with reading(running, version=4, two_phase=True) as stream:
            publisher.commit_prepared("later")
            assert names(stream.read()) == ["CommitPrepared"]


def test_a_slot_made_for_two_phase_has_it_without_asking_again(running: Running) -> None:
    with running.started() as publisher:
        prepare(running, 1, 2)
        create(running.port, two_phase="true")
        with reading(running, version=3) as stream:
            prepare(running, 3, 4, gid="h")
            assert names(stream.read()) == ALL
            publisher.commit_prepared("g")  # prepared before the slot was there
            assert names(stream.read()) == ["BeginPrepare", "Insert", "Insert", "Prepare", "CommitPrepared"]
            with walsender(running.port) as other, pytest.raises(febe.PostgresError) as error:
                run(replicate.command(other, AlterReplicationSlot(slot="s", options={"two_phase": "false"})))
            assert error.value.sqlstate == "55006"
            stream.leave()
        with walsender(running.port) as other:
            run(replicate.command(other, AlterReplicationSlot(slot="s", options={"two_phase": "false"})))
        with reading(running, version=3) as stream:
            prepare(running, 5, 6, gid="i")
            assert stream.read() == []
            publisher.commit_prepared("i")
            assert names(stream.read()) == AT_COMMIT


def test_what_a_prepared_transaction_holds_nobody_else_may_touch(running: Running) -> None:
    """On the subscriber the row is locked: who applies another change of it would wait for ever."""
    with running.started() as publisher:
        prepare(running, *range(1, 9))
        for touch in (lambda change: change.insert(running.table, (1, "y")),
                      lambda change: change.update(running.table, (8, "y")),
                      lambda change: change.delete(running.table, (2, None)),
                      lambda change: change.truncate(running.table)):
            with pytest.raises(PublishError, match='wait for the prepared transaction "g"'), \
                    publisher.transaction() as change:
                touch(change)
        with publisher.transaction() as change:
            insert(change, running.table, 9)
        publisher.commit_prepared("g")
        with publisher.transaction(prepare="h") as change:
            change.truncate(running.table)
        with pytest.raises(PublishError, match='prepared transaction "h"'), publisher.transaction() as change:
            insert(change, running.table, 10)
        publisher.commit_prepared("h")
        with publisher.transaction() as change:
            insert(change, running.table, 1)
        assert publisher.store.rows(running.table.oid) == [[b"1", b"x"]]


def test_what_makes_no_sense_is_refused(running: Running) -> None:
    with running.started() as publisher:
        for gid in ("", "g" * 200, "ü" * 100):
            with pytest.raises(ValueError, match="1 to 199 bytes"), publisher.transaction(prepare=gid):
                pass
        prepare(running, 1, gid="ü" * 99)
        with pytest.raises(PublishError, match="there is a prepared"), publisher.transaction(prepare="ü" * 99):
            pass
        for end in (publisher.commit_prepared, publisher.rollback_prepared):
            with pytest.raises(PublishError, match='no prepared transaction "h"'):
                end("h")
        with pytest.raises(ZeroDivisionError), publisher.transaction(prepare="h") as change:
            insert(change, running.table, *range(5, 14))
            raise ZeroDivisionError
        assert len(publisher.prepared_transactions) == 1


def test_one_without_changes_is_prepared_too(running: Running) -> None:
    with running.started() as publisher:
        create(running.port)
        with reading(running, version=3, two_phase=True) as stream:
            prepare(running)
            publisher.commit_prepared("g")
            assert names(stream.read()) == ["BeginPrepare", "Prepare", "CommitPrepared"]


@pytest.mark.parametrize(("options", "message"), [
    ({"proto_version": "1", "streaming": "on"}, "does not support streaming, need 2"),
    ({"proto_version": "3", "streaming": "parallel"}, "does not support streaming, need 4"),
    ({"proto_version": "2", "two_phase": "on"}, "does not support two-phase commit, need 3"),
    ({"proto_version": "5"}, "only supports protocol 1 to 4")])
def test_options_of_other_versions_are_refused(running: Running, options: dict[str, str | None], message: str) -> None:
    with running.started():
        create(running.port)
        with walsender(running.port) as session, pytest.raises(febe.PostgresError, match=message) as error:
            run(replicate.start(session, StartReplication(slot="s", lsn=0, options=options | {
                "publication_names": '"febe"'})))
    assert error.value.sqlstate == "0A000"


def test_notes_are_kept_with_the_transaction(running: Running) -> None:
    with running.started() as publisher:
        with pytest.raises(ZeroDivisionError), publisher.transaction() as change:
            change.notes["read"] = "1"
            raise ZeroDivisionError
        assert publisher.store.note("read") is None
        for number, keys, gid in ((2, (), None), (3, (1,), None), (4, (2,), "g")):
            with publisher.transaction(prepare=gid) as change:
                change.notes["read"] = str(number)
                insert(change, running.table, *keys)
            assert publisher.store.note("read") == str(number)
