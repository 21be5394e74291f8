"""inet and cidr as the classes of ipaddress, macaddr and macaddr8 as MacAddress (manual: "Network Address Types").

An inet is always an interface, which keeps the prefix beside the address: 10.0.0.1/24.
"""

from __future__ import annotations

import re
from functools import total_ordering
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_interface,
    ip_network,
)

from febe.types import oids
from febe.types._codec import Registry, both

Address = IPv4Address | IPv6Address
_MAC = re.compile(r"[0-9a-fA-F]{2}(?:[:-]?[0-9a-fA-F]{2}){5}(?:(?:[:-]?[0-9a-fA-F]{2}){2})?", re.ASCII)
_V4, _V6 = 2, 3  # utils/inet.h: PGSQL_AF_INET is AF_INET, PGSQL_AF_INET6 the number after it


@total_ordering
class MacAddress:
    """A MAC address of 6 or 8 bytes: `MacAddress("08:00:2b:01:02:03")`."""

    __slots__ = ("_bytes",)
    _bytes: bytes

    def __init__(self, address: str | bytes) -> None:
        """Take hexadecimal digits, with or without separators, or the bytes.  Errors: ValueError."""
        if isinstance(address, str):
            if not _MAC.fullmatch(address):
                raise ValueError("a MAC address has 6 or 8 bytes in hexadecimal digits")
            address = bytes.fromhex(re.sub("[:-]", "", address))
        if len(address) not in (6, 8):
            raise ValueError("a MAC address has 6 or 8 bytes")
        self._bytes = bytes(address)

    def __bytes__(self) -> bytes:
        return self._bytes

    def __int__(self) -> int:
        return int.from_bytes(self._bytes, "big")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MacAddress) and other._bytes == self._bytes

    def __lt__(self, other: object) -> bool:
        return self._bytes < other._bytes if isinstance(other, MacAddress) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._bytes)

    def __str__(self) -> str:
        return self._bytes.hex(":")

    def __repr__(self) -> str:
        return f"MacAddress('{self}')"


def _spelled(address: Address) -> str:
    """Write an address as inet_net_ntop does: the last four bytes as IPv4 where six or five zero groups go before."""
    if isinstance(address, IPv4Address):
        return str(address)
    packed = address.packed
    if packed[:12] == bytes(10) + b"\xff\xff":
        return f"::ffff:{IPv4Address(packed[12:])}"
    if packed[:12] == bytes(12) and packed[12:14] != b"\0\0":
        return f"::{IPv4Address(packed[12:])}"
    return _groups(packed)


def _groups(packed: bytes) -> str:
    words = [int.from_bytes(packed[at : at + 2], "big") for at in range(0, 16, 2)]
    best, length = 0, 1
    start = 0
    while start < 8:
        end = start
        while end < 8 and words[end] == 0:
            end += 1
        if end - start > length:
            best, length = start, end - start
        start = end + 1
    if length < 2:
        return ":".join([f"{word:x}" for word in words])
    left = ":".join([f"{word:x}" for word in words[:best]])
    return f"{left}::{':'.join([f'{word:x}' for word in words[best + length:]])}"


def _decode_inet_text(data: bytes) -> IPv4Interface | IPv6Interface:
    return ip_interface(data.decode())


def _decode_cidr_text(data: bytes) -> IPv4Network | IPv6Network:
    return ip_network(data.decode())


def _parts(data: bytes) -> tuple[Address, int]:
    if len(data) not in (8, 20):
        raise ValueError(f"{len(data)} bytes are no network address")
    family, bits, _, size = data[:4]
    if (family, size) not in ((_V4, 4), (_V6, 16)) or size != len(data) - 4:
        raise ValueError("invalid family or size of a network address")
    if bits > size * 8:
        raise ValueError("invalid prefix of a network address")
    return (IPv4Address(data[4:]) if size == 4 else IPv6Address(data[4:])), bits


