"""json and jsonb as what json.loads gives (manual: "JSON Types"), except that a number which no float is exactly comes
as Decimal.

Any value that json.dumps takes, Decimals among them, can be sent; a str is sent as a JSON string, a `Json` as the JSON
text it is.
"""

from __future__ import annotations

from febe._kernel import kinds
from febe._kernel.text_writers import Json
from febe.types import oids
from febe.types._codec import Registry, hot

__all__ = ["Json", "register"]


def register(registry: Registry) -> None:
    """Add json and jsonb."""
    hot(registry, oids.JSON, kinds.JSON_TEXT, Json, lists=True)
    hot(registry, oids.JSONB, kinds.JSONB_TEXT, dict, lists=True)
