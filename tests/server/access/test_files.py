"""Access files, read as PostgreSQL 18 reads them: beside its views pg_hba_file_rules and pg_ident_file_mappings."""

from __future__ import annotations

import ipaddress
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from febe.server.access import AccessFileError
from febe.server.access.addresses import Everywhere, Name, Own, Range
from febe.server.access.hba import parse_rule
from febe.server.access.ident import parse_mapping
from febe.server.access.tokens import read_lines
from tests.peers import postgres as servers
from tests.peers.postgres import Postgres

METHODS = frozenset({"trust", "reject", "ident", "peer", "password", "md5", "scram-sha-256"})
"""Those of a PostgreSQL built without TLS, GSSAPI, LDAP and PAM that need no further set-up."""

PICKED = r'''
# a comment
local all all trust
local	all	all	peer	map=m
host all all 127.0.0.1/32 trust # comment
host all all 127.0.0.1 255.255.255.255 trust
host "all" "all" ::1/128 scram-sha-256
host a,b,"c d" e, f 10.0.0.0/8 md5
host a , b ::1/128 md5
host all all 10.1/16 reject
host all all 0/0 reject
host all all 1.2.3.4/0 reject
host all all ::/0 reject
host all all 10.0.0.0/33 trust
host all all ::1/129 trust
host all all 10.0.0.0/-1 trust
host all all 10.0.0.0/ trust
host all all 10.0.0.0/x trust
host all all 10.0.0.0/+8 trust
host all all 10.0.0.0/8x trust
host all all 10.0.0.0 255.0.255.0 trust
host all all 10.0.0.0 ffff:: trust
host all all 10.0.0.0 mask trust
host all all 10.0.0.0 trust
host all all 10.0.0.0
host all all example.com trust
host all all .example.com trust
host all all example.com/8 trust
host all all samehost trust
host all all samenet trust
host all all "samenet" trust
host all all all trust
host all all "all" trust
host all all a,b trust
host all all 10.0.0.0 1.1.1.1,2.2.2.2 trust
host,local all all all trust
hosts all all all trust
Host all all all trust
host
host all
host all all
local all all
local all all trust,md5
local all all nonsense
local all all TRUST
local all all "trust"
local all all gss
local all all ldap
local all all pam
local all all cert
local all all sspi
local all all bsd
host all all all peer
host all all all ident map=m
local all all ident
local all all trust map=x
local all all trust nonsense
local all all trust nonsense=1
local all all peer map
local all all peer map=a map=b
local all all peer map=a,map=b
local all all peer "map=a b"
local all all peer map="a b"
local all all trust clientcert=verify-ca
local all all trust clientname=CN
local all all trust pamservice=x
local all all trust ldaptls=1
local all all trust krb_realm=x
local all all trust include_realm=0
local all all trust compat_realm=0
local all all trust radiusports=1
local all all trust issuer=x
local all all trust ldapurl=
local all +group trust
local all "+group" trust
local sameuser all trust
local samerole,samegroup,replication,"replication" all trust
local /^db\d+$ /^u.*$ trust
local "/^a b$" /x trust
local /( all trust
local all /[ trust
local all /a{2,1} trust
local all /[[:nonsense:]] trust
local / / trust
local "" "" trust
local """quoted""" a""b trust
local "not closed trust
local a"b c"d e trust
local all all trust\
 map=x
local all \
  all \
  peer
local all all peer map=x\\
\
local all all trust
local all all reject \

local all all md5
local @names all trust
local @"names" all trust
local "@names" all trust
local @missing all trust
local @loop all trust
local @broken all trust
local @names,x,@names all trust
local @ all trust
local all @names peer map=m
include names
include more.conf
include "more.conf"
include missing.conf
include loop.conf
include_if_exists missing.conf
include_if_exists more.conf
include_dir conf.d
include_dir missing.d
include_dir ""
include more.conf extra
include
include a,b
local all all trust include
  ,, local ,, all all trust
local,all all trust
'''
FILES = {
    "names": "one two,\"three four\" # five\n\n six\n",
    "loop": "@loop\n",
    "broken": "a @missing\n",
    "more.conf": "local more all trust\nlocal more\n\nhost more @names all reject\n",
    "loop.conf": "local before all trust\ninclude loop.conf\nlocal after all trust\n",
    "conf.d/b.conf": "local b all trust\n",
    "conf.d/a.conf": "local a @../names trust\n",
    "conf.d/.c.conf": "local hidden all trust\n",
    "conf.d/c.txt": "local other all trust\n",
}
_WORDS = ("local", "host", "hostnossl", "hostnogssenc", "all", "sameuser", "samerole", "replication", "+g", "a", "b c",
          "10.0.0.0/8", "10.0.0.1", "255.0.0.0", "::1/64", "::1", "ffff::", "samehost", "samenet", "example.com", "/x",
          "/(a|b)+c", "trust", "md5", "reject", "peer", "scram-sha-256", "password", "map=m", "map=", "x=y", "@names",
          "include", "include_if_exists", "more.conf", "0x7f.1", "300.1.1.1", "1.2.3.4.5", "fe80::1%1/64", "1/8")
