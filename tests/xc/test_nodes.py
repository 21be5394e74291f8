"""A febe coordinator and a febe datanode talk to each other; other clients of the datanode notice nothing."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import febe
from febe import xc
from febe.engines.duckdb import DuckDBEngine
from febe.errors import PostgresError
from febe.protocol.errors import LocalProtocolError
from febe.protocol.message import Message, Sender
from febe.server import Listener
from febe.xc.datanode import XLDatanodeSession
from tests.server.listening import listening

CREATED = "create table t (a int, b text)"
OPTIONS = "-c DateStyle=iso,mdy -c timezone=utc -c geqo=on -c intervalstyle=postgres -c lc_monetary=C"


@pytest.fixture(params=[False, True], ids=["xc", "xl"])
def node(request: pytest.FixtureRequest) -> Iterator[tuple[Listener, bool]]:
    kind = XLDatanodeSession if request.param else xc.DatanodeSession
    with listening(DuckDBEngine(), session=kind) as listener:
        yield listener, request.param


def dsn(listener: Listener) -> str:
    return f"postgresql://xcuser@127.0.0.1:{listener.port}/postgres"


def test_a_dialogue_of_two_febes(node: tuple[Listener, bool]) -> None:
    listener, xl = node
    said: list[tuple[Sender, str]] = []

    def trace(sender: Sender, cls: type[Message], data: bytes) -> None:
        said.append((sender, data[:1].decode("latin-1")))

    snapshot = xc.Snapshot(xmin=10023, xmax=10023, recent_global_xmin=10023, xip=[])
    with xc.connect(dsn(listener), xl=xl, session_options=OPTIONS, trace=trace) as data:
        data.query(CREATED, gxid=10021, timestamp=1)
        assert data.query("START TRANSACTION ISOLATION LEVEL read committed READ WRITE",
                          gxid=10023, timestamp=2).tag == "START TRANSACTION"
        said.clear()
        made = data.execute("INSERT INTO t (a, b) VALUES ($1, $2)", ["integer", "text"], ["1", "x"],
                            snapshot=snapshot, describe=False)
        assert made.tag == "INSERT 0 1"
        assert "".join(kind for sender, kind in said if sender is Sender.FRONTEND) == "sPBES"
        assert data.query("COMMIT TRANSACTION").tag == "COMMIT"
        found = data.query("SELECT a, b FROM t", gxid=10024, timestamp=3, command_id=0, snapshot=snapshot)
        assert found.rows == [(1, "x")]
        assert [(column.name, column.type_name) for column in found.columns] == [("a", "int4"), ("b", "text")]
        assert data.execute("SELECT b FROM t WHERE a = $1", ["integer"], ["1"]).rows == [("x",)]
        for step in "PXE":
            data.barrier("one", step)
        with pytest.raises(PostgresError) as error:
            data.execute("SELECT $1", ["no such type"], ["1"])
        assert error.value.sqlstate == "42704"
        assert data.query("SELECT 1").rows == [(1,)]
        with pytest.raises(LocalProtocolError):
            data.execute("SELECT $1", ["integer"], [])
    with febe.connect(dsn(listener)) as plain:
        assert plain.fetchval("select b from t where a = $1", 1) == "x"


def test_an_unknown_remotetype_is_refused(node: tuple[Listener, bool]) -> None:
    with pytest.raises(PostgresError) as error:
        febe.connect(dsn(node[0]), options="-c remotetype=toaster")
    assert error.value.sqlstate == "22023"


def test_a_server_that_is_no_datanode_does_not_know_remotetype() -> None:
    with listening(DuckDBEngine()) as listener, pytest.raises(PostgresError) as error:
        xc.connect(dsn(listener))
    assert error.value.sqlstate == "42704"


def test_the_page_s_example() -> None:
    (program,) = re.findall(r"^```python\n(.*?)^```$", (Path(__file__).parents[2] / "docs/xc.md").read_text(),
                            re.DOTALL | re.MULTILINE)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[('a', 'int4'), ('b', 'text')] [(1, 'one')]\n", "")
