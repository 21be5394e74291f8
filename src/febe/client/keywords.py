"""libpq's connection options: their names, environment variables and built-in defaults (libpq: "Parameter Key Words",
"Environment Variables")."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True, frozen=True)
class Keyword:
    """One connection option.

    `default` is what libpq was built with; None where it works the value out, or has none.
    """

    name: str
    variable: str | None = None
    default: str | None = None
    secret: bool = False


KEYWORDS: dict[str, Keyword] = {keyword.name: keyword for keyword in (
    Keyword("service", "PGSERVICE"),
    Keyword("user", "PGUSER"),
    Keyword("password", "PGPASSWORD", secret=True),
    Keyword("passfile", "PGPASSFILE"),
    Keyword("channel_binding", "PGCHANNELBINDING", "prefer"),
    Keyword("connect_timeout", "PGCONNECT_TIMEOUT"),
    Keyword("dbname", "PGDATABASE"),
    Keyword("host", "PGHOST"),
    Keyword("hostaddr", "PGHOSTADDR"),
    Keyword("port", "PGPORT", "5432"),
    Keyword("client_encoding", "PGCLIENTENCODING"),
    Keyword("options", "PGOPTIONS", ""),
    Keyword("application_name", "PGAPPNAME"),
    Keyword("fallback_application_name"),
    Keyword("keepalives"),
    Keyword("keepalives_idle"),
    Keyword("keepalives_interval"),
    Keyword("keepalives_count"),
    Keyword("tcp_user_timeout"),
    Keyword("sslmode", "PGSSLMODE", "prefer"),
    Keyword("sslnegotiation", "PGSSLNEGOTIATION", "postgres"),
    Keyword("sslcompression", "PGSSLCOMPRESSION", "0"),
    Keyword("sslcert", "PGSSLCERT"),
    Keyword("sslkey", "PGSSLKEY"),
    Keyword("sslcertmode", "PGSSLCERTMODE"),
    Keyword("sslpassword", secret=True),
    Keyword("sslrootcert", "PGSSLROOTCERT"),
    Keyword("sslcrl", "PGSSLCRL"),
    Keyword("sslcrldir", "PGSSLCRLDIR"),
    Keyword("sslsni", "PGSSLSNI", "1"),
    Keyword("requirepeer", "PGREQUIREPEER"),
    Keyword("require_auth", "PGREQUIREAUTH"),
    Keyword("min_protocol_version", "PGMINPROTOCOLVERSION"),
    Keyword("max_protocol_version", "PGMAXPROTOCOLVERSION"),
    Keyword("ssl_min_protocol_version", "PGSSLMINPROTOCOLVERSION", "TLSv1.2"),
    Keyword("ssl_max_protocol_version", "PGSSLMAXPROTOCOLVERSION"),
    Keyword("gssencmode", "PGGSSENCMODE", "disable"),
    Keyword("krbsrvname", "PGKRBSRVNAME", "postgres"),
    Keyword("gsslib", "PGGSSLIB"),
    Keyword("gssdelegation", "PGGSSDELEGATION", "0"),
    Keyword("replication"),
    Keyword("target_session_attrs", "PGTARGETSESSIONATTRS", "any"),
    Keyword("load_balance_hosts", "PGLOADBALANCEHOSTS", "disable"),
    Keyword("scram_client_key", secret=True),
    Keyword("scram_server_key", secret=True),
    Keyword("oauth_issuer"),
    Keyword("oauth_client_id"),
    Keyword("oauth_client_secret", secret=True),
    Keyword("oauth_scope"),
    Keyword("sslkeylogfile"),
)}
"""In libpq 18's order."""

__all__ = ["KEYWORDS", "Keyword"]