_GLUE = (" ", " ", " ", "\t", ",", ", ", " # ", '"', "\\\n", "\\", "\n", "\r\n", '""', "")


def _generated(chance: random.Random) -> str:
    if chance.random() < 0.5:
        kind = chance.choice(("local", "host", "hostnossl", "host"))
        address = "" if kind == "local" else chance.choice(_WORDS[11:20])
        made = [kind, chance.choice(_WORDS), chance.choice(_WORDS), address, chance.choice(_WORDS[22:28]),
                chance.choice(("", "", "map=m", "x=y"))]
        return chance.choice((" ", "\t", "  ")).join(made)
    return "".join(chance.choice(_WORDS) + chance.choice(_GLUE) for _ in range(chance.randrange(1, 8)))


@dataclass(slots=True)
class Reader:
    """A PostgreSQL 18 that reads our files."""

    server: Postgres
    folder: Path

    def says(self, view: str, file: str, text: str) -> list[dict[str, Any]]:
        (self.folder / file).write_text(text)
        found = self.server.psql(f"select coalesce(json_agg(v), '[]') from {view} v")
        return json.loads(found)  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def reader(pg18: Postgres) -> Iterator[Reader]:
    with servers.running(pg18.installation) as server:
        folder = Path(server.psql("show hba_file")).parent
        for name, text in FILES.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).parent.chmod(0o755)
            (folder / name).write_text(text)
        yield Reader(server, folder)


def _ours(reader: Reader) -> list[dict[str, Any]]:
    found = []
    for line in read_lines(reader.folder / "pg_hba.conf"):
        row: dict[str, Any] = {"file_name": str(line.file), "line_number": line.number}
        try:
            rule = parse_rule(line, METHODS)
            row |= {"type": rule.connection, "database": [one.token.text for one in rule.databases],
                    "user_name": [one.token.text for one in rule.users], "auth_method": rule.method,
                    "options": [f"{name}={value}" for name, value in rule.options.items()] or None}
            if rule.connection != "local":
                match rule.address:
                    case Everywhere():
                        row["address"] = "all"
                    case Own(networks=networks):
                        row["address"] = "samenet" if networks else "samehost"
                    case Name(name=name):
                        row["address"] = name
                    case Range(address=address, mask=mask):
                        row["address"], row["netmask"] = str(ipaddress.ip_address(address)), _text(mask)
        except AccessFileError as error:
            row["error"] = str(error)
        found.append(row)
    return found


def _text(mask: bytes) -> str:
    return str(ipaddress.ip_address(mask))


def _comparable(row: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in row.items()
            if value is not None and name not in ("rule_number", "map_number")}
    kept["file_name"] = Path(kept["file_name"]).name
    error = kept.get("error", "")
    if error.startswith("invalid regular expression"):  # two engines, two wordings
        kept["error"] = error.split('": ')[0]
    if "address" in kept and "netmask" in kept:
        kept["address"] = str(ipaddress.ip_address(kept["address"].partition("%")[0]))
        kept["netmask"] = str(ipaddress.ip_address(kept["netmask"]))
    return kept


def _compare(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> None:
    for one, other in zip(ours, theirs, strict=False):
        assert _comparable(one) == _comparable(other)
    assert len(ours) == len(theirs)


def test_hba_files(reader: Reader) -> None:
    theirs = reader.says("pg_hba_file_rules", "pg_hba.conf", PICKED)
    assert sum(row["error"] is not None for row in theirs) > 40 < sum(row["error"] is None for row in theirs)
    _compare(_ours(reader), theirs)


@pytest.mark.parametrize("seed", range(10))
def test_generated_hba_files(reader: Reader, seed: int) -> None:
    chance = random.Random(seed)
    text = "\n".join(_generated(chance) for _ in range(300)) + "\n"
    theirs = reader.says("pg_hba_file_rules", "pg_hba.conf", text)
    _compare(_ours(reader), theirs)


IDENT = r"""
m root postgres
m "a b" c # comment
m /^(.*)@x$ \1
m x
m
m a,b c
m a b,c
m a b c
m /( x
m x /[
include idents
include missing
m @names x
m x +group
m x all
"""


def test_ident_files(reader: Reader) -> None:
    (reader.folder / "idents").write_text("n x y\nn x\n")
    theirs = reader.says("pg_ident_file_mappings", "pg_ident.conf", IDENT)
    ours = []
    for line in read_lines(reader.folder / "pg_ident.conf"):
        row: dict[str, Any] = {"file_name": str(line.file), "line_number": line.number}
        try:
            mapping = parse_mapping(line)
            row |= {"map_name": mapping.name, "sys_name": mapping.system.token.text,
                    "pg_username": mapping.user.token.text}
        except AccessFileError as error:
            row["error"] = str(error)
        ours.append(row)
    _compare(ours, theirs)
