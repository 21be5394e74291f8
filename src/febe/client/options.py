"""From what a program says about a connection to where it leads: connection string, keywords, environment, defaults.

TLS is not spoken yet.  `sslmode` may be `disable`, `allow` or `prefer`; for all three nothing but a plain connection is
tried, and every stricter mode is refused, so that nobody's traffic goes in clear against their word.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict, TypeVar

from febe.client.dsn import invalid, parse_conninfo
from febe.flows.connect import Login
from febe.flows.errors import NotSupported
from febe.flows.session import STATEMENT_CACHE_SIZE, Notices, Notifications
from febe.protocol.connection import Trace
from febe.types.registry import Registry

N = TypeVar("N", int, float)

DEFAULT_PORT = 5432
SOCKET_FOLDERS = ("/var/run/postgresql", "/tmp")

ENVIRONMENT = {
    "host": "PGHOST", "hostaddr": "PGHOSTADDR", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD",
    "dbname": "PGDATABASE", "application_name": "PGAPPNAME", "options": "PGOPTIONS",
    "connect_timeout": "PGCONNECT_TIMEOUT", "sslmode": "PGSSLMODE", "gssencmode": "PGGSSENCMODE",
    "channel_binding": "PGCHANNELBINDING", "require_auth": "PGREQUIREAUTH",
    "target_session_attrs": "PGTARGETSESSIONATTRS", "client_encoding": "PGCLIENTENCODING",
    "min_protocol_version": "PGMINPROTOCOLVERSION", "max_protocol_version": "PGMAXPROTOCOLVERSION",
}
# Options of libpq that are taken only where they ask for what is done anyway.
HARMLESS: Mapping[str, frozenset[str]] = {
    "sslmode": frozenset({"disable", "allow", "prefer"}),
    "gssencmode": frozenset({"disable", "prefer"}),
    "channel_binding": frozenset({"disable", "prefer"}),
    "target_session_attrs": frozenset({"any"}),
    "load_balance_hosts": frozenset({"disable"}),
    "sslnegotiation": frozenset({"postgres"}),
    "client_encoding": frozenset({"UTF8", "utf8", "UTF-8", "utf-8", "auto"}),
    "keepalives": frozenset({"1"}),
    "require_auth": frozenset({""}),
}
NOT_YET = frozenset({
    "gsslib", "gssdelegation", "keepalives_count", "keepalives_idle", "keepalives_interval", "krbsrvname",
    "oauth_client_id", "oauth_client_secret", "oauth_issuer", "oauth_scope", "passfile", "replication", "requirepeer",
    "requiressl", "scram_client_key", "scram_server_key", "service", "servicefile", "sslcert", "sslcertmode",
    "sslcompression", "sslcrl", "sslcrldir", "sslkey", "sslkeylogfile", "sslpassword", "sslrootcert", "sslsni",
    "ssl_max_protocol_version", "ssl_min_protocol_version", "tcp_user_timeout"})
KNOWN = frozenset(ENVIRONMENT) | frozenset(HARMLESS) | {"fallback_application_name"}


class Options(TypedDict, total=False):
    """The keywords of `connect`.  Those that libpq has are called as there, and go before the connection string's.

    `settings` are run-time parameters to start with.  `statement_cache_size` is how many prepared statements a
    connection keeps; 0 prepares each anew and leaves nothing behind.  `trace` is called with every message.
    """

    host: str
    hostaddr: str
    port: int | str
    user: str
    password: str
    dbname: str
    application_name: str
    fallback_application_name: str
    options: str
    connect_timeout: float | str
    client_encoding: str
    sslmode: str
    gssencmode: str
    channel_binding: str
    target_session_attrs: str
    min_protocol_version: str
    max_protocol_version: str
    settings: Mapping[str, str]
    statement_cache_size: int
    types: Registry
    on_notice: Notices
    on_notification: Notifications
    trace: Trace


@dataclass(slots=True, kw_only=True)
class Target:
    """Where to connect and what to say there."""

    host: str
    """A name or address, or the path of a Unix socket."""
    port: int
    connect_timeout: float | None
    login: Login

    @property
    def is_unix(self) -> bool:
        """`host` is a Unix socket's path; `@` begins one in the abstract namespace."""
        return self.host.startswith(("/", "\0"))


