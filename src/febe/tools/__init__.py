"""Programs' worth of work on top of the client: what `febe top` reads."""

__all__: list[str] = []
