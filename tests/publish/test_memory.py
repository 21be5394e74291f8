"""However large a transaction is, a publisher holds little of it: while it is made, and while it is sent."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from febe.client.run_blocking import run
from febe.flows import replicate
from febe.protocol.connection import CopyDataRun
from febe.protocol.replication_commands import StartReplication
from tests.publish.running import create, walsender

ROWS = 20_000
PUBLISH = f"""
import asyncio, resource, sys
from febe.publish import Publisher

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10

def change(publisher, table, count):
    with publisher.transaction() as change:
        for number in range(count):
            change.insert(table, (number, "x" * 4000))

async def main():
    publisher = Publisher(sys.argv[1], publication="febe", logical_decoding_work_mem=4 << 20)
    table = publisher.table("public.t", {{"id": "int4", "name": "text"}}, key=["id"])
    async with await publisher.serve(port=0) as listener:
        print(listener.port, flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        small = peak()
        await asyncio.to_thread(change, publisher, table, {ROWS})
        await asyncio.to_thread(sys.stdin.readline)
        print(peak() - small, flush=True)

asyncio.run(main())
"""


@pytest.mark.slow
def test_memory_is_bounded_whatever_a_transaction_s_size(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", PUBLISH, tmp_path / "changes.db"], text=True, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            port = int(process.stdout.readline())
            create(port, "streamed")
            create(port, "whole")
            print(file=process.stdin, flush=True)
            assert received(port, "streamed", b"c", {"streaming": "on"}) > ROWS * 4000
            assert received(port, "whole", b"C", {}) > ROWS * 4000
            print(file=process.stdin, flush=True)
            assert int(process.stdout.readline()) < 40  # of the 80 megabytes that it is
        finally:
            process.kill()


def received(port: int, slot: str, last: bytes, options: dict[str, str | None]) -> int:
    """How many bytes come up to a message."""
    size = 0
    with walsender(port) as session:
        run(replicate.start(session, StartReplication(slot=slot, lsn=0, options=options | {
            "proto_version": "2", "publication_names": '"febe"'})))
        while True:
            for event in run(replicate.receive(session)):
                assert isinstance(event, CopyDataRun)
                for body in event.bodies():
                    size += len(body)
                    if body[25:26] == last:
                        return size
