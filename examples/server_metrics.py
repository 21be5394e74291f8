"""A server that tells what it does: metrics over HTTP, and a hook of one's own for slow statements.

    python examples/server_metrics.py
"""

from __future__ import annotations

import asyncio
import json
from urllib.request import urlopen

from engine_logbook import Logbook

import febe.aio
from febe.server import StatementEvent, Telemetry, serve
from febe.server.telemetry.metrics import Metrics


class Slow(Telemetry):
    """Where a program would tell somebody."""

    def statement(self, event: StatementEvent) -> None:
        if event.seconds > 0:  # half a second, say
            print("slow:", event.text, "by", event.client.user, "gave", event.rows, "rows")


def page(url: str) -> str:
    with urlopen(url, timeout=10) as answer:
        return str(answer.read().decode())


async def main() -> None:
    metrics = Metrics(port=0)
    async with (await serve(Logbook(), port=0, telemetry=[metrics, Slow()]) as listener,
                await febe.aio.connect(host="127.0.0.1", port=listener.port, user="ada") as client):
        await client.execute("add 'hello'")
        await client.execute("log")
        where = f"http://127.0.0.1:{metrics.port}"
        for line in (await asyncio.to_thread(page, f"{where}/metrics")).splitlines():
            if line.startswith(("febe_statements_total", "febe_rows_total", "febe_places_taken")):
                print(line)
        print(json.loads(await asyncio.to_thread(page, f"{where}/health")))


if __name__ == "__main__":
    asyncio.run(main())
