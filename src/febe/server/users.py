"""Who may connect, and what the server knows of their passwords."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from typing import TypeAlias

from febe.flows.serve_attempt import Credential, md5_of
from febe.flows.serve_authentication import METHODS, Method
from febe.protocol.scram import SALT_BYTES, ScramVerifier

UserSource: TypeAlias = "Mapping[str, str] | Callable[[str], str | None]"
"""A password, or what PostgreSQL keeps in its place (`SCRAM-SHA-256$...`, `md5...`), by user name."""


class Users:
    """Looks users up.  An unknown user has a credential too: it makes for the same dialogue and lets nobody in."""

    def __init__(self, source: UserSource) -> None:
        self._secret = secrets.token_bytes(32)
        self._look_up = source if callable(source) else None
        # Made once, and before anybody asks: the time to derive a key would tell known names from unknown ones.
        self._known = {} if callable(source) else {user: self._credential(user, text) for user, text in source.items()}
        # Who asks for MD5 has users with MD5; unknown ones are asked for what most others are.
        self._any_md5 = callable(source) or any(credential.md5 is not None for credential in self._known.values())
        self._last: dict[str, tuple[str, Credential]] = {}

    def find(self, user: str) -> Credential:
        """The credential of a user, known or not."""
        found = self._known.get(user)
        text = self._look_up(user) if self._look_up is not None else None
        if text is not None:
            remembered = self._last.get(user)
            if remembered is None or remembered[0] != text:
                remembered = self._last[user] = text, self._credential(user, text)
            found = remembered[1]
        if found is not None:
            return found
        return Credential(verifier=self._mock(user), md5=secrets.token_hex(16) if self._any_md5 else None)

    def _mock(self, user: str) -> ScramVerifier:
        return ScramVerifier.mock(user, self._secret)

    def _credential(self, user: str, text: str) -> Credential:
        if text.startswith("SCRAM-SHA-256$"):
            return Credential(verifier=ScramVerifier.parse(text))
        if re.fullmatch("md5[0-9a-f]{32}", text):
            return Credential(verifier=self._mock(user), md5=text[3:])
        return Credential(verifier=ScramVerifier.make(text, secrets.token_bytes(SALT_BYTES)), md5=md5_of(user, text))


def method_of(name: str | None, users: UserSource | None) -> Method:
    """The method that `authentication` names; by default SCRAM where there are users.  Errors: ValueError."""
    if name is None:
        name = "scram-sha-256" if users is not None else "trust"
    if name not in METHODS:
        raise ValueError(f"{name!r} is no authentication method; there are {', '.join(METHODS)}")
    if METHODS[name].needs_users and users is None:
        raise ValueError(f"authentication by {name} needs users")
    return METHODS[name]
