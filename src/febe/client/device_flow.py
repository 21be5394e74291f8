"""Tokens by the device authorisation grant: a person allows the program in, with a browser on any device (RFC 8628,
RFC 8414; libpq: fe-auth-oauth-curl.c)."""

from __future__ import annotations

import base64
import json
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus

from febe.flows.authenticate_oauth import TokenRequest
from febe.ports.http import Answer, HTTPError, fetch
from febe.protocol.errors import AuthenticationError, ConnectTimeout

GRANT = "urn:ietf:params:oauth:grant-type:device_code"
INTERVAL = 5.0
"""Seconds between two questions, where the provider does not say (RFC 8628, section 3.2)."""
_EARLY = 30.0
"""So many seconds before it expires, a token that is kept is given up."""


@dataclass(slots=True, kw_only=True, frozen=True)
class DevicePrompt:
    """What a person has to be told: where to go and what to enter, within how many seconds.

    `verification_uri_complete` has the code in it already, where the provider gives one.
    """

    verification_uri: str
    user_code: str
    verification_uri_complete: str | None
    expires_in: float


def ask_on_terminal(prompt: DevicePrompt) -> None:
    """Tell it on the standard error output, as libpq does."""
    print(f"Visit {prompt.verification_uri} and enter the code: {prompt.user_code}", file=sys.stderr, flush=True)


class DeviceFlow:
    """A source of tokens for `connect(oauth_token=...)`: it asks a person by `prompt`, and keeps what it gets.

    One for a whole pool asks once, until the token expires.  `insecure` allows http, and questions without a pause, for
    tests only.
    """

    def __init__(self, prompt: Callable[[DevicePrompt], object] = ask_on_terminal, *, insecure: bool = False) -> None:
        self._prompt = prompt
        self._insecure = insecure
        self._turn = threading.Lock()
        self._kept: dict[tuple[str, str, str | None], tuple[str, float]] = {}

    def __call__(self, request: TokenRequest) -> str:
        """Get a token.  Errors: AuthenticationError; ConnectTimeout when the request is abandoned."""
        while not self._turn.acquire(timeout=0.1):
            _still(request)
        try:
            key = (request.issuer, request.client_id, request.scope)
            token, until = self._kept.get(key, ("", 0.0))
            if time.monotonic() >= until:
                token, seconds = self._get(request)
                self._kept[key] = token, time.monotonic() + seconds - _EARLY
            return token
        except HTTPError as error:
            raise AuthenticationError(f"OAuth: {error}") from None
        finally:
            self._turn.release()

    def forget(self, token: str) -> None:
        """Give up a token that a server would not have."""
        self._kept = {key: kept for key, kept in list(self._kept.items()) if kept[0] != token}

    def _get(self, request: TokenRequest) -> tuple[str, float]:
        places = self._discover(request)
        began = time.monotonic()
        granted = self._post(request, places["device_authorization_endpoint"],
                             {"scope": request.scope} if request.scope else {})
        if granted.status != 200:
            raise AuthenticationError(f"failed to obtain device authorization: {_said(granted)}")
        device = _document(granted, "device authorization")
        uri = "verification_uri" if "verification_uri" in device else "verification_url"  # as some providers call it
        complete = "verification_uri_complete" if device.get("verification_uri_complete") else None
        prompt = DevicePrompt(verification_uri=_text(device, uri), user_code=_text(device, "user_code"),
                              verification_uri_complete=_text(device, complete) if complete else None,
                              expires_in=_seconds(device, "expires_in", None))
        interval = _seconds(device, "interval", INTERVAL)
        interval = interval if self._insecure else max(interval, 1.0)
        form = {"grant_type": GRANT, "device_code": _text(device, "device_code")}
        self._prompt(prompt)
        while time.monotonic() - began < prompt.expires_in:
            if request.abandoned.wait(interval):
                break
            answer = self._post(request, places["token_endpoint"], form)
            if answer.status == 200:
                return _token(_document(answer, "token"))
            why = _error(answer)
            if why == "slow_down":  # RFC 8628, section 3.5
                interval += INTERVAL
            elif why != "authorization_pending":
                raise AuthenticationError(f"failed to obtain access token: {_said(answer)}")
        _still(request)
        raise AuthenticationError("failed to obtain access token: the code has expired")

    def _discover(self, request: TokenRequest) -> Mapping[str, str]:
        answer = fetch(request.openid_configuration, insecure=self._insecure)
        if answer.status != 200:
            raise AuthenticationError(f"failed to fetch OpenID discovery document: unexpected response code "
                                      f"{answer.status}")
        document = _document(answer, "OpenID discovery")
        issuer = _text(document, "issuer")
        if issuer != request.issuer:  # letter for letter: RFC 9207, section 2.4
            raise AuthenticationError(f"the issuer identifier ({issuer}) does not match oauth_issuer "
                                      f"({request.issuer})")
        if not document.get("device_authorization_endpoint"):
            raise AuthenticationError(f'issuer "{issuer}" does not provide a device authorization endpoint')
        found = {name: _text(document, name) for name in ("token_endpoint", "device_authorization_endpoint")}
        for name, place in found.items():
            if not place.lower().startswith("https://") and not self._insecure:
                raise AuthenticationError(f'{name} "{place}" must use HTTPS')
        return found

    def _post(self, request: TokenRequest, place: str, form: Mapping[str, str]) -> Answer:
        """Ask as this client, known by its secret if it has one (RFC 6749, section 2.3.1)."""
        if request.client_secret is None:
            return fetch(place, form={**form, "client_id": request.client_id}, insecure=self._insecure)
        pair = f"{quote_plus(request.client_id)}:{quote_plus(request.client_secret)}"
        return fetch(place, form=form, authorization=f"Basic {base64.b64encode(pair.encode()).decode()}",
                     insecure=self._insecure)


