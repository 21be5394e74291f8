"""Views of the private database that the macros look things up in: names, texts and visibility of objects.

They read the catalogs through the connection's search path, so one set serves every snapshot.
"""

from __future__ import annotations

import re
from functools import cache

from febe.server.catalog import functions

# format_type.c: the types that SQL has a name of its own for.
SQL_NAMES = {16: "boolean", 114: "json", 18: '"char"', 21: "smallint", 23: "integer", 20: "bigint", 700: "real",
              701: "double precision", 1700: "numeric", 1042: "character", 1043: "character varying", 1560: "bit",
              1562: "bit varying", 1083: "time without time zone", 1266: "time with time zone",
              1114: "timestamp without time zone", 1184: "timestamp with time zone", 1186: "interval"}
_NAMES = ", ".join(f"({oid}::UINTEGER, '{name}')" for oid, name in SQL_NAMES.items())

_PATH = "getvariable('febe_path_all')"


def _quoted(name: str) -> str:
    return (f"CASE WHEN regexp_full_match({name}, '[a-z_][a-z0-9_$]*') AND {name} NOT IN (SELECT febe_key FROM "
            f"febe_reserved) THEN {name} ELSE '\"' || replace({name}, '\"', '\"\"') || '\"' END")


def _seen(table: str, name: str, namespace: str, extra: str = "") -> str:
    """Visible: in a schema of the path, and no schema before that has the same name."""
    return (f"SELECT o.oid AS febe_o, o.{name} AS febe_name, n.nspname AS febe_schema, "
            f"coalesce(list_position({_PATH}, n.nspname) = min(list_position({_PATH}, n.nspname)) OVER "
            f"(PARTITION BY o.{name}{extra}), false) AS febe_visible "
            f"FROM {table} o JOIN pg_namespace n ON n.oid = o.{namespace}")


def _in(kind: str) -> str:
    return (f"SELECT febe_name AS febe_key, febe_o FROM febe_seen_{kind} WHERE febe_visible "
            f"UNION ALL SELECT febe_schema || '.' || febe_name, febe_o FROM febe_seen_{kind}")


def _out(kind: str) -> str:
    return (f"SELECT febe_o, CASE WHEN febe_visible THEN '' ELSE {_quoted('febe_schema')} || '.' END || "
            f"{_quoted('febe_name')} AS febe_text FROM febe_seen_{kind}")


_ARGUMENTS = ("(SELECT coalesce(string_agg((SELECT any_value(febe_text) FROM febe_type WHERE febe_o = a.t), ',' "
              "ORDER BY a.i), '') FROM (SELECT unnest(o.proargtypes) AS t, generate_subscripts(o.proargtypes, 1) AS i) "
              "AS a)")

