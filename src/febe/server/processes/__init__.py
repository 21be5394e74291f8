"""Serving in several processes: workers that share the clients, or a process for each session, as PostgreSQL has it
(manual: "How Connections Are Established").

The postmaster accepts connections and hands them on; it reads nothing that a client says, runs no engine and has no
thread.  What all sessions must know of each other - places, cancel keys, notifications, who is at what - its hub keeps.
"""

from febe.server.processes.confinement import Confinement
from febe.server.processes.postmaster import Postmaster
from febe.server.processes.running import check, run_processes, run_workers

__all__ = ["Confinement", "Postmaster", "check", "run_processes", "run_workers"]
