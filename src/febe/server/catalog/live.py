"""Views whose rows are of this moment: settings, activity, prepared statements, cursors, large objects."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from febe.server.catalog import builtin
from febe.server.parameters import KNOWN, UNLISTED

if TYPE_CHECKING:
    import duckdb

    from febe.server.catalog.engine import CatalogSession



class Live:
    """What a session says of itself.  `facts` comes from the session that is served, once it has attached."""

    def __init__(self, session: CatalogSession) -> None:
        self._session = session
        self.facts: Any = None

    def process_id(self) -> int:
        """The number that stands for a backend process."""
        return int(self.facts.process_id) if self.facts is not None else 0

    def settings(self) -> list[tuple[str, str]]:
        """Every parameter."""
        if self.facts is not None:
            return list(self.facts.settings())
        return [(parameter.name, parameter.value) for parameter in KNOWN.values()]

    def search_path(self) -> tuple[str, ...] | None:
        """The schemas of search_path where the session has changed it; None: the engine's own."""
        if self.facts is None:
            return None
        text = str(self.facts.setting("search_path"))
        if text == KNOWN["search_path"].value:
            return None
        names = [part.strip().strip('"') for part in text.split(",")]
        return tuple(self._session.user if name == "$user" else name for name in names if name)

    def fill(self, con: duckdb.DuckDBPyConnection, name: str) -> None:
        """Give a connection the rows of one view."""
        if name == "febe_setting_now":
            rows: list[tuple[Any, ...]] = [(key.lower(), value) for key, value in self.settings()]
            _table(con, name, {"febe_key": "VARCHAR", "febe_text": "VARCHAR"}, rows)
            return
        if name == "febe_channel":
            channels = self.facts.channels() if self.facts is not None else ()
            _table(con, name, {"febe_key": "VARCHAR"}, [(channel,) for channel in channels])
            return
        if name == "febe_backend":
            _table(con, name, {"febe_o": "UINTEGER"}, [(row.get("datid"),) for row in self._activity()])
            return
        if name == "febe_transaction":
            _table(con, name, {"febe_number": "BIGINT"}, [(self._session.transaction_number(),)])
            return
        relation = builtin.relations()["pg_catalog", name]
        # a serial number has up to 20 bytes (RFC 5280), more than the private database's numbers
        columns = {column: "VARCHAR" if column == "client_serial" else builtin.kept_as(kind)
                   for column, kind in relation.columns.items()}
        found = {"pg_settings": self._settings, "pg_stat_activity": self._activity,
                 "pg_stat_ssl": self._tls, "pg_stat_gssapi": self._gss, "pg_locks": self._locks,
                 "pg_prepared_statements": self._prepared, "pg_cursors": self._cursors,
                 "pg_largeobject_metadata": self._large_objects}[name]()
        _table(con, name, columns, [tuple(row.get(column) for column in columns) for row in found])

    def _settings(self) -> list[dict[str, Any]]:
        told = {str(row[0]).lower(): row for row in builtin.store().rows(
            "SELECT name, unit, category, short_desc, extra_desc, context, vartype, min_val, max_val, enumvals, "
            "boot_val FROM builtin.febe_setting")}
        rows = []
        for name, value in self.settings():
            if name in UNLISTED:
                continue
            row = {"name": name, "setting": value, "source": "default", "reset_val": value, "pending_restart": False,
                   "context": "user", "vartype": "string", "category": "Customized Options", "short_desc": ""}
            known = told.get(name.lower())
            if known is not None:
                row |= dict(zip(("name", "unit", "category", "short_desc", "extra_desc", "context", "vartype",
                                 "min_val", "max_val", "enumvals", "boot_val"), known, strict=True))
            rows.append(row)
        return sorted(rows, key=lambda row: str(row["name"]).lower())

    def _activity(self) -> list[dict[str, Any]]:
        if self.facts is None:
            return [{"pid": self.process_id(), "usename": self._session.user, "datname": self._session.database,
                     "state": "active", "backend_type": "client backend"}]
        return [{name: getattr(one, name) for name in ("application_name", "client_port", "state", "query")} | {
            name: _moment(getattr(one, name)) for name in (
                "backend_start", "xact_start", "query_start", "state_change")} | {
            "pid": one.process_id, "usename": one.user, "usesysid": self._session.oids.role(one.user),
            "datname": one.database, "datid": self._session.oids.of("database", one.database),
            "client_addr": one.client_address, "backend_type": "client backend", "rows_sent": one.rows,
            "progress": one.progress()} for one in self.facts.activity()]

    def _remote(self) -> list[Any]:
        """Sessions that came over the network, of which alone the manual's views of encryption tell."""
        return [] if self.facts is None else [one for one in self.facts.activity() if one.client_address is not None]

    def _tls(self) -> list[dict[str, Any]]:
        return [{"pid": one.process_id, "ssl": bool(one.security.get("ssl"))} | {
            column: one.security.get(name) for column, name in (
                ("version", "sslversion"), ("cipher", "sslcipher"), ("bits", "sslbits"), ("client_dn", "ssl_client_dn"),
                ("client_serial", "ssl_client_serial"), ("issuer_dn", "ssl_issuer_dn"))} for one in self._remote()]

    def _gss(self) -> list[dict[str, Any]]:
        return [{"pid": one.process_id, "principal": one.security.get("gss_princ")} | {
            column: bool(one.security.get(name)) for column, name in (
                ("gss_authenticated", "gss_auth"), ("encrypted", "gss_enc"),
                ("credentials_delegated", "gss_delegation"))} for one in self._remote()]

    def _locks(self) -> list[dict[str, Any]]:
        """Advisory locks, the only ones that the server knows of (lockfuncs.c, pg_lock_status)."""
        found = []
        for one in self.facts.advisory_locks() if self.facts is not None else ():
            first, second = one.key if len(one.key) == 2 else (one.key[0] >> 32, one.key[0])
            found.append({"locktype": "advisory", "database": self._session.oids.of("database", self._session.database),
                          "classid": first & 0xFFFFFFFF, "objid": second & 0xFFFFFFFF,
                          "objsubid": 2 if len(one.key) == 2 else 1, "pid": one.process_id,
                          "mode": "ShareLock" if one.shared else "ExclusiveLock", "granted": one.granted,
                          "fastpath": False})
        return found

    def _prepared(self) -> list[dict[str, Any]]:
        return [{"name": one.name, "statement": one.text, "from_sql": one.from_sql,
                 "prepare_time": _moment(one.created), "parameter_types": list(one.parameters),
                 "result_types": None if one.columns is None else [column.type_oid for column in one.columns],
                 "generic_plans": 0, "custom_plans": 0}
                for one in (self.facts.prepared_statements() if self.facts is not None else ())]

    def _cursors(self) -> list[dict[str, Any]]:
        return [{"name": one.name, "statement": one.text or one.statement.text, "is_holdable": one.hold,
                 "is_binary": one.binary, "is_scrollable": one.scroll is True,
                 "creation_time": _moment(one.created or None)}
                for one in (self.facts.cursors() if self.facts is not None else ())]

    def _large_objects(self) -> list[dict[str, Any]]:
        owner = self._session.oids.role(self._session.user)  # whoever made one, everybody may do all with it
        return [{"oid": oid, "lomowner": owner} for oid in (
            self.facts.large_objects.oids() if self.facts is not None else ())]


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _table(con: duckdb.DuckDBPyConnection, name: str, columns: dict[str, str], rows: list[tuple[Any, ...]]) -> None:
    listed = ", ".join(f'"{column}" {kind}' for column, kind in columns.items())
    con.execute(f'CREATE OR REPLACE TEMP TABLE "{name}" ({listed})')
    if rows:
        chosen = ", ".join(f"unnest(CAST(? AS {kind}[]))" for kind in columns.values())
        con.execute(f'INSERT INTO temp."{name}" SELECT {chosen}', [list(values) for values in zip(*rows, strict=True)])
