"""Each client beside each feature it has, on `febe serve`; then the page that says so."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.compatibility import drivers, frames, java, node, ours, page, shells
from tests.conformance.compatibility.features import FEATURES, PASSWORD, Client, Place
from tests.conftest import missing_peer
from tests.peers import febe_server as febe_servers
from tests.peers.certificates import Authority, Pair
from tests.peers.febe_server import FebeServer
from tests.peers.installation import Missing

CLIENTS: list[type[Client]] = [
    shells.Psql18, shells.Psql15, shells.Pgcli, ours.Febe, drivers.Psycopg, drivers.PsycopgBinary, drivers.Psycopg2,
    drivers.Asyncpg, drivers.Pg8000, frames.SQLAlchemy, frames.Pandas, frames.PolarsConnectorx, frames.PolarsAdbc,
    frames.Adbc, java.Jdbc, java.JdbcSimple, drivers.Odbc, node.NodePostgres, node.PostgresJs]
CELLS = [(client, feature) for client in CLIENTS for feature in client.features()]
KNOWN: dict[tuple[str, str], str] = {
    ("pgJDBC, simple protocol", "parameters"):
        "In the simple protocol pgJDBC writes dates as `'2024-02-29 +00'` into the SQL, which DuckDB does not read.",
}
"""What does not work, and why.  A cell that is here has to fail."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(localhost: Pair) -> Iterator[FebeServer]:
    options = ["--user", f"demo:{PASSWORD}", "--tls-cert", str(localhost.certificate), "--tls-key", str(localhost.key)]
    with febe_servers.running(options=options) as found:
        yield found


@pytest.fixture(scope="module")
def measured() -> dict[str, dict[str, bool]]:
    return {client.name: {} for client in CLIENTS}


@pytest.mark.parametrize(("client", "feature"), CELLS, ids=[f"{one.name} - {feature}" for one, feature in CELLS])
def test_cell(client: type[Client], feature: str, server: FebeServer, authority: Authority, tmp_path: Path,
              measured: dict[str, dict[str, bool]]) -> None:
    place = Place(server=server, authority=str(authority.root), home=str(tmp_path),
                  table=f"t{CELLS.index((client, feature))}")
    cell = client.name, feature
    try:
        client(place).check(feature)
    except Missing as missing:
        missing_peer(missing)
    except Exception:
        measured[client.name][feature] = False
        if cell not in KNOWN:
            raise
    else:
        measured[client.name][feature] = True
        assert cell not in KNOWN


def test_the_page(measured: dict[str, dict[str, bool]]) -> None:
    """The page says what was measured."""
    if sum(map(len, measured.values())) < len(CELLS):
        pytest.skip("not every cell was measured in this run")
    written = page.rendered(measured, KNOWN)
    if os.environ.get("FEBE_WRITE_COMPATIBILITY"):
        page.PAGE.write_text(written)
    assert page.PAGE.read_text() == written


def test_every_feature_has_a_client() -> None:
    assert {feature for _, feature in CELLS} == FEATURES.keys()
