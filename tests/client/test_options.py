"""From connection string, keywords, service file, environment and defaults to a plan."""

from __future__ import annotations

import getpass
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from psycopg import pq

from febe.client.defaults import with_defaults
from febe.client.dsn import parse_conninfo
from febe.client.keywords import KEYWORDS
from febe.client.options import resolve
from febe.client.passfile import Passfile
from febe.errors import LocalProtocolError, NotSupported
from febe.flows.require_auth import RequireAuth


def libpq_refuses(conninfo: str) -> str:
    """What psycopg's libpq says before it has connected to anything."""
    connection = pq.PGconn.connect_start(conninfo.encode())
    said = connection.error_message.decode().strip()
    connection.finish()
    return said


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[pytest.MonkeyPatch]:
    """No PG variable but the test's, and a home of its own; libpq sees the same."""
    for name in list(os.environ):
        if name.startswith("PG"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PGSYSCONFDIR", str(tmp_path / "etc"))
    yield monkeypatch


def test_what_goes_before_what() -> None:
    environment = {"PGHOST": "from-env", "PGPORT": "1", "PGUSER": "env", "PGPASSWORD": "secret", "PGDATABASE": "db"}
    plan = resolve("host=from-string port=2", {"port": 3}, environment)
    assert [(host.name, host.port) for host in plan.hosts] == [("from-string", 3)]
    login = plan.login
    assert (login.user, login.password, login.database) == ("env", "secret", "db")
    assert "secret" not in repr(plan)


def test_defaults() -> None:
    plan = resolve("host=h", {}, {})
    assert (plan.hosts[0].port, plan.connect_timeout) == (5432, None)
    assert plan.login.user == plan.login.database == getpass.getuser()
    assert resolve("user=u host=h", {}, {}).login.database == "u"
    assert resolve("port=1", {}, {}).hosts[0].name == "localhost"


def test_sockets() -> None:
    host = resolve("host=/run/x port=7", {}, {}).hosts[0]
    assert (host.path, host.is_unix) == ("/run/x/.s.PGSQL.7", True)
    assert resolve("host=@x", {}, {}).hosts[0].path == "\0x/.s.PGSQL.5432"
    host = resolve("host=/x hostaddr=127.0.0.1", {}, {}).hosts[0]
    assert (host.address, host.is_unix) == ("127.0.0.1", False)


@pytest.mark.parametrize(("conninfo", "expected"), [
    ("host=a,b", ["a//5432", "b//5432"]),
    ("host=a,b port=1", ["a//1", "b//1"]),
    ("host=a,b port=1,2", ["a//1", "b//2"]),
    ("host=a,b port=1,", ["a//1", "b//5432"]),
    ("host=a,,c port=1,2,3", ["a//1", "localhost//2", "c//3"]),
    ("hostaddr=::1,10.0.0.1", ["/::1/5432", "/10.0.0.1/5432"]),
    ("hostaddr=::1,10.0.0.1 host=a,b port=1,2", ["a/::1/1", "b/10.0.0.1/2"]),
    ("postgresql://a:1,b:2/d", ["a//1", "b//2"]),
])
def test_several_hosts(conninfo: str, expected: list[str]) -> None:
    found = [f"{host.name}/{host.address}/{host.port}" for host in resolve(conninfo, {}, {}).hosts]
    assert found == expected


def test_hosts_at_random() -> None:
    conninfo = "host=" + ",".join(f"h{number}" for number in range(50))
    plan = resolve(conninfo, {"load_balance_hosts": "random"}, {})
    names = [host.name for host in plan.hosts]
    assert sorted(names) == sorted(f"h{number}" for number in range(50))
    assert names != [f"h{number}" for number in range(50)]


def test_settings_of_the_session() -> None:
    login = resolve("application_name=a options='-c b=c' fallback_application_name=f replication=database",
                    {"settings": {"search_path": "s"}, "statement_cache_size": 0, "connect_timeout": 1.5}, {}).login
    assert login.settings == {"application_name": "a", "options": "-c b=c", "search_path": "s",
                              "replication": "database"}
    assert login.statement_cache_size == 0
    assert resolve("fallback_application_name=f", {}, {}).login.settings == {"application_name": "f"}


@pytest.mark.parametrize(("conninfo", "options", "words"), [
    ("hots=h", {}, 'invalid connection option "hots"'),
    ("", {"databse": "d"}, 'invalid connection option "databse"'),
    ("port=x", {}, 'invalid integer value "x" for connection option "port"'),
    ("port=65536", {}, 'invalid port number: "65536"'),
    ("port=0", {}, 'invalid port number: "0"'),
    ("connect_timeout=soon", {}, 'invalid integer value "soon" for connection option "connect_timeout"'),
    ("keepalives_idle=x", {}, 'invalid integer value "x" for connection option "keepalives_idle"'),
    ("", {"statement_cache_size": -1}, "invalid statement_cache_size"),
    ("host=a,b hostaddr=::1", {}, "could not match 2 host names to 1 hostaddr values"),
    ("host=a port=1,2", {}, "could not match 2 port numbers to 1 hosts"),
    ("host=a,b,c port=1,2", {}, "could not match 2 port numbers to 3 hosts"),
    ("sslmode=sometimes", {}, 'invalid sslmode value: "sometimes"'),
    ("target_session_attrs=primry", {}, 'invalid target_session_attrs value: "primry"'),
    ("load_balance_hosts=1", {}, 'invalid load_balance_hosts value: "1"'),
    ("channel_binding=", {}, 'invalid channel_binding value: ""'),
    (f"host=/{'x' * 100}", {}, "is too long"),
    ("require_auth=scram", {}, 'invalid require_auth value: "scram"'),
])
def test_options_that_make_no_sense(conninfo: str, options: Any, words: str) -> None:
    with pytest.raises(LocalProtocolError, match=words) as caught:
        resolve(conninfo, options, {})
    assert caught.value.sqlstate == "22023"
    if conninfo and "timeout" not in conninfo and "keepalives" not in conninfo:  # those it looks at when connected
        assert words in libpq_refuses(conninfo)


@pytest.mark.parametrize("conninfo", ["sslcertmode=require", "client_encoding=LATIN1"])
def test_what_is_asked_for_and_not_there_is_refused(conninfo: str) -> None:
    with pytest.raises(NotSupported):
        resolve(conninfo, {}, {})


@pytest.mark.parametrize(("conninfo", "words"), [
    ("sslmode=Require", 'invalid sslmode value: "Require"'),
    ("sslnegotiation=tls", 'invalid sslnegotiation value: "tls"'),
    ("sslrootcert=system sslmode=require", 'weak sslmode "require" may not be used with sslrootcert=system'),
    ("sslnegotiation=direct", 'weak sslmode "prefer" may not be used with sslnegotiation=direct'),
    ("ssl_min_protocol_version=TLSv1.4", 'invalid "ssl_min_protocol_version" value: "TLSv1.4"'),
    ("ssl_min_protocol_version=TLSv1.3 ssl_max_protocol_version=tlsv1.2", "invalid SSL protocol version range"),
])
def test_tls_options_that_make_no_sense(conninfo: str, words: str) -> None:
    with pytest.raises(LocalProtocolError, match=re.escape(words)):
        resolve(f"host=h {conninfo}", {}, {})


@pytest.mark.parametrize(("conninfo", "sslmode"), [
    ("", "prefer"), ("sslmode=require", "require"), ("sslrootcert=system", "verify-full"),
    ("sslnegotiation=direct sslmode=verify-ca", "verify-ca"), ("host=/tmp sslmode=verify-full", "verify-full")])
def test_tls_options(conninfo: str, sslmode: str) -> None:
    found = resolve(f"host=h {conninfo}", {}, {}).login.encryption
    assert found.sslmode == sslmode
    assert found.is_local == ("/tmp" in conninfo)


def test_the_environment_cannot_be_overlooked() -> None:
    for option in ("gssencmode", "channel_binding", "sslmode"):
        login = resolve("host=h", {}, {str(KEYWORDS[option].variable): "require"}).login
        assert "require" in (login.channel_binding, login.encryption.gssencmode, login.encryption.sslmode)


# Defaults, beside libpq's

ENVIRONMENTS: list[dict[str, str]] = [
    {},
    {keyword.variable: f"value of {keyword.variable}" for keyword in KEYWORDS.values()
     if keyword.variable and keyword.variable != "PGSERVICE"},
    {"PGHOST": "", "PGPORT": "", "PGSSLMODE": ""},
    {"PGREQUIRESSL": "1"}, {"PGREQUIRESSL": "0"}, {"PGREQUIRESSL": "1", "PGSSLMODE": "allow"},
    {"PGSSLROOTCERT": "system"}, {"PGSSLROOTCERT": "system", "PGSSLMODE": "require"},
    {"PGSSLROOTCERT": "system", "PGREQUIRESSL": "1"},
    {"PGSERVICE": "one", "PGSERVICEFILE": "services"}, {"PGSERVICE": "two", "PGSERVICEFILE": "services"},
    {"PGSERVICE": "two", "PGSERVICEFILE": "services", "PGHOST": "h", "PGPORT": "7"},
    {"PGSERVICE": "tls", "PGSERVICEFILE": "services"},
]
SERVICES = """# a comment
[one]
host=service-host
port = 1
  dbname=d e
password=p#1
[two]
port=6
port=7
user=\u00fc
options=-c a='b c'

[two]
port=8
[tls]
sslrootcert=system
[broken]
nonsense
[unknown]
hots=h
[nested]
service=one
[space]
host =h
"""


@pytest.mark.parametrize("variables", ENVIRONMENTS, ids=range(len(ENVIRONMENTS)))
def test_defaults_are_libpqs(environment: pytest.MonkeyPatch, tmp_path: Path, variables: dict[str, str]) -> None:
    (tmp_path / "services").write_text(SERVICES)
    for name, value in variables.items():
        environment.setenv(name, str(tmp_path / value) if name == "PGSERVICEFILE" else value)
    theirs = {option.keyword.decode(): option.val.decode() for option in pq.Conninfo.get_defaults()
              if option.val is not None}
    if variables.get("PGSERVICE") == "one":
        # a blank before "=" is a syntax error, which PQconndefaults says nothing of
        with pytest.raises(LocalProtocolError, match=r'syntax error in service file ".*services", line 4'):
            with_defaults({}, os.environ)
        return
    ours = with_defaults({}, os.environ)
    # how libpq was built decides about GSSAPI
    assert ours | {"gssencmode": ""} == theirs | {"gssencmode": ""}


@pytest.mark.parametrize("conninfo", ["service=one", "service=broken", "service=unknown", "service=nested",
                                      "service=space", "service=none", "service="])
def test_services_that_cannot_be_read(environment: pytest.MonkeyPatch, tmp_path: Path, conninfo: str) -> None:
    (tmp_path / "services").write_text(SERVICES)
    environment.setenv("PGSERVICEFILE", str(tmp_path / "services"))
    with pytest.raises(LocalProtocolError) as ours:
        resolve(conninfo, {}, os.environ)
    assert str(ours.value) == libpq_refuses(conninfo)


def test_where_services_are_looked_for(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "pg_service.conf").write_text("[s]\nhost=system\n[t]\nhost=system\n")
    assert with_defaults({"service": "s"}, os.environ)["host"] == "system"
    (tmp_path / ".pg_service.conf").write_text("[s]\nhost=own\n")
    assert with_defaults({"service": "s"}, os.environ)["host"] == "own"
    assert with_defaults({"service": "t"}, os.environ)["host"] == "system"
    assert with_defaults({"service": "s", "host": "given"}, os.environ)["host"] == "given"
    environment.setenv("PGSERVICEFILE", str(tmp_path / "nowhere"))
    with pytest.raises(LocalProtocolError, match=r"nowhere.* not found"):
        with_defaults({"service": "t"}, os.environ)


def test_a_long_line_and_ldap(tmp_path: Path) -> None:
    file = tmp_path / "services"
    file.write_text(f"[s]\nhost={'x' * 1020}\n")
    with pytest.raises(LocalProtocolError, match=r"line 2 too long"):
        with_defaults({"service": "s"}, {"PGSERVICEFILE": str(file)})
    file.write_text("[s]\nldap://example.com/x\n")
    with pytest.raises(NotSupported, match="LDAP"):
        with_defaults({"service": "s"}, {"PGSERVICEFILE": str(file)})


# The password file

PASSFILE = r"""
# a comment
h:5432:d:u:plain
h:*:d:v:any port
with\:colon:1:d:u:col\:on\\
*:1:*:*:any\one:rest
localhost:5432:d:u:socket
::1:5432:d:u:six
\:\:1:5433:d:u:escaped
end:3:d:u:back\\\
x:2:d:u:no\
short:1:d
\*:9:d:u:star
"""


@pytest.mark.parametrize(("asked", "password"), [
    (("h", "5432", "d", "u"), "plain"), (("h", "1", "d", "v"), "any port"),
    (("with:colon", "1", "d", "u"), "col:on\\"),
    (("x", "1", "y", "z"), "anyone"), (("h", "2", "d", "u"), None), (("::1", "5432", "d", "u"), "six"),
    (("::1", "5433", "d", "u"), "escaped"), (("end", "3", "d", "u"), "back\\\\"), (("x", "2", "d", "u"), "no\\"),
    (("*", "9", "d", "u"), "star"), (("y", "9", "d", "u"), None), (("short", "1", "d", "u"), "anyone"),
])
def test_passfile(tmp_path: Path, asked: tuple[str, str, str, str], password: str | None) -> None:
    file = tmp_path / "pass"
    file.write_text(PASSFILE)
    file.chmod(0o600)
    assert Passfile(file).find(*asked) == password
    # libpq decides likewise; it looks the password up before it connects
    host, port, database, user = asked
    conn = pq.PGconn.connect_start(f"host='{host}' hostaddr=127.0.0.1 port={port} dbname={database} user={user} "
                                   f"passfile='{file}'".encode())
    assert conn.password.decode() == (password or "")
    conn.finish()


def test_where_the_passfile_is(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, password in ((".pgpass", "home"), ("given", "given"), ("variable", "variable")):
        (tmp_path / name).write_text(f"a:1:d:u:{password}\nlocalhost:1:d:u:socket\n")
        (tmp_path / name).chmod(0o600)
    conninfo = "host=a,b,/tmp port=1 dbname=d user=u"
    assert [login.password for login in resolve(conninfo, {}, os.environ).logins] == ["home", None, "socket"]
    environment.setenv("PGPASSFILE", str(tmp_path / "variable"))
    assert resolve(conninfo, {}, os.environ).login.password == "variable"
    assert resolve(conninfo, {"passfile": tmp_path / "given"}, os.environ).login.password == "given"
    assert resolve(conninfo, {"password": "said"}, os.environ).login.password == "said"


@pytest.mark.skipif(os.name == "nt", reason="Windows protects the directory instead")
def test_a_passfile_that_others_can_read_is_not_used(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "pass"
    file.write_text("*:*:*:*:secret\n")
    for mode in (0o640, 0o604, 0o666):
        file.chmod(mode)
        assert Passfile(file).find("h", "1", "d", "u") is None
        assert "has group or world access" in caplog.text
        caplog.clear()
    assert Passfile(tmp_path).find("h", "1", "d", "u") is None  # a directory
    assert Passfile(tmp_path / "none").find("h", "1", "d", "u") is None
    file.chmod(0o600)
    assert Passfile(file).find("h", "1", "d", "u") == "secret"
    assert "secret" not in caplog.text


# require_auth, beside libpq's judgement of the list itself

@pytest.mark.parametrize("text", [
    "password", "password,md5", "!password", "!password,!md5", "none", "!none", "none,password", "none,none",
    "!none,!none", "password,!md5", "!md5,password", "password,password", "", ",", "scram-sha-256,",
    "scram-sha-256,oauth", "gss,sspi,gss", "!scram-sha-256,!oauth", "SCRAM-SHA-256",
    " password", "!", "!!md5", "password,none,md5"])
def test_require_auth_lists(text: str) -> None:
    said = libpq_refuses(f"hostaddr=127.0.0.1 port=1 user=u require_auth='{text}'")
    theirs = said if "require_auth" in said else None
    try:
        if text:
            RequireAuth.parse(text)
        ours = None
    except LocalProtocolError as error:
        ours = str(error)
    assert ours == theirs


@pytest.mark.parametrize(("text", "allowed", "needed"), [
    ("password", {"password"}, True), ("none,md5", {"md5"}, False), ("none", set(), False),
    ("!none", {"password", "md5", "gss", "sspi", "scram-sha-256", "oauth"}, True),
    ("!password,!md5", {"gss", "sspi", "scram-sha-256", "oauth"}, False)])
def test_what_require_auth_means(text: str, allowed: set[str], needed: bool) -> None:
    parsed = RequireAuth.parse(text)
    assert (parsed.allowed, parsed.needed) == (allowed, needed)


def test_a_database_name_is_no_connection_string() -> None:
    assert resolve("host=h", {"dbname": "host=elsewhere"}, {}).login.database == "host=elsewhere"
    assert parse_conninfo("dbname='host=elsewhere'") == {"dbname": "host=elsewhere"}
