"""OAuth tokens for connections: who asks a person for them, and what a source of tokens of one's own is told."""

from __future__ import annotations

from febe.client.device_flow import DeviceFlow, DevicePrompt, ask_on_terminal
from febe.flows.authenticate_oauth import TokenRequest, TokenSource

__all__ = ["DeviceFlow", "DevicePrompt", "TokenRequest", "TokenSource", "ask_on_terminal"]
