"""PostgreSQL's system information functions as macros of the private database (manual: "System Information Functions
and Operators").

A macro is found under `f_` and the function's name.  What depends on the session is a variable of its connection; what
depends on the objects is looked up in the snapshot's `febe_*` tables, whose columns are named so that no argument is
taken for one of them.
"""

from __future__ import annotations

import re

from febe.server.catalog.privileges import PRIVILEGES
from febe.server.catalog.statistics import STATISTICS

PREFIX = "f_"
PRETTY = 1
"""Stands for a class in febe_definition: constraints and views as they are shown pretty-printed."""


def _lookup(table: str, key: str, value: str, condition: str = "") -> str:
    return f"(SELECT any_value({value}) FROM {table} WHERE febe_o = {key}{condition})"


def _definition(classid: int, key: str = "a::UINTEGER") -> str:
    return _lookup("febe_definition", key, "febe_text", f" AND febe_class = {classid}")


_AMBIGUOUS = {"regproc": "WHEN (SELECT count(*) FROM febe_in_regprocedure WHERE febe_key = a::VARCHAR) > 1 THEN "
                         "error('42725:more than one function named \"' || a::VARCHAR || '\"') "}


def _reg_in(kind: str, missing: str, sqlstate: str) -> str:
    return (f"CASE WHEN a IS NULL THEN NULL WHEN regexp_full_match(a::VARCHAR, '[0-9]+') THEN a::VARCHAR::UINTEGER "
            f"WHEN a::VARCHAR = '-' THEN 0::UINTEGER "
            f"{_AMBIGUOUS.get(kind, '')}"
            f"ELSE coalesce({_named(kind)}, error('{sqlstate}:' || {missing})) END")


def _named(kind: str) -> str:
    if kind == "regprocedure":
        types = ("(SELECT coalesce(list(t.febe_o ORDER BY k.i), []) FROM (SELECT unnest(list_filter(string_split("
                 "regexp_extract(a, '[(](.*)[)]', 1), ','), lambda febe_e: trim(febe_e) <> '')) AS x, "
                 "generate_subscripts(string_split(a, ','), 1) AS i) AS k LEFT JOIN (SELECT febe_key, "
                 "any_value(febe_o) AS febe_o FROM febe_in_regtype GROUP BY febe_key) AS t "
                 "ON t.febe_key = trim(k.x) WHERE k.x IS NOT NULL)")
        return ("(SELECT any_value(febe_o) FROM febe_in_regprocedure WHERE febe_key = trim(split_part(replace("
                f"a::VARCHAR, '\"', ''), '(', 1)) AND febe_types = {types})")
    return f"(SELECT any_value(febe_o) FROM febe_in_{kind} WHERE febe_key = replace(a::VARCHAR, '\"', ''))"


def _reg_out(kind: str) -> str:
    return ("CASE WHEN a IS NULL THEN NULL WHEN a::UINTEGER = 0 THEN '-' ELSE "
            f"coalesce((SELECT any_value(febe_text) FROM febe_out_{kind} WHERE febe_o = a::UINTEGER), "
            "a::VARCHAR) END")


REG_KINDS = ("regclass", "regtype", "regproc", "regprocedure", "regnamespace", "regrole", "regoper", "regoperator",
             "regcollation", "regconfig", "regdictionary")
_MISSING = {
    "regclass": ("'relation \"' || a::VARCHAR || '\" does not exist'", "42P01"),
    "regtype": ("'type \"' || a::VARCHAR || '\" does not exist'", "42704"),
    "regproc": ("'function \"' || a::VARCHAR || '\" does not exist'", "42883"),
    "regprocedure": ("'function \"' || a::VARCHAR || '\" does not exist'", "42883"),
    "regnamespace": ("'schema \"' || a::VARCHAR || '\" does not exist'", "3F000"),
    "regrole": ("'role \"' || a::VARCHAR || '\" does not exist'", "42704"),
    "regoper": ("'operator does not exist: ' || a::VARCHAR", "42883"),
    "regoperator": ("'operator does not exist: ' || a::VARCHAR", "42883"),
    "regcollation": ("'collation \"' || a::VARCHAR || '\" does not exist'", "42704"),
    "regconfig": ("'text search configuration \"' || a::VARCHAR || '\" does not exist'", "42704"),
    "regdictionary": ("'text search dictionary \"' || a::VARCHAR || '\" does not exist'", "42704"),
}