# What is no text: it goes to the session as it is.
_OBJECTS = ("settings", "statement_cache_size", "types", "on_notice", "on_notification", "trace")


def resolve(conninfo: str, options: Options, environment: Mapping[str, str] = os.environ) -> Target:
    """Put together connection string, keywords, environment and defaults.

    Errors: LocalProtocolError (22023) for what makes no sense, NotSupported.
    """
    objects = {name: value for name, value in options.items() if name in _OBJECTS}
    given = {name: str(value) for name, value in options.items() if name not in _OBJECTS and value is not None}
    texts = {name: environment[variable] for name, variable in ENVIRONMENT.items() if environment.get(variable)}
    texts |= {name: value for name, value in (parse_conninfo(conninfo) | given).items() if value}
    _check(texts)
    port = _number(texts, "port", int, DEFAULT_PORT)
    if not 0 < port < 65536:
        raise invalid(f'invalid port number: "{port}"')
    timeout = _number(texts, "connect_timeout", float, 0.0)
    size = objects.pop("statement_cache_size", STATEMENT_CACHE_SIZE)
    if not isinstance(size, int) or size < 0:
        raise invalid(f"invalid statement_cache_size: {size!r}")
    user = texts.get("user") or _system_user()
    settings = {name: texts[name] for name in ("application_name", "options") if name in texts}
    if "fallback_application_name" in texts:
        settings.setdefault("application_name", texts["fallback_application_name"])
    chosen: Mapping[str, str] = objects.pop("settings", {})  # type: ignore[assignment]
    login = Login(user=user, password=texts.get("password"), database=texts.get("dbname", user),
                  settings=settings | dict(chosen), statement_cache_size=size,
                  min_protocol_version=texts.get("min_protocol_version"),
                  max_protocol_version=texts.get("max_protocol_version"), **objects)  # type: ignore[arg-type]
    return Target(host=_host(texts, port), port=port, connect_timeout=timeout if timeout > 0 else None, login=login)


def _check(texts: Mapping[str, str]) -> None:
    for name, value in texts.items():
        if name in NOT_YET:
            raise NotSupported(f'connection option "{name}" is not supported yet')
        if name not in KNOWN:
            raise invalid(f'invalid connection option "{name}"')
        if name in HARMLESS and value not in HARMLESS[name]:
            why = "febe speaks no TLS yet, and will not go in clear instead" if name == "sslmode" else "not yet"
            raise NotSupported(f'{name} value "{value}" is not supported: {why}')
        if name in ("host", "hostaddr", "port") and "," in value:
            raise NotSupported(f"several values for {name} are not supported yet")


def _number(texts: Mapping[str, str], name: str, kind: Callable[[str], N], default: N) -> N:
    text = texts.get(name)
    if text is None:
        return default
    try:
        return kind(text)
    except ValueError:
        raise invalid(f'invalid {name} value: "{text}"') from None


def _host(texts: Mapping[str, str], port: int) -> str:
    host = texts.get("hostaddr") or texts.get("host")
    if host is None:
        # As psql of a distribution or of a source build does: its socket folder, else TCP.
        found = (f"{folder}/.s.PGSQL.{port}" for folder in SOCKET_FOLDERS)
        return next((path for path in found if Path(path).exists()), "localhost")
    if host.startswith("/"):
        return f"{host}/.s.PGSQL.{port}"
    if host.startswith("@"):
        return f"\0{host[1:]}/.s.PGSQL.{port}"
    return host


def _system_user() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        raise invalid("no user name was given, and this process's has none") from None


__all__ = ["Options", "Target", "resolve"]
