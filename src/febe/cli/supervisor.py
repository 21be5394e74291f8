"""Telling who supervises the command (systemd) that it is ready."""

from __future__ import annotations

import contextlib
import os
import socket

__all__ = ["told_ready"]


def told_ready() -> None:
    """Say READY=1 to the socket that the environment names, if it names one (sd_notify(3))."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    path = "\0" + address[1:] if address.startswith("@") else address
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.connect(path)
        told.sendall(b"READY=1")