_VISIBLE = "(SELECT any_value(febe_visible) FROM febe_seen_{} WHERE febe_o = a::UINTEGER)"
_TRUE = "CASE WHEN {} IS NULL THEN NULL ELSE true END"
# Everybody has what anybody has; the predefined roles and PUBLIC are members of nothing.
_MEMBER = ("CASE WHEN b IS NULL THEN NULL WHEN a::VARCHAR = b::VARCHAR THEN true WHEN TRY_CAST(a::VARCHAR AS UINTEGER) "
           "IS NOT NULL THEN a::VARCHAR::UINTEGER = 10 OR a::VARCHAR::UINTEGER >= 16384 ELSE "
           "NOT regexp_matches(lower(a::VARCHAR), '^pg_|^public$') END")
_TABLE = "EXISTS (FROM pg_class k WHERE k.oid = a::UINTEGER AND k.relkind = 'r' AND k.oid >= 16384)"

# Of timestamp types the modifier is the precision; interval's has the fields in its upper half (timestamp.c).
FORMAT_TYPE = """CASE WHEN a IS NULL THEN NULL ELSE coalesce((SELECT any_value(
    CASE WHEN b IS NULL OR b::INTEGER < 0 THEN febe_text
         WHEN febe_base IN (1042, 1043) THEN regexp_replace(febe_text, '^[a-z ]+', '\\0(' || (b - 4)::VARCHAR || ')')
         WHEN febe_base IN (1560, 1562) THEN regexp_replace(febe_text, '^[a-z ]+', '\\0(' || b::VARCHAR || ')')
         WHEN febe_base = 1700 THEN regexp_replace(febe_text, '^[a-z ]+', '\\0(' || ((b - 4) >> 16)::VARCHAR || ',' ||
              (CASE WHEN (b - 4) & 1024 > 0 THEN ((b - 4) & 2047) - 2048 ELSE (b - 4) & 2047 END)::VARCHAR || ')')
         WHEN febe_base IN (1083, 1114, 1184, 1266)
              THEN regexp_replace(febe_text, '^[a-z]+', '\\0(' || b::VARCHAR || ')')
         WHEN febe_base = 1186 AND b & 65535 <> 65535 THEN febe_text || '(' || (b & 65535)::VARCHAR || ')'
         ELSE febe_text END)
    FROM febe_type WHERE febe_o = a::UINTEGER), CASE WHEN a = 0 THEN '-' ELSE '???' END) END"""

SIZE_PRETTY = """CASE WHEN abs(a) < 10240 THEN a::BIGINT::VARCHAR || ' bytes'
    WHEN abs(a) < 10485248 THEN round(a / 1024)::BIGINT::VARCHAR || ' kB'
    WHEN abs(a) < 10736893952 THEN round(a / 1048576)::BIGINT::VARCHAR || ' MB'
    WHEN abs(a) < 10994579406848 THEN round(a / 1073741824)::BIGINT::VARCHAR || ' GB'
    ELSE round(a / 1099511627776)::BIGINT::VARCHAR || ' TB' END"""

_ACL = {"r": "r=arwdDxtm", "s": "r=rwU", "f": "=X r=X", "T": "=U r=U", "n": "r=UC", "d": "=Tc r=CTc", "l": "=U r=U",
        "t": "r=C", "F": "r=U", "S": "r=U", "L": "r=rw", "p": "r=sA"}
