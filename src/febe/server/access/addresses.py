"""The address field of a rule: ranges, names, this machine's own addresses and networks."""

from __future__ import annotations

import ctypes
import ipaddress
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from febe.server.access.tokens import AccessFileError, Token


class Address(Protocol):
    """Says whether a client's IP address is meant; `looks_up` when it asks a name server for that."""

    @property
    def looks_up(self) -> bool: ...

    def matches(self, address: str) -> bool: ...


@dataclass(slots=True, frozen=True)
class Everywhere:
    """`all`."""

    looks_up: bool = False

    def matches(self, address: str) -> bool:
        return True


@dataclass(slots=True, frozen=True)
class Range:
    """A network by its address and mask, which need not be contiguous; both packed."""

    address: bytes
    mask: bytes
    looks_up: bool = False

    def matches(self, address: str) -> bool:
        asked = _packed(address)
        return len(asked) == len(self.address) and all(
            (ours ^ theirs) & mask == 0 for ours, theirs, mask in zip(self.address, asked, self.mask, strict=True))


@dataclass(slots=True, frozen=True)
class Name:
    """A host name, or the end of one when it begins with a dot."""

    name: str
    looks_up: bool = True

    def matches(self, address: str) -> bool:
        """The address's name has to fit, and to stand for that address (check_hostname)."""
        try:
            found = socket.getnameinfo((address, 0), socket.NI_NAMEREQD)[0]
            wanted, lower = self.name.lower(), found.lower()
            if not (lower.endswith(wanted) if wanted.startswith(".") else lower == wanted):
                return False
            return any(_packed(str(entry[4][0])) == _packed(address) for entry in socket.getaddrinfo(found, None))
        except (OSError, UnicodeError):
            return False


@dataclass(slots=True, frozen=True)
class Own:
    """`samehost`: an address of this machine; `samenet`: one of a network that it is part of."""

    networks: bool
    looks_up: bool = False

    def matches(self, address: str) -> bool:
        asked = _packed(address)
        for own, mask in interfaces():
            if len(own) == len(asked):
                found = Range(own, mask if self.networks else b"\xff" * len(own))
                if found.matches(address):
                    return True
        return False


def parse(token: Token) -> Address | bytes:
    """What an address field says; a packed address alone when its mask is in the next field.

    Errors: AccessFileError, in PostgreSQL's words.
    """
    for word, meaning in (("all", Everywhere()), ("samehost", Own(networks=False)), ("samenet", Own(networks=True))):
        if token.is_keyword(word):
            return meaning
    text, slash, bits = token.text.partition("/")
    address = _numeric(text)
    if address is None:
        if slash:
            raise AccessFileError(f'specifying both host name and CIDR mask is invalid: "{token.text}"')
        return Name(text)
    if not slash:
        return address
    try:
        count = int(bits)
    except ValueError:
        count = -1
    if not 0 <= count <= len(address) * 8 or "_" in bits or bits != bits.rstrip():
        raise AccessFileError(f'invalid CIDR mask in address "{token.text}"')
    return Range(address, ((1 << len(address) * 8) - (1 << len(address) * 8 - count)).to_bytes(len(address), "big"))


def with_mask(address: bytes, token: Token) -> Range:
    """A range whose mask is in a field of its own.  Errors: AccessFileError."""
    try:
        found = socket.getaddrinfo(token.text.encode(), None, flags=socket.AI_NUMERICHOST)
    except OSError as error:
        raise AccessFileError(f'invalid IP mask "{token.text}": {error.strerror}') from None
    mask = _packed(str(found[0][4][0]))
    if len(mask) != len(address):
        raise AccessFileError("IP address and mask do not match")
    return Range(address, mask)


def _numeric(text: str) -> bytes | None:
    """An address, packed; None for what can only be a name.  Errors: AccessFileError."""
    try:
        # the C library's reading of numbers, as PostgreSQL's: 127.1 is 127.0.0.1
        found = socket.getaddrinfo(text.encode("utf-8", "surrogateescape"), None, flags=socket.AI_NUMERICHOST)
        return _packed(str(found[0][4][0]))
    except socket.gaierror as error:
        if error.errno == socket.EAI_NONAME:
            return None
        raise AccessFileError(f'invalid IP address "{text}": {error.strerror}') from None


def _packed(address: str) -> bytes:
    return ipaddress.ip_address(address.partition("%")[0]).packed


class _Sockaddr(ctypes.Structure):
    _fields_ = [("family", ctypes.c_uint16), ("data", ctypes.c_uint8 * 26)]


class _Ifaddrs(ctypes.Structure):
    pass


_Ifaddrs._fields_ = [("next", ctypes.POINTER(_Ifaddrs)), ("name", ctypes.c_char_p), ("flags", ctypes.c_uint),
                     ("address", ctypes.POINTER(_Sockaddr)), ("mask", ctypes.POINTER(_Sockaddr))]


def interfaces() -> Iterator[tuple[bytes, bytes]]:
    """The addresses of this machine and their netmasks, packed (getifaddrs)."""
    library = ctypes.CDLL(None, use_errno=True)
    first = ctypes.POINTER(_Ifaddrs)()
    if not hasattr(library, "getifaddrs") or library.getifaddrs(ctypes.byref(first)) != 0:
        return
    found = []
    entry = first
    while entry:
        address, mask = _of(entry.contents.address), _of(entry.contents.mask)
        if address is not None and mask is not None and len(mask) == len(address):
            found.append((address, mask))
        entry = entry.contents.next
    library.freeifaddrs(first)
    yield from found


def _of(pointer: ctypes._Pointer[_Sockaddr]) -> bytes | None:
    if not pointer:
        return None
    family = pointer.contents.family
    if sys.platform != "linux":  # BSD: a byte of length comes first
        family = family >> 8 if sys.byteorder == "little" else family & 0xFF
    data = bytes(pointer.contents.data)
    if family == socket.AF_INET:
        return data[2:6]
    return data[6:22] if family == socket.AF_INET6 else None


__all__ = ["Address", "Everywhere", "Name", "Own", "Range", "interfaces", "parse", "with_mask"]
