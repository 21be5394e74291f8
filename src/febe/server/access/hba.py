"""pg_hba.conf: who may connect from where to what, and how they prove who they are (manual: "The pg_hba.conf File").

Rules are read as PostgreSQL's parse_hba_line reads them, and refused in its words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field

from febe.server.access import addresses
from febe.server.access.addresses import Address
from febe.server.access.patterns import compiled
from febe.server.access.tokens import AccessFileError, Line, Token

CONNECTIONS: Mapping[str, tuple[bool, bool | None, bool | None]] = {
    "local": (True, None, None),
    "host": (False, None, None),
    "hostssl": (False, True, None),
    "hostnossl": (False, False, None),
    "hostgssenc": (False, None, True),
    "hostnogssenc": (False, None, False),
}
"""Whether a kind of connection is by Unix socket, with TLS, with GSSAPI encryption; None: either."""
POSTGRES_METHODS = frozenset({"trust", "reject", "ident", "peer", "password", "gss", "sspi", "md5", "scram-sha-256",
                              "pam", "bsd", "ldap", "cert", "radius", "oauth"})

# Which methods an option is for, and how that is said.
_LDAP, _RADIUS, _OAUTH = (("ldap",), "ldap"), (("radius",), "radius"), (("oauth",), "oauth")
_REALMS = (("gss", "sspi"), "gssapi and sspi")
OPTIONS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "map": (("ident", "peer", "gss", "sspi", "cert", "oauth"), "ident, peer, gssapi, sspi, cert, and oauth"),
    "pamservice": (("pam",), "pam"), "pam_use_hostname": (("pam",), "pam"),
    **dict.fromkeys(("ldapurl", "ldaptls", "ldapscheme", "ldapserver", "ldapport", "ldapbinddn", "ldapbindpasswd",
                     "ldapsearchattribute", "ldapsearchfilter", "ldapbasedn", "ldapprefix", "ldapsuffix"), _LDAP),
    "krb_realm": _REALMS, "include_realm": _REALMS, "compat_realm": (("sspi",), "sspi"),
    "upn_username": (("sspi",), "sspi"),
    **dict.fromkeys(("radiusservers", "radiusports", "radiussecrets", "radiusidentifiers"), _RADIUS),
    **dict.fromkeys(("issuer", "scope", "validator", "delegate_ident_mapping"), _OAUTH),
}
_HOSTSSL_OPTIONS: Mapping[str, tuple[str, ...]] = {"clientcert": ("verify-full", "verify-ca"),
                                                   "clientname": ("CN", "DN")}
Member = Callable[[str, str], bool]
"""Whether a user, the first, is a member of a role, the second."""


@dataclass(slots=True, frozen=True, kw_only=True)
class Request:
    """A connection that asks to be let in.

    `address` is the client's, None on a Unix socket.  `replication` says that it is physical replication, which matches
    the word of that name only.
    """

    user: str
    database: str
    address: str | None
    tls: bool = False
    gss: bool = False
    replication: bool = False


@dataclass(slots=True, frozen=True)
class Matcher:
    """A word of the database or user field, its regular expression ready."""

    token: Token
    pattern: re.Pattern[str] | None

    @classmethod
    def of(cls, token: Token) -> Matcher:
        """Errors: AccessFileError."""
        return cls(token, compiled(token.text[1:]) if token.text.startswith("/") else None)

    def is_role(self, user: str, member: Member, *, fold: bool = False) -> bool:
        """Whether it means this user (check_role)."""
        if self.token.text.startswith("+") and not self.token.quoted:
            return member(user, self.token.text[1:])
        if self.token.is_keyword("all"):
            return True
        if self.pattern is not None:
            return self.pattern.search(user) is not None
        return self.token.text.lower() == user.lower() if fold else self.token.text == user

    def is_database(self, request: Request, member: Member) -> bool:
        """Whether it means the database asked for (check_db)."""
        if request.replication or self.token.is_keyword("replication"):
            return request.replication and self.token.is_keyword("replication")
        if self.token.is_keyword("all"):
            return True
        if self.token.is_keyword("sameuser"):
            return request.database == request.user
        if self.token.is_keyword("samerole") or self.token.is_keyword("samegroup"):
            return member(request.user, request.database)
        if self.pattern is not None:
            return self.pattern.search(request.database) is not None
        return self.token.text == request.database


@dataclass(slots=True, frozen=True, kw_only=True)
class Rule:
    """A line of pg_hba.conf."""

    line: Line = field(repr=False)
    connection: str
    databases: tuple[Matcher, ...]
    users: tuple[Matcher, ...]
    address: Address
    method: str
    options: Mapping[str, str]

    @property
    def client_certificate(self) -> str | None:
        """`verify-ca` or `verify-full` where the client has to have a certificate."""
        return "verify-full" if self.method == "cert" else self.options.get("clientcert")

    def matches(self, request: Request, member: Member) -> bool:
        """Whether the rule decides about this connection."""
        local, tls, gss = CONNECTIONS[self.connection]
        if local is not (request.address is None):
            return False
        if not local and (tls not in (None, request.tls) or gss not in (None, request.gss)
                          or not self.address.matches(request.address or "")):
            return False
        return (any(matcher.is_database(request, member) for matcher in self.databases)
                and any(matcher.is_role(request.user, member) for matcher in self.users))


def parse_rule(line: Line, methods: Collection[str]) -> Rule:
    """Understand a line.  `methods` are those that this server has.  Errors: AccessFileError."""
    if line.error is not None:
        raise AccessFileError(line.error)
    fields = iter(line.fields)
    connection = _one(fields, "connection type", None)
    if connection.text not in CONNECTIONS:
        raise AccessFileError(f'invalid connection type "{connection.text}"')
    databases = tuple(Matcher.of(token) for token in _field(fields, "database specification"))
    users = tuple(Matcher.of(token) for token in _field(fields, "role specification"))
    address: Address = addresses.Everywhere()
    if connection.text != "local":
        found = addresses.parse(_one(fields, "host address", "IP address specification"))
        address = (addresses.with_mask(found, _one(fields, "netmask", "netmask specification"))
                   if isinstance(found, bytes) else found)
    method = _method(_one(fields, "authentication type", "authentication method").text, connection.text, methods)
    options = _options([token for tokens in fields for token in tokens], connection.text, method)
    return Rule(line=line, connection=connection.text, databases=databases, users=users, address=address,
                method=method, options=options)


def _field(fields: Iterator[list[Token]], what: str) -> list[Token]:
    found = next(fields, None)
    if found is None:
        raise AccessFileError(f"end-of-line before {what}")
    return found


def _one(fields: Iterator[list[Token]], several: str, missing: str | None) -> Token:
    found = _field(fields, missing or several)
    if len(found) > 1:
        raise AccessFileError(f"multiple values specified for {several}")
    return found[0]


def _method(name: str, connection: str, methods: Collection[str]) -> str:
    if name == "ident" and connection == "local":  # from before peer had a name of its own
        name = "peer"
    if name not in POSTGRES_METHODS:
        raise AccessFileError(f'invalid authentication method "{name}"')
    if name not in methods:
        raise AccessFileError(f'invalid authentication method "{name}": not supported by this build')
    if name == "gss" and connection == "local":
        raise AccessFileError("gssapi authentication is not supported on local sockets")
    if name == "peer" and connection != "local":
        raise AccessFileError("peer authentication is only supported on local sockets")
    if name == "cert" and connection != "hostssl":
        raise AccessFileError("cert authentication is only supported on hostssl connections")
    return name


def _options(tokens: list[Token], connection: str, method: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for token in tokens:
        name, equals, value = token.text.partition("=")
        if not equals:
            raise AccessFileError(f"authentication option not in name=value format: {token.text}")
        if name in _HOSTSSL_OPTIONS:
            if connection != "hostssl":
                raise AccessFileError(f'{name} can only be configured for "hostssl" rows')
            if value not in _HOSTSSL_OPTIONS[name]:
                raise AccessFileError(f'invalid value for {name}: "{value}"')
            if method == "cert" and value == "verify-ca":
                raise AccessFileError('clientcert can only be set to "verify-full" when using "cert" authentication')
        elif name not in OPTIONS:
            raise AccessFileError(f'unrecognized authentication option name: "{name}"')
        elif method not in OPTIONS[name][0]:
            raise AccessFileError(f'authentication option "{name}" is only valid for authentication methods '
                                  f"{OPTIONS[name][1]}")
        found[name] = value
    if method == "oauth":
        for name in ("scope", "issuer"):
            if name not in found:
                raise AccessFileError(f'authentication method "oauth" requires argument "{name}" to be set')
        if found.get("delegate_ident_mapping") == "1" and "map" in found:
            raise AccessFileError("map cannot be used in combination with delegate_ident_mapping")
    return found


__all__ = ["CONNECTIONS", "Matcher", "Member", "Request", "Rule", "parse_rule"]
