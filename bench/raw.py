"""A conversation in hand-made bytes: what a driver could cost if it did nothing at all."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator

from .harness import Settings


def message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


SYNC = message(b"S", b"")
EXECUTE = message(b"E", b"\0\0\0\0\0")
READY = message(b"Z", b"I")


def parse(name: str, sql: str) -> bytes:
    return message(b"P", name.encode() + b"\0" + sql.encode() + b"\0\0\0")


def bind(name: str, *values: bytes) -> bytes:
    """Parameters and results in binary."""
    given = b"".join(struct.pack("!i", len(value)) + value for value in values)
    return message(b"B", b"\0" + name.encode() + b"\0" + struct.pack("!hhh", 1, 1, len(values)) + given
                   + struct.pack("!hh", 1, 1))


@contextlib.contextmanager
def connected(settings: Settings) -> Iterator[socket.socket]:
    """A blocking socket on which a trusted user is ready for a query."""
    words = f"user\0{settings['user']}\0database\0{settings['database']}\0\0".encode()
    with socket.create_connection((settings["host"], settings["port"])) as wire:
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        wire.sendall(struct.pack("!ii", len(words) + 8, 196608) + words)
        greeting = b""
        while not greeting.endswith(READY):
            greeting += wire.recv(65536)
        yield wire
