"""What psql 18 asks the catalogs at a tab, in queries of that shape: the names that PostgreSQL 18 proposes.

The psql 18 of the tests has no readline; test_completion.py has a real psql 15 at a terminal.  What each kind of name
is looked for in is psql 18's; the words are ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

psycopg = pytest.importorskip("psycopg")

from tests.peers.postgres import USERS  # noqa: E402

from .conftest import Place  # noqa: E402

_TABLE, _OF = "pg_table_is_visible({0}.oid)", ("c.relname", "c.relnamespace", "pg_table_is_visible(c.oid)")
_TYPE_OF = ("t.typname", "t.typnamespace", "pg_type_is_visible(t.oid)")


def _relations(kinds: str) -> tuple[str, str, str, str, str]:
    listed = ", ".join(f"'{kind}'" for kind in kinds)
    return "pg_class c", f"c.relkind in ({listed})", "c.relname", _TABLE.format("c"), "c.relnamespace"


# Each kind of name: where from, on which condition, the name, when it is visible, in which schema.
NAMES: dict[str, tuple[str, str, str, str, str]] = {
    "selectable": _relations("rSvmfp"), "truncatable": _relations("rfp"), "analyzable": _relations("rpmf"),
    "indexable": _relations("rpm"), "sequence": _relations("S"), "view": _relations("v"), "index": _relations("iI"),
    "foreign table": _relations("f"), "materialized view": _relations("m"), "partitioned": _relations("p"),
    "updatable": ("pg_class c", "c.relkind in ('r', 'f', 'v', 'p')", "c.relname", _TABLE.format("c"), "c.relnamespace"),
    "routine": ("pg_proc p", "true", "p.proname", "pg_function_is_visible(p.oid)", "p.pronamespace"),
    "function": ("pg_proc p", "p.prokind != 'p'", "p.proname", "pg_function_is_visible(p.oid)", "p.pronamespace"),
    "procedure": ("pg_proc p", "p.prokind = 'p'", "p.proname", "pg_function_is_visible(p.oid)", "p.pronamespace"),
    "aggregate": ("pg_proc p", "p.prokind = 'a'", "p.proname", "pg_function_is_visible(p.oid)", "p.pronamespace"),
    "type": ("pg_type t", "(t.typrelid = 0 or (select k.relkind = 'c' from pg_class k where k.oid = t.typrelid)) "
                          "and t.typname !~ '^_'", "t.typname", "pg_type_is_visible(t.oid)", "t.typnamespace"),
    "composite": ("pg_type t", "(select k.relkind = 'c' from pg_class k where k.oid = t.typrelid) "
                               "and t.typname !~ '^_'", "t.typname", "pg_type_is_visible(t.oid)", "t.typnamespace"),
    "domain": ("pg_type t", "t.typtype = 'd'", "t.typname", "pg_type_is_visible(t.oid)", "t.typnamespace"),
    "constraint": ("pg_constraint c", "c.conrelid <> 0", "c.conname", "true", "c.connamespace"),
    "statistics": ("pg_statistic_ext s", "true", "s.stxname", "pg_statistics_obj_is_visible(s.oid)", "s.stxnamespace"),
    "collation": ("pg_collation c", "c.collencoding in (-1, pg_char_to_encoding(getdatabaseencoding()))", "c.collname",
                  "pg_collation_is_visible(c.oid)", "c.collnamespace"),
    "dictionary": ("pg_ts_dict t", "true", "t.dictname", "pg_ts_dict_is_visible(t.oid)", "t.dictnamespace"),
    "configuration": ("pg_ts_config t", "true", "t.cfgname", "pg_ts_config_is_visible(t.oid)", "t.cfgnamespace"),
}
# Names that belong to another, which has been written before: how they hang together, and the other's names.
BELONGING: dict[str, tuple[str, str, str, tuple[str, str, str]]] = {
    "attribute": ("pg_attribute a, pg_class c", "c.oid = a.attrelid and a.attnum > 0 and not a.attisdropped",
                  "a.attname", _OF),
    "attribute number": ("pg_attribute a, pg_class c", "c.oid = a.attrelid and a.attnum > 0 and not a.attisdropped",
                         "a.attnum::pg_catalog.text", _OF),
    "constraint": ("pg_constraint k, pg_class c", "k.conrelid = c.oid", "k.conname", _OF),
    "not validated": ("pg_constraint k, pg_class c", "k.conrelid = c.oid and not k.convalidated", "k.conname", _OF),
    "index": ("pg_class c, pg_class d, pg_index i", "c.oid = i.indrelid and i.indexrelid = d.oid", "d.relname", _OF),
    "unique index": ("pg_class c, pg_class d, pg_index i", "c.oid = i.indrelid and i.indexrelid = d.oid and "
                                                           "i.indisunique", "d.relname", _OF),
    "rule": ("pg_rewrite r, pg_class c", "r.ev_class = c.oid", "r.rulename", _OF),
    "trigger": ("pg_trigger g, pg_class c", "g.tgrelid = c.oid and not g.tgisinternal", "g.tgname", _OF),
    "partition": ("pg_class c, pg_class d, pg_inherits i", "c.oid = i.inhparent and i.inhrelid = d.oid and "
                                                           "d.relispartition", "d.relname", _OF),
    "constraint of a type": ("pg_constraint k, pg_type t", "k.contypid = t.oid", "k.conname", _TYPE_OF),
    "value": ("pg_enum e, pg_type t", "t.oid = e.enumtypid", "e.enumlabel", _TYPE_OF),
    "value in quotes": ("pg_enum e, pg_type t", "t.oid = e.enumtypid", "pg_catalog.quote_literal(enumlabel)", _TYPE_OF),
    "argument": ("pg_proc p", "true", "pg_catalog.oidvectortypes(p.proargtypes)||')'",
                 ("p.proname", "p.pronamespace", "pg_function_is_visible(p.oid)")),
}
PLAIN = {
    "template": "select d.datname from pg_database d where d.datname like '{0}%' and "
                "(d.datistemplate or pg_has_role(d.datdba, 'usage')) and d.datname = current_database()",
    "database variable": "select conf from (select setdatabase, split_part(unnest(setconfig), '=', 1) conf "
                         "from pg_db_role_setting) s, pg_database d where s.setdatabase = d.oid and conf like '{0}%' "
                         "and d.datname like 'nothing'",
    "tablespace": "select spcname from pg_tablespace where spcname like '{0}%'",
    "encoding": "select distinct pg_encoding_to_char(conforencoding) from pg_conversion "
                "where pg_encoding_to_char(conforencoding) like upper('{0}%')",
    "language": "select lanname from pg_language where lanname != 'internal' and lanname like '{0}%'",
    "role": "select rolname from pg_roles where rolname like '{0}%'",
    "role variable": "select conf from (select rolname, split_part(unnest(rolconfig), '=', 1) conf from pg_roles) s "
                     "where s.conf like '{0}%' and s.rolname like 'postgres'",
    "wrapper": "select fdwname from pg_foreign_data_wrapper where fdwname like '{0}%'",
    "server": "select srvname from pg_foreign_server where srvname like '{0}%'",
    "user mapping": "select usename from pg_user_mappings where usename like '{0}%'",
    "index method": "select amname from pg_am where amname like '{0}%' and amtype = 'i'",
    "table method": "select amname from pg_am where amname like '{0}%' and amtype = 't'",
    "extension": "select extname from pg_extension where extname like '{0}%'",
    "statement": "select name from pg_prepared_statements where name like '{0}%'",
    "event trigger": "select evtname from pg_event_trigger where evtname like '{0}%'",
    "sampling": "select proname from pg_proc where prorettype = 'pg_catalog.tsm_handler'::pg_catalog.regtype and "
                "proargtypes[0] = 'pg_catalog.internal'::pg_catalog.regtype and proname like '{0}%'",
    "policy": "select polname from pg_policy where polname like '{0}%'",
    "a parameter's values": "select val from (select name, unnest(enumvals) as val from pg_settings) ss "
                            "where val like '{0}%' and lower(name) = lower('client_min_messages')",
    "channel": "select channel from pg_listening_channels() as channel where channel like '{0}%'",
    "cursor": "select name from pg_cursors where name like '{0}%' and name <> ''",
    "zone": "select name from pg_timezone_names() where lower(name) like lower('europe/be{0}%')",
    "zone in quotes": "select quote_literal(name) as name from pg_timezone_names() "
                      "where quote_literal(lower(name)) like lower('''europe/be{0}%')",
    "publication": "select pubname from pg_publication where pubname like '{0}%'",
    "subscription": "select s.subname from pg_subscription s, pg_database d where s.subname like '{0}%' and "
                    "d.datname = current_database() and s.subdbid = d.oid",
    "conversion": "select conname from pg_conversion where conname like '{0}%'",
    "schema": "select nspname from pg_namespace where nspname like '{0}%' and nspname !~ '^pg_(toast_)?temp_'",
}


@pytest.fixture(scope="module")
def both(served: Place, beside: Place) -> Iterator[tuple[Any, Any]]:
    with (psycopg.connect(served.dsn, autocommit=True) as ours, psycopg.connect(beside.dsn, autocommit=True) as theirs):
        for one in (ours, theirs):
            one.execute("set search_path = main")
            one.execute("listen proposals")
        yield ours, theirs


def proposed(con: Any, sql: str) -> set[tuple[Any, ...]]:
    # roles of other tests are none of the server's
    return {row for row in con.execute(sql).fetchall() if row[0] == "postgres" or row[0] not in USERS}


@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize("begun", ["", "p", "pg\\\\_"])
def test_names_and_schemas(kind: str, begun: str, both: tuple[Any, Any]) -> None:
    tables, condition, name, visible, schema = NAMES[kind]
    tables = f"pg_catalog.{tables}"
    hidden = "" if begun.startswith("pg") else f" and {schema} <> (select oid from pg_catalog.pg_namespace " \
                                              "where nspname = 'pg_catalog')"
    sql = (f"select {name}, null::pg_catalog.text from {tables} where ({condition}) and ({name}) like E'{begun}%' "
           f"and pg_catalog.{visible}{hidden} union all select null::pg_catalog.text, n.nspname "
           f"from pg_catalog.pg_namespace n where n.nspname like E'{begun}%' and n.nspname not like E'pg\\\\_%' "
           "limit 10000").replace("pg_catalog.true", "true")
    ours, theirs = (proposed(one, sql) for one in both)
    assert ours == theirs


@pytest.mark.parametrize("kind", NAMES)
def test_names_of_a_schema(kind: str, both: tuple[Any, Any]) -> None:
    tables, condition, name, _, schema = NAMES[kind]
    sql = (f"select {name}, n.nspname from pg_catalog.{tables}, pg_catalog.pg_namespace n where {schema} = n.oid and "
           f"({condition}) and ({name}) like '%' and n.nspname = 'other' limit 10000")
    ours, theirs = (proposed(one, sql) for one in both)
    assert ours == theirs


@pytest.mark.parametrize("kind", BELONGING)
@pytest.mark.parametrize("schema", ["", "main", "other"])
def test_names_that_belong_to_another(kind: str, schema: str, both: tuple[Any, Any]) -> None:
    tables, condition, name, (other, namespace, visible) = BELONGING[kind]
    others = ("parent", "child", "t2", "v", "mood", "area", "upper")
    for one in others:
        chosen = ", ".join(f"pg_catalog.{table.strip()}" for table in tables.split(","))
        where = f"({condition}) and {other} = '{one}'"
        if schema:
            chosen += ", pg_catalog.pg_namespace nr"
            where += f" and {namespace} = nr.oid and nr.nspname = '{schema}'"
        else:
            where += f" and pg_catalog.{visible}"
        sql = f"select distinct {name}, null::pg_catalog.text from {chosen} where {where} and ({name}) like '%'"
        ours, theirs = (proposed(con, sql) for con in both)
        assert ours == theirs, one


@pytest.mark.parametrize("kind", PLAIN)
@pytest.mark.parametrize("begun", ["", "p"])
def test_plain_names(kind: str, begun: str, both: tuple[Any, Any]) -> None:
    ours, theirs = (proposed(one, PLAIN[kind].format(begun)) for one in both)
    assert ours == theirs


def test_names_of_parameters(both: tuple[Any, Any]) -> None:
    """Fewer than PostgreSQL's, and none that it does not have."""
    for context in ("context != 'internal'", "context in ('user', 'superuser')", "true"):
        ours, theirs = (proposed(one, f"select lower(name) from pg_settings where {context} and lower(name) like "
                                      "lower('%')") for one in both)
        assert set() < ours < theirs
