"""febe's own consumer follows febe's publisher."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from febe.replication import SlotLost, changes, subscribe
from tests.publish.running import Running, create

OPTIONS: list[dict[str, Any]] = [
    {}, {"streaming": "off", "proto_version": 1}, {"streaming": "parallel"}, {"streaming": "on", "live": True},
    {"two_phase": True}, {"binary": True}]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_what_is_published_arrives_once(tmp_path: Path, options: dict[str, Any]) -> None:
    running = Running(tmp_path / "changes.db", logical_decoding_work_mem=10_000)
    found = list[object]()
    with running.started() as publisher:
        create(running.port, two_phase=str("two_phase" in options).lower())
        with publisher.transaction() as change:
            change.insert(running.table, (1, "one"))
            change.update(running.table, (1, "uno"))
        with publisher.transaction() as change:
            for number in range(100, 300):
                change.insert(running.table, (number, "x" * 100))
        found += _until(running, options, 202)
    with running.started() as publisher:  # it goes on where it was
        with publisher.transaction(prepare="later") as change:
            change.delete(running.table, (1, None))
        if "two_phase" in options:
            (prepared,) = _until(running, options, 1)
            assert prepared == ("Delete", 1)
        publisher.commit_prepared("later")
        with publisher.transaction() as change:
            change.truncate(running.table)
        found += _until(running, options, 1 if "two_phase" in options else 2)
    streamed = [("Insert", number, "x" * 100) for number in range(100, 300)]
    deleted = [] if "two_phase" in options else [("Delete", 1)]
    assert found == [("Insert", 1, "one"), ("Update", 1, "uno"), *streamed, *deleted, ("Truncate",)]


def test_a_slot_that_is_not_there(tmp_path: Path) -> None:
    running = Running(tmp_path / "changes.db")
    with running.started(), pytest.raises(SlotLost, match='slot "s" does not exist'):
        _until(running, {}, 1)


def _until(running: Running, options: dict[str, Any], count: int) -> list[tuple[object, ...]]:
    """So many changes, confirmed with the transaction that they are in."""
    found = list[tuple[object, ...]]()
    dsn = f"host=127.0.0.1 port={running.port} user=u dbname=d sslmode=disable"
    with subscribe(dsn, slot="s", publication="febe", **options) as subscription:
        for event in subscription:
            name = type(event).__name__
            if isinstance(event, changes.Insert | changes.Update):
                found.append((name, *event.new))
            elif isinstance(event, changes.Delete):
                found.append((name, event.old[0]))
            elif isinstance(event, changes.Truncate):
                found.append((name,))
            elif isinstance(event, changes.Commit | changes.Prepare) and len(found) >= count:
                subscription.confirm(event)
                break
    return found
