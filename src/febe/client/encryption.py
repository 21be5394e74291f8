"""From libpq's options about encryption to what the connect flow needs (libpq: "Parameter Key Words")."""

from __future__ import annotations

from collections.abc import Mapping

from febe.client.dsn import invalid
from febe.flows.errors import NotSupported
from febe.flows.port import Layer
from febe.protocol.encryption import Encryption

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

    def tls() -> Layer:
        from febe.ports.tls_client import ClientTLS

        options = ClientTLS(host=host, sslmode=sslmode, sslnegotiation=negotiation,
                            sslcertmode=texts.get("sslcertmode") or "allow", sslsni=texts.get("sslsni") != "0",
                            ssl_min_protocol_version=low, ssl_max_protocol_version=high,
                            **{name: texts.get(name) for name in _TEXTS})
        return options.layer()

    return Encryption(sslmode=sslmode, sslnegotiation=negotiation, gssencmode=texts.get("gssencmode") or "disable",
                      tls=tls, is_local=is_local)


__all__ = ["encryption_of"]
