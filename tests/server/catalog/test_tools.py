"""What tools ask when they connect or browse, in queries of their shape: the rows that PostgreSQL 18 gives.

The constructs are the tools' (types by pg_type joins, array subscripts, unnest WITH ORDINALITY, CASE over relkind,
parsed search_path...); the words are ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

psycopg = pytest.importorskip("psycopg")

from .conftest import Place  # noqa: E402

QUERIES: dict[str, str] = {
    # Npgsql, and with it Power BI and PowerShell: every type, its element, its base, composites' fields, enums' labels
    "npgsql types": """
        select ns.nspname, t.oid, t.typname, t.typtype, t.typnotnull, t.elemtypoid
        from (
            select typ.oid, typ.typnamespace, typ.typname, typ.typtype, typ.typrelid, typ.typnotnull, typ.relkind,
                   elem.oid as elemtypoid, elem.typname as elemtypname, elemcls.relkind as elemrelkind,
                   case when elemproc.proname = 'array_recv' then 'a' else elem.typtype end as elemtyptype
            from (
                select typ.oid, typnamespace, typname, typrelid, typnotnull, relkind, typelem as elemoid,
                       case when proc.proname = 'array_recv' then 'a' else typ.typtype end as typtype,
                       case when proc.proname = 'array_recv' then typ.typelem
                            when typ.typtype = 'r' then rngsubtype
                            when typ.typtype = 'm' then (select rngtypid from pg_range where rngmultitypid = typ.oid)
                            when typ.typtype = 'd' then typ.typbasetype end as element
                from pg_type as typ
                left join pg_class as cls on cls.oid = typ.typrelid
                left join pg_proc as proc on proc.oid = typ.typreceive
                left join pg_range on pg_range.rngtypid = typ.oid
            ) as typ
            left join pg_type as elem on elem.oid = element
            left join pg_class as elemcls on elemcls.oid = elem.typrelid
            left join pg_proc as elemproc on elemproc.oid = elem.typreceive
        ) as t
        join pg_namespace as ns on ns.oid = typnamespace
        where t.typtype in ('b', 'r', 'm', 'e', 'd')
           or (t.typtype = 'c' and t.relkind = 'c')
           or (t.typtype = 'p' and t.typname in ('record', 'void', 'unknown'))
           or (t.typtype = 'a' and (elemtyptype in ('b', 'r', 'm', 'e', 'd')
                or (elemtyptype = 'p' and elemtypname in ('record', 'void'))
                or (elemtyptype = 'c' and elemrelkind = 'c')))
        order by case when t.typtype in ('b', 'e', 'p') then 0 when t.typtype = 'r' then 1
                      when t.typtype = 'm' then 2 when t.typtype = 'c' then 3 when t.typtype = 'd' and
                      elemtyptype <> 'a' then 4 when t.typtype = 'a' then 5 else 6 end, 1, 3""",
    "npgsql composites": """
        select typ.typname, att.attname, att.atttypid
        from pg_type as typ join pg_namespace as ns on ns.oid = typ.typnamespace
        join pg_class as cls on cls.oid = typ.typrelid join pg_attribute as att on att.attrelid = typ.typrelid
        where typ.typtype = 'c' and cls.relkind = 'c' and att.attnum > 0 and not att.attisdropped
        order by typ.typname, att.attnum""",
    "npgsql enums": """
        select typname, enumlabel from pg_enum join pg_type on pg_type.oid = enumtypid
        order by typname, enumsortorder""",
    # Grafana: tables of the path first, time columns, the quoting of each name
    "grafana tables": """
        select case when quote_ident(table_schema) = any (array(
                     select case when trim(s[i]) = '"$user"' then user else trim(s[i]) end
                     from generate_series(array_lower(string_to_array(current_setting('search_path'), ','), 1),
                                          array_upper(string_to_array(current_setting('search_path'), ','), 1)) as i,
                          string_to_array(current_setting('search_path'), ',') s))
               then quote_ident(table_name) else quote_ident(table_schema) || '.' || quote_ident(table_name) end
               as "table"
        from information_schema.tables
        where quote_ident(table_schema) not in ('information_schema', 'pg_catalog', '_timescaledb_cache')
        order by 1""",
    "grafana columns": """
        select quote_ident(column_name) as "column", data_type as "type" from information_schema.columns
        where case when array_length(parse_ident('main.every'), 1) = 2
              then quote_ident(table_schema) = (parse_ident('main.every'))[1]
                   and quote_ident(table_name) = (parse_ident('main.every'))[2]
              else quote_ident(table_name) = 'main.every' end
        order by ordinal_position""",
    "grafana version": "select current_setting('server_version_num')::int / 100 >= 1000 as new",
    # Metabase: tables with their kind and comment, columns with whether they are generated, keys, foreign keys
    "metabase tables": """
        select n.nspname as schema, c.relname as name,
               case c.relkind when 'r' then 'TABLE' when 'p' then 'PARTITIONED TABLE' when 'v' then 'VIEW'
                    when 'f' then 'FOREIGN TABLE' when 'm' then 'MATERIALIZED VIEW' end as type,
               d.description as description, stat.n_live_tup is not null as is_estimated
        from pg_catalog.pg_class as c
        inner join pg_catalog.pg_namespace as n on c.relnamespace = n.oid
        left join pg_catalog.pg_description as d on c.oid = d.objoid and d.objsubid = 0
                  and d.classoid = 'pg_class'::regclass
        left join pg_stat_user_tables as stat on n.nspname = stat.schemaname and c.relname = stat.relname
        where c.relnamespace = n.oid and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
              and c.relkind in ('r', 'p', 'v', 'f', 'm') and n.nspname = any(array['main', 'other'])
        order by 3, 1, 2""",
    "metabase columns": """
        select c.column_name as name, case when c.udt_schema in ('public', 'pg_catalog') then format('%s', c.udt_name)
               else format('"%s"."%s"', c.udt_schema, c.udt_name) end as database_type,
               c.ordinal_position - 1 as database_position, c.table_schema, c.table_name,
               pk.column_name is not null as pk, col_description(cast(cast(format('%I.%I', cast(c.table_schema as text),
               cast(c.table_name as text)) as regclass) as oid), cast(c.ordinal_position as int)) as field_comment,
               ((column_default is null or lower(column_default) = 'null') and is_nullable = 'NO'
                and not ((column_default is not null and column_default like '%nextval(%') or is_identity <> 'NO'))
               as database_required
        from information_schema.columns as c
        left join (select tc.table_schema, tc.table_name, kc.column_name
                   from information_schema.table_constraints as tc
                   inner join information_schema.key_column_usage as kc
                   on tc.constraint_name = kc.constraint_name and tc.table_schema = kc.table_schema
                   and tc.table_name = kc.table_name where tc.constraint_type = 'PRIMARY KEY') as pk
        on c.table_schema = pk.table_schema and c.table_name = pk.table_name and c.column_name = pk.column_name
        where c.table_schema !~ '^information_schema|catalog_history|pg_' and c.table_schema in ('main', 'other')
        order by c.table_schema, c.table_name, c.ordinal_position""",
    "metabase foreign keys": """
        select fk_ns.nspname, fk_table.relname, fk_column.attname, pk_ns.nspname, pk_table.relname, pk_column.attname
        from pg_constraint c
        join pg_class fk_table on c.conrelid = fk_table.oid join pg_namespace fk_ns on c.connamespace = fk_ns.oid
        join pg_attribute fk_column on c.conrelid = fk_column.attrelid
        join pg_class pk_table on c.confrelid = pk_table.oid
        join pg_namespace pk_ns on pk_table.relnamespace = pk_ns.oid
        join pg_attribute pk_column on c.confrelid = pk_column.attrelid
        where c.contype = 'f' and fk_column.attnum = any(c.conkey) and pk_column.attnum = any(c.confkey)
              and fk_ns.nspname !~ '^information_schema|pg_' order by 1, 2""",
    "metabase privileges": """
        with table_privileges as (
            select null as role, t.schemaname as schema, t.objectname as table,
                   pg_catalog.has_any_column_privilege(current_user, '"' || replace(t.schemaname, '"', '""') || '"' ||
                       '.' || '"' || replace(t.objectname, '"', '""') || '"', 'update') as "update",
                   pg_catalog.has_table_privilege(current_user, '"' || replace(t.schemaname, '"', '""') || '"' || '.' ||
                       '"' || replace(t.objectname, '"', '""') || '"', 'SELECT') as "select"
            from (select schemaname, tablename as objectname from pg_catalog.pg_tables
                  union select schemaname, viewname as objectname from pg_catalog.pg_views
                  union select schemaname, matviewname as objectname from pg_catalog.pg_matviews) t
            where t.schemaname !~ '^pg_' and t.schemaname <> 'information_schema'
                  and pg_catalog.has_schema_privilege(current_user, t.schemaname, 'usage'))
        select t.* from table_privileges t where t."select" order by 2, 3""",
    # DBeaver: databases, schemas, relations with what belongs to them, attributes, constraints, indexes
    "dbeaver database": """
        select db.datname, db.datcollate is not null, pg_encoding_to_char(db.encoding) from pg_catalog.pg_database db
        where datallowconn and not datistemplate and db.datname = current_database()""",
    "dbeaver schemas": """
        select n.oid <> 0, n.*, d.description from pg_catalog.pg_namespace n
        left outer join pg_catalog.pg_description d on d.objoid = n.oid and d.objsubid = 0
             and d.classoid = 'pg_namespace'::regclass
        where nspname in ('pg_catalog', 'information_schema') order by nspname""",
    "dbeaver relations": """
        select c.relname, c.relkind, c.relhasindex, d.description, pg_catalog.pg_get_expr(c.relpartbound, c.oid) as
               partition_expr, pg_catalog.pg_get_partkeydef(c.oid) as partition_key
        from pg_catalog.pg_class c left outer join pg_catalog.pg_description d on d.objoid = c.oid and d.objsubid = 0
             and d.classoid = 'pg_class'::regclass
        where c.relnamespace = 'main'::regnamespace and c.relkind not in ('i', 'I', 'c') order by relname""",
    "dbeaver attributes": """
        select c.relname, a.*, pg_catalog.pg_get_expr(ad.adbin, ad.adrelid, true) as def_value, dsc.description,
               dep.objid is not null as owned
        from pg_catalog.pg_attribute a inner join pg_catalog.pg_class c on a.attrelid = c.oid
        left outer join pg_catalog.pg_attrdef ad on a.attrelid = ad.adrelid and a.attnum = ad.adnum
        left outer join pg_catalog.pg_description dsc on c.oid = dsc.objoid and a.attnum = dsc.objsubid
        left outer join pg_depend dep on dep.refobjid = a.attrelid and dep.deptype = 'i' and
             dep.refobjsubid = a.attnum and dep.classid = dep.refclassid
        where not a.attisdropped and c.relkind = 'v' and c.relname = 'pg_tables' order by a.attnum""",
    "dbeaver constraints": """
        select c.conname, c.contype, t.relname as tabrelname, rt.relname as refrelname, d.description,
               case when c.contype = 'c' then pg_catalog.pg_get_constraintdef(c.oid) else null end as source
        from pg_catalog.pg_constraint c inner join pg_catalog.pg_class t on t.oid = c.conrelid
        left outer join pg_catalog.pg_class rt on rt.oid = c.confrelid
        left outer join pg_catalog.pg_description d on d.objoid = c.oid and d.objsubid = 0
             and d.classoid = 'pg_constraint'::regclass
        where c.connamespace = 'main'::regnamespace order by 1""",
    "dbeaver indexes": """
        select c.relname, tabrel.relname, i.indisunique, i.indkey, i.indclass, i.indoption, dsc.description,
               pg_catalog.pg_get_expr(i.indpred, i.indrelid) as pred_expr,
               pg_catalog.pg_get_expr(i.indexprs, i.indrelid, true) as expr, tsp.spcname
        from pg_catalog.pg_index i inner join pg_catalog.pg_class c on c.oid = i.indexrelid
        inner join pg_catalog.pg_class tabrel on tabrel.oid = i.indrelid
        left outer join pg_catalog.pg_description dsc on i.indexrelid = dsc.objoid
        left outer join pg_tablespace tsp on tsp.oid = c.reltablespace
        where c.relnamespace = 'main'::regnamespace order by tabrel.relname, c.relname""",
    # pgAdmin: the server's own state at the door
    "pgadmin session": """
        select version() like 'PostgreSQL 18%' as known, current_database() as name, rolsuper is not null as told,
               pg_catalog.pg_is_in_recovery() as inrecovery
        from pg_catalog.pg_roles where rolname = current_user""",
    "pgadmin encryption": """
        select a.usename = current_user, coalesce(s.ssl, false), coalesce(g.gss_authenticated, false),
               coalesce(g.encrypted, false)
        from pg_stat_activity a left join pg_stat_ssl s on s.pid = a.pid left join pg_stat_gssapi g on g.pid = a.pid
        where a.pid = pg_backend_pid()""",
    "pgadmin dashboard": """
        select (select count(*) > 0 from pg_stat_activity) as sessions,
               (select sum(numbackends) > 0 from pg_stat_database) as backends,
               (select count(*) >= 0 from pg_locks where locktype = 'advisory') as locks,
               current_setting('max_connections')::int as most""",
    # DataGrip: where the server is in time, what is locked, and what has changed since it last looked
    "datagrip transaction": """
        select case when pg_catalog.pg_is_in_recovery() then null
               else (pg_catalog.txid_current() % 4294967296)::varchar::bigint end > 2 as known""",
    "datagrip locks": """
        select count(*) from (select l.transactionid::varchar::bigint as transaction_id from pg_catalog.pg_locks l
        where l.transactionid is not null and l.pid <> l.pid
        order by pg_catalog.age(l.transactionid) desc limit 1) as x""",
    "datagrip schemas": """
        select n.nspname as name, d.description, pg_catalog.pg_get_userbyid(n.nspowner) as "owner",
               n.xmin is not null as known
        from pg_catalog.pg_namespace n left join pg_catalog.pg_description d on n.oid = d.objoid
        where nspname in ('main', 'other')
        order by case when nspname = pg_catalog.current_schema() then -1 else 1 end""",
    "datagrip tables": """
        select t.relkind as table_kind, t.relname as table_name, t.reltablespace, t.reloptions, t.relpersistence,
               (select pg_catalog.array_agg(inhparent::bigint order by inhseqno)::varchar from pg_catalog.pg_inherits
                where t.oid = inhrelid) as ancestors, t.relispartition as is_partition,
               pg_catalog.pg_get_partkeydef(t.oid) as partition_key,
               pg_catalog.pg_get_expr(t.relpartbound, t.oid) as partition_expression,
               pg_catalog.pg_get_userbyid(t.relowner) as "owner"
        from pg_catalog.pg_class t where relnamespace = 'main'::regnamespace and relkind in ('r', 'm', 'v', 'f', 'p')
             and pg_catalog.age(t.xmin) <= 2147483647 order by table_kind, table_name""",
    "datagrip columns": """
        with t as (select distinct t.oid as table_id, t.relname as table_name
                   from pg_catalog.pg_class t, pg_catalog.pg_attribute a
                   where t.relnamespace = 'main'::regnamespace and t.relkind in ('r', 'm', 'v', 'f', 'p')
                         and pg_catalog.age(a.xmin) <= 2147483647 and a.attrelid = t.oid)
        select t.table_name, c.attnum as column_position, c.attname as column_name, c.atttypmod as type_mod,
               c.attndims as dimensions_number, pg_catalog.format_type(c.atttypid, c.atttypmod) as type_spec,
               c.attnotnull as mandatory, pg_catalog.pg_get_expr(d.adbin, t.table_id) is not null as has_default,
               not c.attislocal as column_is_inherited, c.attfdwoptions as options, c.attisdropped,
               c.attidentity as identity_kind, c.attgenerated as generated
        from t join pg_catalog.pg_attribute c on t.table_id = c.attrelid
        left join pg_catalog.pg_attrdef d on (c.attrelid, c.attnum) = (d.adrelid, d.adnum)
        where attnum > 0 order by table_name, attnum""",
    # asyncpg's introspection of types, recursive and by array
    "asyncpg types": """
        with recursive typeinfo_tree(oid, ns, name, kind, basetype, elemtype, elemdelim, range_subtype,
                                     attrtypoids, attrnames, depth) as (
            select ti.oid, ti.ns, ti.name, ti.kind, ti.basetype, ti.elemtype, ti.elemdelim, ti.range_subtype,
                   ti.attrtypoids, ti.attrnames, 0
            from (select t.oid, ns.nspname as ns, t.typname as name, t.typtype as kind,
                         (case when t.typtype = 'd' then t.typbasetype end) as basetype, t.typelem as elemtype,
                         elem_t.typdelim as elemdelim, range_t.rngsubtype as range_subtype,
                         (case when t.typtype = 'c' then (select array_agg(ia.atttypid order by ia.attnum)
                          from pg_attribute ia join pg_class c on ia.attrelid = c.oid
                          where ia.attnum > 0 and not ia.attisdropped and c.reltype = t.oid) end) as attrtypoids,
                         (case when t.typtype = 'c' then (select array_agg(ia.attname::text order by ia.attnum)
                          from pg_attribute ia join pg_class c on ia.attrelid = c.oid
                          where ia.attnum > 0 and not ia.attisdropped and c.reltype = t.oid) end) as attrnames
                  from pg_catalog.pg_type as t inner join pg_catalog.pg_namespace ns on ns.oid = t.typnamespace
                  left join pg_type elem_t on t.typlen = -1 and t.typelem != 0 and t.typelem = elem_t.oid
                  left join pg_range range_t on t.oid = range_t.rngtypid) as ti
            where ti.name in ('pair', '_pair', 'int4range', '_int4')
            union all
            select ti.oid, ti.nspname, ti.typname, ti.typtype, null, ti.typelem, null, null, null, null, tt.depth + 1
            from (select t.*, n.nspname from pg_type t join pg_namespace n on n.oid = t.typnamespace) ti,
                 typeinfo_tree tt
            where (tt.elemtype is not null and ti.oid = tt.elemtype) and tt.depth < 3)
        select distinct ns, name, kind, elemdelim, range_subtype, attrnames, depth from typeinfo_tree
        order by depth, name""",
    # ORMs: Django, ActiveRecord, Prisma
    "django constraints": """
        select c.conname, array(select attname from unnest(c.conkey) with ordinality cols(colid, arridx)
                                join pg_attribute as ca on cols.colid = ca.attnum where ca.attrelid = c.conrelid
                                order by cols.arridx),
               c.contype, (select fkc.relname || '.' || fka.attname from pg_attribute as fka
                           join pg_class as fkc on fka.attrelid = fkc.oid where fka.attrelid = c.confrelid
                           and fka.attnum = c.confkey[1]), cl.reloptions
        from pg_constraint as c join pg_class as cl on c.conrelid = cl.oid
        where cl.relname = 'child' and pg_catalog.pg_table_is_visible(cl.oid) order by 1""",
    "django columns": """
        select a.attname as column_name, not (a.attnotnull or (t.typtype = 'd' and t.typnotnull)) as is_nullable,
               pg_get_expr(ad.adbin, ad.adrelid) as column_default,
               case when collname = 'default' then null else collname end as collation,
               a.attidentity != '' as is_autofield, col_description(a.attrelid, a.attnum) as column_comment
        from pg_attribute a left join pg_attrdef ad on a.attrelid = ad.adrelid and a.attnum = ad.adnum
        left join pg_collation co on a.attcollation = co.oid join pg_type t on a.atttypid = t.oid
        join pg_class c on a.attrelid = c.oid join pg_namespace n on c.relnamespace = n.oid
        where c.relkind in ('f', 'm', 'p', 'r', 'v') and c.relname = 'parent'
              and n.nspname not in ('pg_catalog', 'pg_toast') and pg_catalog.pg_table_is_visible(c.oid)
        order by a.attnum""",
    "rails columns": """
        select a.attname, format_type(a.atttypid, a.atttypmod), pg_get_expr(d.adbin, d.adrelid), a.attnotnull,
               a.atttypmod, c.collname, col_description(a.attrelid, a.attnum) as comment, attidentity as identity,
               attgenerated
        from pg_attribute a left join pg_attrdef d on a.attrelid = d.adrelid and a.attnum = d.adnum
        left join pg_type t on a.atttypid = t.oid
        left join pg_collation c on a.attcollation = c.oid and a.attcollation <> t.typcollation
        where a.attrelid = '"every"'::regclass and a.attnum > 0 and not a.attisdropped order by a.attnum""",
    "rails types": """
        select t.typname, t.typelem, t.typdelim, t.typinput, r.rngsubtype, t.typtype, t.typbasetype
        from pg_type as t left join pg_range as r on t.oid = r.rngtypid
        where t.typname in ('int2', 'bool', 'text', 'int4range', '_text', 'jsonb', 'numeric') order by 1""",
    "prisma columns": """
        select info.table_name, info.column_name, format_type(att.atttypid, att.atttypmod) as formatted_type,
               info.numeric_precision, info.is_nullable, pg_get_expr(attdef.adbin, attdef.adrelid) as column_default
        from information_schema.columns info
        join pg_attribute att on att.attname = info.column_name
        join (select pg_class.oid, relname, pg_namespace.nspname as namespace from pg_class
              join pg_namespace on pg_namespace.oid = pg_class.relnamespace and
              pg_namespace.nspname = any (array['main'])) as oid
             on oid.oid = att.attrelid and relname = info.table_name and namespace = info.table_schema
        left join pg_attrdef attdef on attdef.adrelid = att.attrelid and attdef.adnum = att.attnum
        where table_schema = any (array['main']) order by table_name, ordinal_position""",
}


@pytest.fixture(scope="module")
def both(served: Place, beside: Place) -> Iterator[tuple[Any, Any]]:
    with (psycopg.connect(served.dsn, autocommit=True) as ours, psycopg.connect(beside.dsn, autocommit=True) as theirs):
        for one in (ours, theirs):
            one.execute("set search_path = main")
        yield ours, theirs


@pytest.mark.parametrize("tool", QUERIES)
def test_a_tool_gets_the_same(tool: str, both: tuple[Any, Any]) -> None:
    found = []
    for one in both:
        # OIDs of the schema's own objects differ; none of these queries returns one
        cursor = one.execute(QUERIES[tool])
        kept = [i for i, column in enumerate(cursor.description) if not (
            tool.startswith("npgsql types") and column.name in ("oid", "elemtypoid"))]
        found.append(([(column.name, column.type_code) for column in cursor.description],
                      [[row[i] for i in kept] for row in cursor.fetchall()]))
    assert found[0][1]
    assert found[0] == found[1]