VIEWS: dict[str, str] = {
    "febe_reserved": "SELECT word AS febe_key FROM febe_keyword WHERE catcode <> 'U'",
    "febe_seen_regclass": _seen("pg_class", "relname", "relnamespace"),
    "febe_seen_regtype": _seen("pg_type", "typname", "typnamespace"),
    "febe_seen_regproc": _seen("pg_proc", "proname", "pronamespace", ", o.proargtypes"),
    "febe_seen_regoper": _seen("pg_operator", "oprname", "oprnamespace", ", o.oprleft, o.oprright"),
    "febe_seen_regcollation": _seen("pg_collation", "collname", "collnamespace"),
    "febe_seen_regconfig": _seen("pg_ts_config", "cfgname", "cfgnamespace"),
    "febe_seen_regdictionary": _seen("pg_ts_dict", "dictname", "dictnamespace"),
    **{f"febe_in_{kind}": _in(kind) for kind in ("regclass", "regcollation", "regconfig", "regdictionary")},
    # a name that stands for several functions is none of them (regproc.c, regprocin)
    "febe_in_regproc": "SELECT febe_key, any_value(febe_o) AS febe_o FROM (" + _in("regproc") +
                       ") GROUP BY febe_key HAVING count(*) = 1",
    "febe_in_regoper": "SELECT febe_key, any_value(febe_o) AS febe_o FROM (" + _in("regoper") +
                       ") GROUP BY febe_key HAVING count(*) = 1",
    "febe_in_regtype": _in("regtype") + " UNION ALL SELECT febe_text, febe_o FROM febe_type "
                       "UNION ALL SELECT * FROM (VALUES ('int', 23::UINTEGER), ('decimal', 1700::UINTEGER), "
                       "('float', 701::UINTEGER), ('string', 25::UINTEGER), ('timestamp', 1114::UINTEGER), "
                       "('time', 1083::UINTEGER))",
    "febe_in_regnamespace": "SELECT nspname AS febe_key, oid AS febe_o FROM pg_namespace",
    "febe_in_regrole": "SELECT rolname AS febe_key, oid AS febe_o FROM pg_authid",
    "febe_in_regprocedure": f"SELECT s.febe_key, s.febe_o, o.proargtypes AS febe_types FROM ({_in('regproc')}) s "
                            "JOIN pg_proc o ON o.oid = s.febe_o",
    "febe_in_regoperator": "SELECT febe_text AS febe_key, febe_o FROM febe_out_regoperator",
    **{f"febe_out_{kind}": _out(kind) for kind in ("regclass", "regcollation", "regconfig", "regdictionary")},
    "febe_out_regtype": "SELECT febe_o, febe_text FROM febe_type",
    "febe_out_regnamespace": f"SELECT oid AS febe_o, {_quoted('nspname')} AS febe_text FROM pg_namespace",
    "febe_out_regrole": "SELECT oid AS febe_o, rolname AS febe_text FROM pg_authid",
    # qualified unless regprocin would find it by its bare name (regproc.c, regprocout)
    "febe_out_regproc": "SELECT febe_o, CASE WHEN febe_visible AND count(*) OVER (PARTITION BY febe_name) = 1 THEN '' "
                        f"ELSE {_quoted('febe_schema')} || '.' END || {_quoted('febe_name')} AS febe_text "
                        "FROM febe_seen_regproc",
    "febe_out_regprocedure": "SELECT s.febe_o, CASE WHEN s.febe_visible THEN '' ELSE s.febe_schema || '.' END || "
                             f"{_quoted('s.febe_name')} || '(' || {_ARGUMENTS} || ')' AS febe_text "
                             "FROM febe_seen_regproc s JOIN pg_proc o ON o.oid = s.febe_o",
    "febe_out_regoper": "SELECT febe_o, CASE WHEN febe_visible AND count(*) OVER (PARTITION BY febe_name) = 1 THEN '' "
                        "ELSE febe_schema || '.' END || febe_name AS febe_text FROM febe_seen_regoper",
    "febe_out_regoperator":
        "SELECT s.febe_o, CASE WHEN s.febe_visible THEN '' ELSE s.febe_schema || '.' END || s.febe_name || '(' || "
        "CASE WHEN o.oprleft = 0 THEN 'NONE' ELSE (SELECT any_value(febe_text) FROM febe_type WHERE febe_o = "
        "o.oprleft) END || ',' || (SELECT any_value(febe_text) FROM febe_type WHERE febe_o = o.oprright) || ')' AS "
        "febe_text FROM febe_seen_regoper s JOIN pg_operator o ON o.oid = s.febe_o",
    # An array type is named after its elements', whose name is qualified where it must be.
    "febe_type":
        "SELECT t.oid AS febe_o, coalesce(k.name, CASE WHEN s.febe_visible THEN '' ELSE "
        f"{_quoted('s.febe_schema')} || '.' END || {_quoted('s.febe_name')}) || CASE WHEN e.oid IS NULL THEN '' ELSE "
        "'[]' END AS febe_text, s.febe_o AS febe_base FROM pg_type t LEFT JOIN pg_type e ON e.oid = t.typelem AND "
        "t.typsubscript = 6179 AND t.typstorage <> 'p' JOIN febe_seen_regtype s ON s.febe_o = coalesce(e.oid, "
        "t.oid) LEFT JOIN "
        f"(VALUES {_NAMES}) AS k(oid, name) ON k.oid = coalesce(e.oid, t.oid)",
    "febe_comment":
        "SELECT d.objoid AS febe_o, d.objsubid AS febe_n, d.description AS febe_text, (SELECT any_value(c.relname) "
        "FROM builtin.pg_class c WHERE c.oid = d.classoid) AS febe_class FROM pg_description d UNION ALL SELECT "
        "d.objoid, 0, d.description, (SELECT any_value(c.relname) FROM builtin.pg_class c WHERE c.oid = d.classoid) "
        "FROM pg_shdescription d",
}

