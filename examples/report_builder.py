"""A report whose columns, filters and order the user chooses: SQL put together, and nothing of it injected.

    python examples/report_builder.py [postgresql://user@host:port/database]
"""

import sys

import febe

COLUMNS = ("city", "country", "people")


def report(columns: list[str], filters: dict[str, object], order: str) -> febe.Query:
    """A query from what came by a form; names are checked by quoting them, values are parameters."""
    wanted = febe.sql(", ").join([febe.Name(name) for name in columns])
    conditions = [febe.sql("{:i} = {}", name, value) for name, value in filters.items()] or [febe.sql("true")]
    return febe.sql("select {} from places where {} order by {:i}", wanted, febe.sql(" and ").join(conditions), order)


def main(conninfo: str) -> None:
    with febe.connect(conninfo) as connection:
        connection.execute("create temp table places (city text, country text, people int4)")
        connection.copy_in("places", [("Oslo", "NO", 717_000), ("Bergen", "NO", 291_000), ("Rome", "IT", 2_748_000)])
        print(connection.fetch(report(["city", "people"], {"country": "NO"}, "people")))
        print(connection.fetch(report(["city"], {"city": "x'; drop table places; --"}, "city")))
        try:
            connection.fetch(report(["city; drop table places"], {}, "city"))
        except febe.PostgresError as error:
            print(error.sqlstate, error.message)

        # A query string of one's own with names in it.
        big = febe.named("select city from places where people > :least and country <> :not::text", {"least": 300_000,
                                                                                                  "not": "NO"})
        print(connection.fetchval(big))

        # A report that is read page by page, forth and back.
        with connection.cursor("select city from places order by 1", hold=True, scroll=True) as pages:
            print(pages.fetch(2), pages.fetch(2), pages.absolute(1))


if __name__ == "__main__":
    main(*sys.argv[1:2] or ["postgresql://demo@127.0.0.1:5433/demo"])
