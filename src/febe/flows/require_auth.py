"""Which authentication a client insists on (libpq: `require_auth`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from febe.protocol.authentication import (
    AuthenticationCleartextPassword,
    AuthenticationCryptPassword,
    AuthenticationGSS,
    AuthenticationKerberosV4,
    AuthenticationKerberosV5,
    AuthenticationMD5Password,
    AuthenticationSASL,
    AuthenticationSCMCredential,
    AuthenticationSSPI,
)
from febe.protocol.errors import AuthenticationError, LocalProtocolError
from febe.protocol.message import Message

# libpq's words for what a server asks for (auth_method_description), and the name of the method
_REQUESTS: Mapping[type[Message], tuple[str | None, str]] = {
    AuthenticationCleartextPassword: ("password", "server requested a cleartext password"),
    AuthenticationMD5Password: ("md5", "server requested a hashed password"),
    AuthenticationGSS: ("gss", "server requested GSSAPI authentication"),
    AuthenticationSSPI: ("sspi", "server requested SSPI authentication"),
    **dict.fromkeys((AuthenticationKerberosV4, AuthenticationKerberosV5, AuthenticationCryptPassword,
                     AuthenticationSCMCredential), (None, "server requested an unknown authentication type")),
}
_SASL: Mapping[str, str] = {"SCRAM-SHA-256": "scram-sha-256", "SCRAM-SHA-256-PLUS": "scram-sha-256",
                            "OAUTHBEARER": "oauth"}
METHODS = frozenset({"password", "md5", "gss", "sspi", "scram-sha-256", "oauth"})


@dataclass(slots=True, frozen=True)
class RequireAuth:
    """`allowed` are the methods a server may ask for; `needed` says that it has to ask, and to see it through."""

    text: str
    allowed: frozenset[str]
    needed: bool

    @classmethod
    def parse(cls, text: str) -> RequireAuth:
        """Read a list such as `scram-sha-256,oauth` or `!password,!md5`.  Errors: LocalProtocolError (22023)."""
        parts = text.split(",")
        negative = parts[0].startswith("!")
        chosen: list[str] = []
        for part in parts:
            if part.startswith("!") and not negative:
                raise _invalid(f'negative require_auth method "{part}" cannot be mixed with non-negative methods')
            if negative and not part.startswith("!"):
                raise _invalid(f'require_auth method "{part}" cannot be mixed with negative methods')
            method = part.removeprefix("!")
            if method not in METHODS and method != "none":
                raise _invalid(f'invalid require_auth value: "{method}"')
            if method in chosen:
                raise _invalid(f'require_auth method "{part}" is specified more than once')
            chosen.append(method)
        allowed = METHODS - set(chosen) if negative else METHODS & set(chosen)
        return cls(text, allowed, ("none" in chosen) is negative)

    def check(self, request: Message, mechanism: str = "") -> None:
        """Whether the server may ask for this; `mechanism` is the one chosen of AuthenticationSASL.

        Errors: AuthenticationError, before anything was answered.
        """
        if isinstance(request, AuthenticationSASL):
            named = mechanism if self.allowed.intersection(_SASL.values()) else ""
            method, words = _SASL.get(mechanism), f"server requested {named or 'SASL'} authentication"
        else:
            method, words = _REQUESTS[type(request)]
        if method not in self.allowed:
            raise self._failed(words)

    def check_end(self, *, finished: bool) -> None:
        """Whether AuthenticationOk may come now; `finished` says that the client has proved itself.

        Errors: AuthenticationError.
        """
        if self.needed and not finished:
            raise self._failed("server did not complete authentication")

    def _failed(self, words: str) -> AuthenticationError:
        return AuthenticationError(f'authentication method requirement "{self.text}" failed: {words}')


def _invalid(text: str) -> LocalProtocolError:
    return LocalProtocolError(text, sqlstate="22023")


__all__ = ["RequireAuth"]
