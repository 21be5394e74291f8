"""PostgreSQL 13 to 18, each started when first asked for and kept to the end of the run."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest

from tests.conftest import installed
from tests.peers import postgres as servers
from tests.peers.postgres import Postgres

MAJORS = (13, 14, 15, 16, 17, 18)

SETTINGS = {"max_wal_senders": "20", "max_replication_slots": "40", "max_worker_processes": "30",
            "max_logical_replication_workers": "20", "max_prepared_transactions": "40",
            "wal_retrieve_retry_interval": "100ms"}


@pytest.fixture(scope="session")
def publishers() -> Iterator[Callable[[int], Postgres]]:
    """Gives the server of a major version, whose decoding streams every transaction over 64 kB."""
    with contextlib.ExitStack() as stack:
        found: dict[int, Postgres] = {}

        def get(major: int) -> Postgres:
            if major not in found:
                settings = SETTINGS | {"logical_decoding_work_mem": "64kB"}
                found[major] = stack.enter_context(servers.running(installed(major), **settings))
            return found[major]

        yield get


@pytest.fixture(params=MAJORS, ids=lambda major: f"pg{major}")
def publisher(request: pytest.FixtureRequest, publishers: Callable[[int], Postgres]) -> Postgres:
    """Each PostgreSQL in turn."""
    return publishers(request.param)


@pytest.fixture
def newest(publishers: Callable[[int], Postgres]) -> Postgres:
    """PostgreSQL 18."""
    return publishers(18)
