"""What the functions has_..._privilege ask about (manual: "Access Privilege Inquiry Functions"; acl.c).

A name that stands for nothing is an error, as everywhere; so is a privilege that its kind of object does not have.
"""

from __future__ import annotations

from dataclasses import dataclass

from febe.server.engine import EngineError


@dataclass(slots=True, kw_only=True, frozen=True)
class Inquiry:
    """One function: the macro that finds the object by its name, and the privileges such objects have."""

    named: str | None
    privileges: frozenset[str]
    column: bool = False
    """The argument behind the object is one of its columns."""


def _inquiry(named: str | None, privileges: str, *, column: bool = False) -> Inquiry:
    return Inquiry(named=named, privileges=frozenset(privileges.split(", ")), column=column)


INQUIRIES = {
    "has_table_privilege": _inquiry(
        "regclass", "SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER, MAINTAIN"),
    "has_sequence_privilege": _inquiry("regclass", "USAGE, SELECT, UPDATE"),
    "has_any_column_privilege": _inquiry("regclass", "SELECT, INSERT, UPDATE, REFERENCES"),
    "has_column_privilege": _inquiry("regclass", "SELECT, INSERT, UPDATE, REFERENCES", column=True),
    "has_schema_privilege": _inquiry("regnamespace", "CREATE, USAGE"),
    "has_type_privilege": _inquiry("regtype", "USAGE"),
    "has_function_privilege": _inquiry("regprocedure", "EXECUTE"),
    "has_database_privilege": _inquiry("oid_of_database", "CREATE, TEMPORARY, TEMP, CONNECT"),
    "has_language_privilege": _inquiry("oid_of_language", "USAGE"),
    "has_tablespace_privilege": _inquiry("oid_of_tablespace", "CREATE"),
    "has_server_privilege": _inquiry("oid_of_server", "USAGE"),
    "has_foreign_data_wrapper_privilege": _inquiry("oid_of_wrapper", "USAGE"),
    "has_parameter_privilege": _inquiry(None, "SET, ALTER SYSTEM"),
    "pg_has_role": _inquiry("regrole", "USAGE, MEMBER, SET"),
}


def check_privileges(function: str, text: str) -> None:
    """Refuse what is no list of such privileges.  Errors: EngineError (22023)."""
    known = INQUIRIES[function].privileges
    for one in text.split(","):
        bare = one.strip().upper().removesuffix(" WITH GRANT OPTION").removesuffix(" WITH ADMIN OPTION")
        if bare not in known:
            raise EngineError(f'unrecognized privilege type: "{one.strip()}"', sqlstate="22023")


_CATALOGS = {"database": ("pg_database", "datname", "database", "3D000"),
             "language": ("pg_language", "lanname", "language", "42704"),
             "tablespace": ("pg_tablespace", "spcname", "tablespace", "42704"),
             "server": ("pg_foreign_server", "srvname", "server", "42704"),
             "wrapper": ("pg_foreign_data_wrapper", "fdwname", "foreign-data wrapper", "42704")}
_WRITES = "'INSERT|UPDATE|DELETE|TRUNCATE|CREATE|TRIGGER|MAINTAIN'"


def _may(*arguments: str) -> str:
    nothing = " OR ".join(f"{one} IS NULL" for one in arguments)
    return (f"CASE WHEN {nothing} THEN NULL ELSE getvariable('febe_writable') OR "
            f"NOT regexp_matches(upper({arguments[-1]}), {_WRITES}) END")


def _always(*arguments: str) -> str:
    return f"CASE WHEN {' OR '.join(f'{one} IS NULL' for one in arguments)} THEN NULL ELSE true END"


PRIVILEGES: dict[str, list[tuple[str, str]]] = {
    **{f"has_{what}_privilege": [("a, b", _may("a", "b")), ("a, b, c", _may("a", "b", "c"))]
       for what in ("table", "any_column", "schema", "database", "sequence")},
    "has_column_privilege": [("a, b, c", _may("a", "b", "c")), ("a, b, c, d", _may("a", "b", "c", "d"))],
    **{f"has_{what}_privilege": [("a, b", _always("a", "b")), ("a, b, c", _always("a", "b", "c"))] for what in (
        "function", "language", "type", "tablespace", "foreign_data_wrapper", "server", "parameter")},
    **{f"oid_of_{kind}": [("a", f"CASE WHEN a IS NULL THEN NULL ELSE coalesce((SELECT any_value(k.oid) FROM {table} k "
                                f"WHERE k.{column} = a), error('{sqlstate}:{words} \"' || a || '\" does not exist')) "
                                "END")]
       for kind, (table, column, words, sqlstate) in _CATALOGS.items()},
    "number_of_column": [("a, b", "coalesce((SELECT any_value(k.attnum) FROM pg_attribute k WHERE k.attrelid = "
                                  "a::UINTEGER AND k.attname = b), error('42703:column \"' || b || '\" of relation \"' "
                                  "|| f_regclassout(a) || '\" does not exist'))")],
}
"""Macros of the private database (functions.py)."""
