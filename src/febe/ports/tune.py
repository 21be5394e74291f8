"""What a socket is told and asked beyond bytes: keep-alives, and who is at the other end of a Unix socket."""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Mapping
from typing import Any

# By libpq's names (libpq: "Parameter Key Words"); what the system does not have is passed over, as there.
_TCP = {
    "keepalives_idle": ("TCP_KEEPIDLE", "TCP_KEEPALIVE"),
    "keepalives_interval": ("TCP_KEEPINTVL",),
    "keepalives_count": ("TCP_KEEPCNT",),
    "tcp_user_timeout": ("TCP_USER_TIMEOUT",),
}
_UCRED = struct.Struct("=iII")  # Linux: pid, uid, gid
_XUCRED = struct.Struct("=II")  # BSD: version, uid, then the groups


def tune(connected: Any, options: Mapping[str, int]) -> None:
    """Set `keepalives` and its like, and `tcp_user_timeout`, on a TCP socket; keep-alives are on unless they are 0.

    Errors: OSError for a value that the system refuses.
    """
    if options.get("keepalives", 1):
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, constants in _TCP.items():
        number = next((getattr(socket, constant) for constant in constants if hasattr(socket, constant)), None)
        if name in options and number is not None and (options.get("keepalives", 1) or name == "tcp_user_timeout"):
            connected.setsockopt(socket.IPPROTO_TCP, number, max(options[name], 0))


def peer_user(connected: Any) -> str:
    """The name of the system's user at the other end of a Unix socket.

    Errors: OSError when the system cannot tell; LookupError when the user has no name.
    """
    import pwd

    if hasattr(socket, "SO_PEERCRED"):
        _pid, user, _group = _UCRED.unpack(connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    elif sys.platform == "darwin" or "bsd" in sys.platform:
        _version, user = _XUCRED.unpack_from(connected.getsockopt(0, 1, 128))  # SOL_LOCAL, LOCAL_PEERCRED
    else:
        raise OSError("peer authentication is not supported on this platform")
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        raise LookupError(f"local user with ID {user} does not exist") from None


__all__ = ["peer_user", "tune"]
