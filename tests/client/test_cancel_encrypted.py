"""A cancel request is encrypted as the session is."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import febe.aio
from febe.flows import cancel
from febe.flows.port import Stream
from febe.protocol.encryption import Encryption, Plan, Way
from tests.peers.postgres import Postgres

STATE = "select state from pg_stat_activity where pid = $1::int4 and query like '%pg_sleep%'"


@pytest.mark.parametrize(("options", "kind"), [
    ({"sslmode": "require"}, "SSL"), ({"sslmode": "prefer"}, "SSL"), ({"sslmode": "disable"}, None)])
def test_a_query_is_cancelled(secure_postgres: Postgres, options: dict[str, str], kind: str | None,
                              monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[str | None] = []
    real = cancel.encrypt

    async def seen(core: Any, port: Stream, plan: Any) -> None:
        await real(core, port, plan)
        used.append(port.layer and port.layer.kind)

    monkeypatch.setattr(cancel, "encrypt", seen)

    async def main() -> None:
        found = {"host": "127.0.0.1", "port": secure_postgres.port, "user": "any", "dbname": "postgres"}
        async with await febe.aio.connect(**found, **options) as busy, \
                await febe.aio.connect(**found | {"user": "postgres"}) as watcher:
            task = asyncio.create_task(busy.fetchval("select pg_sleep(600)::text"))
            while await watcher.fetchval(STATE, busy.process_id) != "active":
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await busy.fetchval("select 1") == 1

    asyncio.run(main())
    assert used == [kind]


def test_a_cancel_request_never_goes_in_clear_instead() -> None:
    plan: Plan[Any] = Plan(Encryption(sslmode="prefer", tls=lambda: None), only=Way.TLS)
    assert plan.way is Way.TLS
    assert not plan.failed()
