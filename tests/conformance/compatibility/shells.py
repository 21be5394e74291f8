"""Programs that people type into."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.conformance.compatibility.features import Client
from tests.conftest import installed


class Psql(Client):
    name = "psql 18"
    major = 18

    def says(self, *commands: str, given: str | None = None, **options: str) -> str:
        asked = [part for command in commands for part in ("-c", command)]
        done = subprocess.run([installed(self.major).program("psql"), "-XAt", self.place.dsn(**options), *asked],
                              input=given, capture_output=True, text=True, timeout=60)
        return done.stdout + done.stderr

    def types(self, text: str, **options: str) -> str:
        """What it says to text that is typed."""
        return self.says(given=text, **options)

    def password(self) -> None:
        assert self.says("select 1") == "1\n"

    def numbers(self) -> None:
        assert self.says("select (-32768)::int2, 0.1::float8, 12345.6789::decimal(12, 4)") == "-32768|0.1|12345.6789\n"

    def texts(self) -> None:
        assert self.says(r"select 'Größe 😀', '\x00\xFF'::blob") == "Größe 😀|\\x00ff\n"

    def times(self) -> None:
        assert self.says("select date '2024-02-29', timestamptz '2024-01-02 03:04:05+00'") == (
            "2024-02-29|2024-01-02 03:04:05+00\n")

    def others(self) -> None:
        assert self.says("select true, '{}'::json") == "t|{}\n"

    def arrays(self) -> None:
        assert self.says("select [1, null], ['a b', 'c']") == '{1,NULL}|{"a b",c}\n'

    def nulls(self) -> None:
        assert self.says("select null, 1") == "|1\n"

    def transactions(self) -> None:
        table = self.place.table
        assert self.says(f"create table {table} (a int)", "begin", f"insert into {table} values (1)", "rollback",
                         f"select count(*) from {table}").endswith("\nROLLBACK\n0\n")

    def savepoints(self) -> None:
        assert self.says("begin", "savepoint a", "selec", "rollback to a", "select 1", "commit").startswith(
            "BEGIN\nSAVEPOINT\nROLLBACK\n1\nCOMMIT\n")

    def errors(self) -> None:
        assert "42P01" in self.says(r"\set VERBOSITY verbose", "select * from no_such_table")

    def portions(self) -> None:
        assert self.says(r"\set FETCH_COUNT 3000", "select range from range(10000)").count("\n") == 10000

    def several(self) -> None:
        assert self.says("select 1; select 2") == "1\n2\n"

    def copy_in(self) -> None:
        table = self.place.table
        assert self.says(f"create table {table} (a int, b varchar)", rf"\copy {table} from stdin (format csv)",
                         f"select * from {table} order by a", given="1,x\n2,\n") == "CREATE TABLE\nCOPY 2\n1|x\n2|\n"

    def copy_out(self) -> None:
        assert self.says(r"\copy (select 1, 'a,b') to stdout (format csv)") == '1,"a,b"\n'

    def notify(self) -> None:
        assert 'notification "news" with payload "hello"' in self.says("listen news", "notify news, 'hello'")

    def large_objects(self) -> None:
        source = Path(self.place.authority)
        said = self.says(rf"\lo_import {source}", r"\lo_unlink :LASTOID")
        assert "lo_import" in said
        assert "lo_unlink" in said

    def metadata(self) -> None:
        table = self.place.table
        said = self.says(f"create table {table} (a int not null, b varchar)", rf"\d {table}")
        assert said.endswith("a|integer||not null|\nb|text|||\n")


class Psql18(Psql):
    def parameters(self) -> None:
        assert self.types("select $1::int + 1 \\bind 41 \\g\n") == "42\n"

    def prepared(self) -> None:
        assert self.types("select $1::int + 1 \\parse s\n" + "\\bind_named s 41 \\g\n" * 9).split() == ["42"] * 9

    def pipeline(self) -> None:
        assert self.types("\\startpipeline\nselect 1 \\bind \\sendpipeline\nselect 2 \\bind \\sendpipeline\n"
                          "\\endpipeline\n") == "1\n2\n"


class Psql15(Psql):
    name = "psql 15"
    major = 15

    def tls(self) -> None:
        assert self.says(r"\conninfo", sslmode="verify-full", sslrootcert=self.place.authority).count("TLSv1.3") == 1


class Pgcli(Client):
    name = "pgcli"

    def says(self, *commands: str, **options: str) -> str:
        settings = Path(self.place.home, "pgclirc")
        settings.write_text("[main]\nuse_local_timezone = False\n")
        asked = [part for command in commands for part in ("-c", command)]
        done = subprocess.run([Path(sys.executable).with_name("pgcli"), self.place.dsn(**options), "--tuples-only",
                               "--pgclirc", settings, *asked], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=60,
                              env=os.environ | {"HOME": self.place.home, "XDG_CONFIG_HOME": self.place.home})
        return done.stdout + done.stderr

    def password(self) -> None:
        assert self.says("select 1") == "1\n"

    def tls(self) -> None:
        assert self.says("select 1", sslmode="verify-full", sslrootcert=self.place.authority) == "1\n"

    def numbers(self) -> None:
        assert "-32768" in self.says("select (-32768)::int2, 12345.6789::decimal(12, 4)")

    def texts(self) -> None:
        assert "Größe 😀" in self.says("select 'Größe 😀'")

    def metadata(self) -> None:
        table = self.place.table
        said = self.says(f"create table {table} (a int not null, b varchar)", f"\\d {table}")
        assert "integer" in said
        assert "not null" in said
