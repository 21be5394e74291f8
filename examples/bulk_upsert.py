"""Many rows inserted or updated at once: COPY into a staging table, then one MERGE in the same transaction:
`python bulk_upsert.py CONNINFO`."""

from __future__ import annotations

import sys
from collections.abc import Iterable

import febe


def upsert(connection: febe.Connection[febe.Row], prices: Iterable[tuple[str, float]]) -> dict[str, int]:
    """Bring prices up to date, all or none; tells how many were new and how many changed."""
    with connection.transaction():
        connection.execute("create temp table staged (like price) on commit drop")
        connection.copy_in("staged", prices)
        rows = connection.fetch(
            "with merged as (merge into price using staged using_staged on price.article = using_staged.article "
            "when matched and price.amount is distinct from using_staged.amount then "
            "  update set amount = using_staged.amount "
            "when not matched then insert values (using_staged.article, using_staged.amount) "
            "returning merge_action() as action) "
            "select lower(action) as action, count(*) as rows from merged group by action")
    return dict(sorted((row.action, row.rows) for row in rows))


def main(conninfo: str) -> None:
    with febe.connect(conninfo) as connection:
        connection.execute("create temp table price (article text primary key, amount float8 check (amount >= 0))")
        print(upsert(connection, ((f"article {n}", n * 1.0) for n in range(10_000))))
        print(upsert(connection, ((f"article {n}", n * 1.0 + n % 2) for n in range(5_000, 12_000))))
        try:
            upsert(connection, [("article 1", 7.0), ("article 2", -1.0)])
        except febe.errors.CheckViolation as error:
            print("refused:", error.constraint_name)
        print(connection.fetchval("select amount from price where article = 'article 1'"), "as before")


if __name__ == "__main__":
    main(sys.argv[1])
