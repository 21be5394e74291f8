"""PostgreSQL's catalogs for any engine: `Catalog(engine)` answers catalog queries, the engine everything else.

What an engine has is told by `EngineSession.describe`, in the words of `febe.server.catalog.description`.
"""

from __future__ import annotations

from febe.server.catalog.engine import Catalog, CatalogSession

__all__ = ["Catalog", "CatalogSession"]
