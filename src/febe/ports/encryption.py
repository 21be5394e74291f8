"""What every port can: put a layer of encryption between its flows and its bytes."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

from febe.flows.port import Certificate, Layer
from febe.protocol.errors import ConnectionLost, EncryptionError


class Encryptable:
    """A port whose `write`, `wait` and `take` move plain bytes until `encrypt` has been called.

    Then these three are the layer's, set on the object: a connection in clear pays nothing for what it does not use.
    """

    layer: Layer | None = None

    @property
    def encryption(self) -> str | None:
        """`SSL`, `GSS`, or None in clear."""
        return None if self.layer is None else self.layer.kind

    @property
    def certificate(self) -> Certificate | None:
        """The peer's verified certificate."""
        return None if self.layer is None else self.layer.certificate

    @property
    def principal(self) -> str | None:
        """The peer's Kerberos name."""
        return None if self.layer is None else self.layer.principal

    def later(self, call: Callable[..., object], *args: Any) -> None:
        """Make a call when the task that runs now has gone as far as it can; at once, where that cannot be told."""
        call(*args)

    def write(self, out: bytes) -> None:
        raise NotImplementedError

    def wait(self) -> Awaitable[None]:
        raise NotImplementedError

    def take(self) -> bytes:
        raise NotImplementedError

    async def exchange(self, out: bytes) -> bytes:
        raise NotImplementedError

    def flush(self, out: bytes) -> Awaitable[None]:
        raise NotImplementedError

    async def encrypt(self, layer: Layer, unread: bytes = b"") -> None:
        """Shake hands, and from then on send and receive through `layer`.

        Errors: EncryptionError; ConnectionLost; ValueError when there is a layer already.
        """
        if self.layer is not None:
            raise ValueError("the connection is encrypted already")
        ahead: list[bytes] = []
        try:
            out, agreed = layer.handshake(unread)
            while not agreed:
                out, agreed = layer.handshake(await self.exchange(out))
            # A peer may send its first message together with the end of its handshake.
            if early := layer.decrypt(b""):
                ahead.append(early)
        except EncryptionError:
            with contextlib.suppress(ConnectionLost):
                await self.flush(layer.farewell())  # the alert that says why
            raise
        if out:
            await self.flush(out)
        write, wait, take = self.write, self.wait, self.take

        def write_encrypted(out: bytes) -> None:
            write(layer.encrypt(out))

        def read() -> None:
            try:
                found = layer.decrypt(take())
            except EncryptionError as error:
                raise ConnectionLost(f"the connection is lost: {error}") from error
            if found:
                ahead.append(found)
            if answer := layer.encrypt(b""):
                write(answer)

        async def wait_encrypted() -> None:
            while not ahead:
                await wait()
                read()

        def take_decrypted() -> bytes:
            if not ahead:
                read()
            data = ahead[0] if len(ahead) == 1 else b"".join(ahead)
            ahead.clear()
            return data

        self.layer = layer
        self.write = write_encrypted  # type: ignore[method-assign]
        self.wait = wait_encrypted  # type: ignore[method-assign]
        self.take = take_decrypted  # type: ignore[method-assign]


__all__ = ["Encryptable"]
