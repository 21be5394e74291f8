"""From what a program says about a connection to where it leads: connection string, keywords, service file,
environment, defaults."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from febe.client.defaults import home_folder, with_defaults
from febe.client.dsn import invalid, parse_conninfo
from febe.client.encryption import encryption_of, tokens_of
from febe.client.hosts import Host, hosts_of
from febe.client.keywords import KEYWORDS
from febe.client.passfile import Passfile
from febe.flows.connect import Login
from febe.flows.errors import NotSupported
from febe.flows.session import STATEMENT_CACHE_SIZE, Notices, Notifications
from febe.flows.watch import Hook, everywhere
from febe.protocol.connection import Trace
from febe.protocol.dialect import Dialect
from febe.types.registry import Registry

if TYPE_CHECKING:
    from febe.flows.authenticate_oauth import OAuth, TokenSource
    from febe.flows.require_auth import RequireAuth

CHOICES: Mapping[str, tuple[str, ...]] = {
    "channel_binding": ("disable", "prefer", "require"),
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "sslnegotiation": ("postgres", "direct"),
    "sslcertmode": ("disable", "allow", "require"),
    "gssencmode": ("disable", "prefer", "require"),
    "target_session_attrs": ("any", "read-write", "read-only", "primary", "standby", "prefer-standby"),
    "load_balance_hosts": ("disable", "random"),
}
"""What an option may be (pqConnectOptions2)."""
# What is taken only where it asks for what is done anyway.
HARMLESS: Mapping[str, frozenset[str]] = {
    "client_encoding": frozenset({"", "UTF8", "utf8", "UTF-8", "utf-8", "auto"}),
}
NUMBERS = ("keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout")


class Options(TypedDict, total=False):
    """The keywords of `connect`.  Those that libpq has are called as there, and go before the connection string's.

    `settings` are run-time parameters to start with.  `statement_cache_size` is how many prepared statements a
    connection keeps; 0 prepares each anew and leaves nothing behind.  `trace` is called with every message, or is the
    path of a file for lines in libpq's format.  `on_event` is called with each operation when it has ended.
    `oauth_token` is a token for servers that want one, or what gets it; by default a person is asked.  `dialect` is for
    peers that are no PostgreSQL.
    """

    service: str
    user: str
    password: str
    passfile: str | os.PathLike[str]
    channel_binding: str
    connect_timeout: float | str
    dbname: str
    host: str
    hostaddr: str
    port: int | str
    client_encoding: str
    options: str
    application_name: str
    fallback_application_name: str
    keepalives: int | str
    keepalives_idle: int | str
    keepalives_interval: int | str
    keepalives_count: int | str
    tcp_user_timeout: int | str
    sslmode: str
    sslnegotiation: str
    sslcompression: int | str
    sslcert: str | os.PathLike[str]
    sslkey: str | os.PathLike[str]
    sslcertmode: str
    sslpassword: str
    sslrootcert: str | os.PathLike[str]
    sslcrl: str | os.PathLike[str]
    sslcrldir: str | os.PathLike[str]
    sslsni: int | str
    requirepeer: str
    require_auth: str
    min_protocol_version: str
    max_protocol_version: str
    ssl_min_protocol_version: str
    ssl_max_protocol_version: str
    gssencmode: str
    krbsrvname: str
    gsslib: str
    gssdelegation: int | str
    replication: str
    target_session_attrs: str
    load_balance_hosts: str
    scram_client_key: str
    scram_server_key: str
    oauth_issuer: str
    oauth_client_id: str
    oauth_client_secret: str
    oauth_scope: str
    oauth_token: str | TokenSource
    sslkeylogfile: str | os.PathLike[str]
    settings: Mapping[str, str]
    statement_cache_size: int
    types: Registry
    on_notice: Notices
    on_notification: Notifications
    trace: Trace | str | os.PathLike[str]
    on_event: Hook
    dialect: Dialect


@dataclass(slots=True, kw_only=True)
class Plan:
    """Which hosts to try, and what to say there.

    `texts` is every option of libpq with its value, for who interprets one.  `connect_timeout` is for each address by
    itself.  `logins` has a login for each of `hosts`, because the password file may know one password for each.
    """

    hosts: tuple[Host, ...]
    logins: tuple[Login, ...]
    texts: Mapping[str, str] = field(repr=False)
    connect_timeout: float | None
    target_session_attrs: str
    shuffle: bool
    tcp: Mapping[str, int]
    """`keepalives` and its like, and `tcp_user_timeout`, where they were given."""
    on_event: Hook | None = None

    @property
    def login(self) -> Login:
        """The first host's."""
        return self.logins[0]


@dataclass(slots=True, kw_only=True)
class Target:
    """One address to connect to: what is left of a plan when hosts were chosen and names looked up."""

    plan: Plan = field(repr=False)
    host: Host
    address: str
    """An IP address, or the path of a Unix socket."""
    login: Login
    kind: str = "any"
    """What the session has to be, as in `target_session_attrs`."""

    @property
    def is_unix(self) -> bool:
        """`address` is a Unix socket's path; NUL begins one in the abstract namespace."""
        return self.host.is_unix

    @property
    def port(self) -> int:
        """The TCP port."""
        return self.host.port

    @property
    def connect_timeout(self) -> float | None:
        """Seconds until a session has to be open."""
        return self.plan.connect_timeout


