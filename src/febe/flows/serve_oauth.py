"""OAUTHBEARER, seen from the server (manual: "OAUTHBEARER Authentication", "OAuth Authorization/Authentication";
PostgreSQL: auth-oauth.c)."""

from __future__ import annotations

from febe.flows.serve_attempt import Attempt, PresentedToken, Proof
from febe.protocol.authentication import (
    AuthenticationSASL,
    AuthenticationSASLContinue,
    SASLInitialResponse,
    SASLResponse,
)
from febe.protocol.errors import AuthenticationError, RemoteProtocolError
from febe.protocol.oauthbearer import MECHANISM, SEPARATOR, auth_of, failure, token_of


async def oauth(attempt: Attempt) -> Proof:
    """Have the client present a token that the rule's validator accepts.

    A client without a good one is told where to get it.  Errors: AuthenticationError, RemoteProtocolError.
    """
    conversation = attempt.conversation
    conversation.say(AuthenticationSASL(mechanisms=[MECHANISM]))
    chosen = await conversation.next_event()
    assert isinstance(chosen, SASLInitialResponse)
    if chosen.mechanism != MECHANISM:
        raise RemoteProtocolError("client selected an invalid SASL authentication mechanism")
    first = chosen.data
    if first is None:  # the client's first message may also follow an empty challenge (RFC 4422, section 3)
        conversation.say(AuthenticationSASLContinue(data=b""))
        first = await _response(attempt)
    auth = auth_of(first)
    try:
        return await _validated(attempt, auth)
    except AuthenticationError:
        conversation.say(AuthenticationSASLContinue(data=failure(attempt.options["issuer"], attempt.options["scope"])))
        if await _response(attempt) != SEPARATOR:
            raise RemoteProtocolError("malformed OAUTHBEARER message") from None
        raise


async def _validated(attempt: Attempt, auth: str) -> Proof:
    token = PresentedToken(token=token_of(auth), user=attempt.user, database=attempt.database,
                           issuer=attempt.options["issuer"], scope=attempt.options["scope"])
    if attempt.validate is None:
        raise AuthenticationError("the server has no validator")
    verdict = await attempt.validate(token)
    if not verdict.authorized:
        raise AuthenticationError("the validator did not accept the token")
    if verdict.authn_id is not None and not verdict.authn_id.isprintable():
        raise AuthenticationError("the validator gave a name that no user can have")
    if attempt.options.get("delegate_ident_mapping") == "1":  # the validator has decided about the user as well
        return Proof(identity=verdict.authn_id)
    if not verdict.authn_id:
        raise AuthenticationError("the validator named nobody")
    # Before the client is answered: who is not mapped gets the discovery document too (auth-oauth.c, validate).
    attempt.check_map(verdict.authn_id)
    return Proof(identity=verdict.authn_id)


async def _response(attempt: Attempt) -> bytes:
    answer = await attempt.conversation.next_event()
    assert isinstance(answer, SASLResponse)
    return answer.data


__all__ = ["oauth"]
