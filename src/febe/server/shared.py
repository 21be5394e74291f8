"""What the sessions of one server share."""

from __future__ import annotations

from dataclasses import dataclass, field

from febe.server.activity import Activity
from febe.server.large_objects import LargeObjects
from febe.server.locks import Locks
from febe.server.notifications import Notifications


@dataclass(slots=True, kw_only=True)
class Shared:
    """One per listener; a server of several processes gives parts that reach the others."""

    activity: Activity = field(default_factory=Activity)
    notifications: Notifications = field(default_factory=Notifications)
    locks: Locks = field(default_factory=Locks)
    large_objects: LargeObjects = field(default_factory=LargeObjects)
