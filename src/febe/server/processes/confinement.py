"""What a session's process may have."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(slots=True, frozen=True, kw_only=True)
class Confinement:
    """`user` is whom it runs as when it was started by root; `memory_bytes` bounds its address space and `cpu_seconds`
    the processor's time that it may use, after which the system ends it (setrlimit(2)).
    """

    user: str | None = None
    memory_bytes: int | None = None
    cpu_seconds: int | None = None

    def check(self) -> None:
        """Errors: ValueError for what cannot be done."""
        if self.user is not None:
            import pwd

            try:
                pwd.getpwnam(self.user)
            except KeyError:
                raise ValueError(f"there is no system user {self.user}") from None
            if os.geteuid() != 0:
                raise ValueError("sessions can run as another user only when the server is started by root")
        elif os.geteuid() == 0:
            raise ValueError("a server started by root has to be told whom its sessions run as")

    def enter(self) -> None:
        """Give up what the process shall not have, for good."""
        import resource

        if self.user is not None:
            import pwd

            entry = pwd.getpwnam(self.user)
            os.initgroups(self.user, entry.pw_gid)
            os.setgid(entry.pw_gid)
            os.setuid(entry.pw_uid)
        for number, most in ((resource.RLIMIT_AS, self.memory_bytes), (resource.RLIMIT_CPU, self.cpu_seconds)):
            if most is not None:
                resource.setrlimit(number, (most, most))


__all__ = ["Confinement"]