PROTOTYPES = {
    "febe_definition": "febe_class UINTEGER, febe_o UINTEGER, febe_text VARCHAR",
    "febe_source": "febe_o UINTEGER, febe_text VARCHAR",
    "febe_key": "febe_o UINTEGER, febe_n INTEGER, febe_text VARCHAR",
    "febe_signature": "febe_o UINTEGER, febe_arguments VARCHAR, febe_identity VARCHAR, febe_result VARCHAR, "
                      "febe_body VARCHAR",
    "febe_size": "febe_o UINTEGER, febe_bytes BIGINT",
    "febe_sequence": "febe_o UINTEGER, febe_last BIGINT, febe_parameters STRUCT(start_value BIGINT, minimum_value "
                     "BIGINT, maximum_value BIGINT, increment BIGINT, cycle_option BOOLEAN, cache_size BIGINT, "
                     "data_type UINTEGER)",
    "febe_setting_now": "febe_key VARCHAR, febe_text VARCHAR",
    "febe_channel": "febe_key VARCHAR",
    "febe_backend": "febe_o UINTEGER",
    "febe_transaction": "febe_number BIGINT",
}
"""Tables that each snapshot may have rows of its own in."""

LOOKED_UP = frozenset(("febe_setting_now", "febe_channel", "febe_backend", "febe_transaction"))
"""What functions look up in the session."""

FILES = frozenset(("febe_argument", "febe_encoding", "febe_function", "febe_keyword", "febe_setting", "febe_token"))
"""Tables of built-in rows that are no catalogs."""

TABLED = ("febe_seen_regclass", "febe_seen_regtype", "febe_type", "febe_out_regclass")
"""Views that a snapshot makes tables of, because most queries look something up in them; each after those it reads."""

_WORD = re.compile(r"\b(?:builtin\.)?((?:pg|febe|f)_\w+)")


@cache
def needs(name: str) -> frozenset[str]:
    """The catalogs and prototypes that a view of ours or a macro reads, also through others."""
    if name.startswith(functions.PREFIX):
        bare = name[len(functions.PREFIX):]
        forms = functions.MACROS.get(bare) or functions.TABLES.get(bare.removesuffix("_rows")) or []
        text = " ".join(body for _, body in forms)
    else:
        text = VIEWS.get(name, "")
    found: set[str] = set()
    for word in set(_WORD.findall(text)) - {name}:
        if word in VIEWS or word.startswith(functions.PREFIX):
            found |= needs(word)
            if word in TABLED:
                found.add(word)
        elif word in PROTOTYPES or word in FILES or word.startswith("pg_"):
            found.add(word)
    return frozenset(found)


def named(sql: str) -> set[str]:
    """The catalogs and tables of ours that a query of ours names."""
    return set(_WORD.findall(sql))


def statements() -> list[str]:
    """What creates the views; the catalogs they read have to be there."""
    waiting = dict(VIEWS)
    made: list[str] = []
    done: set[str] = set()
    while waiting:
        for name in [name for name, text in waiting.items()
                     if not (set(_WORD.findall(text)) & VIEWS.keys()) - done - {name}]:
            made.append(f"CREATE VIEW main.{name} AS {waiting.pop(name)}")
            done.add(name)
    return made
