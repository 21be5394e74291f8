"""Who may connect, and how much each gets: the options of `febe serve` for that."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from febe.cli.grouped import options
from febe.server import (
    AccessFileError,
    Limits,
    User,
    UserFile,
    UserFileError,
    Validator,
    access_rules,
    is_loopback,
)
from febe.server.access import AccessRules
from febe.server.userlist import parse_user

__all__ = ["LIMITS", "Access", "access_options", "limits_of"]

F = TypeVar("F", bound=Callable[..., Any])
_FILE = click.Path(path_type=Path, dir_okay=False, exists=True)
_SECONDS = click.FloatRange(0)
_COUNT = click.IntRange(1)


@dataclass(slots=True, kw_only=True)
class Access:
    """What the options say."""

    users: Mapping[str, User] | UserFile | None
    rules: AccessRules | None
    limits: Limits
    grace: float
    oauth: Validator | None = None

    @property
    def somebody(self) -> str:
        """A user who can be named as an example."""
        return next(iter(self.users), "demo") if self.users is not None else "demo"

    def guard(self, host: str, who: str) -> None:
        """Refuse an address beyond this machine where anybody would be let in.  Errors: click.UsageError."""
        try:
            exposed = not is_loopback(host)
        except OSError as failure:
            raise click.BadParameter(f"no such address: {host} ({failure.strerror})", param_hint="--host") from None
        if exposed and self.users is None and self.rules is None:
            raise click.UsageError(f"--host {host} can be reached from other machines, so {who} have to authenticate: "
                                   "give --user NAME:PASSWORD, --users FILE or --hba FILE")


LIMITS = ("max_connections", "reserved_connections", "max_per_user", "max_per_address", "max_message", "auth_timeout",
          "statement_timeout", "transaction_timeout", "idle_timeout", "idle_in_transaction_timeout", "send_timeout")
"""The options about limits: what is read anew on SIGHUP."""

_OPTIONS = (
    options(
        "Who may connect",
        (("--user", "user"), {"multiple": True, "metavar": "NAME:PASSWORD", "help": "Somebody; may be repeated."}),
        (("--users", "users_file"), {"type": _FILE, "metavar": "FILE", "help":
            'A line NAME:PASSWORD or "NAME" "VERIFIER" for each (febe passwd makes them).'}),
        (("--hba",), {"type": _FILE, "metavar": "FILE", "help":
            "Access rules in the form of pg_hba.conf: who from where to what, and by which method."}),
        (("--ident",), {"type": _FILE, "metavar": "FILE", "help":
            "Name maps for them, in the form of pg_ident.conf."}),
        (("--oauth-audience",), {"multiple": True, "metavar": "NAME", "help":
            "For rules with the method oauth: whom signed JWTs of the rule's issuer have to be for."}),
        (("--oauth-jwks",), {"metavar": "FILE|URL", "help":
            "The issuer's public keys, where its discovery document is not to say."}),
        (("--oauth-identity",), {"default": "sub", "show_default": True, "metavar": "CLAIM", "help":
            "The claim of a token that says who it is."}),
    ),
    options(
        "How many, how much, how long",
        (("--max-connections",), {"type": _COUNT, "default": 100, "show_default": True, "metavar": "NUMBER",
                                  "help": "How many sessions there may be."}),
        (("--reserved-connections",), {"type": click.IntRange(0), "default": 0, "metavar": "NUMBER",
                                       "help": "How many of them are kept for administrators."}),
        (("--max-per-user",), {"type": _COUNT, "metavar": "NUMBER", "help": "How many for one user."}),
        (("--max-per-address",), {"type": _COUNT, "metavar": "NUMBER", "help": "How many for one client address."}),
        (("--max-message",), {"type": click.IntRange(10_000, Limits().max_message_bytes), "metavar": "BYTES",
                              "default": Limits().max_message_bytes, "help": "How long a client's message may be."}),
        (("--auth-timeout",), {"default": 60.0, "show_default": True, "type": click.FloatRange(0, min_open=True),
                               "metavar": "SECONDS", "help": "How long a client may take to get in."}),
        (("--statement-timeout",), {"type": _SECONDS, "default": 0, "metavar": "SECONDS",
                                    "help": "Stop statements after that; a session may SET another time."}),
        (("--transaction-timeout",), {"type": _SECONDS, "default": 0, "metavar": "SECONDS",
                                      "help": "End sessions whose transaction takes longer."}),
        (("--idle-timeout",), {"type": _SECONDS, "default": 0, "metavar": "SECONDS",
                               "help": "End sessions that are idle for longer."}),
        (("--idle-in-transaction-timeout",), {"type": _SECONDS, "default": 0, "metavar": "SECONDS",
                                              "help": "End those that are idle within a transaction."}),
        (("--send-timeout",), {"type": click.FloatRange(0, min_open=True), "metavar": "SECONDS", "help":
            "End connections whose client takes nothing of an answer for so long."}),
        (("--grace",), {"type": _SECONDS, "default": 0, "metavar": "SECONDS", "help":
            "How long sessions may go on after SIGTERM, while new ones are refused."}),
    ),
)


def limits_of(values: Mapping[str, Any]) -> Limits:
    """What the options about limits say.  Errors: click.UsageError."""
    try:
        return Limits(max_connections=values["max_connections"], reserved_connections=values["reserved_connections"],
                      max_connections_per_user=values["max_per_user"],
                      max_connections_per_address=values["max_per_address"],
                      max_message_bytes=values["max_message"], authentication_timeout=values["auth_timeout"],
                      statement_timeout=values["statement_timeout"],
                      transaction_timeout=values["transaction_timeout"], idle_session_timeout=values["idle_timeout"],
                      idle_in_transaction_session_timeout=values["idle_in_transaction_timeout"],
                      send_timeout=values["send_timeout"])
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def access_options(command: F) -> F:
    """Give a command these options; it gets them as `access`."""
    @functools.wraps(command)
    def wrapped(*, user: tuple[str, ...], users_file: Path | None, hba: Path | None, ident: Path | None,
                oauth_audience: tuple[str, ...], oauth_jwks: str | None, oauth_identity: str, grace: float,
                **others: Any) -> Any:
        limits = limits_of(others)
        if ident is not None and hba is None:
            raise click.UsageError("--ident is for the rules of --hba")
        try:
            rules = access_rules(hba, ident) if hba is not None else None
        except AccessFileError as error:
            raise click.UsageError(str(error)) from None
        rest = {name: value for name, value in others.items() if name not in LIMITS}
        oauth = _validator(oauth_audience, oauth_jwks, oauth_identity)
        return command(access=Access(users=read_users(user, users_file), rules=rules, limits=limits, grace=grace,
                                     oauth=oauth), **rest)

    for give in reversed(_OPTIONS):
        wrapped = give(wrapped)
    return wrapped  # type: ignore[return-value]


def _validator(audience: tuple[str, ...], jwks: str | None, identity: str) -> Validator | None:
    """What judges tokens.  Errors: click.UsageError, ClickException without the package that verifies them."""
    if not audience:
        if jwks is not None:
            raise click.UsageError("--oauth-jwks needs --oauth-audience")
        return None
    try:
        from febe.server.jwt_validator import JWTValidator
    except ImportError:
        raise click.ClickException("--oauth-audience needs the package pyjwt: pip install 'febe[oauth]'") from None
    return JWTValidator(audience=audience, jwks=jwks, identity=identity)


def read_users(given: tuple[str, ...], file: Path | None) -> dict[str, User] | UserFile | None:
    """The users of `--user` and of the file of `--users`; None when there are neither.

    Errors: click.BadParameter for a line that cannot be read, or a user named twice.
    """
    users: dict[str, User] = {}
    for entry in given:
        try:
            name, user = parse_user(entry)
        except UserFileError as error:
            raise click.BadParameter(f"--user: {error}") from None
        if name in users:
            raise click.BadParameter(f"--user: user {name} is there already")
        users[name] = user
    if file is None:
        return users or None
    try:
        return UserFile(file, users)
    except (UserFileError, OSError, UnicodeDecodeError) as error:
        raise click.BadParameter(str(error)) from None
