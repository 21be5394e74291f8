"""A Kerberos realm of this session's own: MIT's key distribution centre on a free loopback port."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .installation import Missing, scratch
from .postgres import _free_port

REALM = "FEBE.TEST"
PASSWORD = "open sesame"
START_SECONDS = 30


@dataclass(slots=True, kw_only=True)
class Realm:
    """A running realm.  `environment` makes programs use it, and `tickets` whose they are."""

    place: Path
    environment: dict[str, str]

    @property
    def keytab(self) -> Path:
        """The keys of `postgres/localhost`."""
        return self.place / "server.keytab"

    def tickets(self, user: str) -> dict[str, str]:
        """The environment of somebody who has logged in."""
        found = self.environment | {"KRB5CCNAME": f"FILE:{self.place / f'{user}.cache'}"}
        subprocess.run(["kinit", f"{user}@{REALM}"], env=os.environ | found, input=PASSWORD, text=True, check=True,
                       capture_output=True)
        return found


@contextlib.contextmanager
def running(*users: str) -> Iterator[Realm]:
    """Start a realm with these users and the service `postgres/localhost`.  Errors: Missing, CalledProcessError."""
    path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))
    programs = {name: shutil.which(name, path=path) for name in ("krb5kdc", "kadmin.local", "kdb5_util", "kinit")}
    if None in programs.values():
        raise Missing("Kerberos is not installed (Debian: apt-get install krb5-kdc krb5-admin-server krb5-user)")
    with scratch("krb5") as place:
        place.chmod(0o755)
        port = _free_port()
        (place / "krb5.conf").write_text(f"""[libdefaults]
default_realm = {REALM}
dns_lookup_kdc = false
dns_lookup_realm = false
dns_canonicalize_hostname = false
rdns = false
udp_preference_limit = 1
[realms]
{REALM} = {{
  kdc = 127.0.0.1:{port}
}}
[domain_realm]
localhost = {REALM}
""")
        (place / "kdc.conf").write_text(f"""[realms]
{REALM} = {{
  database_name = {place}/principal
  key_stash_file = {place}/stash
  kdc_listen = 127.0.0.1:{port}
  kdc_tcp_listen = 127.0.0.1:{port}
}}
[logging]
kdc = FILE:{place}/kdc.log
""")
        environment = {"KRB5_CONFIG": str(place / "krb5.conf"), "KRB5_KDC_PROFILE": str(place / "kdc.conf"),
                       "KRB5CCNAME": f"FILE:{place / 'none'}"}
        whole = os.environ | environment

        def run(name: str, *words: str) -> None:
            subprocess.run([str(programs[name]), *words], env=whole, check=True, capture_output=True)

        run("kdb5_util", "create", "-s", "-P", "master", "-r", REALM)
        for user in users:
            run("kadmin.local", "-q", f'addprinc -pw "{PASSWORD}" {user}')
        run("kadmin.local", "-q", "addprinc -randkey postgres/localhost")
        run("kadmin.local", "-q", f"ktadd -k {place}/server.keytab postgres/localhost")
        (place / "server.keytab").chmod(0o644)
        centre = subprocess.Popen([str(programs["krb5kdc"]), "-n"], env=whole, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            made = Realm(place=place, environment=environment)
            _wait(made, users[0])
            yield made
        finally:
            centre.terminate()
            centre.wait()


def _wait(realm: Realm, user: str) -> None:
    end = time.monotonic() + START_SECONDS
    while True:
        try:
            realm.tickets(user)
            return
        except subprocess.CalledProcessError:
            if time.monotonic() > end:
                raise
