"""Catalog rows of a described database: what PostgreSQL 18 would have written for the same objects.

Manual: "System Catalogs".  Each row names only what differs from its catalog's usual values below.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from typing import Any

from febe.server.catalog import definitions, functions
from febe.server.catalog.description import (
    Attribute,
    Composite,
    Constraint,
    Database,
    Domain,
    Enum,
    Function,
    Relation,
    Schema,
    SequenceObject,
    Type,
)
from febe.types.oids import TYPE_DATA

FIRST_USER_OID = 16384
OWNER = 10
"""The bootstrap superuser, who owns what nobody else does."""

PG_CLASS, PG_TYPE, PG_NAMESPACE, PG_CONSTRAINT, PG_PROC = 1259, 1247, 2615, 2606, 1255
PG_DATABASE, PG_AUTHID = 1262, 1260
PG_ATTRDEF, PG_REWRITE = 2604, 2618
_VIEW = 2617
"""Stands for a view's query in febe_definition."""
_HEAP, _BTREE = 2, 403
_DEFAULT_COLLATION = 100

Row = dict[str, Any]
Tables = dict[str, list[Row]]

USUAL: dict[str, Row] = {
    "pg_class": {"reloftype": 0, "relowner": OWNER, "relam": 0, "relfilenode": 0, "reltablespace": 0, "relpages": 0,
                 "reltuples": -1.0,
                     "relallvisible": 0, "relallfrozen": 0, "reltoastrelid": 0, "relhasindex": False,
                     "relisshared": False,
                     "relpersistence": "p", "relchecks": 0, "relhasrules": False, "relhastriggers": False,
                     "relhassubclass": False,
                     "relrowsecurity": False, "relforcerowsecurity": False, "relispopulated": True, "relreplident": "n",
                     "relispartition": False, "relrewrite": 0, "relfrozenxid": 0, "relminmxid": 0, "reltype": 0},
    "pg_attribute": {"attcacheoff": -1, "attndims": 0, "attcompression": "", "attnotnull": False, "atthasdef": False,
                         "atthasmissing": False, "attidentity": "", "attgenerated": "", "attisdropped": False,
                         "attislocal": True,
                         "attinhcount": 0, "attcollation": 0},
    "pg_type": {"typowner": OWNER, "typlen": -1, "typbyval": False, "typtype": "b", "typcategory": "U",
                "typispreferred": False,
                    "typisdefined": True, "typdelim": ",", "typrelid": 0, "typsubscript": 0, "typelem": 0,
                    "typarray": 0, "typmodin": 0,
                    "typmodout": 0, "typanalyze": 0, "typalign": "d", "typstorage": "x", "typnotnull": False,
                    "typbasetype": 0,
                    "typtypmod": -1, "typndims": 0, "typcollation": 0},
    "pg_constraint": {"condeferrable": False, "condeferred": False, "conenforced": True, "convalidated": True,
                      "contypid": 0,
                          "conindid": 0, "conparentid": 0, "confrelid": 0, "confupdtype": " ", "confdeltype": " ",
                          "confmatchtype": " ",
                          "conislocal": True, "coninhcount": 0, "connoinherit": False, "conperiod": False},
    "pg_index": {"indnullsnotdistinct": False, "indisprimary": False, "indisexclusion": False, "indimmediate": True,
                     "indisclustered": False, "indisvalid": True, "indcheckxmin": False, "indisready": True,
                     "indislive": True,
                     "indisreplident": False},
    "pg_proc": {"proowner": OWNER, "prolang": 14, "procost": 100.0, "prorows": 0.0, "provariadic": 0, "prosupport": 0,
                    "prosecdef": False, "proleakproof": False, "proisstrict": False, "proparallel": "u",
                    "pronargdefaults": 0},
    "pg_sequence": {"seqtypid": 20, "seqcache": 1},
    "pg_namespace": {"nspowner": OWNER},
    "pg_database": {"datdba": OWNER, "encoding": 6, "datlocprovider": "c", "datistemplate": False, "datallowconn": True,
                        "dathasloginevt": False, "datconnlimit": -1, "datfrozenxid": 0, "datminmxid": 0,
                        "dattablespace": 1663,
                        "datcollate": "C", "datctype": "C"},
    "pg_authid": {"rolsuper": False, "rolinherit": True, "rolcreaterole": False, "rolcreatedb": False,
                  "rolcanlogin": True,
                      "rolreplication": False, "rolbypassrls": False, "rolconnlimit": -1},
    "pg_rewrite": {"rulename": "_RETURN", "ev_type": "1", "ev_enabled": "O", "is_instead": True},
    "pg_description": {"objsubid": 0},
    "pg_depend": {"objsubid": 0, "refobjsubid": 0, "deptype": "n"},
}

