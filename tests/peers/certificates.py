"""Certificates of this session's own: an authority, what it signs, and what it revokes."""

from __future__ import annotations

import datetime
import ipaddress
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509.oid import NameOID

from .installation import server_user

KINDS = ("rsa", "rsa-sha512", "rsa-pss", "ecdsa", "ecdsa-sha384", "ed25519")
_HASHES = {"rsa-sha512": hashes.SHA512(), "ecdsa-sha384": hashes.SHA384(), "ed25519": None}
_START = datetime.datetime(2020, 1, 1)
_END = datetime.datetime(2049, 1, 1)


@dataclass(slots=True, kw_only=True, frozen=True)
class Pair:
    """A certificate and its private key, as files."""

    certificate: Path
    key: Path


@dataclass(kw_only=True)
class Authority:
    """Signs certificates into a directory; `root` is its own certificate."""

    place: Path
    name: str = "febe test authority"
    kind: str = "ecdsa"

    @cached_property
    def _key(self) -> _Key:
        return _new_key(self.kind)

    @cached_property
    def _subject(self) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.name)])

    @cached_property
    def root(self) -> Path:
        """The authority's certificate."""
        key = self._key
        made = (x509.CertificateBuilder().subject_name(self._subject).issuer_name(self._subject)
                .public_key(key.public_key()).serial_number(1).not_valid_before(_START).not_valid_after(_END)
                .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
                .sign(key, _HASHES.get(self.kind, hashes.SHA256())))
        return self._written(f"{self.name}.crt".replace(" ", "-"), made.public_bytes(serialization.Encoding.PEM), 0o644)

    def pair(self, name: str, *alternatives: str, subject: x509.Name | None = None, kind: str = "ecdsa",
             expired: bool = False, password: str | None = None) -> Pair:
        """A certificate for a common name, with alternative names (addresses as such), signed as `kind` says.

        `kind` is the algorithm of the certificate's signature, and so of the authority that made it.
        """
        signer = self if kind == self.kind else self._sibling(kind)
        key = _new_key(kind)
        found = [_alternative(text) for text in alternatives]
        owner = subject or x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)] if name else [])
        serial = x509.random_serial_number()
        builder = (x509.CertificateBuilder().subject_name(owner).issuer_name(signer._subject)
                   .public_key(key.public_key()).serial_number(serial).not_valid_before(_START)
                   .not_valid_after(_START + datetime.timedelta(days=1) if expired else _END))
        if found:
            builder = builder.add_extension(x509.SubjectAlternativeName(found), critical=False)
        pss = (padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32) if kind == "rsa-pss" else None)
        made = builder.sign(signer._key, _HASHES.get(kind, hashes.SHA256()), rsa_padding=pss)
        stem = f"{serial:x}"[:12]
        secret = serialization.BestAvailableEncryption(password.encode()) if password else serialization.NoEncryption()
        chain = made.public_bytes(serialization.Encoding.PEM)
        if signer is not self:
            chain += signer._intermediate(self)
        return Pair(certificate=self._written(f"{stem}.crt", chain, 0o644),
                    key=self._written(f"{stem}.key", key.private_bytes(
                        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, secret), 0o600))

    def revoke(self, *pairs: Pair) -> Path:
        """A list of revoked certificates."""
        builder = (x509.CertificateRevocationListBuilder().issuer_name(self._subject).last_update(_START)
                   .next_update(_END))
        for pair in pairs:
            found = x509.load_pem_x509_certificate(pair.certificate.read_bytes())
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder().serial_number(found.serial_number).revocation_date(_START).build())
        made = builder.sign(self._key, _HASHES.get(self.kind, hashes.SHA256()))
        return self._written(f"revoked-{len(pairs)}.crl", made.public_bytes(serialization.Encoding.PEM), 0o644)

    def _sibling(self, kind: str) -> Authority:
        found = self._siblings.get(kind)
        if found is None:
            found = self._siblings[kind] = Authority(place=self.place, name=f"{self.name} {kind}", kind=kind)
        return found

    @cached_property
    def _siblings(self) -> dict[str, Authority]:
        return {}

    def _intermediate(self, root: Authority) -> bytes:
        """This authority's certificate, signed by another one."""
        made = (x509.CertificateBuilder().subject_name(self._subject).issuer_name(root._subject)
                .public_key(self._key.public_key()).serial_number(x509.random_serial_number())
                .not_valid_before(_START).not_valid_after(_END)
                .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
                .sign(root._key, _HASHES.get(root.kind, hashes.SHA256())))
        return made.public_bytes(serialization.Encoding.PEM)

    def _written(self, name: str, data: bytes, mode: int) -> Path:
        path = self.place / name
        path.write_bytes(data)
        path.chmod(mode)
        return path


def for_postgres(pair: Pair, place: Path) -> Pair:
    """Copies that the user PostgreSQL runs as may read, in a directory that it can reach."""
    made = Pair(certificate=place / pair.certificate.name, key=place / pair.key.name)
    for source, target in ((pair.certificate, made.certificate), (pair.key, made.key)):
        shutil.copy2(source, target)
        if user := server_user():
            shutil.chown(target, user)
    return made


_Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def _new_key(kind: str) -> _Key:
    if kind.startswith("rsa"):
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    if kind.startswith("ecdsa"):
        return ec.generate_private_key(ec.SECP256R1())
    return ed25519.Ed25519PrivateKey.generate()


def _alternative(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def names(entries: Sequence[tuple[x509.ObjectIdentifier, str]]) -> x509.Name:
    """A subject of several parts."""
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in entries])
