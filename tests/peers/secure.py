"""PostgreSQL with TLS and GSSAPI, and a user for every kind of access rule."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from . import postgres as servers
from .certificates import Authority, Pair, for_postgres
from .installation import Installation, scratch, server_user
from .postgres import Postgres

PASSWORD = "pencil"

# User -> the kind of rule that lets it in, and the method.
RULES: dict[str, tuple[str, str]] = {
    "any": ("host", "trust"),
    "ssl": ("hostssl", "trust"),
    "nossl": ("hostnossl", "trust"),
    "gssenc": ("hostgssenc", "trust"),
    "nogssenc": ("hostnogssenc", "trust"),
    "scram": ("host", "scram-sha-256"),
    "scram_ssl": ("hostssl", "scram-sha-256"),
    "password": ("host", "password"),
    "md5": ("host", "md5"),
    "cert": ("hostssl", "cert"),
    "gss": ("host", "gss include_realm=0"),
    "gss_gssenc": ("hostgssenc", "gss include_realm=0"),
}


def hba(users: dict[str, tuple[str, str]] = RULES) -> str:
    """The rules as pg_hba.conf has them."""
    return "local all all trust\nhost all postgres 127.0.0.1/32 trust\n" + "".join(
        f'{kind} all "{user}" 127.0.0.1/32 {method}\n' for user, (kind, method) in users.items())


@contextlib.contextmanager
def running(installation: Installation, authority: Authority, pair: Pair, *, keytab: Path | None = None,
            **settings: str) -> Iterator[Postgres]:
    """Start a server with the rules above.  Errors: StartFailed."""
    with scratch(f"tls{installation.major}") as place:
        own = for_postgres(pair, place)
        rules = place / "pg_hba.conf"
        rules.write_text(hba())
        shutil.copy(authority.root, place / "root.crt")
        if server_user():
            shutil.chown(rules, server_user())
        found = {"ssl": "on", "ssl_cert_file": str(own.certificate), "ssl_key_file": str(own.key),
                 "ssl_ca_file": str(place / "root.crt"), "hba_file": str(rules)}
        if keytab is not None:
            shutil.copy(keytab, place / "server.keytab")
            shutil.chown(place / "server.keytab", server_user())
            found["krb_server_keyfile"] = str(place / "server.keytab")
        with servers.running(installation, **found | settings) as server:
            for user in RULES:
                if user not in servers.USERS:
                    server.psql(f'create role "{user}" login')
                encryption = "md5" if user == "md5" else "scram-sha-256"
                server.psql(f"set password_encryption = '{encryption}'; alter role \"{user}\" password '{PASSWORD}'")
            yield server