# What is no text: it goes to the session as it is.
_OBJECTS = ("settings", "statement_cache_size", "types", "on_notice", "on_notification", "trace", "dialect",
            "oauth_token", "on_event")


def resolve(conninfo: str, options: Options, environment: Mapping[str, str] = os.environ) -> Plan:
    """Put together connection string, keywords, service file, environment and defaults.

    Errors: LocalProtocolError (22023) for what makes no sense, NotSupported.
    """
    objects = {name: value for name, value in options.items() if name in _OBJECTS}
    given = parse_conninfo(conninfo)
    for name, value in options.items():
        if name not in _OBJECTS and value is not None and str(value):
            if name not in KEYWORDS:
                raise invalid(f'invalid connection option "{name}"')
            given[name] = str(value)
    texts = with_defaults(given, environment)
    _check(texts)
    hosts = hosts_of(texts)
    shuffle = texts["load_balance_hosts"] == "random"
    if shuffle:
        import random

        hosts = tuple(random.sample(hosts, len(hosts)))
    timeout = _seconds(texts)
    oauth = _oauth(texts, objects.pop("oauth_token", None), environment)  # type: ignore[arg-type]
    on_event: Hook | None = objects.pop("on_event", None) or everywhere.hook  # type: ignore[assignment]
    if isinstance(path := objects.get("trace"), str | os.PathLike):
        from febe.client.tracefile import tracer

        objects["trace"] = tracer(path)
    login = replace(_login(texts, objects), oauth=oauth)
    logins = tuple(replace(login, encryption=encryption_of(texts, host.name, is_local=host.is_unix),
                           gss=tokens_of(texts, host.name))
                   for host, login in zip(hosts, _with_passwords(hosts, login, texts, environment), strict=True))
    return Plan(hosts=hosts, logins=logins, texts=texts,
                connect_timeout=timeout if timeout > 0 else None, target_session_attrs=texts["target_session_attrs"],
                shuffle=shuffle, tcp={name: _integer(name, texts[name]) for name in NUMBERS if name in texts},
                on_event=on_event)


def _login(texts: Mapping[str, str], objects: dict[str, object]) -> Login:
    size = objects.pop("statement_cache_size", STATEMENT_CACHE_SIZE)
    if not isinstance(size, int) or size < 0:
        raise invalid(f"invalid statement_cache_size: {size!r}")
    user = texts.get("user")
    if not user:
        raise invalid("no user name was given, and this process's has none")
    settings = {name: texts[name] for name in ("application_name", "options", "replication") if texts.get(name)}
    if texts.get("fallback_application_name"):
        settings.setdefault("application_name", texts["fallback_application_name"])
    chosen: Mapping[str, str] = objects.pop("settings", {})  # type: ignore[assignment]
    return Login(user=user, password=texts.get("password") or None,
                 scram_keys=(_key(texts, "client"), _key(texts, "server")), database=texts.get("dbname") or user,
                 settings=settings | dict(chosen), statement_cache_size=size,
                 min_protocol_version=texts.get("min_protocol_version"),
                 max_protocol_version=texts.get("max_protocol_version"),
                 require_auth=_require_auth(texts.get("require_auth")),
                 channel_binding=texts.get("channel_binding") or "prefer",
                 **objects)  # type: ignore[arg-type]


# What few programs ask for is loaded for those.

def _oauth(texts: Mapping[str, str], source: TokenSource | str | None, environment: Mapping[str, str]) -> OAuth | None:
    if not texts.get("oauth_issuer"):
        return None
    from febe.client.oauth import oauth_of

    return oauth_of(texts, source, environment)


def _require_auth(text: str | None) -> RequireAuth | None:
    if not text:
        return None
    from febe.flows.require_auth import RequireAuth

    return RequireAuth.parse(text)


def _key(texts: Mapping[str, str], which: str) -> bytes | None:
    text = texts.get(f"scram_{which}_key")
    if not text:
        return None
    from febe.protocol.scram import parse_key

    try:
        return parse_key(text, which)
    except ValueError as error:
        raise invalid(str(error)) from None


def _with_passwords(hosts: tuple[Host, ...], login: Login, texts: Mapping[str, str],
                    environment: Mapping[str, str]) -> tuple[Login, ...]:
    if login.password is not None:
        return (login,) * len(hosts)
    home = home_folder(environment)
    path = texts.get("passfile") or (home and home / ("pgpass.conf" if os.name == "nt" else ".pgpass"))
    if not path:
        return (login,) * len(hosts)
    known = Passfile(Path(path))
    return tuple(replace(login, password=known.find(host.pass_name, str(host.port), login.database or "", login.user))
                 for host in hosts)


def _check(texts: Mapping[str, str]) -> None:
    for name, choices in CHOICES.items():
        if name in texts and texts[name] not in choices:
            raise invalid(f'invalid {name} value: "{texts[name]}"')
    for name, value in texts.items():
        if name in HARMLESS and value not in HARMLESS[name]:
            raise NotSupported(f'{name} value "{value}" is not supported: not yet')


def _integer(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise invalid(f'invalid integer value "{text}" for connection option "{name}"') from None


def _seconds(texts: Mapping[str, str]) -> float:
    """libpq takes whole seconds; a program that has a finer idea may say so."""
    text = texts.get("connect_timeout") or "0"
    try:
        return float(text)
    except ValueError:
        raise invalid(f'invalid integer value "{text}" for connection option "connect_timeout"') from None


__all__ = ["Options", "Plan", "Target", "resolve"]