_PRIVILEGES = {"r": "SELECT", "w": "UPDATE", "a": "INSERT", "d": "DELETE", "D": "TRUNCATE", "x": "REFERENCES",
               "t": "TRIGGER", "X": "EXECUTE", "U": "USAGE", "C": "CREATE", "T": "TEMPORARY", "c": "CONNECT",
               "s": "SET", "A": "ALTER SYSTEM", "m": "MAINTAIN"}

_OWNER = "coalesce(getvariable('febe_role_names')[b::UINTEGER], '')"

# What an object without an ACL grants (acl.c, acldefault).
ACL_DEFAULT = "CASE a " + " ".join(
    f"WHEN '{kind}' THEN [" + ", ".join(
        f"{'' if item[0] == '=' else _OWNER + ' || '}'{item[item.index('='):]}/' || {_OWNER}"
        for item in items.split()) + "]"
    for kind, items in _ACL.items()) + " ELSE []::VARCHAR[] END"
ACL_EXPLODE = (
    "flatten(list_transform(a, lambda febe_e: list_transform(regexp_extract_all(split_part(split_part(febe_e, '=', 2), "
    "'/', 1), '[a-zA-Z][*]?'), lambda febe_l: {'grantor': coalesce(getvariable('febe_roles')[split_part(febe_e, '/', "
    "2)], 0)::UINTEGER, 'grantee': coalesce(getvariable('febe_roles')[split_part(febe_e, '=', 1)], 0)::UINTEGER, "
    "'privilege_type': MAP {" + ", ".join(f"'{letter}': '{name}'" for letter, name in _PRIVILEGES.items()) +
    "}[left(febe_l, 1)], 'is_grantable': right(febe_l, 1) = '*'})))")

