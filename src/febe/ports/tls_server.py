"""The server's side of TLS, by the names of postgresql.conf (manual: "Secure TCP/IP Connections with SSL")."""

from __future__ import annotations

import os
import ssl
import warnings
from dataclasses import dataclass, field

from febe.ports.tls import ALPN, TLS
from febe.ports.tls_client import VERSIONS, check_private_key
from febe.protocol.errors import EncryptionError


@dataclass(slots=True, kw_only=True)
class ServerTLS:
    """Certificate, private key, and what is asked of clients.

    `client_ca` has clients asked for a certificate, and one that it does not sign refused; whether they have to have
    one is a matter of access rules.  `reload` reads the files anew for the connections to come.
    """

    certificate: str | os.PathLike[str]
    """The server's certificate, and those up to the root, in PEM (`ssl_cert_file`)."""
    key: str | os.PathLike[str]
    """Its private key (`ssl_key_file`)."""
    key_password: str | None = field(default=None, repr=False)
    client_ca: str | os.PathLike[str] | None = None
    """Who signs client certificates (`ssl_ca_file`)."""
    client_crl: str | os.PathLike[str] | None = None
    """Which of them are revoked (`ssl_crl_file`)."""
    minimum_version: str = "TLSv1.2"
    """`TLSv1` to `TLSv1.3` (`ssl_min_protocol_version`)."""
    maximum_version: str | None = None
    _context: ssl.SSLContext = field(init=False, repr=False)
    _der: bytes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.reload()

    def reload(self) -> None:
        """Read the files.  Errors: EncryptionError, after which the ones read before stay in use."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = _version(self.minimum_version)
            if self.maximum_version:
                context.maximum_version = _version(self.maximum_version)
        # As PostgreSQL: no renegotiation, no compression, no sessions to resume (be-secure-openssl.c, be_tls_init)
        context.options |= (ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION | ssl.OP_NO_TICKET
                            | ssl.OP_CIPHER_SERVER_PREFERENCE | ssl.OP_SINGLE_DH_USE | ssl.OP_SINGLE_ECDH_USE)
        context.num_tickets = 0
        context.set_alpn_protocols([ALPN])
        check_private_key(os.fspath(self.key), owners=frozenset({0, os.geteuid()}) if os.name == "posix" else None)
        what = f'server certificate file "{os.fspath(self.certificate)}"'
        try:
            context.load_cert_chain(self.certificate, self.key, self.key_password or "")
            with open(self.certificate, encoding="ascii", errors="replace") as file:
                der = _first(file.read())
            if self.client_ca is not None:
                what = f'root certificate file "{os.fspath(self.client_ca)}"'
                context.load_verify_locations(self.client_ca)
                context.verify_mode = ssl.CERT_OPTIONAL
            if self.client_crl is not None:
                what = f'certificate revocation list file "{os.fspath(self.client_crl)}"'
                context.load_verify_locations(self.client_crl)
                context.verify_flags |= ssl.VerifyFlags.VERIFY_CRL_CHECK_CHAIN
        except ssl.SSLError as error:
            why = (error.reason or "it cannot be used, or its password is wrong").replace("_", " ").lower()
            raise EncryptionError(f"could not load {what}: {why}") from None
        except (OSError, ValueError) as error:
            raise EncryptionError(f"could not load {what}: {getattr(error, 'strerror', None) or error}") from None
        self._context, self._der = context, der

    def layer(self, *, is_direct: bool = False) -> TLS:
        """TLS for one connection; `is_direct`: it was not asked for by SSLRequest."""
        return TLS(self._context, server_side=True, own_certificate=self._der,
                   verify=_verify_direct if is_direct else None)


def _verify_direct(layer: TLS) -> None:
    if layer.alpn != ALPN:
        raise EncryptionError("received direct SSL connection request without ALPN protocol negotiation extension")


def _version(name: str) -> ssl.TLSVersion:
    try:
        return VERSIONS[name.lower()]
    except KeyError:
        raise EncryptionError(f'invalid TLS version: "{name}"') from None


def _first(text: str) -> bytes:
    """The first certificate of a PEM file, which is the server's own."""
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    start = text.index(begin)
    return ssl.PEM_cert_to_DER_cert(text[start:text.index(end, start) + len(end)])


__all__ = ["ServerTLS"]
