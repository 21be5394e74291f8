"""Connection strings, keywords, environment and defaults."""

from __future__ import annotations

import getpass
from typing import Any

import pytest

from febe.client.dsn import parse_conninfo
from febe.client.options import ENVIRONMENT, resolve
from febe.errors import Error, LocalProtocolError, NotSupported


@pytest.mark.parametrize(("text", "expected"), [
    ("", {}),
    ("  ", {}),
    ("host=a port=1", {"host": "a", "port": "1"}),
    (" host = a  port= '1' ", {"host": "a", "port": "1"}),
    (r"password='it\'s \\' user=a\ b", {"password": "it's \\", "user": "a b"}),
    ("password='' user=u", {"password": "", "user": "u"}),
    ("options='-c a=b'", {"options": "-c a=b"}),
    ("postgresql://", {}),
    ("postgres://host", {"host": "host"}),
    ("postgresql://u@h:1/d", {"user": "u", "host": "h", "port": "1", "dbname": "d"}),
    ("postgresql://u:p%40%C3%A4@h/d%2Fe", {"user": "u", "password": "p@ä", "host": "h", "dbname": "d/e"}),
    ("postgresql://[::1]:5433/d", {"host": "::1", "port": "5433", "dbname": "d"}),
    ("postgresql://%2Ftmp/d", {"host": "/tmp", "dbname": "d"}),
    ("postgresql:///d?host=/tmp&user=u", {"dbname": "d", "host": "/tmp", "user": "u"}),
    ("postgresql://h/d?options=-c%20a%3Db&sslmode=prefer",
     {"host": "h", "dbname": "d", "options": "-c a=b", "sslmode": "prefer"}),
    ("postgresql://h?ssl=true", {"host": "h", "sslmode": "require"}),
])
def test_conninfo(text: str, expected: dict[str, str]) -> None:
    assert parse_conninfo(text) == expected


@pytest.mark.parametrize("text", ["host", "host=a b", "=a", "host='a", "host=a port", "postgresql://h?a", "postgresql://h%zz",
                                  "postgresql://h?a=%ff", "postgresql://h?a=%00", "host='a'b"])
def test_conninfo_that_cannot_be_read(text: str) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        parse_conninfo(text)
    assert caught.value.sqlstate == "22023"


def test_what_goes_before_what() -> None:
    environment = {"PGHOST": "from-env", "PGPORT": "1", "PGUSER": "env", "PGPASSWORD": "secret", "PGDATABASE": "db"}
    target = resolve("host=from-string port=2", {"port": 3}, environment)
    assert (target.host, target.port) == ("from-string", 3)
    login = target.login
    assert (login.user, login.password, login.database) == ("env", "secret", "db")
    assert "secret" not in repr(target)


def test_defaults() -> None:
    target = resolve("host=h", {}, {})
    assert (target.port, target.connect_timeout) == (5432, None)
    assert target.login.user == target.login.database == getpass.getuser()
    assert resolve("user=u host=h", {}, {}).login.database == "u"
    assert resolve("port=1", {}, {}).host == "localhost"


def test_sockets() -> None:
    target = resolve("host=/run/x port=7", {}, {})
    assert (target.host, target.is_unix) == ("/run/x/.s.PGSQL.7", True)
    assert resolve("host=@x", {}, {}).host == "\0x/.s.PGSQL.5432"
    assert resolve("host=h hostaddr=127.0.0.1", {}, {}).host == "127.0.0.1"


def test_settings_of_the_session() -> None:
    login = resolve("application_name=a options='-c b=c' fallback_application_name=f",
                    {"settings": {"search_path": "s"}, "statement_cache_size": 0, "connect_timeout": 1.5}, {}).login
    assert login.settings == {"application_name": "a", "options": "-c b=c", "search_path": "s"}
    assert login.statement_cache_size == 0
    assert resolve("fallback_application_name=f", {}, {}).login.settings == {"application_name": "f"}


@pytest.mark.parametrize(("conninfo", "options", "words"), [
    ("hots=h", {}, 'invalid connection option "hots"'),
    ("", {"databse": "d"}, 'invalid connection option "databse"'),
    ("port=x", {}, 'invalid port value: "x"'),
    ("port=65536", {}, "invalid port number"),
    ("port=0", {}, "invalid port number"),
    ("connect_timeout=soon", {}, "invalid connect_timeout"),
    ("", {"statement_cache_size": -1}, "invalid statement_cache_size"),
])
def test_options_that_make_no_sense(conninfo: str, options: Any, words: str) -> None:
    with pytest.raises(LocalProtocolError, match=words):
        resolve(conninfo, options, {})


@pytest.mark.parametrize("conninfo", ["sslmode=require", "sslmode=verify-full", "gssencmode=require",
                                      "channel_binding=require", "require_auth=scram-sha-256", "host=a,b",
                                      "target_session_attrs=read-write", "sslrootcert=system", "service=s",
                                      "sslnegotiation=direct", "client_encoding=LATIN1", "postgresql://h?ssl=true"])
def test_what_is_asked_for_and_not_there_is_refused(conninfo: str) -> None:
    with pytest.raises(NotSupported):
        resolve(conninfo, {}, {})


def test_the_environment_cannot_be_overlooked() -> None:
    for option in ("sslmode", "gssencmode", "channel_binding"):
        with pytest.raises(Error):
            resolve("host=h", {}, {ENVIRONMENT[option]: "require"})
