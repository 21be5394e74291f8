"""OAUTHBEARER without I/O: its messages, and where a server's tokens come from (manual: "OAUTHBEARER Authentication";
RFC 7628; PostgreSQL: auth-oauth.c, fe-auth-oauth.c)."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from febe.protocol.errors import AuthenticationError, RemoteProtocolError

MECHANISM = "OAUTHBEARER"
SEPARATOR = b"\x01"
"""Ends each part of a message; alone it is the client's answer to a refusal (RFC 7628, section 3.2.3)."""
WELL_KNOWN = "/.well-known/"
OPENID_CONFIGURATION = "openid-configuration"
AUTHORIZATION_SERVER = "oauth-authorization-server"
INVALID_TOKEN = "invalid_token"
TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]+=*")
"""What a token consists of (RFC 6750, section 2.1: b64token)."""
_SCHEME = re.compile(r"bearer +", re.IGNORECASE)
_KEY = re.compile(rb"[A-Za-z]+")
_VALUE = re.compile(rb"[\t\n\r -~]*")
_MALFORMED = "malformed OAUTHBEARER message"


def initial_response(token: str | None) -> bytes:
    """The client's first message; without a token it asks where to get one.

    Errors: AuthenticationError for what no token can be.
    """
    if token is not None and TOKEN.fullmatch(token) is None:
        raise AuthenticationError("the OAuth token is empty or has characters that no bearer token has")
    value = "" if token is None else f"Bearer {token}"
    return b"n,," + SEPARATOR + b"auth=" + value.encode() + SEPARATOR + SEPARATOR


def auth_of(message: bytes) -> str:
    """What the client's first message gives as its `auth`.  Errors: RemoteProtocolError."""
    flag, comma, rest = message.partition(b",")
    if flag.startswith(b"p"):  # "no channel binding for OAuth" is what PostgreSQL's detail says
        raise _malformed()
    if flag not in (b"n", b"y") or not comma:
        raise _malformed()
    if rest.startswith(b"a"):
        raise RemoteProtocolError("client uses authorization identity, but it is not supported", sqlstate="0A000")
    if not rest.startswith(b"," + SEPARATOR):
        raise _malformed()
    pairs = rest[2:].split(SEPARATOR)
    if len(pairs) < 2 or pairs[-2:] != [b"", b""]:
        raise _malformed()
    found: list[bytes] = []
    for pair in pairs[:-2]:
        key, equals, value = pair.partition(b"=")
        if not equals or not _KEY.fullmatch(key) or not _VALUE.fullmatch(value):
            raise _malformed()
        if key == b"auth":
            found.append(value)
    if len(found) != 1:
        raise _malformed()
    return found[0].decode("ascii")


def token_of(auth: str) -> str:
    """The bearer token.  Errors: AuthenticationError, for the server's log, when there is none or it is malformed."""
    if not auth:
        raise AuthenticationError("the client asks where to get a token")
    scheme = _SCHEME.match(auth)
    if scheme is None or TOKEN.fullmatch(auth, scheme.end()) is None:
        raise AuthenticationError("malformed OAuth bearer token")
    return auth[scheme.end():]


def failure(issuer: str, scope: str) -> bytes:
    """The server's refusal of a token: where to get another, and for what (RFC 7628, section 3.2.2)."""
    return json.dumps({"status": INVALID_TOKEN, OPENID_CONFIGURATION: discovery_uri(issuer), "scope": scope}).encode()


@dataclass(slots=True, kw_only=True, frozen=True)
class Failure:
    """A server's refusal of a token."""

    status: str
    scope: str | None = None
    openid_configuration: str | None = None

    def __str__(self) -> str:
        parts = (("discovery document", self.openid_configuration), ("scope", self.scope))
        return ", ".join((self.status, *(f"{name} {value}" for name, value in parts if value)))


def read_failure(data: bytes) -> Failure:
    """Read a server's refusal.  Errors: AuthenticationError."""
    try:
        found = json.loads(data.decode())
    except (ValueError, RecursionError):
        raise AuthenticationError("failed to parse server's error response") from None
    if not isinstance(found, dict):
        raise AuthenticationError("failed to parse server's error response: top-level element must be an object")
    texts: dict[str, str] = {}
    for name in ("status", "scope", OPENID_CONFIGURATION):
        value = found.get(name)
        if value is None:
            continue
        if not isinstance(value, str) or not value.isprintable():
            raise AuthenticationError(f'failed to parse server\'s error response: field "{name}" must be a string')
        texts[name] = value
    if "status" not in texts:
        raise AuthenticationError("server sent error response without a status")
    return Failure(status=texts["status"], scope=texts.get("scope"),
                   openid_configuration=texts.get(OPENID_CONFIGURATION))


def discovery_uri(issuer: str) -> str:
    """Where an issuer describes itself; an issuer may be named by that address as well."""
    return issuer if WELL_KNOWN in issuer else f"{issuer}{WELL_KNOWN}{OPENID_CONFIGURATION}"


def issuer_of(uri: str, *, insecure: bool = False) -> str:
    """The issuer that describes itself at this address: what is left without the well-known part.

    RFC 8414 (section 3) has that part between host and path, OpenID Connect Discovery 1.0 (section 4) at the end.
    Errors: AuthenticationError, in libpq's words.
    """
    scheme, _, rest = uri.partition("://")
    if scheme.lower() != "https" and not (insecure and scheme.lower() == "http"):
        raise AuthenticationError(f'OAuth discovery URI "{uri}" must use HTTPS')
    if "?" in uri or "#" in uri:
        raise AuthenticationError(f'OAuth discovery URI "{uri}" must not contain query or fragment components')
    before, found, after = rest.partition(WELL_KNOWN)
    if not found:
        raise AuthenticationError(f'OAuth discovery URI "{uri}" is not a .well-known URI')
    suffix, slash, path = after.partition("/")
    if suffix not in (OPENID_CONFIGURATION, AUTHORIZATION_SERVER):
        raise AuthenticationError(f'OAuth discovery URI "{uri}" uses an unsupported .well-known suffix')
    host, within, _ = before.partition("/")
    if not host or (slash and not path) or (within and (path or suffix == AUTHORIZATION_SERVER)) \
            or ".well-known" in path:
        raise AuthenticationError(f'OAuth discovery URI "{uri}" uses an invalid format')
    return f"{scheme}://{before}{slash}{path}"


def _malformed() -> RemoteProtocolError:
    return RemoteProtocolError(_MALFORMED)


__all__ = ["INVALID_TOKEN", "MECHANISM", "SEPARATOR", "TOKEN", "WELL_KNOWN", "Failure", "auth_of", "discovery_uri",
           "failure", "initial_response", "issuer_of", "read_failure", "token_of"]
