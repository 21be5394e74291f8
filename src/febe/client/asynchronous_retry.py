"""Transactions that are run again: the asyncio face's; those of the other faces are generated from this file."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from febe.client.asynchronous import Connection
from febe.flows.transaction import is_transient
from febe.protocol.errors import PostgresError

R = TypeVar("R")
T = TypeVar("T")


async def retry(connection: Connection[R], work: Callable[[Connection[R]], Awaitable[T]], *, attempts: int = 10,
                **properties: Any) -> T:
    """Run `work` in a transaction of these properties, and again when the server asks for it.

    That is after a serialization failure or a dead-lock (40001, 40P01), which the whole transaction has to be repeated
    after (manual: "Serialization Failure Handling").  Errors: what `work` raises; the last failure.
    """
    for left in range(attempts - 1, -1, -1):
        try:
            async with connection.transaction(**properties):
                return await work(connection)
        except PostgresError as error:
            if not left or not is_transient(error):
                raise
    raise ValueError("a transaction is attempted once at least")


__all__ = ["retry"]
