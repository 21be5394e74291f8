"""Publishing changes that a PostgreSQL subscribes to.

    publisher = febe.publish.Publisher("changes.db", publication="shop")
    stock = publisher.table("public.stock", {"item": "text", "number": "int4"}, key=["item"])
    async with await publisher.serve(port=5433):
        with publisher.transaction() as change:
            change.insert(stock, ("apple", 3))

and in PostgreSQL, where the table exists:

    CREATE SUBSCRIPTION s CONNECTION 'host=... port=5433 user=...' PUBLICATION shop
"""

from febe.publish.contents import EngineQuery
from febe.publish.publication import Publication
from febe.publish.publisher import Prepared, Publisher
from febe.publish.table import Table
from febe.publish.transaction import PublishError, Transaction

__all__ = ["EngineQuery", "Prepared", "Publication", "PublishError", "Publisher", "Table", "Transaction"]
