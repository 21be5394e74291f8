"""`serve` with TLS, and other people's clients."""

from __future__ import annotations

import shutil
import signal
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cryptography import x509

import febe
from febe.errors import EncryptionError
from febe.protocol.startup import SSLRequest, StartupMessage
from febe.server import Listener, ServerTLS
from febe.server.catalog import Catalog
from tests.peers import febe_server as febe_servers
from tests.peers.certificates import KINDS, Authority, Pair
from tests.server.listening import Raw, fatal, listening
from tests.server.wire import Script


@pytest.fixture
def secure(localhost: Pair) -> Iterator[Listener]:
    with listening(Script(), tls=ServerTLS(certificate=localhost.certificate, key=localhost.key)) as listener:
        yield listener


def conninfo(listener: Listener, **options: object) -> str:
    found = {"host": "localhost", "hostaddr": "127.0.0.1", "port": listener.port, "user": "demo",
             "gssencmode": "disable", **options}
    return " ".join(f"{name}='{value}'" for name, value in found.items())


def psycopg_ssl(listener: Listener, **options: object) -> bool:
    """Whether psycopg gets in with TLS; it raises where it does not get in."""
    with psycopg.connect(conninfo(listener, **options), autocommit=True) as connection:
        assert connection.execute("one").fetchone() == (1,)
        used: bool = connection.pgconn.ssl_in_use
        return used


