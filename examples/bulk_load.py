"""Load a CSV file with progress, then rows from Python: `python bulk_load.py CONNINFO`."""

from __future__ import annotations

import io
import sys

import febe


def main(conninfo: str) -> None:
    with febe.connect(conninfo) as connection:
        connection.execute("create temp table measurement (station int4, at timestamptz, celsius float8)")
        csv = io.BytesIO(b"".join(b"%d,2026-01-01 00:00:%02d+00,%d.5\n" % (n % 7, n % 60, n % 30) for n in range(5000)))
        done = connection.copy_in_bytes("copy measurement from stdin (format csv)", csv)
        print(done)
        rows = ((n, None, n / 2) for n in range(100_000))
        steps: list[int] = []
        done = connection.copy_in("measurement", rows, progress=lambda rows, size: steps.append(rows))
        print(done, "in", "several pieces" if len(steps) > 1 else "one piece", "up to row", steps[-1])
        try:
            connection.copy_in("measurement", [(1, None, 1.0), (2, None, "warm")])
        except febe.Error as error:
            print(error)
        print(connection.fetchval("select count(*) from measurement"))


if __name__ == "__main__":
    main(sys.argv[1])
