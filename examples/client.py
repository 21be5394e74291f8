"""The blocking client: connect, ask with parameters, prepare, and see an error.

    python examples/client.py [postgresql://user@host:port/database]
"""

import sys

import febe


def main(conninfo: str) -> None:
    with febe.connect(conninfo) as connection:
        print(f"{connection.server_version or 'a server'}, protocol {connection.protocol_version}")

        # $1, $2 ... are sent apart from the SQL; the server says which types they have.
        for row in connection.fetch("select $1::int4 as a, $2::text as b", 1, "it's safe"):
            print(row, row.a, row["b"])

        print(connection.fetchval("select sum(x) from (values (1), (2), (39)) as t(x)"))

        with connection.prepare("select $1::int4 * $2::int4 as product") as multiply:
            print(multiply.parameters, [multiply.fetchval(6, number) for number in range(5)])

        try:
            connection.fetch("select * from nowhere")
        except febe.errors.UndefinedTable as error:
            print(error.sqlstate, error.message)


if __name__ == "__main__":
    main(*sys.argv[1:2] or ["postgresql://demo@127.0.0.1:5433/demo"])
