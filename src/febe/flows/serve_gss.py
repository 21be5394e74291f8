"""GSSAPI authentication, seen from the server (manual: "GSSAPI Authentication"; auth.c, pg_GSS_recvauth)."""

from __future__ import annotations

from febe.flows.serve_attempt import Attempt, Proof
from febe.protocol.authentication import AuthenticationGSS, AuthenticationGSSContinue, GSSResponse
from febe.protocol.errors import AuthenticationError, EncryptionError


async def gss(attempt: Attempt) -> Proof:
    """Have the client prove its Kerberos principal, unless encryption has proved it already.

    Errors: AuthenticationError, RemoteProtocolError, ConnectionLost.
    """
    principal = attempt.principal or await _exchanged(attempt)
    name, _, realm = principal.rpartition("@")
    if "krb_realm" in attempt.options and attempt.options["krb_realm"] != realm:
        raise AuthenticationError(f'GSSAPI realm ({realm}) and configured realm ({attempt.options["krb_realm"]}) '
                                  "don't match")
    return Proof(identity=principal, system_name=name if attempt.options.get("include_realm") == "0" else principal)


async def _exchanged(attempt: Attempt) -> str:
    if attempt.gss is None:
        raise AuthenticationError("the server has no keytab")
    conversation, exchange = attempt.conversation, attempt.gss()
    conversation.say(AuthenticationGSS())
    while not exchange.is_complete:
        answer = await conversation.next_event()
        assert isinstance(answer, GSSResponse)
        try:
            token = exchange.step(answer.data)
        except EncryptionError as error:
            raise AuthenticationError(f"accepting GSS security context failed: {error}") from None
        if token:
            conversation.say(AuthenticationGSSContinue(data=token))
        elif not exchange.is_complete:
            raise AuthenticationError("the GSSAPI exchange has come to nothing")
    if exchange.principal is None:
        raise AuthenticationError("the GSSAPI exchange has named nobody")
    return exchange.principal


__all__ = ["gss"]
