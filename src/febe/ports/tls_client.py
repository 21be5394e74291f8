"""The client's side of TLS, by libpq's options (libpq: "Parameter Key Words", "SSL Support"; fe-secure-openssl.c,
initialize_SSL)."""

from __future__ import annotations

import os
import re
import ssl
import stat
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from febe.ports.certificates import verify_host
from febe.ports.tls import ALPN, TLS
from febe.protocol.errors import EncryptionError

VERSIONS: Mapping[str, ssl.TLSVersion] = {
    "tlsv1": ssl.TLSVersion.TLSv1, "tlsv1.1": ssl.TLSVersion.TLSv1_1, "tlsv1.2": ssl.TLSVersion.TLSv1_2,
    "tlsv1.3": ssl.TLSVersion.TLSv1_3,
}
SYSTEM = "system"


@dataclass(slots=True, kw_only=True)
class ClientTLS:
    """How to prove the server, and to prove oneself to it; a file that is None is libpq's own, where it is there."""

    host: str = ""
    """What the certificate has to be for, and what is told to the server (SNI)."""
    sslmode: str = "prefer"
    sslnegotiation: str = "postgres"
    sslrootcert: str | None = None
    sslcert: str | None = None
    sslkey: str | None = None
    sslpassword: str | None = field(default=None, repr=False)
    sslcertmode: str = "allow"
    sslcrl: str | None = None
    sslcrldir: str | None = None
    sslsni: bool = True
    sslkeylogfile: str | None = None
    ssl_min_protocol_version: str = "TLSv1.2"
    ssl_max_protocol_version: str | None = None

    def layer(self) -> TLS:
        """TLS for one connection.  Errors: EncryptionError for files that are missing or make no sense."""
        context = self._context()
        return TLS(context, server_hostname=self._sni(), verify=self._verify)

    def _context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False  # verify_host does it, by libpq's rules
        context.verify_mode = ssl.CERT_NONE
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # who asks for TLS 1.0 has been told often enough
            context.minimum_version = VERSIONS[self.ssl_min_protocol_version.lower()]
            if self.ssl_max_protocol_version:
                context.maximum_version = VERSIONS[self.ssl_max_protocol_version.lower()]
        context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
        context.set_alpn_protocols([ALPN])
        if self.sslkeylogfile:
            context.keylog_filename = self.sslkeylogfile
        self._load_roots(context)
        self._load_certificate(context)
        return context

    def _load_roots(self, context: ssl.SSLContext) -> None:
        if self.sslrootcert == SYSTEM:
            context.set_default_verify_paths()
        else:
            path = _path(self.sslrootcert, "root.crt")
            if path is None or not os.path.exists(path):
                # Without a root certificate `require` trusts anybody; only the stricter modes promise more.
                if self.sslmode.startswith("verify-"):
                    missing = (f'root certificate file "{path}" does not exist' if path is not None else
                               "could not get home directory to locate root certificate file")
                    raise EncryptionError(f"{missing}\nEither provide the file, use the system's trusted roots with "
                                          "sslrootcert=system, or change sslmode to disable server certificate "
                                          "verification.")
                return
            _load(context, "root certificate", path, cafile=path)
        context.verify_mode = ssl.CERT_REQUIRED
        crl = _path(self.sslcrl, None if self.sslcrldir else "root.crl")
        loaded = False
        for name, kind in ((crl, "cafile"), (self.sslcrldir, "capath")):
            if name and os.path.exists(name):
                _load(context, "certificate revocation list", name, **{kind: name})
                loaded = True
        if loaded:
            context.verify_flags |= ssl.VerifyFlags.VERIFY_CRL_CHECK_CHAIN

    def _load_certificate(self, context: ssl.SSLContext) -> None:
        certificate = _path(self.sslcert, "postgresql.crt")
        if self.sslcertmode == "disable" or certificate is None or not os.path.exists(certificate):
            return
        key = _path(self.sslkey, "postgresql.key")
        if key is None or not os.path.exists(key):
            raise EncryptionError(f'certificate present, but not private key file "{key or "postgresql.key"}"')
        check_private_key(key, owners=None)
        try:
            # An empty password, so that nobody is asked on the terminal
            context.load_cert_chain(certificate, key, self.sslpassword or "")
        except ssl.SSLError as error:
            why = error.reason or "the password may be wrong"
            raise EncryptionError(f'could not load certificate file "{certificate}" with private key file "{key}": '
                                  f"{why.replace('_', ' ').lower()}") from None
        except OSError as error:
            raise EncryptionError(f'could not read certificate file "{certificate}": {error.strerror}') from None

    def _sni(self) -> str | None:
        """The name for the server; an address is none (RFC 6066, section 3)."""
        host = self.host
        if not self.sslsni or not host or re.fullmatch(r"[0-9.]+", host) or ":" in host or host.startswith("."):
            return None
        return host

    def _verify(self, layer: TLS) -> None:
        if layer.alpn is None and self.sslnegotiation == "direct":
            raise EncryptionError("direct SSL connection was established without ALPN protocol negotiation extension")
        if layer.alpn not in (None, ALPN):
            raise EncryptionError("SSL connection was established with unexpected ALPN protocol")
        if self.sslmode == "verify-full":
            verify_host(layer.tls.getpeercert() or {}, self.host)


def _path(given: str | None, default: str | None) -> str | None:
    """A file that was named, or libpq's own in ~/.postgresql; None: there is no such place."""
    if given:
        return given
    if default is None:
        return None
    try:
        return str(Path.home() / ".postgresql" / default)
    except RuntimeError:
        return None


def _load(context: ssl.SSLContext, what: str, path: str, *, cafile: str | None = None,
          capath: str | None = None) -> None:
    try:
        context.load_verify_locations(cafile, capath)
    except ssl.SSLError as error:
        why = (error.reason or "no certificate found").replace("_", " ").lower()
        raise EncryptionError(f'could not read {what} file "{path}": {why}') from None
    except OSError as error:
        raise EncryptionError(f'could not read {what} file "{path}": {error.strerror}') from None


def check_private_key(path: str, *, owners: frozenset[int] | None) -> None:
    """Refuse a private key that others may read (be-secure-common.c, check_ssl_key_file_permissions; libpq the same).

    One of `owners` must own it, where they are given.  Errors: EncryptionError.
    """
    try:
        found = os.stat(path)
    except OSError as error:
        raise EncryptionError(f'could not access private key file "{path}": {error.strerror}') from None
    if not stat.S_ISREG(found.st_mode):
        raise EncryptionError(f'private key file "{path}" is not a regular file')
    if os.name != "posix":
        return
    if owners is not None and found.st_uid not in owners:
        raise EncryptionError(f'private key file "{path}" must be owned by the server\'s user or root')
    # Root's own file may be readable by a group, such as one for certificates.
    allowed = stat.S_IRWXU | stat.S_IRGRP if found.st_uid == 0 else stat.S_IRWXU
    if stat.S_IMODE(found.st_mode) & ~allowed:
        raise EncryptionError(f'private key file "{path}" has group or world access; file must have permissions u=rw '
                              "(0600) or less if owned by the current user, or permissions u=rw,g=r (0640) or less if "
                              "owned by root")


__all__ = ["VERSIONS", "ClientTLS", "check_private_key"]
