"""A file of users: names, what proves their passwords, and what they may do.

    "ada" "SCRAM-SHA-256$4096:..."
    "bob" "md5..." roles=readers,writers valid-until=2027-01-31
    "root" "..." administrator
    carl:a password as it is

The first form is that of PgBouncer's userlist.txt.  An empty secret is a user who has no password.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

from febe.protocol.scram import ScramVerifier

_QUOTED = re.compile(r'\s*"((?:[^"]|"")*)"')


class UserFileError(ValueError):
    """What is wrong with a file of users, and where; never a secret."""


@dataclass(slots=True, kw_only=True, frozen=True)
class User:
    """What is known of a user.

    `secret` is the password, or what PostgreSQL keeps in its place (`SCRAM-SHA-256$...`, `md5...`); empty when there is
    none.  `roles` are those that the user is a member of.  Administrators may use the places reserved for them.  After
    `valid_until` no password is right (CREATE ROLE, VALID UNTIL).
    """

    secret: str = field(default="", repr=False)
    roles: frozenset[str] = frozenset()
    administrator: bool = False
    valid_until: datetime | None = None


def read_users(path: Path) -> dict[str, User]:
    """The users of a file.  Errors: UserFileError; OSError."""
    found: dict[str, User] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.startswith(("#", ";")):
            continue
        try:
            name, user = parse_user(line)
            if name in found:
                raise UserFileError(f"user {name} is there already")
        except UserFileError as error:
            raise UserFileError(f"{path}, line {number}: {error}") from None
        found[name] = user
    return found


def parse_user(line: str) -> tuple[str, User]:
    """A user's name, and the user.  Errors: UserFileError."""
    if line.lstrip().startswith('"'):
        return _parse_quoted(line)
    name, colon, secret = line.partition(":")
    if not (name and colon and secret):
        raise UserFileError('expected NAME:PASSWORD, or "name" "secret"')
    return name, _checked(User(secret=secret))


def line_of(name: str, secret: str) -> str:
    """The line of a user, in the first form."""
    return " ".join('"' + text.replace('"', '""') + '"' for text in (name, secret))


def _parse_quoted(line: str) -> tuple[str, User]:
    words: list[str] = []
    pos = 0
    while len(words) < 2:
        match = _QUOTED.match(line, pos)
        if match is None:
            raise UserFileError('expected "name" "secret"')
        words.append(match[1].replace('""', '"'))
        pos = match.end()
    name, secret = words
    if not name:
        raise UserFileError("the user has no name")
    administrator, roles, until = False, frozenset[str](), None
    for word in line[pos:].split():
        option, _, value = word.partition("=")
        if word == "administrator":
            administrator = True
        elif option == "roles" and value:
            roles = frozenset(value.split(","))
        elif option == "valid-until":
            until = _time(value)
        else:
            raise UserFileError(f'unknown option "{option}"')
    return name, _checked(User(secret=secret, roles=roles, administrator=administrator, valid_until=until))


def _checked(user: User) -> User:
    if user.secret.startswith("SCRAM-SHA-256$"):
        try:
            ScramVerifier.parse(user.secret)
        except ValueError:
            raise UserFileError("the SCRAM-SHA-256 verifier is malformed") from None
    return user


def _time(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise UserFileError(f'"{text}" is no time') from None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


class UserFile:
    """A file of users that can be read anew, and `others` beside it.  Errors: UserFileError, OSError."""

    def __init__(self, path: Path, others: Mapping[str, User] = MappingProxyType({})) -> None:
        self._path = path
        self._others = dict(others)
        self._users: dict[str, User] = {}
        self.reload()

    def reload(self) -> None:
        """Read the file; after an error the users are those from before."""
        found = read_users(self._path)
        for name in found:
            if name in self._others:
                raise UserFileError(f"{self._path}: user {name} is there already")
        self._users = self._others | found

    def __iter__(self) -> Iterator[str]:
        return iter(self._users)

    def items(self) -> list[tuple[str, User]]:
        """Every user."""
        return list(self._users.items())


__all__ = ["User", "UserFile", "UserFileError", "line_of", "parse_user", "read_users"]