# Built-in types: length, alignment, storage, by value, collation (pg_type.dat).
_BY_VALUE = {1, 2, 4, 8}
_TYPES = {row[0]: row for row in TYPE_DATA}
_ARRAYS = {row[4]: row[0] for row in TYPE_DATA if row[4]}
_ALIGNED = {1: "c", 2: "s", 4: "i", 8: "d"}
_COLLATED = {25: 100, 1043: 100, 1042: 100, 19: 950}
_MAIN_STORAGE = {1700: "m", 869: "m", 650: "m"}
_BYTE_WISE = {2950: ("c", "p"), 16: ("c", "p"), 18: ("c", "p")}


class Oids:
    """OIDs of user objects: a hash of what is named, so that they stay the same from one start to the next."""

    def __init__(self) -> None:
        self._by_name: dict[tuple[str, ...], int] = {}
        self._taken: set[int] = set()

    def of(self, *name: str) -> int:
        """The OID of a kind of object by its qualified name."""
        found = self._by_name.get(name)
        if found is None:
            room = 2**31 - FIRST_USER_OID
            found = FIRST_USER_OID + zlib.crc32("\0".join(name).encode()) % room
            while found in self._taken:
                found = FIRST_USER_OID + (found + 1 - FIRST_USER_OID) % room
            self._taken.add(found)
            self._by_name[name] = found
        return found

    def role(self, name: str) -> int:
        """A role's OID; the bootstrap superuser has its own."""
        return OWNER if name == "postgres" else self.of("role", name)


