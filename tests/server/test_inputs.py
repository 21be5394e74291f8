"""What PostgreSQL reads as a date or time, we read, and as the same."""

from __future__ import annotations

import pytest

from febe.server.engine import EngineError
from febe.server.statements import decode_values
from febe.types.registry import TYPES
from tests.peers.postgres import Postgres

psycopg = pytest.importorskip("psycopg")

CASES = {
    "date": ["2024-02-29", "2024-02-29 +00", "2024-02-29 00:00:00", "2024-2-9", "infinity", "epoch", "0044-03-15 BC",
             "2024-02-29T00:00:00Z", "2024-02-29 23:59:59-08", "2024-02-30", "2024-02-29 nowhere", "12024-02-29"],
    "timestamp": ["2024-02-29", "2024-02-29 10:11:12+02", "2024-02-29T10:11:12.5Z", "2024-02-29 10:11", "epoch",
                  "2024-02-29 10:11:12.123456789", "infinity", "2024-2-9 1:2:3", "0044-03-15 10:00 BC",
                  "2024-02-29 25:00", "2024-02-29 10:11:12 Europe/Berlin", "2024-02-29 10:11:12 +0530"],
    "timestamptz": ["2024-02-29", "2024-02-29 10:11:12", "2024-02-29T10:11:12.5Z", "2024-07-29 10:11:12.123+02",
                    "2024-02-29 10:11:12+05:30", "2024-02-29 10:11:12 UTC", "2024-07-29 10:11:12 Europe/Berlin",
                    "epoch", "2024-07-29 10:11", "2024-02-29 10:11:12 nowhere", "infinity",
                    "2024-03-31 10:00:00 +0530"],
    "time": ["10:11", "10:11:12+02", "10:11:12.5", "2024-02-29 10:11:12", "24:01", "10:61"],
    "timetz": ["10:11:12+02", "10:11+02:30"],
}


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in CASES.items() for text in texts])
@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
def test_alike(pg18: Postgres, name: str, text: str, zone: str) -> None:
    codec = TYPES.by_name(name)
    with psycopg.connect(pg18.dsn(), autocommit=True) as connection:
        connection.execute(f"set timezone = '{zone}'")
        try:
            (expected,) = connection.execute(f"select %s::{name}::text", [text]).fetchone()
        except psycopg.Error:
            expected = None
        try:
            (found,) = decode_values((codec.oid,), (0,), [text.encode()], lambda: zone)
        except EngineError as error:
            assert expected is None
            assert error.sqlstate in ("22P02", "22007", "22008", "22009", "22023")
        else:
            assert connection.execute(f"select %s::{name} = %s::{name}", [str(found), expected]).fetchone() == (True,)