def _still(request: TokenRequest) -> None:
    if request.abandoned.is_set():
        raise ConnectTimeout("nobody waits for the OAuth token any more", retry_is_safe=True)


def _document(answer: Answer, what: str) -> Mapping[str, Any]:
    if answer.kind != "application/json":
        raise AuthenticationError(f"failed to parse {what} response: unexpected content type {answer.kind!r}")
    try:
        found = json.loads(answer.body.decode())
    except (ValueError, RecursionError):
        raise AuthenticationError(f"failed to parse {what} response: it is no JSON") from None
    if not isinstance(found, dict):
        raise AuthenticationError(f"failed to parse {what} response: top-level element must be an object")
    return found


def _text(document: Mapping[str, Any], name: str) -> str:
    """A field that has to be there, and can be shown on a terminal."""
    value = document.get(name)
    if not isinstance(value, str) or not value or not value.isprintable():
        raise AuthenticationError(f'the OAuth provider\'s field "{name}" is missing or makes no sense')
    return value


def _seconds(document: Mapping[str, Any], name: str, default: float | None) -> float:
    value = document.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:
        raise AuthenticationError(f'the OAuth provider\'s field "{name}" is missing or makes no sense')
    return float(value)


def _token(document: Mapping[str, Any]) -> tuple[str, float]:
    """The token, and for how many seconds it is good."""
    if _text(document, "token_type").lower() != "bearer":
        raise AuthenticationError("failed to obtain access token: unsupported token type")
    return _text(document, "access_token"), _seconds(document, "expires_in", 0.0)


def _error(answer: Answer) -> str:
    """The code of a provider's refusal (RFC 6749, section 5.2)."""
    return _text(_document(answer, "token"), "error") if answer.status in (400, 401) else ""


def _said(answer: Answer) -> str:
    code = _error(answer)
    if not code:
        return f"unexpected response code {answer.status}"
    why = _document(answer, "token").get("error_description")
    return f"{why} ({code})" if isinstance(why, str) and why.isprintable() else code


__all__ = ["DeviceFlow", "DevicePrompt", "ask_on_terminal"]