# Each: a list of (parameters, body).
MACROS: dict[str, list[tuple[str, str]]] = {
    "format_type": [("a, b", FORMAT_TYPE)],
    "pg_get_userbyid": [("a", "coalesce((SELECT any_value(febe_text) FROM febe_out_regrole WHERE "
                              "febe_o = a::UINTEGER), 'unknown (OID=' || a::VARCHAR || ')')")],
    "pg_get_indexdef": [("a", _definition(1259)),
                        ("a, b, c", "CASE WHEN b = 0 THEN " + _definition(1259) + " ELSE coalesce("
                                    "(SELECT any_value(febe_text) FROM febe_key WHERE febe_o = a::UINTEGER AND "
                                    "febe_n = b), "
                                    "(SELECT any_value(k.attname) FROM builtin.pg_attribute k WHERE "
                                    "k.attrelid = a::UINTEGER AND k.attnum = b), '') END")],
    "pg_get_constraintdef": [
        ("a", _definition(2606)),
        ("a, b", f"CASE WHEN b THEN coalesce({_definition(PRETTY)}, {_definition(2606)}) "
                 f"ELSE {_definition(2606)} END")],
    "pg_get_viewdef": [("a", _definition(2617, "a::UINTEGER")),
                       ("a, b", "CASE WHEN b::INTEGER > 0 THEN coalesce(" + _definition(PRETTY, "a::UINTEGER") + ", "
                                + _definition(2617, "a::UINTEGER") + ") ELSE " +
                                _definition(2617, "a::UINTEGER") + " END")],
    "pg_get_ruledef": [("a", _definition(2618)), ("a, b", _definition(2618))],
    "pg_get_triggerdef": [("a", "NULL::VARCHAR"), ("a, b", "NULL::VARCHAR")],
    "pg_get_functiondef": [("a", _lookup("febe_source", "a::UINTEGER", "febe_text"))],
    # pretty: without the parentheses around the whole
    "pg_get_expr": [("a, b", "a::VARCHAR"), ("a, b, c", "CASE WHEN c AND regexp_full_match(a, "
                     "'[(](?:[^()]|[(][^()]*[)])*[)]') THEN a[2:-2] ELSE a END")],
    "pg_get_partkeydef": [("a", "NULL::VARCHAR")],
    "pg_get_partition_constraintdef": [("a", "NULL::VARCHAR")],
    "pg_get_statisticsobjdef": [("a", "NULL::VARCHAR")],
    "pg_get_statisticsobjdef_columns": [("a", "NULL::VARCHAR")],
    "pg_get_function_arguments": [("a", _lookup("febe_signature", "a::UINTEGER", "febe_arguments"))],
    "pg_get_function_identity_arguments": [("a", _lookup("febe_signature", "a::UINTEGER", "febe_identity"))],
    "pg_get_function_result": [("a", _lookup("febe_signature", "a::UINTEGER", "febe_result"))],
    "pg_get_function_sqlbody": [("a", _lookup("febe_signature", "a::UINTEGER", "febe_body"))],
    "pg_get_function_arg_default": [("a, b", "(SELECT any_value(k.value) FROM builtin.febe_argument k WHERE "
                                             "k.oid = a::UINTEGER AND k.number = b)")],
    # no column has a sequence of its own
    "pg_get_serial_sequence": [("a, b", "NULL::VARCHAR")],
    "serial_sequence_of": [("a, b", "CASE WHEN f_number_of_column(a, b) IS NULL THEN NULL ELSE NULL END::VARCHAR")],
    "pg_get_replica_identity_index": [("a", "NULL::UINTEGER")],
    "pg_table_is_visible": [("a", _VISIBLE.format("regclass"))],
    "pg_type_is_visible": [("a", _VISIBLE.format("regtype"))],
    "pg_function_is_visible": [("a", _VISIBLE.format("regproc"))],
    **{f"pg_{what}_is_visible": [("a", "CASE WHEN a IS NULL THEN NULL ELSE true END")] for what in (
        "operator", "opclass", "opfamily", "collation", "conversion", "ts_config", "ts_dict", "ts_parser",
        "ts_template", "statistics_obj")},
    "pg_relation_is_publishable": [("a", _TABLE)],
    "pg_relation_is_updatable": [("a, b", f"CASE WHEN getvariable('febe_writable') AND {_TABLE} THEN 28 ELSE 0 END")],
    "pg_column_is_updatable": [("a, b, c", f"getvariable('febe_writable') AND {_TABLE}")],
    "obj_description": [
        ("a", "(SELECT any_value(febe_text) FROM febe_comment WHERE febe_o = a::UINTEGER AND febe_n = 0)"),
        ("a, b", "(SELECT any_value(febe_text) FROM febe_comment WHERE febe_o = a::UINTEGER AND febe_n = 0 AND "
                 "febe_class = b)")],
    "shobj_description": [("a, b", "(SELECT any_value(febe_text) FROM febe_comment WHERE febe_o = a::UINTEGER AND "
                                   "febe_n = 0 AND febe_class = b)")],
    "col_description": [("a, b", "(SELECT any_value(febe_text) FROM febe_comment WHERE febe_o = a::UINTEGER AND "
                                 "febe_n = b AND febe_class = 'pg_class')")],
    "pg_relation_size": [("a", _lookup("febe_size", "a::UINTEGER", "febe_bytes")),
                         ("a, b", _lookup("febe_size", "a::UINTEGER", "febe_bytes"))],
    "pg_table_size": [("a", _lookup("febe_size", "a::UINTEGER", "febe_bytes"))],
    "pg_total_relation_size": [("a", _lookup("febe_size", "a::UINTEGER", "febe_bytes"))],
    "pg_indexes_size": [("a", "0::BIGINT + 0 * " + _lookup("febe_size", "a::UINTEGER", "febe_bytes"))],
    "pg_database_size": [("a", "getvariable('febe_database_size')::BIGINT")],
    "pg_tablespace_size": [("a", "getvariable('febe_database_size')::BIGINT")],
    "pg_size_pretty": [("a", SIZE_PRETTY)],
    "pg_encoding_to_char": [("a", "coalesce((SELECT any_value(k.name) FROM builtin.febe_encoding k WHERE "
                                  "k.number = a), '')")],
    "pg_char_to_encoding": [("a", "coalesce((SELECT any_value(k.number) FROM builtin.febe_encoding k WHERE "
                                  "k.name = upper(a)), -1)")],
    "pg_tablespace_location": [("a", "''")],
    "pg_tablespace_databases": [("a", "getvariable('febe_database_oid')::UINTEGER")],
    "pg_is_in_recovery": [("", "false")],
    "pg_is_wal_replay_paused": [("", "false")],
    "pg_is_other_temp_schema": [("a", "false")],
    "pg_my_temp_schema": [("", "0::UINTEGER")],
    "pg_backend_pid": [("", "getvariable('febe_pid')::INTEGER")],
    "pg_postmaster_start_time": [("", "getvariable('febe_started')::TIMESTAMP WITH TIME ZONE")],
    "pg_conf_load_time": [("", "getvariable('febe_started')::TIMESTAMP WITH TIME ZONE")],
    "getdatabaseencoding": [("", "'UTF8'")],
    "pg_client_encoding": [("", "'UTF8'")],
    "pg_collation_actual_version": [("a", "NULL::VARCHAR")],
    "pg_database_collation_actual_version": [("a", "NULL::VARCHAR")],
    "pg_collation_for": [("a", "'\"default\"'")],
    "pg_sequence_last_value": [("a", _lookup("febe_sequence", "a::UINTEGER", "febe_last"))],
    "pg_sequence_parameters": [("a", "(SELECT any_value(febe_parameters) FROM febe_sequence WHERE febe_o = "
                                     "a::UINTEGER)")],
    "pg_typeof": [("a", "error('0A000:pg_typeof is not supported in a catalog query')")],
    "current_schemas": [("a", "CASE WHEN a THEN getvariable('febe_path_all') ELSE getvariable('febe_path') END")],
    "version": [("", "getvariable('febe_version')")],
    "current_setting": [("a", "coalesce((SELECT any_value(febe_text) FROM febe_setting_now WHERE febe_key = "
                              "lower(a)), error('42704:unrecognized configuration parameter \"' || a || '\"'))"),
                        ("a, b", "(SELECT any_value(febe_text) FROM febe_setting_now WHERE febe_key = lower(a))")],
    # of a row of pg_settings that is not here it is never called
    "set_config": [("a, b, c", "error('0A000:set_config is not supported in a catalog query: ' || a)")],
    "quote_ident": [("a", "CASE WHEN regexp_full_match(a, '[a-z_][a-z0-9_$]*') AND NOT EXISTS (FROM febe_reserved "
                          "WHERE febe_key = a) THEN a ELSE '\"' || replace(a, '\"', '\"\"') || '\"' END")],
    "quote_literal": [("a", "'''' || replace(a::VARCHAR, '''', '''''') || ''''")],
    "quote_nullable": [("a", "coalesce('''' || replace(a::VARCHAR, '''', '''''') || '''', 'NULL')")],
    "array_to_string": [("a, b", "list_aggregate(list_filter(a, lambda febe_e: febe_e IS NOT NULL), 'string_agg', b)"),
                        ("a, b, c", "list_aggregate(list_transform(a, lambda febe_e: coalesce(febe_e::VARCHAR, c)), "
                                    "'string_agg', b)")],
    "array_upper": [("a, b", "nullif(len(a), 0)::INTEGER")],
    "array_lower": [("a, b", "CASE WHEN len(a) > 0 THEN 1 END")],
    "array_length": [("a, b", "nullif(len(a), 0)::INTEGER")],
    "cardinality": [("a", "len(a)::INTEGER")],
    "array_ndims": [("a", "CASE WHEN len(a) > 0 THEN 1 END")],
    "array_position": [("a, b", "list_position(a, b)::INTEGER")],
    "vector_upper": [("a, b", "len(a)::INTEGER - 1")],
    "vector_lower": [("a, b", "0")],
    "array_out": [("a", "CASE WHEN a IS NULL THEN NULL ELSE '{' || coalesce(list_aggregate(list_transform(a, lambda "
                        "febe_e: CASE WHEN febe_e IS NULL THEN 'NULL' WHEN regexp_matches(febe_e::VARCHAR, "
                        "'[{},\"\\\\\\s]|^$|^(?i:null)$') THEN '\"' || replace(replace(febe_e::VARCHAR, '\\', "
                        "'\\\\'), '\"', '\\\"') || '\"' ELSE febe_e::VARCHAR END), 'string_agg', ','), '') || '}' "
                        "END")],
    "vector_out": [("a", "CASE WHEN a IS NULL THEN NULL ELSE coalesce(list_aggregate(list_transform(a, lambda febe_e: "
                         "febe_e::VARCHAR), 'string_agg', ' '), '') END")],
    "acldefault": [("a, b", ACL_DEFAULT)],
    "pg_has_role": [("a, b", _TRUE.format("a")), ("a, b, c", _MEMBER)],
    **PRIVILEGES,
    "row_security_active": [("a", "false")],
    "pg_ts_template_is_visible": [("a", "true")],
    # there are no partitions, and of any other relation this gives no rows (partitionfuncs.c)
    "pg_partition_ancestors": [("a", "unnest([]::UINTEGER[])")],
    "pg_partition_root": [("a", "NULL::UINTEGER")],
    "inet_server_addr": [("", "NULL::VARCHAR")], "inet_client_addr": [("", "NULL::VARCHAR")],
    "inet_server_port": [("", "NULL::INTEGER")], "inet_client_port": [("", "NULL::INTEGER")],
    "age": [("a", "0")], "mxid_age": [("a", "0")],
    "pg_listening_channels": [("", "(SELECT coalesce(list(febe_key), []) FROM febe_channel)")],
    "oidvectortypes": [("a", "(SELECT coalesce(string_agg((SELECT any_value(febe_text) FROM febe_type WHERE febe_o = "
                             "k.x), ', ' ORDER BY k.i), '') FROM (SELECT unnest(a) AS x, generate_subscripts(a, 1) AS "
                             "i) AS k)")],
    "pg_trigger_depth": [("", "0")],
    "pg_current_xact_id_if_assigned": [("", "NULL::VARCHAR")],
    "pg_current_xact_id": [("", "(SELECT any_value(febe_number)::VARCHAR FROM febe_transaction)")],
    "txid_current_if_assigned": [("", "NULL::BIGINT")],
    "txid_current": [("", "(SELECT any_value(febe_number) FROM febe_transaction)")],
    "aclexplode": [("a", ACL_EXPLODE)],
    "nameconcatoid": [("a, b", "left(a, 62 - length(b::VARCHAR)) || '_' || b::VARCHAR")],
    "_pg_char_max_length": [("a, b", "CASE WHEN b = -1 THEN NULL WHEN a IN (1042, 1043) THEN b - 4 WHEN a IN (1560, "
                                     "1562) THEN b END::INTEGER")],
    "_pg_char_octet_length": [("a, b", "CASE WHEN a IN (25, 1042, 1043) THEN CASE WHEN b = -1 THEN 1073741824 ELSE "
                                       "4 * (b - 4) END END::INTEGER")],
    "_pg_numeric_precision": [("a, b", "CASE a WHEN 21 THEN 16 WHEN 23 THEN 32 WHEN 20 THEN 64 WHEN 1700 THEN CASE "
                                       "WHEN b = -1 THEN NULL ELSE ((b - 4) >> 16) & 65535 END WHEN 700 THEN 24 WHEN "
                                       "701 THEN 53 END::INTEGER")],
    "_pg_numeric_precision_radix": [("a, b", "CASE WHEN a IN (21, 23, 20, 700, 701) THEN 2 WHEN a = 1700 THEN 10 "
                                             "END::INTEGER")],
    "_pg_numeric_scale": [("a, b", "CASE WHEN a IN (21, 23, 20) THEN 0 WHEN a = 1700 THEN CASE WHEN b = -1 THEN NULL "
                                   "ELSE (b - 4) & 2047 END END::INTEGER")],
    "_pg_datetime_precision": [("a, b", "CASE WHEN a = 1082 THEN 0 WHEN a IN (1083, 1114, 1184, 1266) THEN CASE WHEN "
                                        "b < 0 THEN 6 ELSE b END WHEN a = 1186 THEN CASE WHEN b < 0 OR b & 65535 = "
                                        "65535 THEN 6 ELSE b & 65535 END END::INTEGER")],
    "_pg_interval_type": [("a, b", "NULL::VARCHAR")],
    "_pg_index_position": [("a, b", "(SELECT any_value(list_position(k.indkey, b)) FROM pg_index k WHERE k.indexrelid "
                                    "= a::UINTEGER)")],
    "regexp_match": [("a, b", "CASE WHEN regexp_matches(a, b) THEN [regexp_extract(a, b, 1)] END")],
    "_pg_expandarray": [("a", "list_transform(a, lambda febe_e, febe_i: {'x': febe_e, 'n': febe_i::INTEGER})")],
    "pg_options_to_table": [("a", "list_transform(a, lambda febe_e: {'option_name': split_part(febe_e, '=', 1), "
                                  "'option_value': split_part(febe_e, '=', 2)})")],
    "pg_indexam_has_property": [("a, b", "CASE a WHEN 403 THEN b IN ('can_order', 'can_unique', 'can_multi_col', "
                                         "'can_exclude', 'can_include', 'can_backward') END")],
    "pg_index_column_has_property": [("a, b, c", "CASE WHEN c IN ('asc', 'orderable', 'nulls_last', 'returnable', "
                                                 "'search_array', 'search_nulls') THEN true ELSE false END")],
    "pg_index_has_property": [("a, b", "CASE WHEN b IN ('clusterable', 'index_scan', 'bitmap_scan', 'backward_scan') "
                                       "THEN true ELSE false END")],
    "string_to_array": [("a, b", "string_split(a, b)")],
    "parse_ident": [("a", "list_transform(regexp_extract_all(a, '\"[^\"]*\"|[^.]+'), lambda febe_e: CASE WHEN "
                          "febe_e[1] = '\"' THEN febe_e[2:-2] ELSE lower(trim(febe_e)) END)")],
    "texticlike": [("a, b", "a ILIKE b")], "nameeq": [("a, b", "a = b")],
    **STATISTICS,
}
for _kind in REG_KINDS:
    MACROS[_kind] = [("a", _reg_in(_kind, *_MISSING[_kind]))]
    MACROS[f"{_kind}out"] = [("a", _reg_out(_kind))]
    MACROS[f"{_kind}out_all"] = [("a", f"(SELECT list(f_{_kind}out(k.x) ORDER BY k.i) FROM (SELECT unnest(a) AS x, "
                                       "generate_subscripts(a, 1) AS i) AS k)")]
    MACROS[f"to_{_kind}"] = [("a", _named(_kind))]

