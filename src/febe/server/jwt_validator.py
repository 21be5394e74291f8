"""The validator that is ready: tokens that are signed JSON Web Tokens, judged by their issuer's public keys (RFC 9068,
RFC 7517).  It needs the extra `febe[oauth]`."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import jwt

from febe.flows.serve_attempt import PresentedToken, TokenVerdict
from febe.ports.http import HTTPError, fetch
from febe.protocol.errors import AuthenticationError
from febe.protocol.oauthbearer import WELL_KNOWN, discovery_uri, issuer_of

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Signatures that need a key which only the issuer has."""
FRESH_SECONDS = 300.0
"""Keys are asked for again after so long, so that one that is withdrawn is not believed for ever."""
AGAIN_SECONDS = 10.0
"""A token that names an unknown key has them asked for again, but no more often than that; nor is an issuer that does
not answer."""


class JWTValidator:
    """Accepts a token that the rule's issuer has signed for `audience`, that is not expired and has the rule's scope.

    `jwks` is the address or the file of the issuer's keys; without it the issuer's discovery document says where they
    are.  `identity` is the claim that says who it is.  `leeway` are the seconds by which clocks may differ.  Without
    certificates (`insecure`) is for tests only.
    """

    def __init__(self, *, audience: str | Collection[str], jwks: str | Path | None = None, identity: str = "sub",
                 algorithms: Collection[str] = ALGORITHMS, leeway: float = 10, insecure: bool = False) -> None:
        self._audience = [audience] if isinstance(audience, str) else list(audience)
        if not self._audience or not all(self._audience):
            raise ValueError("a validator without an audience would accept tokens that are for somebody else")
        wrong = set(algorithms) - set(ALGORITHMS)
        if wrong:
            raise ValueError(f"signatures by {', '.join(sorted(wrong))} cannot be checked with a public key")
        self._algorithms = list(algorithms)
        self._jwks = jwks
        self._identity = identity
        self._leeway = leeway
        self._insecure = insecure
        self._keys: dict[str, _Keys] = {}
        self._lock = threading.Lock()

    def __call__(self, presented: PresentedToken) -> TokenVerdict:
        """Judge a token; it may ask for keys.  Errors: AuthenticationError, with the reason for the log."""
        issuer = presented.issuer
        if WELL_KNOWN in issuer:
            issuer = issuer_of(issuer, insecure=self._insecure)
        try:
            key = self._key(presented.issuer, jwt.get_unverified_header(presented.token).get("kid"))
            claims = jwt.decode(presented.token, key, algorithms=self._algorithms, audience=self._audience,
                                issuer=issuer, leeway=self._leeway,
                                options={"require": ["exp", "iss", "aud", self._identity]})
        except jwt.PyJWTError as error:
            raise AuthenticationError(f"the token is not valid: {error}") from None
        lacking = set(presented.scope.split()) - _scopes(claims)
        if lacking:
            raise AuthenticationError(f"the token lacks the scope {' '.join(sorted(lacking))}")
        name = claims[self._identity]
        if not isinstance(name, str) or not name or not name.isprintable():
            raise AuthenticationError(f"the token's claim {self._identity} names nobody")
        return TokenVerdict(authorized=True, authn_id=name)

    def _key(self, issuer: str, name: object) -> jwt.PyJWK:
        with self._lock:
            keys = self._keys.setdefault(issuer, _Keys(lambda: self._read(issuer)))
        found = keys.find(name)
        if found is None:
            raise AuthenticationError("the token is signed with a key that its issuer does not have")
        return found

    def _read(self, issuer: str) -> Mapping[str, Any]:
        place = self._jwks
        if place is None:
            document = self._fetch(discovery_uri(issuer))
            expected = issuer_of(discovery_uri(issuer), insecure=self._insecure)
            if document.get("issuer") != expected:
                raise AuthenticationError(f"the discovery document is of another issuer than {expected}")
            place = document.get("jwks_uri")
        if not isinstance(place, str | Path) or not place:
            raise AuthenticationError("the issuer's discovery document does not say where its keys are")
        if isinstance(place, Path) or "://" not in place:
            return _document(Path(place).read_bytes(), str(place))
        return self._fetch(place)

    def _fetch(self, place: str) -> Mapping[str, Any]:
        answer = fetch(place, insecure=self._insecure, seconds=10)
        if answer.status != 200:
            raise AuthenticationError(f"{place}: unexpected response code {answer.status}")
        return _document(answer.body, place)


class _Keys:
    """One issuer's keys, as they were read last."""

    def __init__(self, read: Callable[[], Mapping[str, Any]]) -> None:
        self._read = read
        self._lock = threading.Lock()
        self._keys: list[jwt.PyJWK] = []
        self._read_at = self._asked_at = float("-inf")
        self._failure = ""

    def find(self, name: object) -> jwt.PyJWK | None:
        """The key of this name, or the only one for a token that names none.  Errors: AuthenticationError."""
        # Whose key is known does not wait for those whose key is not.
        if (found := self._fresh(name)) is not None:
            return found
        with self._lock:
            if (found := self._fresh(name)) is None and time.monotonic() - self._asked_at > AGAIN_SECONDS:
                self._refresh()
                found = self._fresh(name)
            if found is None and self._failure:
                raise AuthenticationError(self._failure)
            return found

    def _fresh(self, name: object) -> jwt.PyJWK | None:
        return self._named(name) if time.monotonic() - self._read_at <= FRESH_SECONDS else None

    def _named(self, name: object) -> jwt.PyJWK | None:
        found = [key for key in self._keys if name is None or key.key_id == name]
        return found[0] if len(found) == 1 else None

    def _refresh(self) -> None:
        self._asked_at = time.monotonic()
        try:
            entries = self._read().get("keys")
        except (HTTPError, OSError, AuthenticationError) as error:
            self._failure = f"the issuer's keys cannot be had: {error}"
            return
        self._failure = ""
        self._keys = [made for entry in entries if (made := _made(entry)) is not None] \
            if isinstance(entries, list) else []
        self._read_at = time.monotonic()


def _made(entry: object) -> jwt.PyJWK | None:
    """A key that signs; a set may hold others as well (RFC 7517, section 5)."""
    if not isinstance(entry, dict) or entry.get("kty") == "oct" or entry.get("use", "sig") != "sig":
        return None
    try:
        return jwt.PyJWK(entry)
    except jwt.PyJWTError:
        return None


def _scopes(claims: Mapping[str, Any]) -> set[str]:
    """What a token is for: RFC 8693 calls it `scope`, some issuers `scp`, some give a list."""
    found: set[str] = set()
    for value in (claims.get("scope"), claims.get("scp")):
        words = value.split() if isinstance(value, str) else value if isinstance(value, list) else []
        found.update(word for word in words if isinstance(word, str))
    return found


def _document(data: bytes, place: str) -> Mapping[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        raise AuthenticationError(f"{place} is no JSON") from None
    if not isinstance(found, dict):
        raise AuthenticationError(f"{place} is no JSON object")
    return found


__all__ = ["JWTValidator"]
