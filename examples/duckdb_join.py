"""PostgreSQL's rows joined with files by DuckDB, and the answer put back into PostgreSQL, all of it as Arrow:
`python duckdb_join.py CONNINFO FILE`."""

from __future__ import annotations

import sys

import duckdb

import febe


def main(conninfo: str, path: str) -> None:
    duckdb.sql("select n as shop, 'shop ' || n as name, n % 2 = 0 as open from range(10) t(n)").write_csv(path)
    with febe.connect(conninfo) as connection:
        connection.execute("create temp table sale (shop int4, amount numeric(10, 2)); "
                           "insert into sale select n % 12, n / 4.0 from generate_series(1, 1000) n; "
                           "create temp table turnover (name text, total numeric(12, 2))")
        sales = connection.fetch_arrow("select shop, amount from sale")
        print(len(sales), "sales")
        result = duckdb.sql(f"select name, sum(amount)::decimal(12, 2) as total from sales join '{path}' using (shop) "
                            "where open group by name")
        print(connection.copy_in("turnover", result))
        for row in connection.fetch("select name, total from turnover order by total desc limit 2"):
            print(row.name, row.total)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2] + ".csv")
