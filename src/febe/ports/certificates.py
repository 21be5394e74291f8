"""What a certificate says, as libpq and PostgreSQL read it."""

from __future__ import annotations

import hashlib
import ipaddress
import socket
from collections.abc import Mapping
from typing import Any

from febe.flows.port import Certificate
from febe.protocol.errors import EncryptionError

# The short names of RFC 4514, section 3, and of OpenSSL where a name is not in that list.
SHORT = {
    "commonName": "CN", "countryName": "C", "localityName": "L", "stateOrProvinceName": "ST", "streetAddress": "street",
    "organizationName": "O", "organizationalUnitName": "OU", "domainComponent": "DC", "userId": "UID",
    "surname": "SN", "givenName": "GN",
}


def certificate_of(found: Mapping[str, Any]) -> Certificate:
    """What access rules ask of a verified certificate, from `ssl.SSLObject.getpeercert()`.

    Errors: EncryptionError for a name that holds a NUL, which C programs would take for its end (CVE-2009-4034).
    """
    parts: list[str] = []
    common_name = None
    for relative in found.get("subject", ()):
        pairs = []
        for name, value in relative:
            if "\0" in value:
                raise EncryptionError("SSL certificate's name contains embedded null")
            if name == "commonName" and common_name is None:
                common_name = value
            pairs.append(f"{SHORT.get(name, name)}={_escaped(value)}")
        parts.append("+".join(pairs))
    return Certificate(subject=",".join(reversed(parts)), common_name=common_name)


def _escaped(value: str) -> str:
    """A value in the form of RFC 2253, section 2.4."""
    text = "".join(f"\\{char}" if char in ',+"\\<>;' else char if " " <= char <= "~" else
                   "".join(f"\\{byte:02X}" for byte in char.encode()) for char in value)
    if text[:1] in ("#", " "):
        text = f"\\{text}"
    return f"{text[:-1]}\\ " if text.endswith(" ") and len(value) > 1 else text


def verify_host(found: Mapping[str, Any], host: str) -> None:
    """Check that a certificate is for `host`, by libpq's rules (fe-secure-common.c, fe-secure-openssl.c).

    A name is matched without regard to case, and `*.` stands for one label.  Alternative names of the host's own kind,
    name or address, leave the common name out of it.  Errors: EncryptionError.
    """
    if not host:
        raise EncryptionError("host name must be specified for a verified SSL connection")
    address = _packed(host)
    names: list[str] = []
    look_at_common_name = True
    for kind, value in found.get("subjectAltName", ()):
        if kind == ("DNS" if address is None else "IP Address"):
            look_at_common_name = False
        if kind not in ("DNS", "IP Address"):
            continue
        found_address = _packed(value.strip()) if kind == "IP Address" else None
        names.append(_whole(value) if found_address is None else str(ipaddress.ip_address(found_address)))
        if (kind == "DNS" and _matches(value, host)) or (address is not None and found_address == address):
            return
    if look_at_common_name:
        for value in [value for relative in found.get("subject", ()) for name, value in relative
                      if name == "commonName"][:1]:
            names.append(_whole(value))
            if _matches(value, host):
                return
    if not names:
        raise EncryptionError("could not get server's host name from server certificate")
    others = f' (and {len(names) - 1} other name{"s" if len(names) > 2 else ""})' if len(names) > 1 else ""
    raise EncryptionError(f'server certificate for "{names[0]}"{others} does not match host name "{host}"')


def _whole(name: str) -> str:
    if "\0" in name:
        raise EncryptionError("SSL certificate's name contains embedded null")
    return name


def _matches(pattern: str, host: str) -> bool:
    pattern, host = pattern.lower(), host.lower()
    if pattern == host:
        return True
    if len(pattern) < 3 or not pattern.startswith("*.") or len(pattern) > len(host):
        return False
    label = host[:len(host) - len(pattern) + 1]
    return host.endswith(pattern[1:]) and "." not in label


def _packed(host: str) -> bytes | None:
    """The bytes of an address; None for a name.  IPv4 in every form that inet_aton takes, as libpq does."""
    try:
        return socket.inet_aton(host)
    except OSError:
        pass
    try:
        return socket.inet_pton(socket.AF_INET6, host)
    except (OSError, ValueError):
        return None


def binding_hash(certificate: bytes) -> bytes:
    """tls-server-end-point of a certificate in DER (RFC 5929, section 4.1).

    Errors: EncryptionError when its signature names no hash, or the package cryptography is missing.
    """
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.x509 import load_der_x509_certificate
    except ModuleNotFoundError:
        raise EncryptionError("channel binding needs the package cryptography: pip install 'febe[tls]'") from None
    try:
        algorithm = load_der_x509_certificate(certificate).signature_hash_algorithm
    except (UnsupportedAlgorithm, ValueError):
        raise EncryptionError("could not determine server certificate signature algorithm") from None
    if algorithm is None:
        raise EncryptionError("could not find digest for the server certificate's signature: it names no hash")
    name = "sha256" if algorithm.name in ("md5", "sha1") else algorithm.name
    return hashlib.new(name, certificate).digest()


__all__ = ["binding_hash", "certificate_of", "verify_host"]
