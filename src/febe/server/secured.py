"""How a connection is encrypted, as pg_stat_ssl and pg_stat_gssapi tell it (manual: "Monitoring Statistics")."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from febe.flows.port import Layer
from febe.ports.certificates import SHORT
from febe.ports.tls import TLS


def secured(layer: Layer | None, system_user: str | None) -> dict[str, object]:
    """By the columns of pg_stat_get_activity; empty where neither TLS nor GSSAPI had to do with it."""
    if isinstance(layer, TLS):
        name, _, bits = layer.tls.cipher() or ("", "", 0)
        certificate: dict[str, Any] = layer.tls.getpeercert() or {}
        return {"ssl": True, "sslversion": layer.version, "sslcipher": name, "sslbits": bits,
                "ssl_client_dn": _line(certificate.get("subject", ())),
                "ssl_client_serial": str(int(certificate["serialNumber"], 16)) if certificate else None,
                "ssl_issuer_dn": _line(certificate.get("issuer", ()))}
    method, _, identity = (system_user or "").partition(":")
    encrypted = layer is not None and layer.kind == "GSS"
    if not encrypted and method != "gss":
        return {}
    principal = identity if method == "gss" else layer.principal if layer is not None else None
    return {"gss_auth": method == "gss", "gss_princ": principal, "gss_enc": encrypted, "gss_delegation": False}


def _line(name: Iterable[Iterable[tuple[str, str]]]) -> str | None:
    """A distinguished name in one line (be-secure-openssl.c, X509_NAME_to_cstring)."""
    return "".join(f"/{SHORT.get(kind, kind)}={value}" for relative in name for kind, value in relative) or None


__all__ = ["secured"]
