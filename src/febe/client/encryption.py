"""From libpq's options about encryption to what the connect flow needs (libpq: "Parameter Key Words")."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from febe.client.dsn import invalid
from febe.flows.errors import NotSupported
from febe.flows.port import Layer, Tokens
from febe.protocol.encryption import Encryption
from febe.protocol.errors import AuthenticationError

if TYPE_CHECKING:
    from febe.ports.gss import ClientGSS

TLS_VERSIONS = ("tlsv1", "tlsv1.1", "tlsv1.2", "tlsv1.3")
_WEAK = ("disable", "allow", "prefer")
_TEXTS = ("sslrootcert", "sslcert", "sslkey", "sslpassword", "sslcrl", "sslcrldir", "sslkeylogfile")


def encryption_of(texts: Mapping[str, str], host: str, *, is_local: bool = False) -> Encryption[Layer]:
    """What `texts`, options by libpq's keywords, ask for on the way to `host`, a name or an address.

    `is_local` says that a Unix socket is the way.  Errors: LocalProtocolError (22023) in libpq's words; NotSupported.
    """
    sslmode, negotiation = texts.get("sslmode") or "prefer", texts.get("sslnegotiation") or "postgres"
    if texts.get("sslcertmode") == "require":
        raise NotSupported('sslcertmode value "require" is not supported')
    if texts.get("sslrootcert") == "system" and sslmode != "verify-full":
        raise invalid(f'weak sslmode "{sslmode}" may not be used with sslrootcert=system (use "verify-full")')
    if negotiation == "direct" and sslmode in _WEAK:
        raise invalid(f'weak sslmode "{sslmode}" may not be used with sslnegotiation=direct (use "require", '
                      '"verify-ca", or "verify-full")')
    low, high = texts.get("ssl_min_protocol_version") or "TLSv1.2", texts.get("ssl_max_protocol_version")
    for name, value in (("ssl_min_protocol_version", low), ("ssl_max_protocol_version", high)):
        if value and value.lower() not in TLS_VERSIONS:
            raise invalid(f'invalid "{name}" value: "{value}"')
    if high and TLS_VERSIONS.index(low.lower()) > TLS_VERSIONS.index(high.lower()):
        raise invalid("invalid SSL protocol version range")

    gssencmode = texts.get("gssencmode") or "disable"
    client = _client_gss(texts, host) if gssencmode != "disable" else None
    if gssencmode == "require" and client is None:
        raise invalid('gssencmode value "require" invalid when GSSAPI support is not compiled in')

    def tls() -> Layer:
        from febe.ports.tls_client import ClientTLS

        options = ClientTLS(host=host, sslmode=sslmode, sslnegotiation=negotiation,
                            sslcertmode=texts.get("sslcertmode") or "allow", sslsni=texts.get("sslsni") != "0",
                            ssl_min_protocol_version=low, ssl_max_protocol_version=high,
                            **{name: texts.get(name) for name in _TEXTS})
        return options.layer()

    return Encryption(sslmode=sslmode, sslnegotiation=negotiation, gssencmode=gssencmode, tls=tls,
                      gss=client.layer if client is not None else None, is_local=is_local)


def tokens_of(texts: Mapping[str, str], host: str) -> Callable[[], Tokens]:
    """What begins GSSAPI authentication with `host`."""
    def begin() -> Tokens:
        client = _client_gss(texts, host)
        if client is None:
            raise AuthenticationError("GSSAPI authentication needs the package gssapi: pip install 'febe[gss]'")
        return client.exchange()

    return begin


def _client_gss(texts: Mapping[str, str], host: str) -> ClientGSS | None:
    try:
        from febe.ports.gss import ClientGSS
    except (ImportError, OSError):  # the package, or the Kerberos that it needs, is not there
        return None
    return ClientGSS(host=host, krbsrvname=texts.get("krbsrvname") or "postgres",
                     delegation=texts.get("gssdelegation") == "1")


__all__ = ["encryption_of", "tokens_of"]
