"""What the sessions of several processes share, as each process sees it.

Advisory locks and large objects are not shared, and are refused instead of being done within one process only.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from febe.protocol.startup import VERSION_3_2, BackendKeyData, CancelRequest
from febe.server.activity import Activity, Backend
from febe.server.engine import EngineError
from febe.server.keys import CancelKeys
from febe.server.large_objects import LargeObjects
from febe.server.limits import FatalError, Limits, Places
from febe.server.locks import Key, LockOwner, Locks
from febe.server.notifications import Mailbox, Notification, Notifications
from febe.server.processes.link import Link
from febe.server.shared import Shared

QUERY_CHARACTERS = 1024
"""How much of a query's text other processes see (PostgreSQL: track_activity_query_size)."""
_TOLD_TOGETHER = 256
_ROW = ("process_id", "user", "database", "application_name", "client_address", "client_port", "backend_start",
        "xact_start", "query_start", "state_change", "state", "query", "rows", "security")


class PlacesAfar(Places):
    """The hub's; `taken` counts those of this process."""

    def __init__(self, limits: Limits, link: Link) -> None:
        super().__init__(limits)
        self._link = link

    def take(self, address: str) -> None:
        self._link.ask("take", address)
        self.taken += 1

    def enter(self, user: str, *, administrator: bool) -> None:
        self._link.ask("enter", user, administrator)

    def leave(self, user: str) -> None:
        self._link.tell("leave", user)

    def give_back(self, address: str) -> None:
        self.taken -= 1
        self._link.tell("give_back", address)


class KeysAfar(CancelKeys):
    """The hub has the keys of all; a cancel request may come to any process."""

    def __init__(self, link: Link) -> None:
        super().__init__()
        self._link = link

    def issue(self, version: int, cancel: Callable[[], object], *, process_id: int = 0) -> BackendKeyData:
        process_id, key = self._link.ask("issue", version >= VERSION_3_2, process_id)
        self._sessions[process_id] = bytes.fromhex(key), cancel
        return BackendKeyData(process_id=process_id, secret_key=bytes.fromhex(key))

    def cancel(self, request: CancelRequest) -> None:
        self._link.tell("cancel", request.process_id, request.secret_key.hex())

    def withdraw(self, process_id: int) -> None:
        if process_id:
            super().withdraw(process_id)
            self._link.tell("withdraw", process_id)

    def cancel_here(self, process_id: int) -> None:
        """The hub has found the key right."""
        _, cancel = self._sessions.get(process_id, (b"", None))
        if cancel is not None:
            cancel()


class NotificationsAfar(Notifications):
    """Whatever is sent goes by way of the hub, so that all sessions see the same order."""

    def __init__(self, link: Link) -> None:
        super().__init__()
        self._link = link
        self._changing = threading.Lock()

    def listen(self, channel: str, mailbox: Mailbox) -> None:
        with self._changing:
            is_first = channel not in self._listeners
            super().listen(channel, mailbox)
            if is_first:
                self._link.ask("listen", channel)

    def unlisten(self, channel: str, mailbox: Mailbox) -> None:
        with self._changing:
            was_there = channel in self._listeners
            super().unlisten(channel, mailbox)
            if was_there and channel not in self._listeners:
                self._link.tell("unlisten", channel)

    def check_room(self) -> None:
        super().check_room()
        if not self._link.ask("room"):
            raise EngineError("too many notifications in the NOTIFY queue", sqlstate="54000")

    def publish(self, sent: Iterable[Notification]) -> None:
        rows = [(one.process_id, one.channel, one.payload) for one in sent]
        for start in range(0, len(rows), _TOLD_TOGETHER):
            # what comes back of it has been delivered when the answer is there
            self._link.ask("publish", rows[start:start + _TOLD_TOGETHER])

    def take(self, rows: list[tuple[int, str, str]]) -> None:
        """The hub hands on what somebody has sent."""
        self.deliver([Notification(process_id=process_id, channel=channel, payload=payload)
                      for process_id, channel, payload in rows])


class ActivityAfar(Activity):
    """Those of this process, and the others by asking them."""

    def __init__(self, link: Link) -> None:
        super().__init__()
        self._link = link

    def here(self) -> list[list[Any]]:
        """The sessions of this process, to be sent."""
        found = []
        for one in super().all():
            row = [getattr(one, name) for name in _ROW]
            row[_ROW.index("query")] = one.query[:QUERY_CHARACTERS]
            found.append([*row, one.progress()])
        return found

    def all(self) -> list[Backend]:
        return sorted([*super().all(), *self._elsewhere()], key=lambda one: one.backend_start)

    def get(self, process_id: int) -> Backend | None:
        return super().get(process_id) or next(
            (one for one in self._elsewhere() if one.process_id == process_id), None)

    def stop(self, what: str, process_id: int) -> None:
        """The hub hands on that a session is to be cancelled or ended."""
        backend = super().get(process_id)
        if backend is not None:
            {"cancel": backend.cancel, "terminate": backend.terminate}[what]()

    def _elsewhere(self) -> list[Backend]:
        return [self._made(row) for row in self._link.ask("activity")]

    def _made(self, row: list[Any]) -> Backend:
        values, progress = dict(zip(_ROW, row, strict=False)), row[-1]
        stop = partial(self._link.tell, "stop")
        return Backend(**values, progress=lambda: progress, cancel=partial(stop, "cancel", values["process_id"]),
                       terminate=partial(stop, "terminate", values["process_id"]))


def _refused(what: str) -> EngineError:
    return EngineError(f"{what} are not supported where sessions are in several processes", sqlstate="0A000")


class _NoLocks(Locks):
    def acquire(self, owner: LockOwner, key: Key, *, shared: bool, wait: bool, cancelled: Callable[[], bool]) -> bool:
        raise _refused("advisory locks")


class _NoLargeObjects(LargeObjects):
    def read(self, oid: int) -> bytes | None:
        raise _refused("large objects")

    def new_oid(self) -> int:
        raise _refused("large objects")

    def commit(self, changes: dict[int, bytes | None]) -> None:
        if changes:
            raise _refused("large objects")


def share(link: Link) -> tuple[Shared, KeysAfar, dict[str, Callable[..., object]]]:
    """What the sessions of this process share with those of others, their keys, and the orders that come for them."""
    keys, notifications, activity = KeysAfar(link), NotificationsAfar(link), ActivityAfar(link)

    def tell_activity(number: int) -> None:
        with contextlib.suppress(FatalError):
            link.tell("told", number, activity.here())

    orders: dict[str, Callable[..., object]] = {
        "cancel": keys.cancel_here, "deliver": notifications.take, "stop": activity.stop,
        "activity": tell_activity}
    return Shared(activity=activity, notifications=notifications, locks=_NoLocks(),
                  large_objects=_NoLargeObjects()), keys, orders


__all__ = ["PlacesAfar", "share"]
