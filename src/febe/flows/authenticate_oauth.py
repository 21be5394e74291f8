"""OAUTHBEARER, seen from the client (manual: "OAUTHBEARER Authentication"; libpq: fe-auth-oauth.c)."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

from febe.flows.errors import TokenWanted
from febe.protocol.errors import AuthenticationError
from febe.protocol.oauthbearer import (
    INVALID_TOKEN,
    SEPARATOR,
    WELL_KNOWN,
    Failure,
    initial_response,
    issuer_of,
    read_failure,
)


@dataclass(slots=True, kw_only=True, frozen=True)
class TokenRequest:
    """A server wants a token: whose, and for what.

    `openid_configuration` is the address of the issuer's discovery document.  `abandoned` is set when nobody waits for
    the token any more.
    """

    issuer: str
    openid_configuration: str
    scope: str | None
    client_id: str
    client_secret: str | None = field(default=None, repr=False)
    abandoned: threading.Event = field(default_factory=threading.Event, repr=False, compare=False)


TokenSource: TypeAlias = "Callable[[TokenRequest], str | Awaitable[str]]"
"""Gets a token; one that is no coroutine function may block."""
Aside: TypeAlias = "Callable[[Callable[[], Any], Callable[[], object]], Awaitable[Any]]"
"""Makes a call that may take long without holding others up; the second is called when nobody waits for it any more."""


@dataclass(slots=True, kw_only=True)
class OAuth:
    """Where tokens come from, by libpq's options.  `rejected` is told of a token that a server would not have."""

    issuer: str
    client_id: str
    source: TokenSource = field(repr=False)
    client_secret: str | None = field(default=None, repr=False)
    scope: str | None = None
    insecure: bool = False
    rejected: Callable[[str], object] | None = field(default=None, repr=False)


class Bearer:
    """The token of one attempt to open a session, on as many connections as it takes."""

    def __init__(self, oauth: OAuth | None) -> None:
        self._oauth = oauth
        self._token: str | None = None
        self._request: TokenRequest | None = None
        self._refusal: Failure | None = None
        self._shown = ""

    @property
    def is_shown(self) -> bool:
        """A token was sent."""
        return bool(self._shown)

    def begin(self) -> bytes:
        """The first message of an exchange: the token, or the question where to get one."""
        if self._oauth is None:
            raise AuthenticationError(
                "server requires OAuth authentication, but oauth_issuer and oauth_client_id are not both set")
        message = initial_response(self._token)
        self._shown = self._token or ""
        return message

    def refused(self, data: bytes) -> bytes:
        """The answer to a refusal.  Errors: AuthenticationError for one that makes no sense, or leads elsewhere."""
        if self._refusal is not None:
            raise AuthenticationError("server sent additional OAuth data after error")
        assert self._oauth is not None
        refusal = read_failure(data)
        place = self._place(self._oauth, refusal)
        self._refusal = refusal
        if not self._shown and refusal.status == INVALID_TOKEN:
            issuer = issuer_of(place, insecure=self._oauth.insecure)
            self._request = TokenRequest(issuer=issuer, openid_configuration=place,
                                         scope=self._oauth.scope or refusal.scope, client_id=self._oauth.client_id,
                                         client_secret=self._oauth.client_secret)
        elif self._shown and self._oauth.rejected is not None:
            self._oauth.rejected(self._shown)
        return SEPARATOR

    @staticmethod
    def _place(oauth: OAuth, refusal: Failure) -> str:
        """Where the issuer describes itself: a server must not lead to another one than the program has named."""
        known = oauth.issuer if WELL_KNOWN in oauth.issuer else None
        issuer = issuer_of(known, insecure=oauth.insecure) if known is not None else oauth.issuer
        told = refusal.openid_configuration
        if told is None:
            if known is None:
                raise AuthenticationError("the server did not say where its tokens come from: name the issuer's "
                                          "discovery document by oauth_issuer")
            return known
        its = issuer_of(told, insecure=oauth.insecure)
        if its != issuer:
            raise AuthenticationError(f'server\'s discovery document at {told} (issuer "{its}") is incompatible with '
                                      f"oauth_issuer ({issuer})")
        if known not in (None, told):
            raise AuthenticationError(f"server's discovery document has moved to {told} (previous location was "
                                      f"{known})")
        return told

    def after_error(self, error: Exception) -> None:
        """The server has ended the exchange.  Errors: TokenWanted when it only lacked a token."""
        if self._request is not None and self._token is None:
            raise TokenWanted
        if self._refusal is not None:
            error.add_note(f"febe: the server says of the OAuth token: {self._refusal}")

    async def fetch(self, aside: Aside) -> None:
        """Get the token that is wanted.  Errors: AuthenticationError, and those of the program's own source."""
        assert self._oauth is not None and self._request is not None
        request = self._request
        token = await aside(partial(self._oauth.source, request), request.abandoned.set)
        if not isinstance(token, str):
            raise AuthenticationError(f"the source of OAuth tokens has given a {type(token).__name__}")
        self._token = token
        self._request = self._refusal = None


__all__ = ["Aside", "Bearer", "OAuth", "TokenRequest", "TokenSource"]
