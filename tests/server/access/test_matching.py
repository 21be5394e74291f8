"""Which rule decides, and what a name map allows."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Sequence
from pathlib import Path

import pytest

from febe.server.access import AccessFileError, AccessRules, Request, addresses
from febe.server.access.addresses import Name, Own, Range, interfaces
from febe.server.access.patterns import compiled
from febe.server.access.tokens import Token
from tests.peers.postgres import Postgres

METHODS = ("trust", "reject", "peer", "md5", "scram-sha-256", "cert", "password", "gss")


def member(user: str, role: str) -> bool:
    return user == role or (user, role) in {("ann", "staff"), ("ann", "shop")}


def rules(tmp_path: Path, text: str, ident: str = "") -> AccessRules:
    (tmp_path / "hba").write_text(text)
    (tmp_path / "ident").write_text(ident)
    return AccessRules(tmp_path / "hba", tmp_path / "ident", methods=METHODS)


def request(user: str = "ann", database: str = "shop", address: str | None = "10.1.2.3", *, tls: bool = False,
            gss: bool = False, replication: bool = False) -> Request:
    return Request(user=user, database=database, address=address, tls=tls, gss=gss, replication=replication)


@pytest.mark.parametrize(("line", "asked", "matches"), [
    ("local all all trust", request(address=None), True),
    ("local all all trust", request(), False),
    ("host all all all trust", request(address=None), False),
    ("host all all all trust", request(), True),
    ("host all all all trust", request(tls=True), True),
    ("host all all all trust", request(gss=True), True),
    ("hostssl all all all trust", request(), False),
    ("hostssl all all all trust", request(tls=True), True),
    ("hostnossl all all all trust", request(tls=True), False),
    ("hostnossl all all all trust", request(gss=True), True),
    ("hostgssenc all all all trust", request(), False),
    ("hostgssenc all all all trust", request(tls=True), False),
    ("hostgssenc all all all trust", request(gss=True), True),
    ("hostnogssenc all all all trust", request(gss=True), False),
    ("hostnogssenc all all all trust", request(tls=True), True),
    ("host all all 10.1.2.0/24 trust", request(), True),
    ("host all all 10.1.2.3/32 trust", request(), True),
    ("host all all 10.1.2.4/32 trust", request(), False),
    ("host all all 10.1.2.99/24 trust", request(), True),
    ("host all all 0.0.0.0/0 trust", request(address="::1"), False),
    ("host all all ::/0 trust", request(address="::1"), True),
    ("host all all ::/0 trust", request(), False),
    ("host all all 10.0.2.3 255.0.255.255 trust", request(), True),
    ("host all all fe80::/10 trust", request(address="fe80::1%eth0"), True),
    ("host shop all all trust", request(), True),
    ("host SHOP all all trust", request(), False),
    ('host "all" all all trust', request(), False),
    ('host "all" all all trust', request(database="all"), True),
    ("host a,shop all all trust", request(), True),
    ("host sameuser all all trust", request(), False),
    ("host sameuser all all trust", request(database="ann"), True),
    ("host samerole all all trust", request(), True),
    ("host samegroup all all trust", request(), True),
    ("host samerole all all trust", request(database="x"), False),
    ("host replication all all trust", request(database="replication"), False),
    ('host "replication" all all trust', request(database="replication"), True),
    ("host replication all all trust", request(replication=True), True),
    ("host all all all trust", request(replication=True), False),
    ('host "replication" all all trust', request(database="replication", replication=True), False),
    ("host all ann all trust", request(), True),
    ("host all bob all trust", request(), False),
    ("host all +staff all trust", request(), True),
    ("host all +ann all trust", request(), True),
    ("host all +staff all trust", request(user="bob"), False),
    ('host all "+staff" all trust', request(), False),
    ("host all /^a all trust", request(), True),
    ("host all /^nn all trust", request(), False),
    ("host all /nn$ all trust", request(), True),
    ("host /^s.*p$ all all trust", request(), True),
    ('host all "/^a" all trust', request(), True),
    ("host all all example.invalid trust", request(), False),
])
def test_a_rule(tmp_path: Path, line: str, asked: Request, matches: bool) -> None:
    found = rules(tmp_path, line).find(asked, member)
    assert (found is not None) is matches


def test_the_first_match_decides(tmp_path: Path) -> None:
    made = rules(tmp_path, "host all ann 10.0.0.0/8 reject\nhost all all all trust\nhost all all all md5\n")
    found = made.find(request(), member)
    assert found is not None and (found.method, found.line.number) == ("reject", 1)
    found = made.find(request(user="bob"), member)
    assert found is not None and (found.method, found.line.number) == ("trust", 2)
    assert made.find(request(address=None), member) is None


def test_errors_name_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "more").write_text("\nlocal all\n")
    with pytest.raises(AccessFileError) as refused:
        rules(tmp_path, "local all all trust\nlocal all all nope\ninclude more\n")
    assert str(refused.value).splitlines() == [
        f'invalid authentication method "nope" (line 2 of configuration file "{tmp_path / "hba"}")',
        f'end-of-line before role specification (line 2 of configuration file "{tmp_path / "more"}")']
    for text in ("", "# nothing\n"):
        with pytest.raises(AccessFileError, match="contains no entries"):
            rules(tmp_path, text)
    with pytest.raises(AccessFileError, match=r'could not open file ".*none": No such file or directory'):
        AccessRules(tmp_path / "none", methods=METHODS)


def test_reload_keeps_what_was_there_when_it_fails(tmp_path: Path) -> None:
    made = rules(tmp_path, "host all all all trust\n")
    (tmp_path / "hba").write_text("host all all all nonsense\n")
    with pytest.raises(AccessFileError):
        made.reload()
    assert made.find(request(), member) is not None
    (tmp_path / "hba").write_text("host all all all reject\n")
    (tmp_path / "ident").write_text("m a\n")
    with pytest.raises(AccessFileError, match="missing entry at end of line"):
        made.reload()
    assert made.rules[0].method == "trust"
    (tmp_path / "ident").write_text("")
    made.reload()
    assert made.rules[0].method == "reject"


def test_own_addresses_and_networks() -> None:
    own = list(interfaces())
    assert (b"\x7f\0\0\1", b"\xff\0\0\0") in own
    assert Own(networks=False).matches("127.0.0.1")
    assert not Own(networks=False).matches("127.0.0.2")
    assert Own(networks=True).matches("127.0.0.2")
    assert not Own(networks=True).matches("203.0.113.77")
    for address, mask in own:
        text = str(ipaddress.ip_address(address))
        assert Own(networks=False).matches(text) and Own(networks=True).matches(text)
        assert len(address) == len(mask)


def test_names_are_looked_up_both_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    def name_of(address: Sequence[object], flags: int) -> tuple[str, str]:
        if address[0] == "192.0.2.9":
            raise socket.gaierror(socket.EAI_NONAME, "no name")
        return {"192.0.2.1": "Db.Example.COM", "192.0.2.2": "liar.example.com"}[str(address[0])], "0"

    def address_of(name: str, port: object) -> list[tuple[object, ...]]:
        return [(0, 0, 0, "", ("192.0.2.1" if name == "Db.Example.COM" else "198.51.100.1", 0))]

    monkeypatch.setattr(addresses.socket, "getnameinfo", name_of)
    monkeypatch.setattr(addresses.socket, "getaddrinfo", address_of)
    for name in ("db.example.com", ".example.com", ".COM"):
        assert Name(name).matches("192.0.2.1")
    for name in ("example.com", "db", "b.example.com"):
        assert not Name(name).matches("192.0.2.1")
    assert not Name(".example.com").matches("192.0.2.2")
    assert not Name(".example.com").matches("192.0.2.9")


IDENT = r"""
m root postgres
m ann /^a
m bob +staff
m "carl x" all
m /^(\w+)@EXAMPLE\.COM$ \1
m /^(\w+)@OTHER$ x\1y
m /^all@(.*)$ \1
m /^nogroup$ \1
other root ann
"""


@pytest.mark.parametrize(("name", "user", "system", "allowed"), [
    (None, "ann", "ann", True), (None, "ann", "bob", False), ("", "ann", "ann", True), ("m", "ann", "ann", True),
    ("m", "bob", "ann", False), ("m", "postgres", "root", True), ("m", "ann", "root", False), ("m", "ann", "bob", True),
    ("m", "carl", "bob", False), ("m", "whoever", "carl x", True), ("m", "ann", "ann@EXAMPLE.COM", True),
    ("m", "bob", "ann@EXAMPLE.COM", False), ("m", "xanny", "ann@OTHER", True), ("m", "all", "all@all", True),
    ("m", "ann", "all@all", False), ("none", "ann", "ann", False), ("other", "ann", "root", True),
    ("m", "x", "nogroup", False)])
def test_name_maps(tmp_path: Path, name: str | None, user: str, system: str, allowed: bool) -> None:
    made = rules(tmp_path, "local all all peer map=m\n", IDENT)
    if allowed:
        made.check_map(name, user, system, member)
    else:
        with pytest.raises(AccessFileError) as refused:
            made.check_map(name, user, system, member)
        if system == "nogroup":
            assert "has no subexpressions" in str(refused.value)
        elif not name:
            assert str(refused.value) == "provided user name (ann) and authenticated user name (bob) do not match"
        else:
            assert str(refused.value) == (f'no match in usermap "{name}" for user "{user}" authenticated as '
                                          f'"{system}"')


NAMES = ("ann", "a", "b", "ab", "aab", "Ann", "a.b", "a b", "a\\b", "x_1", "42", "", "-", "[", "a]b", "a{b", "\u00fc",
         "a\nb", "shop42", "shop", "a$b", "{1}", "b\n")
PATTERNS = ("", "a", "^a$", "a|b", "^(a|b)+$", "a*", "^a{2}b$", "^a{1,2}b", "a{0}", "^[ab]+$", "[^a]",
            "^[[:alpha:]]+$", "[[:digit:]]", "^[[:alnum:]_]+$", "[]]", "[^]]", "[a-c]", r"\.", r"\d+$", r"\w", r"\W",
            r"\s", r"\S", r"\mb", r"b\M", r"\y", r"\Yb", r"a\\b", r"\Aa", r"b\Z", "^shop[0-9]*$", "(?i)^ANN$",
            "***=a.b", "***:a.b", ".", "^.$", "^a.b$",
            "a{b", r"\{1", "$", "^", "[[:<:]]b", "b[[:>:]]", "a?", "a??", "(?:a)b", "^(?!a)", "(a)(b)", r"[\w]", "[.]",
            "[$]", "[a\\]]", r"\x61", "[[:space:]]", "[[:upper:]]", "[[:lower:]]", "[[:punct:]]")
REFUSED = ("(", ")", "[", "a{2,1}", "a{256}", "[[:nope:]]", "*a", "+", "a**", "(?", "\\")


def test_regular_expressions_match_what_postgresqls_do(pg18: Postgres) -> None:
    quoted = ",".join("U&'" + "".join(f"\\{ord(char):04x}" for char in name) + "'" for name in NAMES)
    for pattern in PATTERNS:
        found = compiled(pattern)
        ours = [name for name in NAMES if found.search(name)]
        literal = pattern.replace("\\", "\\\\").replace("'", "\\'")
        theirs = pg18.psql(f"select string_agg(i::text, ',' order by i) from unnest(array[{quoted}]) "
                           f"with ordinality t(n, i) where n ~ E'{literal}' collate \"C\"")
        expected = [NAMES[int(number) - 1] for number in theirs.split(",") if number]
        assert ours == expected, pattern


@pytest.mark.parametrize("pattern", REFUSED)
def test_what_is_no_regular_expression(pattern: str) -> None:
    with pytest.raises(AccessFileError, match=re.escape(f'invalid regular expression "{pattern}"')):
        compiled(pattern)


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a*)*", "((a|b)*)*$", "(a+b?)+c", "(?:x(a+)){2,}", "(a{1,200}){1,200}"])
def test_an_expression_that_may_take_for_ever_is_refused(pattern: str) -> None:
    with pytest.raises(AccessFileError, match="repetitions within repetitions"):
        compiled(pattern)


def test_masks() -> None:
    found = addresses.parse(Token("10.0.0.0/0"))
    assert isinstance(found, Range) and found.mask == bytes(4)
