"""TLS as a client: febe beside libpq, against PostgreSQL and against certificates of every sort."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

import febe
from febe.errors import ConnectionLost, EncryptionError, PostgresError
from febe.ports.certificates import certificate_of
from febe.server import ServerTLS
from tests.client.conftest import Face
from tests.peers.certificates import KINDS, Authority, Pair, names
from tests.peers.postgres import Postgres
from tests.server.listening import listening
from tests.server.wire import Script

IN_USE = "select ssl, coalesce(version, ''), coalesce(client_dn, '') from pg_stat_ssl where pid = pg_backend_pid()"


def options(server: Postgres, user: str = "any", **more: Any) -> dict[str, Any]:
    return {"host": "localhost", "hostaddr": "127.0.0.1", "port": server.port, "user": user, "dbname": "postgres",
            "gssencmode": "disable", **more}


@pytest.mark.parametrize("sslmode", ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"])
def test_modes(face: Face, secure_postgres: Postgres, authority: Authority, sslmode: str) -> None:
    connection = face.connect(**options(secure_postgres, sslmode=sslmode, sslrootcert=str(authority.root)))
    used, version, _ = connection.fetchrow(IN_USE)
    assert (used, version) == ((False, "") if sslmode in ("disable", "allow") else (True, "TLSv1.3"))
    connection.close()


def test_directly(face: Face, secure17: Postgres) -> None:
    connection = face.connect(**options(secure17, sslmode="require", sslnegotiation="direct"))
    assert connection.fetchval(IN_USE) is True
    large = "x" * 3_000_000  # both ways, in many records
    assert connection.fetchval("select $1::text", large) == large
    connection.close()


def test_directly_to_a_server_that_cannot(face: Face, secure15: Postgres, pg18: Postgres) -> None:
    for server in (secure15, pg18):
        with pytest.raises((EncryptionError, ConnectionLost)):
            face.connect(**options(server, sslmode="require", sslnegotiation="direct"))


def test_versions(secure_postgres: Postgres) -> None:
    with febe.connect(**options(secure_postgres, sslmode="require", ssl_max_protocol_version="TLSv1.2")) as connection:
        assert connection.fetchrow(IN_USE) == (True, "TLSv1.2", "")


def test_client_certificate(face: Face, secure_postgres: Postgres, authority: Authority, tmp_path: Path) -> None:
    pair = authority.pair("cert")
    found = options(secure_postgres, "cert", sslmode="require", sslcert=str(pair.certificate), sslkey=str(pair.key))
    connection = face.connect(**found)
    assert connection.fetchrow(IN_USE) == (True, "TLSv1.3", "/CN=cert")
    connection.close()
    with pytest.raises(PostgresError, match="certificate authentication failed"):
        other = authority.pair("other")
        face.connect(**found | {"sslcert": str(other.certificate), "sslkey": str(other.key)})
    with pytest.raises(PostgresError, match="connection requires a valid client certificate"):
        face.connect(**found | {"sslcertmode": "disable"})
    with pytest.raises(EncryptionError, match="but not private key file"):
        face.connect(**found | {"sslkey": str(tmp_path / "none")})
    opened = tmp_path / "opened.key"
    shutil.copy(pair.key, opened)
    opened.chmod(0o644)
    with pytest.raises(EncryptionError, match="has group or world access"):
        face.connect(**found | {"sslkey": str(opened)})


def test_an_encrypted_key(secure17: Postgres, authority: Authority) -> None:
    pair = authority.pair("cert", password="s3cret")
    found = options(secure17, "cert", sslmode="require", sslcert=str(pair.certificate), sslkey=str(pair.key))
    with febe.connect(**found, sslpassword="s3cret") as connection:
        assert connection.fetchval("select current_user::text") == "cert"
    for password in ({}, {"sslpassword": "wrong-one"}):
        with pytest.raises(EncryptionError, match="could not load certificate file") as caught:
            febe.connect(**found, **password)
        assert "wrong-one" not in repr(caught.value)


def test_who_is_not_trusted(secure17: Postgres, authority: Authority, localhost: Pair, tmp_path: Path) -> None:
    stranger = Authority(place=tmp_path)
    for sslmode in ("require", "verify-ca", "verify-full"):  # a root certificate that is there is used by all three
        with pytest.raises(EncryptionError, match="certificate verify failed"):
            febe.connect(**options(secure17, sslmode=sslmode, sslrootcert=str(stranger.root)))
    for sslmode in ("verify-ca", "verify-full"):
        with pytest.raises(EncryptionError, match=r'root certificate file ".*" does not exist'):
            febe.connect(**options(secure17, sslmode=sslmode, sslrootcert=str(tmp_path / "none")))
    with pytest.raises(EncryptionError, match="certificate verify failed"):
        febe.connect(**options(secure17, sslrootcert="system"))
    with pytest.raises(EncryptionError, match="certificate revoked"):
        febe.connect(**options(secure17, sslmode="verify-ca", sslrootcert=str(authority.root),
                               sslcrl=str(authority.revoke(localhost))))
    febe.connect(**options(secure17, sslmode="verify-ca", sslrootcert=str(authority.root),
                           sslcrl=str(authority.revoke(authority.pair("another"))))).close()


def test_system_roots(secure17: Postgres, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.root))
    febe.connect(**options(secure17, sslrootcert="system")).close()


def test_files_at_home(secure17: Postgres, authority: Authority, tmp_path: Path,
                       monkeypatch: pytest.MonkeyPatch) -> None:
    pair = authority.pair("cert")
    place = tmp_path / ".postgresql"
    place.mkdir()
    for source, name in ((authority.root, "root.crt"), (pair.certificate, "postgresql.crt"),
                         (pair.key, "postgresql.key")):
        shutil.copy2(source, place / name)
    monkeypatch.setenv("HOME", str(tmp_path))
    with febe.connect(**options(secure17, "cert", sslmode="verify-full")) as connection:
        assert connection.fetchrow(IN_USE) == (True, "TLSv1.3", "/CN=cert")


# Names: (common name, alternative names, host)
NAMES: list[tuple[str, tuple[str, ...], str]] = [
    ("db.example", (), "db.example"),
    ("db.example", (), "DB.Example"),
    ("db.example", (), "other.example"),
    ("*.example", (), "db.example"),
    ("*.example", (), "a.db.example"),
    ("*.example", (), "example"),
    ("*.example", (), ".example"),
    ("*", (), "db"),
    ("*.", (), "db."),
    ("d*.example", (), "db.example"),
    ("db.example", ("other.example",), "db.example"),
    ("db.example", ("other.example",), "other.example"),
    ("db.example", ("one.example", "*.two.example"), "a.two.example"),
    ("db.example", ("one.example", "two.example", "three.example"), "four.example"),
    ("db.example", ("127.0.0.1",), "db.example"),
    ("127.0.0.1", (), "127.0.0.1"),
    ("127.0.0.1", ("other.example",), "127.0.0.1"),
    ("127.0.0.1", ("10.0.0.1",), "127.0.0.1"),
    ("other", ("127.0.0.1",), "127.0.0.1"),
    ("other", ("127.0.0.1",), "127.1"),
    ("other", ("127.0.0.1",), "2130706433"),
    ("other", ("::1",), "::1"),
    ("other", ("::1",), "0:0:0:0:0:0:0:1"),
    ("other", ("::1",), "127.0.0.1"),
    ("other", ("::1", "127.0.0.1"), "127.0.0.1"),
    ("", (), "db.example"),
    ("", ("db.example",), "db.example"),
]


def test_names_as_libpq_matches_them(authority: Authority) -> None:
    for common_name, alternatives, host in NAMES:
        pair = authority.pair(common_name, *alternatives)
        with listening(Script(), tls=ServerTLS(certificate=pair.certificate, key=pair.key)) as listener:
            found: dict[str, Any] = {"host": host, "hostaddr": "127.0.0.1", "port": listener.port, "user": "demo",
                                     "sslmode": "verify-full", "sslrootcert": str(authority.root),
                                     "gssencmode": "disable"}
            outcomes = []
            for connect in (psycopg.connect, febe.connect):
                try:
                    connect(**found).close()
                    outcomes.append("in")
                except (psycopg.OperationalError, EncryptionError) as error:
                    outcomes.append(str(error).splitlines()[0].rpartition("failed: ")[2])
            assert outcomes[0] == outcomes[1], (common_name, alternatives, host)


def test_a_name_is_needed(secure17: Postgres, authority: Authority) -> None:
    found = options(secure17, sslmode="verify-full", sslrootcert=str(authority.root))
    found.pop("host")
    with pytest.raises(EncryptionError, match="host name must be specified"):
        febe.connect(**found)


def test_subjects_as_postgresql_reads_them(authority: Authority) -> None:
    """The form of RFC 2253, which access rules with clientname=DN match."""
    subject = names([(NameOID.COUNTRY_NAME, "DE"), (NameOID.ORGANIZATION_NAME, 'a "b", c+d'),
                     (NameOID.ORGANIZATIONAL_UNIT_NAME, "x"), (NameOID.COMMON_NAME, " someböd;y#")])
    pair = authority.pair("", subject=subject)
    assert x509.load_pem_x509_certificate(pair.certificate.read_bytes()).subject == subject
    given = {"subject": tuple(((name, value),) for name, value in (
        ("countryName", "DE"), ("organizationName", 'a "b", c+d'), ("organizationalUnitName", "x"),
        ("commonName", " someböd;y#")))}
    assert certificate_of(given).subject == r'CN=\ someb\C3\B6d\;y#,OU=x,O=a \"b\"\, c\+d,C=DE'
    with pytest.raises(EncryptionError, match="embedded null"):
        certificate_of({"subject": ((("commonName", "root\0.evil"),),)})


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_certificates(authority: Authority, kind: str) -> None:
    pair = authority.pair("localhost", kind=kind)
    with listening(Script(), tls=ServerTLS(certificate=pair.certificate, key=pair.key)) as listener, \
            febe.connect(host="localhost", port=listener.port, user="demo", sslmode="verify-full",
                         sslrootcert=str(authority.root)) as connection:
        assert connection.fetchval("one") == 1
