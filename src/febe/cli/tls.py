"""How connections are encrypted: `--tls-cert` and its companions, `--keytab`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from febe.cli.grouped import options
from febe.errors import EncryptionError
from febe.server import ServerTLS

if TYPE_CHECKING:
    from febe.ports.gss import ServerGSS

__all__ = ["encryption_options", "server_gss", "server_tls"]

_FILE = click.Path(path_type=Path, dir_okay=False, exists=True)

encryption_options = options(
    "Encryption",
    (("--tls-cert",), {"type": _FILE, "metavar": "FILE",
                       "help": "Offer TLS with this certificate (PEM, and those up to the root)."}),
    (("--tls-key",), {"type": _FILE, "metavar": "FILE", "help": "The certificate's private key."}),
    (("--tls-client-ca",), {"type": _FILE, "metavar": "FILE",
                            "help": "Ask clients for certificates, signed by these."}),
    (("--tls-client-crl",), {"type": _FILE, "metavar": "FILE", "help": "Those of them that are revoked."}),
    (("--tls-min-version",), {"type": click.Choice(["TLSv1.2", "TLSv1.3"]), "default": "TLSv1.2",
                              "show_default": True, "help": "Refuse older versions of TLS."}),
    (("--keytab",), {"type": _FILE, "metavar": "FILE",
                     "help": "The server's Kerberos keys: GSSAPI encryption and authentication."}),
)


def server_tls(certificate: Path | None, key: Path | None, client_ca: Path | None, client_crl: Path | None,
               minimum_version: str) -> ServerTLS | None:
    """TLS as the options ask for it; None: no certificate was given.

    Errors: click.UsageError for options that belong together, ClickException for files that cannot be used.
    """
    if certificate is None or key is None:
        if any((certificate, key, client_ca, client_crl)):
            raise click.UsageError("TLS needs both --tls-cert and --tls-key")
        return None
    try:
        return ServerTLS(certificate=certificate, key=key, client_ca=client_ca, client_crl=client_crl,
                         minimum_version=minimum_version)
    except EncryptionError as error:
        raise click.ClickException(str(error)) from None


def server_gss(keytab: Path | None) -> ServerGSS | None:
    """Kerberos with the keys of a file.  Errors: click.ClickException without the package gssapi."""
    if keytab is None:
        return None
    try:
        from febe.ports.gss import ServerGSS
    except ImportError:
        raise click.ClickException("--keytab needs the package gssapi: pip install 'febe[gss]'") from None
    return ServerGSS(keytab=keytab)
