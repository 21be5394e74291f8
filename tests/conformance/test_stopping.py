"""A DuckDB query ends with its client."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from tests.conformance.test_clients import ENDLESS
from tests.server.listening import SECONDS, Raw, listening


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_client_that_goes_away(loop: str) -> None:
    engine_module = pytest.importorskip("febe.engines.duckdb")
    factory: Any = asyncio.new_event_loop if loop == "asyncio" else pytest.importorskip("uvloop").new_event_loop
    left = threading.Event()

    class Watched(engine_module.DuckDBEngine):  # type: ignore[misc, name-defined]
        def open(self, **options: Any) -> Any:
            session = super().open(**options)
            close = session.close

            def closed() -> None:
                close()
                left.set()

            session.close = closed
            return session

    engine = Watched()
    try:
        with listening(engine, loop_factory=factory) as listener:
            with Raw(listener) as client:
                client.log_in()
                client.query("select 1")
                client.send(b"Q" + (5 + len(ENDLESS)).to_bytes(4, "big") + ENDLESS.encode() + b"\0")
            assert left.wait(SECONDS)
    finally:
        engine.close()
