"""Who may connect, and what the server knows of their passwords."""

from __future__ import annotations

import inspect
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

from febe.flows.serve_attempt import Credential, md5_of
from febe.protocol.scram import SALT_BYTES, ScramVerifier
from febe.server.userlist import User, UserFile

Answer: TypeAlias = "str | User | None"
UserSource: TypeAlias = "Mapping[str, str | User] | UserFile | Callable[[str], Answer | Awaitable[Answer]]"
"""A password, or what PostgreSQL keeps in its place (`SCRAM-SHA-256$...`, `md5...`), or a `User`, by user name.

A function is called in a thread for every connection, unless it is a coroutine function; None: there is no such user.
"""


@dataclass(slots=True, kw_only=True)
class Found:
    """What is known of somebody who wants to connect; `user` is None when there is no such user."""

    user: User | None
    credential: Credential


class Users:
    """Looks users up.  An unknown user has a credential too: it makes for the same dialogue and lets nobody in.

    Without a source everybody exists, and nobody has a password.
    """

    def __init__(self, source: UserSource | None) -> None:
        self._source = source
        self._secret = secrets.token_bytes(32)
        self._known: dict[str, Found] = {}
        self._last: dict[str, tuple[User, Found]] = {}
        # Who asks for MD5 has users with MD5; unknown ones are asked for what most others are.
        self._any_md5 = callable(source)
        self.reload()

    def reload(self) -> None:
        """Read the source anew, if it is a file.  Errors: UserFileError, OSError."""
        if isinstance(self._source, UserFile):
            self._source.reload()
        if self._source is None or callable(self._source):
            return
        # Made once, and before anybody asks: the time to derive a key would tell known names from unknown ones.
        known = {name: self._made(name, _user(entry)) for name, entry in self._source.items()}
        self._known = known
        self._any_md5 = any(found.credential.md5 is not None for found in known.values())

    async def find(self, name: str, run: Callable[..., Awaitable[Any]]) -> Found:
        """What is known of a user; `run` makes a call that may block."""
        found = self._known.get(name)
        if callable(self._source):
            found = await self._ask(name, run)
        if found is None:
            user = User() if self._source is None else None
            return Found(user=user, credential=self._nothing(name, self._any_md5))
        until = found.user.valid_until if found.user is not None else None
        if until is not None and until < datetime.now(UTC):
            return Found(user=found.user, credential=self._nothing(name, found.credential.md5 is not None))
        return found

    def is_member(self, found: Found, name: str, role: str) -> bool:
        """Whether a user, existing, is a member of a role, directly or not; everybody is a member of himself."""
        if found.user is None:
            return False
        seen, waiting = {name}, set(found.user.roles)
        while waiting:
            one = waiting.pop()
            seen.add(one)
            known = self._known.get(one)
            if known is not None and known.user is not None:
                waiting |= known.user.roles - seen
        return role in seen

    async def _ask(self, name: str, run: Callable[..., Awaitable[Any]]) -> Found | None:
        assert callable(self._source)
        if inspect.iscoroutinefunction(self._source) or inspect.iscoroutinefunction(type(self._source).__call__):
            answer: Any = await self._source(name)  # type: ignore[misc]
        else:
            answer = await run(self._source, name)
            if inspect.isawaitable(answer):
                answer = await answer
        if answer is None:
            return None
        user = _user(answer)
        remembered = self._last.get(name)
        if remembered is None or remembered[0] != user:
            remembered = self._last[name] = user, await run(self._made, name, user)
        return remembered[1]

    def _made(self, name: str, user: User) -> Found:
        text = user.secret
        if not text:
            credential = self._nothing(name, False)
        elif text.startswith("SCRAM-SHA-256$"):
            credential = Credential(verifier=ScramVerifier.parse(text))
        elif re.fullmatch("md5[0-9a-f]{32}", text):
            credential = Credential(verifier=self._mock(name), md5=text[3:])
        else:
            credential = Credential(verifier=ScramVerifier.make(text, secrets.token_bytes(SALT_BYTES)),
                                    md5=md5_of(name, text))
        return Found(user=user, credential=credential)

    def _mock(self, name: str) -> ScramVerifier:
        return ScramVerifier.mock(name, self._secret)

    def _nothing(self, name: str, with_md5: bool) -> Credential:
        """What no password satisfies."""
        return Credential(verifier=self._mock(name), md5=secrets.token_hex(16) if with_md5 else None)


def _user(entry: str | User) -> User:
    return entry if isinstance(entry, User) else User(secret=entry)


__all__ = ["Found", "UserSource", "Users"]
