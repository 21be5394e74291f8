"""Every payload and every logical message that real servers send is read, and written again to the same bytes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import febe
from febe.protocol.logical import LOGICAL, VERSIONS, LogicalReader, Message
from febe.protocol.message import Sender
from febe.protocol.replication import STREAMING, read_payload
from tests.peers.postgres import Postgres
from tests.replication.capture import captured, logical

TABLES = """
drop table if exists t, whole, wide;
drop type if exists mood, many;
create type mood as enum ('sad', 'glad');
create table t (id int primary key, name text, mood mood);
create table whole (a int, b text); alter table whole replica identity full;
create table wide (id int primary key, data text, n int); alter table wide alter data set storage external;
drop publication if exists everything; create publication everything for all tables"""

SMALL = [
    "insert into t values (1, 'one', 'glad'), (2, null, null)",
    "update t set name = 'uno' where id = 1; update t set id = 3 where id = 2; delete from t where id = 3",
    "insert into whole values (1, 'x'); update whole set a = 2; delete from whole",
    "insert into wide values (1, repeat('toast', 5000), 0); update wide set n = 1",
    "truncate t, whole; truncate wide restart identity cascade",
]
MESSAGES = ["select pg_logical_emit_message(true, 'mine', 'inside'); "
            "select pg_logical_emit_message(false, 'mine', decode('00ff', 'hex'))"]
ORIGIN = ["select pg_replication_origin_create('elsewhere') where not exists "
          "(select from pg_replication_origin where roname = 'elsewhere'); "
          "select pg_replication_origin_session_setup('elsewhere')",
          "begin; select pg_replication_origin_xact_setup('0/1', now()); insert into t values (9, 'o', 'sad'); commit",
          "select pg_replication_origin_session_reset()"]
LARGE = "insert into t select g, repeat('x', 100), 'sad' from generate_series({}, {}) g"
STREAMED = [
    f"begin; {LARGE.format(1000, 3000)}; savepoint s; {LARGE.format(3001, 6000)}; rollback to s; "
    f"{LARGE.format(6001, 9000)}; commit",
    f"begin; {LARGE.format(10000, 13000)}; rollback"]
MESSAGES_STREAMED = [f"begin; {LARGE.format(20000, 22000)}; select pg_logical_emit_message(true, 'm', 'streamed'); "
                     f"truncate wide; {LARGE.format(22001, 24000)}; commit"]
PREPARED = [
    "begin; insert into t values (50, 'p', 'sad'); prepare transaction 'first'", "commit prepared 'first'",
    "begin; insert into t values (51, 'p', 'sad'); prepare transaction 'second'", "rollback prepared 'second'",
    f"begin; {LARGE.format(30000, 33000)}; prepare transaction 'third'", "commit prepared 'third'"]

# What a server of this version and every later one can do.
OPTIONS: dict[str, tuple[int, dict[str, str | None], list[str], bool]] = {
    "1": (13, {"proto_version": "1"}, SMALL + ORIGIN, False),
    "binary": (14, {"proto_version": "1", "binary": "true", "messages": "true"}, SMALL + MESSAGES, False),
    "2": (14, {"proto_version": "2", "streaming": "on", "messages": "true"},
          SMALL + STREAMED + MESSAGES + MESSAGES_STREAMED, False),
    "3": (15, {"proto_version": "3", "streaming": "on", "two_phase": "on"}, SMALL + STREAMED + PREPARED, True),
    "4": (16, {"proto_version": "4", "streaming": "parallel", "origin": "any", "two_phase": "on", "messages": "true"},
          SMALL + MESSAGES + ORIGIN + STREAMED + MESSAGES_STREAMED + PREPARED, True),
}
CASES = [(major, name) for name, (since, *_) in OPTIONS.items() for major in range(since, 19)]


def messages(server: Postgres, name: str) -> tuple[list[bytes], list[Message]]:
    _since, options, script, two_phase = OPTIONS[name]
    with febe.connect(server.dsn()) as client:
        client.execute(TABLES)
    found = captured(server, script, options | {"publication_names": '"everything"'}, two_phase=two_phase)
    for body in found:
        assert read_payload(STREAMING[Sender.BACKEND], body).encode() == body
    reader = LogicalReader(int(str(options["proto_version"])), streaming=options.get("streaming") or "off")
    data = logical(found)
    return data, [reader.read(piece) for piece in data]


@pytest.mark.parametrize(("major", "name"), CASES, ids=[f"pg{major}-{name}" for major, name in CASES])
def test_what_a_server_sends_is_read_and_written_again(publishers: Callable[[int], Postgres], major: int,
                                                       name: str) -> None:
    data, read = messages(publishers(major), name)
    assert [change.encode() for change in read] == data
    seen = {type(change) for change in read}
    if name == "4":
        since = dict.fromkeys(LOGICAL.values(), 4)
        assert seen == set(since), set(since) - seen
    assert int(str(OPTIONS[name][1]["proto_version"])) in VERSIONS
