"""Versions and protocol extensions: what is asked for, what is granted, and whether the answer makes sense (manual:
"Start-up", NegotiateProtocolVersion; libpq 18, pqGetNegotiateProtocolVersion3)."""

from __future__ import annotations

from collections.abc import Iterable

from febe.protocol.errors import LocalProtocolError, RemoteProtocolError, UnsupportedVersion
from febe.protocol.startup import VERSION_3_0, VERSION_3_2, NegotiateProtocolVersion, StartupMessage

EXTENSION_PREFIX = "_pq_."
LATEST = VERSION_3_2
# Never a version of its own: a pooler once answered with it by mistake, and it is reserved since.
RESERVED = 0x0003_0001
GREASE = 0x0003_270F
"""3.9999, which is reserved for finding out servers that do not negotiate, as the option below is."""
GREASE_OPTION = "_pq_.test_protocol_negotiation"

_BY_NAME = {"3.0": VERSION_3_0, "3.2": VERSION_3_2, "latest": LATEST}


def version_name(version: int) -> str:
    """`3.2` for 0x00030002."""
    return f"{version >> 16}.{version & 0xFFFF}"


def parse_version(name: str, option: str) -> int:
    """The version that `min_protocol_version` or `max_protocol_version` names: `3.0`, `3.2` or `latest`.

    The latter may be `grease` as well, a switch for tests: it asks for what no server has, and wants to be told so.

    Errors: LocalProtocolError (22023), in libpq's words.
    """
    if name == "grease" and option == "max_protocol_version":
        return GREASE
    try:
        return _BY_NAME[name]
    except KeyError:
        raise LocalProtocolError(f'invalid {option} value: "{name}"', sqlstate="22023") from None


def version_range(minimum: str | None, maximum: str | None) -> tuple[int, int]:
    """The (lowest acceptable, requested) versions; libpq 18 asks for 3.0 unless told otherwise."""
    low = parse_version(minimum, "min_protocol_version") if minimum else VERSION_3_0
    high = parse_version(maximum, "max_protocol_version") if maximum else max(VERSION_3_0, low)
    if low > high:
        raise LocalProtocolError(
            f'min_protocol_version "{version_name(low)}" is greater than max_protocol_version "{version_name(high)}"',
            sqlstate="22023")
    return low, high


def answer(startup: StartupMessage) -> tuple[int, NegotiateProtocolVersion | None]:
    """The version a server speaks with this client, and what it must tell it first, if anything.

    Errors: RemoteProtocolError (0A000) for a major version other than 3.
    """
    if startup.version >> 16 != 3:
        raise UnsupportedVersion(startup.version)
    unknown = [name for name in startup.parameters if name.startswith(EXTENSION_PREFIX)]
    version = min(startup.version, LATEST)
    if startup.version <= LATEST and not unknown:
        return version, None
    return version, NegotiateProtocolVersion(version=version, options=unknown)


def judge(reply: NegotiateProtocolVersion, *, requested: int, minimum: int, options: Iterable[str]) -> int:
    """The version a client goes on with after NegotiateProtocolVersion.

    Errors: RemoteProtocolError for every answer that libpq 18 refuses.
    """
    version = reply.version
    prefix = "received invalid protocol negotiation message: server "
    if version > requested:
        raise RemoteProtocolError(prefix + "requested downgrade to a higher-numbered version")
    if version < VERSION_3_0:
        raise RemoteProtocolError(prefix + "requested downgrade to pre-3.0 protocol version")
    if version == RESERVED:
        raise RemoteProtocolError(prefix + "requested downgrade to non-existent 3.1 protocol version")
    if version == requested and not reply.options:
        raise RemoteProtocolError(prefix + "negotiated but asks for no changes")
    if version < minimum:
        raise RemoteProtocolError(f"server only supports protocol version {version_name(version)}, but "
                                  f'"min_protocol_version" was set to {version_name(minimum)}', sqlstate="08001")
    asked = set(options)
    for name in reply.options:
        if not name.startswith(EXTENSION_PREFIX):
            raise RemoteProtocolError(prefix + f'reported unsupported parameter name without a "{EXTENSION_PREFIX}" '
                                               f'prefix ("{name}")')
        if name not in asked:
            raise RemoteProtocolError(prefix + f'reported an unsupported parameter that was not requested ("{name}")')
    return version
