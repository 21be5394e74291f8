"""What a connection string leaves open: service file, environment, built-in defaults (libpq: PQconndefaults, "The
Connection Service File", "Environment Variables")."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from febe.client.dsn import invalid
from febe.client.keywords import KEYWORDS
from febe.flows.errors import NotSupported

SYSTEM_FOLDER = "/etc/postgresql-common"
"""Where the system-wide service file is without PGSYSCONFDIR; libpq has it compiled in, Debian's so."""
_LINE_BYTES = 1023
_SPACES = b" \t\n\v\f\r"


def with_defaults(given: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """The options given, and for the others what the service, the environment or libpq itself says.

    An option that is given empty is given.  Errors: LocalProtocolError (22023) for a service that cannot be read.
    """
    found = dict(given)
    for name, value in _service(given, environment).items():
        found.setdefault(name, value)
    sslmode_is_said = "sslmode" in found or "PGSSLMODE" in environment
    for keyword in KEYWORDS.values():
        if keyword.name in found:
            continue
        if keyword.variable is not None and keyword.variable in environment:
            found[keyword.name] = environment[keyword.variable]
        elif keyword.name == "sslmode" and environment.get("PGREQUIRESSL", "").startswith("1"):
            found["sslmode"] = "require"
            sslmode_is_said = True
        elif keyword.default is not None:
            found[keyword.name] = keyword.default
        elif keyword.name == "user" and (user := system_user()) is not None:
            found["user"] = user
    if not sslmode_is_said and found.get("sslrootcert") == "system":
        found["sslmode"] = "verify-full"
    return found


def home_folder(environment: Mapping[str, str]) -> Path | None:
    """The user's home directory (pqGetHomeDirectory)."""
    if os.name == "nt":
        return Path(environment["APPDATA"]) / "postgresql" if "APPDATA" in environment else None
    if environment.get("HOME"):
        return Path(environment["HOME"])
    import pwd

    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        return None


def system_user() -> str | None:
    """The name that the operating system knows this process's user by (pg_fe_getauthname)."""
    try:
        if os.name == "nt":
            return os.getlogin()
        import pwd

        return pwd.getpwuid(os.geteuid()).pw_name
    except (KeyError, OSError):
        return None


def _service(given: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """What the service file says of the service asked for."""
    service = given.get("service", environment.get("PGSERVICE"))
    if service is None:
        return {}
    for file in _service_files(environment):
        found = _read_service(file, service)
        if found is not None:
            return found
    raise invalid(f'definition of service "{service}" not found')


def _service_files(environment: Mapping[str, str]) -> list[Path]:
    system = Path(environment.get("PGSYSCONFDIR", SYSTEM_FOLDER)) / "pg_service.conf"
    files = [system] if system.exists() else []
    if "PGSERVICEFILE" in environment:
        return [Path(environment["PGSERVICEFILE"]), *files]
    home = home_folder(environment)
    own = home / ".pg_service.conf" if home is not None else None
    return [own, *files] if own is not None and own.exists() else files


def _read_service(file: Path, service: str) -> dict[str, str] | None:
    """The options of the section `[service]`, the first of a name; None when the file has no such section."""
    try:
        lines = file.read_bytes().splitlines(keepends=True)
    except OSError:
        raise invalid(f'service file "{file}" not found') from None
    found: dict[str, str] | None = None
    for number, raw in enumerate(lines, 1):
        if len(raw) >= _LINE_BYTES:
            raise invalid(f'line {number} too long in service file "{file}"')
        line = raw.strip(_SPACES).decode("utf-8", "surrogateescape")
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            if found is not None:
                break
            if line.startswith(f"[{service}]"):
                found = {}
        elif found is not None:
            if line.startswith("ldap"):
                raise NotSupported(f'a service that is looked up by LDAP: service file "{file}", line {number}')
            name, separator, value = line.partition("=")
            if name == "service" and separator:
                raise invalid(f'nested service specifications not supported in service file "{file}", line {number}')
            if not separator or name not in KEYWORDS:
                raise invalid(f'syntax error in service file "{file}", line {number}')
            found.setdefault(name, value)
    return found


__all__ = ["home_folder", "system_user", "with_defaults"]
