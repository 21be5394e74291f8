"""What an authentication method is given, and what it gives back."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from hashlib import md5

from febe.flows.port import Certificate, Tokens
from febe.flows.serve import Conversation
from febe.protocol.errors import AuthenticationError
from febe.protocol.scram import ScramVerifier


@dataclass(slots=True, kw_only=True, repr=False)
class Credential:
    """What the server knows of one user's password.

    `md5` is the 32 digits of the MD5 of password and user name.  A user without a SCRAM verifier, or without any
    password, has one that nothing satisfies, so that the dialogue tells nobody who is known.
    """

    verifier: ScramVerifier
    md5: str | None = None

    def accepts(self, user: str, password: str) -> bool:
        """Whether this is the password."""
        # Derived in any case: the time it takes would tell known names from unknown ones.
        made = ScramVerifier.make(password, self.verifier.salt, self.verifier.iterations)
        if self.verifier.real or self.md5 is None:
            return hmac.compare_digest(made.stored_key, self.verifier.stored_key) and self.verifier.real
        return hmac.compare_digest(md5_of(user, password), self.md5)


def md5_of(user: str, password: str) -> str:
    """The digest that pg_authid keeps for an MD5 password, without its prefix."""
    text = password.encode("utf-8", "surrogateescape") + user.encode("utf-8", "surrogateescape")
    return md5(text, usedforsecurity=False).hexdigest()


@dataclass(slots=True, kw_only=True, frozen=True)
class PresentedToken:
    """An OAuth token that a client presents; `issuer` and `scope` are the access rule's."""

    token: str = field(repr=False)
    user: str
    database: str
    issuer: str
    scope: str


@dataclass(slots=True, kw_only=True, frozen=True)
class TokenVerdict:
    """What a validator says of a token: whether it lets the client in, and who the client is by the issuer's word
    (manual: ValidatorModuleResult)."""

    authorized: bool
    authn_id: str | None = None


def _nobody(_: str) -> None:
    raise AuthenticationError("there is no map")


@dataclass(slots=True, kw_only=True, repr=False)
class Attempt:
    """A client that asks to be let in: what is known of it, and how to talk to it.

    `options` are those of the access rule that matched.  `encryption` is `SSL`, `GSS` or None.  `certificate` and
    `principal` are what TLS and GSSAPI encryption have proved already.  `system_user` asks the operating system who is
    at the other end of a Unix socket.  `gss` begins an exchange of GSSAPI tokens, where the server has a keytab.
    `validate` judges an OAuth token, where the rule has a validator.  `check_map` raises AuthenticationError when a
    name may not act as the user; methods that do not have to know leave it to their caller.
    """

    conversation: Conversation
    user: str
    database: str
    credential: Credential
    options: Mapping[str, str] = field(default_factory=dict)
    encryption: str | None = None
    certificate: Certificate | None = None
    principal: str | None = None
    system_user: Callable[[], str] | None = None
    gss: Callable[[], Tokens] | None = None
    validate: Callable[[PresentedToken], Awaitable[TokenVerdict]] | None = None
    check_map: Callable[[str], None] = _nobody


@dataclass(slots=True, kw_only=True)
class Proof:
    """What the client has proved.

    `identity` is who it is by the method's own standards (SYSTEM_USER without the method's name); None: nobody knows.
    `system_name` has to be allowed to be the database user, by pg_ident.conf where the rule names a map; None: what was
    proved is the database user itself.
    """

    identity: str | None = None
    system_name: str | None = None


__all__ = ["Attempt", "Certificate", "Credential", "PresentedToken", "Proof", "TokenVerdict", "md5_of"]
