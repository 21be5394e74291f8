"""A PostgreSQL behind the server: every client has a connection of its own there, and febe's cores stand in between."""

from febe.engines.upstream.engine import UpstreamEngine

__all__ = ["UpstreamEngine"]