def _decode_inet(data: bytes) -> IPv4Interface | IPv6Interface:
    address, bits = _parts(data)
    return IPv4Interface((address, bits)) if isinstance(address, IPv4Address) else IPv6Interface((address, bits))


def _decode_cidr(data: bytes) -> IPv4Network | IPv6Network:
    address, bits = _parts(data)
    return IPv4Network((address, bits)) if isinstance(address, IPv4Address) else IPv6Network((address, bits))


def _inet(value: object) -> tuple[Address, int]:
    if isinstance(value, str):
        value = ip_interface(value)
    if isinstance(value, IPv4Interface | IPv6Interface):
        return _unscoped(value.ip), value.network.prefixlen
    if isinstance(value, IPv4Address | IPv6Address):
        return _unscoped(value), value.max_prefixlen
    if isinstance(value, IPv4Network | IPv6Network):
        return value.network_address, value.prefixlen
    raise TypeError(f"an interface or address of ipaddress wanted, not {type(value).__name__}")


def _unscoped(address: Address) -> Address:
    if isinstance(address, IPv6Address) and address.scope_id:
        raise ValueError("inet has no scope")
    return address


def _cidr(value: object) -> tuple[Address, int]:
    if isinstance(value, str):
        value = ip_network(value)
    if isinstance(value, IPv4Network | IPv6Network):
        return value.network_address, value.prefixlen
    if isinstance(value, IPv4Address | IPv6Address) and not isinstance(value, IPv4Interface | IPv6Interface):
        return _unscoped(value), value.max_prefixlen
    raise TypeError(f"a network of ipaddress wanted, not {type(value).__name__}")


def _packed(address: Address, bits: int, cidr: bool) -> bytes:
    data = address.packed
    return bytes([_V4 if len(data) == 4 else _V6, bits, cidr, len(data)]) + data


def _encode_inet_text(value: object) -> bytes:
    address, bits = _inet(value)
    text = _spelled(address)
    return (text if bits == address.max_prefixlen else f"{text}/{bits}").encode()


def _encode_cidr_text(value: object) -> bytes:
    address, bits = _cidr(value)
    return f"{_spelled(address)}/{bits}".encode()


def _decode_mac_text(data: bytes, size: int) -> MacAddress:
    address = MacAddress(data.decode())
    return _mac(address, size)


def _decode_mac(data: bytes, size: int) -> MacAddress:
    if len(data) != size:
        raise ValueError(f"{len(data)} bytes are no MAC address of {size} bytes")
    return MacAddress(data)


def _mac(value: object, size: int) -> MacAddress:
    if isinstance(value, str):
        value = MacAddress(value)
    if not isinstance(value, MacAddress):
        raise TypeError(f"a MacAddress wanted, not {type(value).__name__}")
    if len(bytes(value)) != size:
        raise ValueError(f"a MAC address of {size} bytes wanted")
    return value


def _macs(registry: Registry, oid: int, size: int, *classes: type) -> None:
    both(
        registry, oid, (lambda data: _decode_mac_text(data, size), lambda data: _decode_mac(data, size)),
        (lambda value: str(_mac(value, size)).encode(), lambda value: bytes(_mac(value, size))), *classes,
    )  # fmt: skip


def register(registry: Registry) -> None:
    """Add the network address types."""
    both(
        registry, oids.INET, (_decode_inet_text, _decode_inet),
        (_encode_inet_text, lambda value: _packed(*_inet(value), False)),
        IPv4Interface, IPv6Interface, IPv4Address, IPv6Address,
    )  # fmt: skip
    both(
        registry, oids.CIDR, (_decode_cidr_text, _decode_cidr),
        (_encode_cidr_text, lambda value: _packed(*_cidr(value), True)), IPv4Network, IPv6Network,
    )  # fmt: skip
    _macs(registry, oids.MACADDR, 6, MacAddress)
    _macs(registry, oids.MACADDR8, 8)
