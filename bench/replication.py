"""Replication: decoding pgoutput, following a slot, publishing to a PostgreSQL, base backups."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .clock import timed
from .harness import Contender, Measurement, Round, Row, Settings

DECODED = 50_000
FOLLOWED = 200_000
PUBLISHED = 100_000
TRANSACTION = 1000
COLUMNS = "id int8 primary key, a int4, b text, c float8, d timestamptz, e bool"
ROW = "g, g % 1000, 'some text ' || g, g * 0.5, timestamptz '2024-01-01' + g * interval '1 s', g % 3 = 0"
TYPES = {"id": "int8", "a": "int4", "b": "text", "c": "float8", "d": "timestamptz", "e": "bool"}


def _change(client: Any, table: str, rows: int) -> None:
    """Insert rows, some at a time."""
    for first in range(1, rows + 1, TRANSACTION):
        client.execute(f"insert into {table} select {ROW} from generate_series({first}, {first + TRANSACTION - 1}) g")


def _table(client: Any, name: str) -> None:
    client.execute("set synchronous_commit = on")
    client.execute(f"drop publication if exists {name}; drop table if exists {name}; create table {name} ({COLUMNS})")
    client.execute(f"create publication {name} for table {name}")


# Decoding

def _messages(settings: Settings) -> list[bytes]:
    """What a server sends for some changes."""
    import febe

    name = f"decoded_{settings['who']}"
    with febe.connect(settings["dsn"]) as client:
        _table(client, name)
        client.execute(f"select pg_create_logical_replication_slot('{name}', 'pgoutput')")
        _change(client, name, settings["rows"])
        client.execute(f"update {name} set a = a + 1 where id % 4 = 0; delete from {name} where id % 10 = 0")
        found = client.fetch(f"select data from pg_logical_slot_get_binary_changes('{name}', null, null, "
                             f"'proto_version', '1', 'publication_names', '{name}')")
        client.execute(f"select pg_drop_replication_slot('{name}')")
    return [row[0] for row in found]


def febe_decoding(settings: Settings) -> Iterator[Round]:
    from febe.replication.assembler import Assembler
    from febe.types.registry import TYPES as REGISTRY

    messages = _messages(settings)
    head = struct.Struct("!cicqqq")
    run = b"".join(head.pack(b"d", len(message) + 29, b"w", 0, 0, 0) + message for message in messages)

    def decode() -> int:
        assembler = Assembler(REGISTRY.copy(), version=1)
        return sum(len(batch) for batch in assembler.feed(run, 0, len(run)))

    yield lambda: timed(decode, len(messages))[1]


def pypgoutput_decoding(settings: Settings) -> Iterator[Round]:
    messages = _messages(settings)
    # its package imports readers for older versions of what it needs; the decoder stands alone
    (path,) = Path(settings["peers"]).parent.parent.glob("lib/python*/site-packages/pypgoutput/decoders.py")
    spec = importlib.util.spec_from_file_location("pypgoutput_decoders", path)
    assert spec is not None and spec.loader is not None
    decoders = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(decoders)
    known = {ord("B"): decoders.Begin, ord("C"): decoders.Commit, ord("R"): decoders.Relation,
             ord("I"): decoders.Insert, ord("U"): decoders.Update, ord("D"): decoders.Delete}

    def decode() -> int:
        return len([known[message[0]](message) for message in messages])

    yield lambda: timed(decode, len(messages))[1]


# Following

@contextlib.contextmanager
def _changed(settings: Settings) -> Iterator[tuple[str, str]]:
    """A slot with changes behind it, and where they end."""
    import febe

    name = f"followed_{settings['who']}"
    with febe.connect(settings["dsn"]) as client:
        _table(client, name)
        client.execute(f"select pg_create_logical_replication_slot('{name}', 'pgoutput')")
        _change(client, name, settings["rows"])
        yield name, client.fetchval("select pg_current_wal_lsn()::text")
        for _ in range(500):
            if not client.fetchval(f"select active from pg_replication_slots where slot_name = '{name}'"):
                break
            time.sleep(0.01)
        client.execute(f"select pg_drop_replication_slot('{name}')")


def febe_following(settings: Settings) -> Iterator[Round]:
    from febe.replication import Insert, subscribe

    def follow(name: str) -> None:
        left = settings["rows"]
        with subscribe(settings["dsn"], slot=name, publication=name, proto_version=1) as changes:
            for batch in changes.batches():
                left -= sum(1 for event in batch if event.__class__ is Insert)
                if left <= 0:
                    break

    def run() -> dict[str, float]:
        with _changed(settings) as (name, _end):
            return timed(lambda: follow(name), settings["rows"])[1]

    yield run


def pg_recvlogical(settings: Settings) -> Iterator[Round]:
    def run() -> dict[str, float]:
        with _changed(settings) as (name, end):
            command = [f"{settings['bin']}/pg_recvlogical", "-h", settings["host"], "-p", str(settings["port"]),
                       "-U", settings["user"], "-d", settings["database"], "--slot", name, "--start", "--no-loop",
                       "--endpos", end, "-f", "/dev/null", "-o", "proto_version=1", "-o", f"publication_names={name}"]
            return timed(lambda: subprocess.run(command, check=True, capture_output=True), settings["rows"])[1]

    yield run


# Publishing

@contextlib.contextmanager
def _subscriber() -> Iterator[Any]:
    import febe
    from tests.peers import postgres
    from tests.peers.installation import installation

    with postgres.running(installation(18)) as server, febe.connect(server.dsn()) as client:
        client.execute(f"create table published ({COLUMNS})")
        yield client


def _applied(client: Any, rows: int) -> None:
    """Have the subscription run until everything is there."""
    client.execute("alter subscription s enable")
    while client.fetchval("select count(*) from published") < rows:
        time.sleep(0.005)


def _subscribed(client: Any, where: str) -> None:
    client.execute("truncate published")
    client.execute(f"create subscription s connection '{where}' publication published "
                   "with (enabled = false, create_slot = true, copy_data = false, connect = true)")


def febe_publishing(settings: Settings) -> Iterator[Round]:
    from datetime import UTC, datetime, timedelta

    from febe.publish import Publisher

    start = datetime(2024, 1, 1, tzinfo=UTC)
    ready = threading.Event()
    told: list[Any] = []
    with tempfile.TemporaryDirectory() as place, _subscriber() as client:
        publisher = Publisher(f"{place}/changes.db", publication="published")
        table = publisher.table("public.published", TYPES, key=["id"])

        async def serve() -> None:
            stop = asyncio.Event()
            async with await publisher.serve(port=0) as listener:
                told.extend((asyncio.get_running_loop(), stop, listener.port))
                ready.set()
                await stop.wait()

        thread = threading.Thread(target=lambda: asyncio.run(serve()))
        thread.start()
        ready.wait()

        def run() -> dict[str, float]:
            with publisher.transaction() as change:
                change.truncate(table)
            _subscribed(client, f"host=127.0.0.1 port={told[2]} user=u dbname=d sslmode=disable")
            for first in range(1, settings["rows"] + 1, TRANSACTION):
                with publisher.transaction() as change:
                    for g in range(first, first + TRANSACTION):
                        change.insert(table, (g, g % 1000, f"some text {g}", g * 0.5, start + timedelta(seconds=g),
                                              g % 3 == 0))
            figures = timed(lambda: _applied(client, settings["rows"]), settings["rows"])[1]
            client.execute("drop subscription s")
            return figures

        yield run
        told[0].call_soon_threadsafe(told[1].set)
        thread.join()
        publisher.close()


def postgres_publishing(settings: Settings) -> Iterator[Round]:
    import febe

    with _subscriber() as client, febe.connect(settings["dsn"]) as source:

        def run() -> dict[str, float]:
            _table(source, "published")
            _subscribed(client, f"host={settings['host']} port={settings['port']} user={settings['user']} "
                                f"dbname={settings['database']}")
            _change(source, "published", settings["rows"])
            figures = timed(lambda: _applied(client, settings["rows"]), settings["rows"])[1]
            client.execute("drop subscription s")
            return figures

        yield run


# Base backups

def febe_backup(settings: Settings) -> Iterator[Round]:
    from febe.replication import base_backup

    with tempfile.TemporaryDirectory() as place:
        target = Path(place, "data")

        def run() -> dict[str, float]:
            figures = timed(lambda: base_backup(settings["dsn"], target, sync=False), 1)[1]
            shutil.rmtree(target)
            return figures

        yield run


def pg_basebackup(settings: Settings) -> Iterator[Round]:
    with tempfile.TemporaryDirectory() as place:
        target = Path(place, "data")
        command = [f"{settings['bin']}/pg_basebackup", "-h", settings["host"], "-p", str(settings["port"]), "-U",
                   settings["user"], "-D", str(target), "--checkpoint=fast", "--no-sync"]

        def run() -> dict[str, float]:
            figures = timed(lambda: subprocess.run(command, check=True, capture_output=True), 1)[1]
            shutil.rmtree(target)
            return figures

        yield run


MEASUREMENTS = [
    Measurement(
        name="replication: decoding pgoutput",
        contenders={"febe": Contender(run=febe_decoding, settings={"who": "febe"}),
                    "pypgoutput": Contender(run=pypgoutput_decoding, settings={"who": "pypgoutput"})},
        rows=[Row(name="decoding pgoutput, values included", ours="febe", against={"pypgoutput": 10.0}, figure="wall",
                  unit="s")],
        settings={"rows": DECODED}),
    Measurement(
        name="replication: following a slot",
        contenders={"febe": Contender(run=febe_following, settings={"who": "febe"}),
                    "pg_recvlogical": Contender(run=pg_recvlogical, settings={"who": "recvlogical"})},
        rows=[Row(name="following a slot, end to end", ours="febe", against={"pg_recvlogical": 0.9}, figure="wall",
                  unit="s")],
        settings={"rows": FOLLOWED}, most_rounds=5),
    Measurement(
        name="replication: publishing",
        contenders={"febe": Contender(run=febe_publishing), "PostgreSQL 18": Contender(run=postgres_publishing)},
        rows=[Row(name="publishing to a PostgreSQL 18", ours="febe", against={"PostgreSQL 18": 0.7}, figure="wall",
                  unit="s")],
        settings={"rows": PUBLISHED}, most_rounds=5),
    Measurement(
        name="replication: base backup",
        contenders={"febe": Contender(run=febe_backup), "pg_basebackup": Contender(run=pg_basebackup)},
        rows=[Row(name="base backup", ours="febe", against={"pg_basebackup": 0.9}, figure="wall",
                  unit="s")],
        most_rounds=5)]
