"""SCRAM, seen from the client: which mechanism, and whether the channel is bound (manual: "SASL Authentication"; libpq:
pg_SASL_init)."""

from __future__ import annotations

import os
from collections.abc import Sequence

from febe.flows.port import Layer
from febe.protocol.errors import AuthenticationError, EncryptionError
from febe.protocol.scram import MECHANISM, NONCE_BYTES, PLUS, ScramClient, ScramSecret


def choose(offered: Sequence[str], channel_binding: str, layer: Layer | None) -> str | None:
    """The SCRAM mechanism for what a server offers; None: it offers none.

    Errors: AuthenticationError where the offer makes no sense, or channel binding is required and not to be had.
    """
    is_tls = layer is not None and layer.kind == "SSL"
    if channel_binding == "require" and not is_tls:
        raise AuthenticationError("channel binding required, but SSL not in use")
    if PLUS in offered and not is_tls:
        # Somebody on the way has taken TLS off, or the server is not sane.
        raise AuthenticationError("server offered SCRAM-SHA-256-PLUS authentication over a non-SSL connection")
    chosen = MECHANISM if MECHANISM in offered else None
    if PLUS in offered and channel_binding != "disable" and (channel_binding == "require" or _can_bind(layer)):
        chosen = PLUS
    if channel_binding == "require" and chosen != PLUS:
        raise AuthenticationError("channel binding is required, but server did not offer an authentication method that "
                                  "supports channel binding")
    return chosen


def begin(mechanism: str, offered: Sequence[str], secret: ScramSecret, channel_binding: str,
          layer: Layer | None) -> ScramClient:
    """The exchange by the mechanism chosen.

    Errors: AuthenticationError when the channel has to be bound and the server's certificate has nothing to bind to.
    """
    nonce = os.urandom(NONCE_BYTES)
    if mechanism == PLUS:
        assert layer is not None
        try:
            return ScramClient(secret, nonce, binding=layer.channel_binding())
        except EncryptionError as error:
            raise AuthenticationError(f"channel binding is required, but not possible: {error}") from None
    # "y": the server is told that it was understood not to offer channel binding, and fails if it did
    could_bind = channel_binding != "disable" and PLUS not in offered and layer is not None and layer.kind == "SSL"
    return ScramClient(secret, nonce, could_bind=could_bind)


def _can_bind(layer: Layer | None) -> bool:
    try:
        return layer is not None and layer.channel_binding() is not None
    except EncryptionError:
        return False


__all__ = ["begin", "choose"]
