"""libpq's large-object calls, which go by FunctionCall, through psycopg2."""

from __future__ import annotations

import pytest

from tests.peers.febe_server import FebeServer

psycopg2 = pytest.importorskip("psycopg2")


def test_a_large_object(febe_server: FebeServer) -> None:
    connection = psycopg2.connect(febe_server.dsn())
    try:
        made = connection.lobject(0, "wb")
        made.write(b"hello")
        assert made.seek(1) == 1 and made.tell() == 1
        made.close()
        connection.commit()
        assert connection.lobject(made.oid, "rb").read() == b"hello"
        changed = connection.lobject(made.oid, "wb")
        changed.truncate(2)
        connection.rollback()
        assert connection.lobject(made.oid, "rb").read(3) == b"hel"
        connection.lobject(made.oid).unlink()
        connection.commit()
        with pytest.raises(psycopg2.OperationalError, match=f"large object {made.oid} does not exist"):
            connection.lobject(made.oid)
    finally:
        connection.close()
