"""What every copy is, and how it follows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

from febe.protocol.lsn import parse_lsn
from febe.replication.changes import Event
from febe.replication.subscription import Subscription, subscribe
from febe.types.registry import Registry
from febe.types.texts import Texts

_WHOLE = frozenset({"live", "two_phase", "binary", "plugin", "manual", "advance", "types", "start", "create",
                    "temporary"})
"""What a copy has no use for: it takes whole transactions that are committed, in text."""
IDLE_SECONDS = 0.5
"""How often a copy is asked whether it wants to be on disk, while nothing comes."""


class Copy(ABC):
    """Takes events; what it has kept goes up to `position`, where it goes on after a restart.

    `copying` says that a snapshot has begun and was not kept to its end.
    """

    position = 0
    copying = False
    types: Registry = Texts()
    """How values are to come."""

    @abstractmethod
    def start_copying(self) -> None:
        """A snapshot is about to begin: note it, so that it can be made anew after a crash."""

    @abstractmethod
    def apply(self, batch: Sequence[Event]) -> None:
        """Take events."""

    @abstractmethod
    def rest(self, position: int) -> None:
        """Nothing has come for a while: there is nothing up to a position but what was taken."""

    @abstractmethod
    def close(self) -> None:
        """Keep what is complete, and end."""


def follow(copy: Copy, conninfo: str = "", *, slot: str, publication: str | Sequence[str] = (),
           snapshot: bool = True, until: int | str | None = None,
           progress: Callable[[Subscription, Sequence[Event]], object] | None = None,
           stop: Callable[[], bool] = lambda: False, **options: Any) -> None:
    """Keep a copy in step, up to the position `until`, until `stop` says so, or for ever.

    A copy that holds nothing begins with a snapshot, without `snapshot` with what the slot has.  `progress` is called
    with every batch; `options` are those of `subscribe`.  Errors: those of `subscribe`, TableChanged, OSError.
    """
    if unfit := _WHOLE & options.keys():
        raise ValueError(f"a copy cannot follow with {min(unfit)}")
    end = parse_lsn(until) if isinstance(until, str) else until
    begins = snapshot and (copy.copying or not copy.position)
    renew = begins and copy.copying
    if begins:
        copy.start_copying()
    with subscribe(conninfo, slot=slot, publication=publication, snapshot=begins and not renew, renew=renew,
                   start=0 if begins else copy.position, manual=True, advance=False, types=copy.types,
                   **options) as subscription:
        for batch in subscription.batches(seconds=IDLE_SECONDS):
            if batch:
                copy.apply(batch)
            else:
                copy.rest(subscription.idle_position)
            subscription.confirm(copy.position)
            if progress is not None:
                progress(subscription, batch)
            if stop():
                break
            if end is not None and not batch:
                if max(copy.position, subscription.idle_position) >= end:
                    break
                subscription.ask()
        copy.close()
        subscription.confirm(copy.position)


__all__ = ["Copy", "follow"]
