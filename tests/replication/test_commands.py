"""Replication commands: read in both spellings, written in that of the server's version, refused where malformed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from febe.flows import replicate
from febe.protocol.errors import LocalProtocolError, PostgresError, RemoteProtocolError
from febe.protocol.replication_commands import (
    AlterReplicationSlot,
    BaseBackup,
    Command,
    CreateReplicationSlot,
    DropReplicationSlot,
    IdentifySystem,
    ReadReplicationSlot,
    Show,
    StartReplication,
    TimelineHistory,
    UploadManifest,
    boolean,
    format_command,
    parse_command,
)
from tests.peers.postgres import Postgres
from tests.replication.capture import run, walsender

READ: list[tuple[str, Command]] = [
    ("IDENTIFY_SYSTEM", IdentifySystem()),
    ("  identify_system ;", IdentifySystem()),
    ("SHOW wal_segment_size", Show(name="wal_segment_size")),
    ("SHOW pg_x.\"Y\"", Show(name="pg_x.Y")),
    ("TIMELINE_HISTORY 2", TimelineHistory(timeline=2)),
    ("UPLOAD_MANIFEST", UploadManifest()),
    ("READ_REPLICATION_SLOT s", ReadReplicationSlot(slot="s")),
    ("DROP_REPLICATION_SLOT pg_16_sync_17_1 WAIT", DropReplicationSlot(slot="pg_16_sync_17_1", wait=True)),
    ('DROP_REPLICATION_SLOT "a""b"', DropReplicationSlot(slot='a"b')),
    ("CREATE_REPLICATION_SLOT \"s\" LOGICAL pgoutput (SNAPSHOT 'nothing')",
     CreateReplicationSlot(slot="s", plugin="pgoutput", options={"snapshot": "nothing"})),
    ("CREATE_REPLICATION_SLOT \"s\" LOGICAL pgoutput (FAILOVER, TWO_PHASE true, SNAPSHOT 'use')", CreateReplicationSlot(
        slot="s", plugin="pgoutput", options={"failover": None, "two_phase": "true", "snapshot": "use"})),
    ("CREATE_REPLICATION_SLOT S TEMPORARY LOGICAL test_decoding NOEXPORT_SNAPSHOT TWO_PHASE", CreateReplicationSlot(
        slot="s", temporary=True, plugin="test_decoding", options={"snapshot": "nothing", "two_phase": None})),
    ("CREATE_REPLICATION_SLOT s PHYSICAL RESERVE_WAL", CreateReplicationSlot(slot="s", options={"reserve_wal": None})),
    ("ALTER_REPLICATION_SLOT \"s\" ( FAILOVER true, TWO_PHASE false );",
     AlterReplicationSlot(slot="s", options={"failover": "true", "two_phase": "false"})),
    ("START_REPLICATION 16/B374D848", StartReplication(lsn=0x16_B374D848)),
    ("START_REPLICATION SLOT s PHYSICAL 0/3000000 TIMELINE 2", StartReplication(slot="s", lsn=0x3000000, timeline=2)),
    ("START_REPLICATION SLOT \"s\" LOGICAL 0/0", StartReplication(slot="s", lsn=0, options={})),
    ("START_REPLICATION SLOT \"s\" LOGICAL 0/0 (proto_version '4', publication_names '\"it''s\"', \"x\")",
     StartReplication(slot="s", lsn=0, options={"proto_version": "4", "publication_names": '"it\'s"', "x": None})),
    ("BASE_BACKUP", BaseBackup()),
    ("BASE_BACKUP ( LABEL 'pg_basebackup base backup',  PROGRESS,  CHECKPOINT 'fast',  WAIT 0,  MAX_RATE 1024 )",
     BaseBackup(options={"label": "pg_basebackup base backup", "progress": None, "checkpoint": "fast", "wait": "0",
                         "max_rate": "1024"})),
    ("BASE_BACKUP LABEL 'x' PROGRESS FAST NOWAIT MAX_RATE 1024 TABLESPACE_MAP MANIFEST 'yes'",
     BaseBackup(options={"label": "x", "progress": None, "checkpoint": "fast", "wait": "false", "max_rate": "1024",
                         "tablespace_map": None, "manifest": "yes"})),
]


@pytest.mark.parametrize(("text", "command"), READ, ids=[text for text, _ in READ])
def test_commands_are_read_and_what_is_written_is_read_again(text: str, command: Command) -> None:
    assert parse_command(text) == command
    assert parse_command(format_command(command)) == command


@pytest.mark.parametrize("text", ["", "select 1", "begin", "/* */ IDENTIFY_SYSTEM", "IDENTIFY_SYSTEMS", "showed"])
def test_what_begins_with_no_command_is_sql(text: str) -> None:
    assert parse_command(text) is None


@pytest.mark.parametrize("text", [
    "IDENTIFY_SYSTEM 1", "SHOW", "SHOW 1", "TIMELINE_HISTORY 0", "TIMELINE_HISTORY x", "READ_REPLICATION_SLOT",
    "CREATE_REPLICATION_SLOT s", "CREATE_REPLICATION_SLOT s LOGICAL", "CREATE_REPLICATION_SLOT s PHYSICAL (",
    "CREATE_REPLICATION_SLOT s LOGICAL p (SNAPSHOT 'use', SNAPSHOT 'use')", "CREATE_REPLICATION_SLOT s PHYSICAL X",
    "ALTER_REPLICATION_SLOT s FAILOVER", "DROP_REPLICATION_SLOT s WAIT WAIT", "DROP_REPLICATION_SLOT 's'",
    "START_REPLICATION", "START_REPLICATION 0", "START_REPLICATION 0/", "START_REPLICATION 123456789/0",
    "START_REPLICATION SLOT s LOGICAL 0/0 (a '1', a '1')", "START_REPLICATION SLOT s LOGICAL 0/0 (a 1)",
    "START_REPLICATION LOGICAL 0/0", "START_REPLICATION 0/0 TIMELINE 0", "BASE_BACKUP LABEL x", "BASE_BACKUP (LABEL 'x",
    "BASE_BACKUP FAST FAST", "UPLOAD_MANIFEST now", 'DROP_REPLICATION_SLOT "s', "SHOW x;;", "SHOW x \0"])
def test_malformed_commands_are_syntax_errors(text: str) -> None:
    with pytest.raises(RemoteProtocolError) as error:
        parse_command(text)
    assert (error.value.sqlstate, error.value.fatal) == ("42601", False)


WRITTEN: list[tuple[Command, int, str]] = [
    (CreateReplicationSlot(slot="s", plugin="p", options={"snapshot": "nothing"}), 14,
     'CREATE_REPLICATION_SLOT "s" LOGICAL "p" NOEXPORT_SNAPSHOT'),
    (CreateReplicationSlot(slot="s", options={"reserve_wal": "true"}), 13,
     'CREATE_REPLICATION_SLOT "s" PHYSICAL RESERVE_WAL'),
    (CreateReplicationSlot(slot="s", options={"reserve_wal": "false"}), 13, 'CREATE_REPLICATION_SLOT "s" PHYSICAL'),
    (BaseBackup(options={"label": "it's", "checkpoint": "fast", "wait": "false", "max_rate": "64", "progress": None}),
     14, "BASE_BACKUP LABEL 'it''s' FAST NOWAIT MAX_RATE 64 PROGRESS"),
    (BaseBackup(options={"max_rate": "64", "wait": "false"}), 15, "BASE_BACKUP (MAX_RATE 64, WAIT 'false')"),
]


@pytest.mark.parametrize(("command", "version", "text"), WRITTEN)
def test_the_spelling_is_that_of_the_servers_version(command: Command, version: int, text: str) -> None:
    assert format_command(command, version) == text


@pytest.mark.parametrize(("command", "version"), [
    (UploadManifest(), 16), (ReadReplicationSlot(slot="s"), 14), (Show(name="x"), 9),
    (AlterReplicationSlot(slot="s", options={"failover": None}), 16),
    (AlterReplicationSlot(slot="s", options={"two_phase": None}), 17),
    (CreateReplicationSlot(slot="s", temporary=True), 9),
    (CreateReplicationSlot(slot="s", plugin="p", options={"failover": None}), 16),
    (CreateReplicationSlot(slot="s", plugin="p", options={"two_phase": None}), 14),
    (BaseBackup(options={"compression": "gzip"}), 14), (BaseBackup(options={"incremental": None}), 16)])
def test_what_the_servers_version_does_not_know_is_not_sent(command: Command, version: int) -> None:
    with pytest.raises(LocalProtocolError) as error:
        format_command(command, version)
    assert error.value.sqlstate == "0A000"


def test_booleans() -> None:
    assert [boolean("x", value) for value in (None, "on", "TRUE", "1", "off", "0")] == [True] * 4 + [False] * 2
    with pytest.raises(RemoteProtocolError, match="x requires a Boolean value"):
        boolean("x", "maybe")


def test_real_servers_take_what_is_written(publisher: Postgres) -> None:
    major = publisher.major
    with walsender(publisher) as session:
        rows = run(replicate.command(session, IdentifySystem())).rows
        assert len(rows[0]) >= 4 and rows[0][3] == b"postgres"
        assert run(replicate.command(session, Show(name="server_version_num"))).rows[0][0][:2] == b"%d" % major
        two_phase: dict[str, str | None] = {"two_phase": "true"} if major >= 15 else {}
        for command in (
                CreateReplicationSlot(slot="p", temporary=True, options={"reserve_wal": "true"}),
                CreateReplicationSlot(slot="l", plugin="pgoutput", options={"snapshot": "nothing", **two_phase})):
            made = run(replicate.command(session, command))
            assert made.names[0] == ["slot_name", "consistent_point", "snapshot_name", "output_plugin"]
        if major >= 15:
            assert run(replicate.command(session, ReadReplicationSlot(slot="p"))).rows[0][0] == b"physical"
        if major >= 17:
            run(replicate.command(session, AlterReplicationSlot(slot="l", options={"failover": "true"})))
        assert run(replicate.command(session, DropReplicationSlot(slot="l", wait=True))).tag == "DROP_REPLICATION_SLOT"
        with pytest.raises(PostgresError):
            run(replicate.command(session, TimelineHistory(timeline=99)))
        run(replicate.command(session, IdentifySystem()))


def test_the_answer_to_a_failed_create_is_read_to_its_end(publishers: Callable[[int], Postgres]) -> None:
    with walsender(publishers(18)) as session:
        for _ in range(2):
            with pytest.raises(PostgresError) as error:
                run(replicate.command(session, CreateReplicationSlot(slot="x", plugin="no_such_plugin")))
            assert error.value.sqlstate in ("58P01", "42501")  # later minor versions do not tell what files there are
        assert run(replicate.ask(session, "select 1; select 2")).sets == [[[b"1"]], [[b"2"]]]