RENAMED = {"json_build_object": ("json_object", "json"), "jsonb_build_object": ("json_object", "jsonb"),
           "json_agg": ("json_group_array", "json"), "jsonb_agg": ("json_group_array", "jsonb"),
           "row_to_json": ("to_json", "json"), "char_length": ("length", "int4"), "btrim": ("trim", "text"),
           "now": ("now", "timestamptz"), "clock_timestamp": ("now", "timestamptz"),
           "statement_timestamp": ("now", "timestamptz"), "transaction_timestamp": ("now", "timestamptz")}
"""Functions of the private database that do the same under another name, with the type that PostgreSQL gives."""

OF_RELATION = frozenset((
    "pg_get_viewdef", "pg_relation_is_publishable", "pg_relation_is_updatable", "pg_column_is_updatable",
    "col_description", "pg_relation_size", "pg_table_size", "pg_total_relation_size", "pg_indexes_size",
    "pg_partition_tree"))
"""Functions whose first argument is a relation, which may be given by its name."""

TABLES: dict[str, list[tuple[str, str]]] = {
    "pg_get_keywords": [("", "SELECT * FROM builtin.febe_keyword")],
    "ts_token_type": [("a", "SELECT * FROM builtin.febe_token")],
    "aclexplode": [("a", "SELECT unnest(f_aclexplode(a), recursive := true)")],
    "_pg_expandarray": [("a", "SELECT unnest(f__pg_expandarray(a), recursive := true)")],
    "pg_options_to_table": [("a", "SELECT unnest(f_pg_options_to_table(a), recursive := true)")],
    "pg_listening_channels": [("", "SELECT febe_key AS pg_listening_channels FROM febe_channel")],
    "pg_available_extensions": [("", "SELECT ''::VARCHAR AS name, ''::VARCHAR AS default_version, ''::VARCHAR AS "
                                     "comment WHERE false")],
    "pg_available_extension_versions": [("", "SELECT ''::VARCHAR AS name, ''::VARCHAR AS version, false AS superuser, "
                                             "false AS trusted, false AS relocatable, ''::VARCHAR AS schema, "
                                             "[]::VARCHAR[] AS requires, ''::VARCHAR AS comment WHERE false")],
    "pg_get_sequence_data": [("a", "SELECT coalesce(febe_last, febe_parameters.start_value) AS last_value, febe_last "
                                   "IS NOT NULL AS is_called FROM febe_sequence WHERE febe_o = a::UINTEGER")],
    "pg_partition_ancestors": [("a", "SELECT a::UINTEGER AS relid WHERE false")],
    "pg_partition_tree": [("a", "SELECT a::UINTEGER AS relid, NULL::UINTEGER AS parentrelid, true AS isleaf, 0 AS "
                                "level WHERE false")],
    "pg_tablespace_databases": [("a", "SELECT getvariable('febe_database_oid')::UINTEGER AS pg_tablespace_databases")],
    "pg_get_publication_tables": [("a", "SELECT 0::UINTEGER AS pubid, 0::UINTEGER AS relid, []::SMALLINT[] AS attrs, "
                                        "''::VARCHAR AS qual WHERE false")],
    "pg_prepared_xact": [("", "SELECT ''::VARCHAR AS transaction, ''::VARCHAR AS gid, NULL::TIMESTAMPTZ AS prepared, "
                              "0::UINTEGER AS ownerid, 0::UINTEGER AS dbid WHERE false")],
    "pg_timezone_names": [("", "SELECT name, abbrev, utc_offset, is_dst FROM pg_timezone_names()")],
}


def statements() -> list[str]:
    """What creates every macro, each after those it uses."""
    made = {}
    for name, forms in MACROS.items():
        made[PREFIX + name] = f"CREATE MACRO main.{PREFIX}{name}" + ", ".join(
            f"({args}) AS ({body})" for args, body in forms)
    for name, forms in TABLES.items():
        made[f"{PREFIX}{name}_rows"] = f"CREATE MACRO main.{PREFIX}{name}_rows" + ", ".join(
            f"({args}) AS TABLE ({body})" for args, body in forms)
    order: dict[str, str] = {}

    def add(name: str) -> None:
        if name not in order:
            for used in re.findall(rf"\b{PREFIX}\w+(?=\()", made[name]):
                if used != name and used in made:
                    add(used)
            order[name] = made[name]

    for name in made:
        add(name)
    return list(order.values())
