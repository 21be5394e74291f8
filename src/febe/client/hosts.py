"""The hosts that a connection may be made to (libpq: "Specifying Multiple Hosts")."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from febe.client.dsn import invalid

DEFAULT_PORT = "5432"
SOCKET_FOLDERS = ("/var/run/postgresql", "/tmp")
# sockaddr_un has 108 bytes on Linux and 104 elsewhere, one of them for the NUL (UNIXSOCK_PATH_BUFLEN).
SOCKET_PATH_BYTES = 107


@dataclass(slots=True, kw_only=True)
class Host:
    """One host of the list: `name` is a name, an address, or a directory of Unix sockets; `address`, when given, is
    connected to without asking what the name stands for."""

    name: str
    address: str = ""
    port: int

    @property
    def is_unix(self) -> bool:
        """The host is reached by a Unix socket; `@` begins a directory in the abstract namespace."""
        return not self.address and self.name.startswith(("/", "@"))

    @property
    def path(self) -> str:
        """The Unix socket's path, as the system wants it."""
        path = f"{self.name}/.s.PGSQL.{self.port}"
        return "\0" + path[1:] if path.startswith("@") else path

    @property
    def pass_name(self) -> str:
        """What the password file calls it: a default socket directory is `localhost` there."""
        name = self.name or self.address
        return "localhost" if name in SOCKET_FOLDERS else name


def hosts_of(texts: Mapping[str, str]) -> tuple[Host, ...]:
    """The hosts that `host`, `hostaddr` and `port` name, in their order.

    Errors: LocalProtocolError (22023) when the lists do not fit together, or a port is none.
    """
    names, addresses = _list(texts, "host"), _list(texts, "hostaddr")
    count = len(addresses) or len(names) or 1
    if names and len(names) != count:
        raise invalid(f"could not match {len(names)} host names to {count} hostaddr values")
    ports = _list(texts, "port") or [""]
    if len(ports) not in (1, count):
        raise invalid(f"could not match {len(ports)} port numbers to {count} hosts")
    numbers = [_port(text or DEFAULT_PORT) for text in (ports * count if len(ports) == 1 else ports)]
    hosts = []
    for number, name, address in zip(numbers, names or [""] * count, addresses or [""] * count, strict=True):
        host = Host(name=name if name or address else _default(number), address=address, port=number)
        if host.is_unix and len(host.path.encode()) > SOCKET_PATH_BYTES:
            raise invalid(f'Unix-domain socket path "{host.name}/.s.PGSQL.{number}" is too long '
                          f"(maximum {SOCKET_PATH_BYTES} bytes)")
        hosts.append(host)
    return tuple(hosts)


def _list(texts: Mapping[str, str], name: str) -> list[str]:
    text = texts.get(name)
    return text.split(",") if text else []


def _port(text: str) -> int:
    try:
        port = int(text)
    except ValueError:
        raise invalid(f'invalid integer value "{text}" for connection option "port"') from None
    if not 0 < port < 65536:
        raise invalid(f'invalid port number: "{text}"')
    return port


def _default(port: int) -> str:
    """As psql of a distribution or of a source build does: its socket folder, else TCP."""
    if hasattr(socket, "AF_UNIX"):
        for folder in SOCKET_FOLDERS:
            if Path(folder, f".s.PGSQL.{port}").exists():
                return folder
    return "localhost"


__all__ = ["Host", "hosts_of"]
