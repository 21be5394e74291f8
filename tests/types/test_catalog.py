"""Whatever type a live PostgreSQL has: febe reads it in text and binary, or PostgreSQL itself does not send it."""

from __future__ import annotations

import pytest

from febe.types import Registry
from tests.peers.postgres import Postgres
from tests.types.live import Live, connected
from tests.types.samples import EXTENSIONS, SAMPLES

ALL = """select t.oid, t.typname, t.typsend <> 0, t.typtype from pg_type t where t.typtype <> 'p'
  or t.oid in (2249, 2287, 2277, 2278, 5078) order by t.oid"""


def check(live: Live) -> int:
    everything = live.run(ALL)
    types: Registry = live.types
    oids = [int(oid or b"") for oid, *_ in everything]
    live.learn_oids(oids)
    failures = []
    for oid, (_, name, sends, _) in zip(oids, everything, strict=True):
        codec = types.by_oid(oid)
        known = codec.name != f"type {oid}"  # one that is not is read as text, whatever it is
        if not known or codec.decode_text is None or (
                codec.decode_binary is None and sends == b"t" and not _unsendable(live, oid)):
            failures.append((oid, name))
    assert failures == []
    return len(oids)


def _unsendable(live: Live, oid: int) -> bool:
    """A container's send function is there and fails when that of what it holds is not."""
    inside = live.run("""
      with recursive part(oid) as (select $1::oid union select x from part join pg_type t using (oid), lateral (
        select t.typelem where t.typcategory = 'A' union all
        select a.atttypid from pg_attribute a where a.attrelid = t.typrelid and t.typtype = 'c' and a.attnum > 0) i(x))
      select 1 from part join pg_type t using (oid) where t.typsend = 0 limit 1""", [str(oid).encode()])
    return bool(inside)


def test_every_type_of_18(pg18: Postgres) -> None:
    with connected(pg18.dsn()) as live:
        for extension in sorted({extension for extension, _ in EXTENSIONS.values()}):
            live.connection.execute(f"create extension if not exists {extension} schema public")
        assert check(live) > 600


def test_every_type_of_15(pg15: Postgres) -> None:
    with connected(pg15.dsn()) as live:
        assert check(live) > 500


def test_every_base_type_has_samples(pg18: Postgres) -> None:
    """What can be stored and has values that a client may send goes through the tests of values."""
    with connected(pg18.dsn()) as live:
        rows = live.run("select typname from pg_type where typtype in ('b', 'r', 'm') and typcategory <> 'A' "
                        "and typnamespace = 'pg_catalog'::regnamespace and typname !~ '^_'")
    found = {name.decode() for (name,) in rows if name}
    # statistics and indexes keep these; aclitem has no binary format; unknown is no column's type
    kept = {"pg_node_tree", "pg_ndistinct", "pg_dependencies", "pg_mcv_list", "pg_brin_bloom_summary",
            "pg_brin_minmax_multi_summary", "gtsvector", "aclitem", "unknown"}
    assert found - kept - set(SAMPLES) == set()


@pytest.mark.parametrize("sql", [
    "select stxdndistinct, stxddependencies, stxdmcv from pg_statistic_ext join pg_statistic_ext_data on stxoid = oid",
    "select * from pg_stats where tablename = 'pg_type'", "select * from pg_class", "select * from pg_proc",
    "select * from pg_type", "select * from pg_index", "select * from pg_rewrite limit 20", "select * from pg_settings",
])
def test_the_catalogs_themselves(pg18: Postgres, sql: str) -> None:
    import febe

    with febe.connect(pg18.dsn()) as connection:
        connection.execute("create table if not exists correlated as select x as a, x / 2 as b "
                           "from generate_series(1, 99) x; drop statistics if exists both_of; "
                           "create statistics both_of on a, b from correlated; analyze correlated; analyze pg_type")
        assert connection.fetch(sql)