class Builder:
    """Fills the tables from one description."""

    def __init__(self, oids: Oids, database: Database, *, name: str, user: str, path: Sequence[str]) -> None:
        self.tables: Tables = {}
        self.lookups: dict[str, list[tuple[Any, ...]]] = {}
        self._oids = oids
        self._database = database
        self._types: dict[tuple[str, str], tuple[int, int]] = {}
        self._rules: list[tuple[int, tuple[set[tuple[str, str]], set[str]]]] = []
        self._sequences = {prefix + definitions.quoted(sequence.name): oids.of("class", schema.name, sequence.name)
                           for schema in database.schemas for sequence in schema.sequences
                           for prefix in (f"{definitions.quoted(schema.name)}.", *[""] * (schema.name in path))}
        self._columns: dict[int, dict[str, int]] = {}
        self.database_oid = oids.of("database", name)
        self._named = name
        self._path = path
        self._user = user

    def build(self) -> Builder:
        """All rows."""
        self._globals()
        for schema in self._database.schemas:
            self._schema(schema)
        for schema in self._database.schemas:
            for made in schema.types:
                self._announce_type(schema, made.name)
            for relation in schema.relations:
                self._announce_type(schema, relation.name)
        for schema in self._database.schemas:
            for made in schema.types:
                self._type(schema, made)
            for sequence in schema.sequences:
                self._sequence(schema, sequence)
            for relation in schema.relations:
                self._relation(schema, relation)
            for function in schema.functions:
                self._function(schema, function)
        for schema in self._database.schemas:
            for relation in schema.relations:
                self._constraints(schema, relation)
        for rule, (tables, columns) in self._rules:
            self._reads(rule, tables, columns)
        return self

    def _reads(self, rule: int, tables: set[tuple[str, str]], columns: set[str]) -> None:
        """What a view depends on: each column that it names, of the tables it reads."""
        for schema, name in sorted(tables):
            rel = self.class_oid(schema, name)
            numbers = self._columns.get(rel)
            if numbers is not None:
                used = [number for column, number in numbers.items() if column in columns]
                for number in used or [0]:
                    self._depend(PG_REWRITE, rule, PG_CLASS, rel, number)

    def _add(self, table: str, **row: Any) -> None:
        self.tables.setdefault(table, []).append(USUAL.get(table, {}) | row)

    def _look(self, table: str, *row: Any) -> None:
        self.lookups.setdefault(table, []).append(row)

    def _comment(self, comment: str | None, classoid: int, objoid: int, objsubid: int = 0) -> None:
        if comment:
            table = "pg_shdescription" if classoid in (PG_DATABASE, PG_AUTHID) else "pg_description"
            row: Row = {} if table == "pg_shdescription" else {"objsubid": objsubid}
            self._add(table, objoid=objoid, classoid=classoid, description=comment, **row)

    # What is not in a schema

    def _globals(self) -> None:
        for name in dict.fromkeys((self._named, *self._database.others)):
            oid = self._oids.of("database", name)
            self._add("pg_database", oid=oid, datname=name)
            if name == self._named:
                self._comment(self._database.comment, PG_DATABASE, oid)
        known = {"postgres"}
        for role in self._database.roles:
            if role.name not in known:
                known.add(role.name)
                oid = self._oids.of("role", role.name)
                self._add("pg_authid", oid=oid, rolname=role.name, rolsuper=role.superuser, rolcanlogin=role.login)
                self._comment(role.comment, PG_AUTHID, oid)
        if self._user not in known:
            self._add("pg_authid", oid=self._oids.of("role", self._user), rolname=self._user)

    def namespace(self, schema: Schema) -> int:
        """A schema's OID; public has its own."""
        return 2200 if schema.name == "public" else self._oids.of("schema", schema.name)

    def _schema(self, schema: Schema) -> None:
        oid = self.namespace(schema)
        self._add("pg_namespace", oid=oid, nspname=schema.name)
        self._comment(schema.comment, PG_NAMESPACE, oid)

    # Types

    def _announce_type(self, schema: Schema, name: str) -> None:
        self._types[schema.name, name] = (self._oids.of("type", schema.name, name),
                                          self._oids.of("array", schema.name, name))

    def _type_oid(self, wanted: Type) -> int:
        if wanted.name is None:
            return wanted.oid
        return self._types[wanted.schema or "", wanted.name][wanted.array]

    def _base(self, schema: Schema, name: str, **row: Any) -> int:
        """A type and its array."""
        oid, array = self._types[schema.name, name]
        namespace = self.namespace(schema)
        self._add("pg_type", oid=oid, typname=name, typnamespace=namespace, typarray=array, **row)
        align = row.get("typalign", "d")
        self._add("pg_type", oid=array, typname=f"_{name}", typnamespace=namespace, typcategory="A", typelem=oid,
                  typinput=750, typoutput=751, typreceive=2400, typsend=2401, typanalyze=3816, typsubscript=6179,
                  typalign="d" if align == "d" else "i", typdelim=",")
        return oid

    def _type(self, schema: Schema, made: Enum | Composite | Domain) -> None:
        if isinstance(made, Enum):
            oid = self._base(schema, made.name, typlen=4, typbyval=True, typtype="e", typcategory="E", typinput=3506,
                             typoutput=3507, typreceive=3532, typsend=3533, typalign="i", typstorage="p")
            for i, label in enumerate(made.labels):
                self._add("pg_enum", oid=self._oids.of("enum", schema.name, made.name, label), enumtypid=oid,
                          enumsortorder=float(i + 1), enumlabel=label)
        elif isinstance(made, Composite):
            rel = self._oids.of("class", schema.name, made.name)
            oid = self._row_type(schema, made.name, rel)
            self._add("pg_class", oid=rel, relname=made.name, relnamespace=self.namespace(schema), reltype=oid,
                      relkind="c", relnatts=len(made.attributes), reltuples=0.0)
            self._attributes(schema, made.name, rel, made.attributes)
        else:
            base = self._type_oid(made.base)
            length, align, storage, by_value, collation = self._physical(base)
            oid = self._base(schema, made.name, typtype="d", typbasetype=base, typtypmod=made.base.modifier,
                             typlen=length, typalign=align, typstorage=storage, typbyval=by_value, typinput=2597,
                             typoutput=0, typreceive=2598, typsend=0, typcollation=collation,
                             typcategory=_TYPES[base][3] if base in _TYPES else "U")
        self._comment(made.comment, PG_TYPE, oid)

    def _row_type(self, schema: Schema, name: str, rel: int) -> int:
        return self._base(schema, name, typtype="c", typcategory="C", typrelid=rel, typinput=2290, typoutput=2291,
                          typreceive=2402, typsend=2403)

    def _physical(self, oid: int) -> tuple[int, str, str, bool, int]:
        """typlen, typalign, typstorage, typbyval and typcollation of a type."""
        known = _TYPES.get(oid)
        if known is None:
            enum = any(row["oid"] == oid and row["typtype"] == "e" for row in self.tables.get("pg_type", ()))
            return (4, "i", "p", True, 0) if enum else (-1, "d", "x", False, 0)
        length = known[2]
        if oid in _BYTE_WISE:
            align, storage = _BYTE_WISE[oid]
        else:
            align = _ALIGNED.get(length, "d" if oid == 1186 or _ARRAYS.get(oid) in (20, 701, 1114, 1184) else "i")
            storage = _MAIN_STORAGE.get(oid, "x" if length == -1 else "p")
        if oid == 19:
            align = "c"
        collation = _COLLATED.get(_ARRAYS.get(oid, oid), 0)
        return length, align, storage, length in _BY_VALUE and oid != 19, collation

    # Relations

    def _attributes(self, schema: Schema, relation: str, rel: int, columns: Sequence[Attribute]) -> None:
        numbers = self._columns.setdefault(rel, {})
        names = [column.name for column in columns]
        for number, column in enumerate(columns, 1):
            numbers[column.name] = number
            oid = self._type_oid(column.type)
            length, align, storage, by_value, collation = self._physical(oid)
            array = oid in _ARRAYS or column.type.array
            self._add("pg_attribute", attrelid=rel, attname=column.name, atttypid=oid, attlen=length, attnum=number,
                      atttypmod=column.type.modifier, attndims=int(array), attbyval=by_value, attalign=align,
                      attstorage=storage, attcollation=collation, attnotnull=column.not_null,
                      atthasdef=column.default is not None, attgenerated="v" if column.generated else "")
            if column.default is not None:
                default = self._oids.of("default", schema.name, relation, column.name)
                self._add("pg_attrdef", oid=default, adrelid=rel, adnum=number, adbin=column.default)
                self._depend(PG_ATTRDEF, default, PG_CLASS, rel, number, "a")
                if column.generated:
                    for other in definitions.used(f"SELECT {column.default}")[1]:
                        if other in names:
                            self._depend(PG_ATTRDEF, default, PG_CLASS, rel, names.index(other) + 1)
                if (sequence := self._sequences.get(definitions.sequence_of(column.default))) is not None:
                    self._depend(PG_ATTRDEF, default, PG_CLASS, sequence)
            self._comment(column.comment, PG_CLASS, rel, number)

    def _system_columns(self, rel: int) -> None:
        """The columns that every table has (heap.c)."""
        for number, (name, kind) in enumerate((("ctid", 27), ("xmin", 28), ("cmin", 29), ("xmax", 28), ("cmax", 29),
                                               ("tableoid", 26)), 1):
            length = 6 if kind == 27 else 4
            self._add("pg_attribute", attrelid=rel, attname=name, atttypid=kind, attlen=length, attnum=-number,
                      atttypmod=-1, attbyval=kind != 27, attalign="s" if kind == 27 else "i", attstorage="p",
                      attnotnull=True)

    def _depend(self, classid: int, objid: int, refclassid: int, refobjid: int, refobjsubid: int = 0,
                deptype: str = "n") -> None:
        self._add("pg_depend", classid=classid, objid=objid, refclassid=refclassid, refobjid=refobjid,
                  refobjsubid=refobjsubid, deptype=deptype)

    def class_oid(self, schema: str, name: str) -> int:
        """A relation's OID."""
        return self._oids.of("class", schema, name)

    def _relation(self, schema: Schema, relation: Relation) -> None:
        rel = self.class_oid(schema.name, relation.name)
        kinds = [constraint.kind for constraint in relation.constraints]
        indexed = bool(relation.indexes) or "p" in kinds or "u" in kinds
        table = relation.kind in "rm"
        self._add("pg_class", oid=rel, relname=relation.name, relnamespace=self.namespace(schema),
                  reltype=self._row_type(schema, relation.name, rel), relam=_HEAP if table else 0,
                  relfilenode=rel if table else 0, relkind=relation.kind, relnatts=len(relation.columns),
                  relhasindex=indexed, relpersistence="t" if relation.temporary else "p",
                  reltuples=float(relation.rows) if table else 0.0,
                  relpages=(relation.size or 0) // 8192, relchecks=kinds.count("c"), relhasrules=relation.kind == "v",
                  relhastriggers="f" in kinds, relreplident="d" if table else "n")
        self._attributes(schema, relation.name, rel, relation.columns)
        if table:
            self._system_columns(rel)
        self._comment(relation.comment, PG_CLASS, rel)
        self._look("febe_size", rel, 0 if relation.kind == "v" else relation.size)
        if relation.query is not None:
            query = definitions.shortened(relation.query.rstrip().rstrip(";"), self._path)
            rule = self._oids.of("rule", schema.name, relation.name)
            self._add("pg_rewrite", oid=rule, ev_class=rel)
            self._look("febe_definition", _VIEW, rel, f"{query};")
            self._look("febe_definition", functions.PRETTY, rel, f"{definitions.pretty(query)};")
            self._look("febe_definition", PG_REWRITE, rule, "CREATE RULE \"_RETURN\" AS\n    ON SELECT TO "
                       f"{definitions.qualified(schema.name, relation.name)} DO INSTEAD {query};")
            self._depend(PG_REWRITE, rule, PG_CLASS, rel, 0, "i")
            self._rules.append((rule, definitions.used(relation.query)))
        for index in relation.indexes:
            self._index(schema, relation, rel, index.name, index.keys, unique=index.unique)
            self._comment(index.comment, PG_CLASS, self.class_oid(schema.name, index.name))

    def _index(self, schema: Schema, relation: Relation, rel: int, name: str, keys: Sequence[str], *, unique: bool,
               primary: bool = False) -> int:
        oid = self.class_oid(schema.name, name)
        numbers = self._columns[rel]
        columns = {column.name: column for column in relation.columns}
        self._add("pg_class", oid=oid, relname=name, relnamespace=self.namespace(schema), relam=_BTREE,
                  relfilenode=oid, relkind="i", relnatts=len(keys), reltuples=0.0,
                  relpersistence="t" if relation.temporary else "p")
        expressions = [key for key in keys if key not in numbers]
        types = [self._type_oid(columns[key].type) if key in columns else 25 for key in keys]
        self._add("pg_index", indexrelid=oid, indrelid=rel, indnatts=len(keys), indnkeyatts=len(keys),
                  indisunique=unique, indisprimary=primary, indkey=[numbers.get(key, 0) for key in keys],
                  indcollation=[self._physical(kind)[4] for kind in types],
                  indclass=[definitions.OPERATOR_CLASSES.get(kind, 3126) for kind in types],
                  indoption=[0] * len(keys), indexprs=", ".join(expressions) or None)
        for number, (key, kind) in enumerate(zip(keys, types, strict=True), 1):
            length, align, storage, by_value, collation = self._physical(kind)
            self._add("pg_attribute", attrelid=oid, attname=key if key in numbers else definitions.expression_name(key),
                      atttypid=kind, attlen=length, attnum=number, attbyval=by_value, attalign=align,
                      atttypmod=columns[key].type.modifier if key in columns else -1,
                      attstorage=storage, attcollation=collation)
            self._look("febe_key", oid, number, definitions.key(key, key in numbers))
            if key in numbers:
                self._depend(PG_CLASS, oid, PG_CLASS, rel, numbers[key], "a")
        self._look("febe_definition", PG_CLASS, oid, definitions.index(
            schema.name, relation.name, name, [(key, key in numbers) for key in keys], unique=unique))
        self._look("febe_size", oid, None)
        return oid

    # Constraints

    def _constraints(self, schema: Schema, relation: Relation) -> None:
        rel = self.class_oid(schema.name, relation.name)
        if relation.kind == "r":
            for column in relation.columns:
                if column.not_null:
                    self._constraint(schema, relation, rel, Constraint(
                        name=definitions.name_for(relation.name, column.name, "not_null"), kind="n",
                        columns=[column.name]))
        for constraint in relation.constraints:
            extra: Row = {}
            if constraint.kind in "pu":
                extra["conindid"] = self._index(schema, relation, rel, constraint.name, constraint.columns, unique=True,
                                                primary=constraint.kind == "p")
            if constraint.kind == "f" and constraint.foreign is not None:
                other = self.class_oid(*constraint.foreign)
                # PostgreSQL keeps a foreign key by triggers on both tables
                for row in self.tables["pg_class"]:
                    if row["oid"] == other:
                        row["relhastriggers"] = True
                extra |= {"confrelid": other, "confupdtype": "a", "confdeltype": "a", "confmatchtype": "s",
                              "confkey": [self._columns[other][name] for name in constraint.foreign_columns],
                              "conindid": self._key_of(constraint.foreign, constraint.foreign_columns),
                              "conpfeqop": [96] * len(constraint.columns), "conppeqop": [96] * len(constraint.columns),
                              "conffeqop": [96] * len(constraint.columns)}
            if constraint.kind == "c":
                extra["conbin"] = constraint.expression
            self._constraint(schema, relation, rel, constraint, **extra)

    def _key_of(self, table: tuple[str, str], columns: Sequence[str]) -> int:
        """The index of the key that a foreign key references."""
        for schema in self._database.schemas:
            for relation in schema.relations if schema.name == table[0] else ():
                for constraint in relation.constraints if relation.name == table[1] else ():
                    if constraint.kind in "pu" and list(constraint.columns) == list(columns):
                        return self.class_oid(schema.name, constraint.name)
        return 0

    def _constraint(self, schema: Schema, relation: Relation, rel: int, constraint: Constraint, **extra: Any) -> None:
        oid = self._oids.of("constraint", schema.name, relation.name, constraint.name)
        numbers = self._columns[rel]
        self._add("pg_constraint", oid=oid, conname=constraint.name, connamespace=self.namespace(schema),
                  contype=constraint.kind, conrelid=rel, conkey=[numbers[name] for name in constraint.columns],
                  **{"connoinherit": constraint.kind in "puf"} | extra)
        self._look("febe_definition", PG_CONSTRAINT, oid, definitions.constraint(constraint, self._path))
        if constraint.kind == "c":
            self._look("febe_definition", functions.PRETTY, oid,
                       f"CHECK ({definitions.unwrapped(constraint.expression or '')})")
        self._comment(constraint.comment, PG_CONSTRAINT, oid)
        if constraint.kind in "pu":
            self._depend(PG_CLASS, extra["conindid"], PG_CONSTRAINT, oid, 0, "i")
        for name in constraint.columns:
            self._depend(PG_CONSTRAINT, oid, PG_CLASS, rel, numbers[name], "a")
        if constraint.kind == "f":
            if extra.get("conindid"):
                self._depend(PG_CONSTRAINT, oid, PG_CLASS, extra["conindid"])
            for number in extra.get("confkey", ()):
                self._depend(PG_CONSTRAINT, oid, PG_CLASS, extra["confrelid"], number)

    # Sequences and functions

    def _sequence(self, schema: Schema, sequence: SequenceObject) -> None:
        rel = self.class_oid(schema.name, sequence.name)
        self._add("pg_class", oid=rel, relname=sequence.name, relnamespace=self.namespace(schema), relfilenode=rel,
                  relpages=1, reltuples=1.0, relkind="S", relnatts=3)
        self._attributes(schema, sequence.name, rel, [
            Attribute(name="last_value", type=Type(oid=20), not_null=True),
            Attribute(name="log_cnt", type=Type(oid=20), not_null=True),
            Attribute(name="is_called", type=Type(oid=16), not_null=True)])
        self._add("pg_sequence", seqrelid=rel, seqstart=sequence.start, seqincrement=sequence.increment,
                  seqmax=sequence.maximum, seqmin=sequence.minimum, seqcycle=sequence.cycle)
        self._look("febe_sequence", rel, sequence.last, {
            "start_value": sequence.start, "minimum_value": sequence.minimum, "maximum_value": sequence.maximum,
            "increment": sequence.increment, "cycle_option": sequence.cycle, "cache_size": 1, "data_type": 20})
        self._look("febe_size", rel, None)
        self._comment(sequence.comment, PG_CLASS, rel)

    def _function(self, schema: Schema, function: Function) -> None:
        oid = self._oids.of("function", schema.name, function.name, *(f"{name} {self._type_oid(kind)}" for name, kind
                                                                     in function.arguments))
        types = [self._type_oid(kind) for _, kind in function.arguments]
        names = [name for name, _ in function.arguments]
        result = self._type_oid(function.result)
        self._add("pg_proc", oid=oid, proname=function.name, pronamespace=self.namespace(schema),
                  prokind=function.kind, proretset=function.returns_set, provolatile="v" if function.volatile else "i",
                  pronargs=len(types), prorettype=result, proargtypes=types, prosrc=function.body,
                  proargnames=names if any(names) else None, prorows=1000.0 if function.returns_set else 0.0)
        written = [definitions.argument(name, self._type_name(kind)) for name, kind in function.arguments]
        returned = ("SETOF " if function.returns_set else "") + self._type_name(function.result)
        self._look("febe_signature", oid, ", ".join(written), ", ".join(written), returned, None)
        self._look("febe_source", oid, definitions.function(
            schema.name, function, ", ".join(written), returned))
        self._comment(function.comment, PG_PROC, oid)

    def _type_name(self, wanted: Type) -> str:
        if wanted.name is not None:
            return definitions.qualified(wanted.schema or "", wanted.name) + ("[]" if wanted.array else "")
        element = _ARRAYS.get(wanted.oid)
        named = definitions.type_name(_TYPES[element or wanted.oid][1]) if (element or wanted.oid) in _TYPES else "text"
        return named + ("[]" if element else "")


def columns_of(rows: Iterable[Row], names: Sequence[str]) -> list[list[Any]]:
    """The rows as a list per column."""
    found: list[list[Any]] = [[] for _ in names]
    for row in rows:
        for column, name in zip(found, names, strict=True):
            column.append(row.get(name))
    return found
