"""From libpq's options about OAuth to what the connect flow needs (libpq: "OAuth Support")."""

from __future__ import annotations

import os
from collections.abc import Mapping

from febe.flows.authenticate_oauth import OAuth, TokenRequest, TokenSource


def oauth_of(texts: Mapping[str, str], source: TokenSource | str | None,
             environment: Mapping[str, str] = os.environ) -> OAuth | None:
    """What the options of libpq and `oauth_token` say about tokens; None: nothing, or not enough.

    PGOAUTHDEBUG=UNSAFE allows http, as with libpq.
    """
    issuer, client_id = texts.get("oauth_issuer"), texts.get("oauth_client_id")
    if not issuer or not client_id:
        return None
    insecure = environment.get("PGOAUTHDEBUG") == "UNSAFE"
    found = _source(source, insecure)
    return OAuth(issuer=issuer, client_id=client_id, client_secret=texts.get("oauth_client_secret"),
                 scope=texts.get("oauth_scope") or None, insecure=insecure, source=found,
                 rejected=getattr(found, "forget", None))


def _source(source: TokenSource | str | None, insecure: bool) -> TokenSource:
    if isinstance(source, str):
        token = source
        return lambda _: token
    if source is not None:
        return source

    def ask(request: TokenRequest) -> str:
        from febe.client.device_flow import DeviceFlow  # HTTP and TLS, which few programs need

        return DeviceFlow(insecure=insecure)(request)

    return ask


__all__ = ["oauth_of"]