@pytest.mark.parametrize("sslmode", ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"])
def test_libpq(secure: Listener, authority: Authority, sslmode: str) -> None:
    expected = sslmode not in ("disable", "allow")
    assert psycopg_ssl(secure, sslmode=sslmode, sslrootcert=authority.root) is expected


@pytest.mark.parametrize("kind", KINDS)
def test_libpq_directly_and_every_kind_of_certificate(authority: Authority, kind: str) -> None:
    pair = authority.pair("localhost", kind=kind)
    with listening(Script(), tls=ServerTLS(certificate=pair.certificate, key=pair.key)) as listener:
        assert psycopg_ssl(listener, sslmode="verify-full", sslrootcert=authority.root, sslnegotiation="direct")
        with febe.connect(conninfo(listener, sslmode="verify-full", sslrootcert=authority.root)) as connection:
            assert connection.fetchval("one") == 1


def test_psql15(secure: Listener, psql15: Path, authority: Authority) -> None:
    said = subprocess.run([psql15, "-XAt", conninfo(secure, sslmode="verify-full", sslrootcert=authority.root),
                           "-c", "one", "-c", "\\conninfo"], capture_output=True, text=True, check=True).stdout
    assert said.startswith("1\n")
    assert "TLSv1.3" in said


def test_no_tls(localhost: Pair) -> None:
    with listening(Script()) as listener:
        assert psycopg_ssl(listener, sslmode="prefer") is False
        for options in ({"sslmode": "require"}, {"sslmode": "require", "sslnegotiation": "direct"}):
            with pytest.raises(psycopg.OperationalError):
                psycopg_ssl(listener, **options)


@pytest.mark.parametrize("negotiation", ["postgres", "direct"])
@pytest.mark.parametrize(("minimum", "most", "gets_in"), [
    ("TLSv1.2", "TLSv1.2", True), ("TLSv1.3", "TLSv1.2", False), ("TLSv1.3", "TLSv1.3", True)])
def test_minimum_version(localhost: Pair, minimum: str, most: str, gets_in: bool, negotiation: str) -> None:
    tls = ServerTLS(certificate=localhost.certificate, key=localhost.key, minimum_version=minimum)
    options = {"sslmode": "require", "ssl_max_protocol_version": most, "sslnegotiation": negotiation}
    with listening(Script(), tls=tls) as listener:
        for connect in (psycopg.connect, febe.connect):
            if gets_in:
                connect(conninfo(listener, **options)).close()
            else:
                with pytest.raises((psycopg.OperationalError, EncryptionError), match="alert protocol version"):
                    connect(conninfo(listener, **options))


def test_client_certificates(authority: Authority, localhost: Pair, tmp_path: Path) -> None:
    (tmp_path / "others").mkdir()
    known, revoked = authority.pair("known"), authority.pair("revoked")
    stranger = Authority(place=tmp_path / "others").pair("stranger")
    tls = ServerTLS(certificate=localhost.certificate, key=localhost.key, client_ca=authority.root,
                    client_crl=authority.revoke(revoked))
    with listening(Script(), tls=tls) as listener:
        def gets_in(connect: Any, pair: Pair | None) -> bool:
            files = {} if pair is None else {"sslcert": pair.certificate, "sslkey": pair.key}
            try:
                with connect(conninfo(listener, sslmode="require", **files)) as connection:
                    return bool(connection.execute("one"))
            except (psycopg.OperationalError, febe.Error):
                return False

        for connect in (psycopg.connect, febe.connect):
            assert [gets_in(connect, pair) for pair in (None, known, revoked, stranger)] == [True, True, False, False]


def test_clear_bytes_before_the_handshake(secure: Listener) -> None:
    smuggled = StartupMessage(version=0x30000, parameters={"user": "u"}).encode()
    with Raw(secure) as raw:
        raw.send(SSLRequest().encode() + smuggled)
        assert fatal(raw.rest())["M"] == "received unencrypted data after SSL request"
    with Raw(secure) as raw:  # not at once, and so taken for the handshake that it is not
        raw.send(SSLRequest().encode())
        assert raw.socket.recv(1) == b"S"
        raw.send(smuggled)
        assert raw.rest()[:1] in (b"", b"\x15")


def test_ssl_request_inside_tls(secure: Listener) -> None:
    """PostgreSQL answers N where TLS began at once, and an error where it was asked for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["postgresql"])
    with Raw(secure) as raw, context.wrap_socket(raw.socket) as inside:
        inside.sendall(SSLRequest().encode())
        assert inside.recv(10) == b"N"
        inside.sendall(StartupMessage(version=0x30000, parameters={"user": "u"}).encode())
        assert inside.recv(1) == b"R"
    with Raw(secure) as raw:
        raw.send(SSLRequest().encode())
        assert raw.socket.recv(1) == b"S"
        with context.wrap_socket(raw.socket) as inside:
            inside.sendall(SSLRequest().encode())
            assert b"unsupported frontend protocol 1234.5679" in inside.recv(1000)


def test_unix_sockets_have_no_tls(localhost: Pair, tmp_path: Path) -> None:
    tls = ServerTLS(certificate=localhost.certificate, key=localhost.key)
    with listening(Script(), tls=tls, unix_socket_dir=tmp_path) as listener:
        path = str(tmp_path / f".s.PGSQL.{listener.port}")
        with Raw(listener, path=path) as raw:
            raw.send(SSLRequest().encode())
            assert raw.socket.recv(1) == b"N"
        with febe.connect(host=str(tmp_path), port=listener.port, user="demo", sslmode="verify-full") as connection:
            assert connection.fetchval("one") == 1


def test_an_encrypted_key(authority: Authority) -> None:
    pair = authority.pair("localhost", password="secret")
    assert ServerTLS(certificate=pair.certificate, key=pair.key, key_password="secret").layer()
    for password in (None, "wrong"):
        with pytest.raises(EncryptionError, match="could not load server certificate"):
            ServerTLS(certificate=pair.certificate, key=pair.key, key_password=password)
    assert "secret" not in repr(ServerTLS(certificate=pair.certificate, key=pair.key, key_password="secret"))


def test_files_that_cannot_be_used(authority: Authority, localhost: Pair, tmp_path: Path) -> None:
    other = authority.pair("other")
    (tmp_path / "empty").write_text("")
    (tmp_path / "open.key").write_bytes(localhost.key.read_bytes())
    (tmp_path / "open.key").chmod(0o644)
    for words, files in (
            ("key values mismatch", {"key": other.key}),
            ("group or world access", {"key": tmp_path / "open.key"}),
            ("could not access private key file", {"key": tmp_path / "none"}),
            ("is not a regular file", {"key": tmp_path}),
            ("server certificate file", {"certificate": tmp_path / "empty"}),
            ("No such file", {"certificate": tmp_path / "none"}),
            ("root certificate file", {"client_ca": tmp_path / "empty"}),
            ("revocation list", {"client_crl": tmp_path / "empty"}),
            ("invalid TLS version", {"minimum_version": "SSLv3"})):
        options: dict[str, Any] = {"certificate": localhost.certificate, "key": localhost.key, **files}
        with pytest.raises(EncryptionError, match=words):
            ServerTLS(**options)


def copied(pair: Pair, place: Path) -> Pair:
    made = Pair(certificate=place / "server.crt", key=place / "server.key")
    shutil.copy2(pair.certificate, made.certificate)
    shutil.copy2(pair.key, made.key)
    return made


def served(listener_or_port: int) -> bytes:
    """The certificate that a server shows."""
    with febe.connect(f"host=127.0.0.1 port={listener_or_port} user=demo sslmode=require") as connection:
        layer = connection._session.port.layer
        assert layer is not None
        found: bytes = layer.tls.getpeercert(binary_form=True)  # type: ignore[attr-defined]
        return found


def test_new_files_without_dropping_anybody(authority: Authority, tmp_path: Path) -> None:
    """SIGHUP, as for PostgreSQL; files that make no sense leave the old ones in use."""
    pair = copied(authority.pair("first"), tmp_path)
    with febe_servers.running(options=["--tls-cert", str(pair.certificate), "--tls-key", str(pair.key)]) as server:
        first = served(server.port)
        with febe.connect(f"host=127.0.0.1 port={server.port} user=demo sslmode=require") as old:
            copied(authority.pair("second"), tmp_path)
            server.process.send_signal(signal.SIGHUP)
            second = _until_it_differs(server.port, first)
            pair.key.write_text("no key")
            server.process.send_signal(signal.SIGHUP)
            while not any("TLS certificates were not reloaded" in line for line in server.printed):
                assert old.fetchval("select 1") == 1
            assert served(server.port) == second
            assert old.fetchval("select 41 + 1") == 42


def _until_it_differs(port: int, before: bytes) -> bytes:
    while (found := served(port)) == before:  # a handshake each time: no busy loop
        pass
    return found


def test_febe_serve_refuses_half_a_configuration(localhost: Pair) -> None:
    with pytest.raises(febe_servers.StartFailed, match="needs both --tls-cert and --tls-key"), \
            febe_servers.running(options=["--tls-cert", str(localhost.certificate)]):
        pass


def test_sessions_say_how_they_are_encrypted(authority: Authority, localhost: Pair) -> None:
    somebody = authority.pair("ada")
    tls = ServerTLS(certificate=localhost.certificate, key=localhost.key, client_ca=authority.root)
    asked = "select ssl, version, bits > 0, client_dn, client_serial is not null, issuer_dn is not null " \
            "from pg_stat_ssl where pid = pg_backend_pid()"
    with listening(Catalog(Script()), tls=tls) as listener:
        for options, expected in (
                ({"sslmode": "disable"}, (False, None, None, None, False, False)),
                ({"sslmode": "require"}, (True, "TLSv1.3", True, None, False, False)),
                ({"sslmode": "require", "sslcert": somebody.certificate, "sslkey": somebody.key},
                 (True, "TLSv1.3", True, "/CN=ada", True, True))):
            with psycopg.connect(conninfo(listener, **options), autocommit=True) as connection:
                assert connection.execute(asked).fetchone() == expected
                told, = connection.execute("select client_serial from pg_stat_ssl").fetchone() or (None,)
                assert connection.execute("show ssl").fetchone() == ("on",)
            serial = x509.load_pem_x509_certificate(somebody.certificate.read_bytes()).serial_number
            if "sslcert" in options:
                assert told == serial
