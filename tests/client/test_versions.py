"""The core of the client, by each face, against servers of other versions and kinds than the rest of the suite."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.client.core import core
from tests.client.faces import FACES, run
from tests.conftest import installed
from tests.peers import postgres as servers
from tests.peers.febe_server import FebeServer


@pytest.fixture(scope="module", params=[10, 13, 14, 16, 17])
def older(request: pytest.FixtureRequest) -> Iterator[servers.Postgres]:
    with servers.running(installed(request.param)) as server:
        yield server


@pytest.mark.parametrize("face", FACES)
def test_other_versions(older: servers.Postgres, face: str) -> None:
    _run(face, older)


@pytest.mark.parametrize("face", FACES)
def test_febe_serve(febe_server: FebeServer, face: str) -> None:
    _run(face, febe_server)


def _run(face: str, server: Any) -> None:
    async def main(connect: Any) -> None:
        connection = await connect(server.dsn())
        await core(connection)
        await connection.close()

    run(face, main)
