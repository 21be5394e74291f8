"""Versions asked for, granted and judged, beside what PostgreSQL 18 and libpq 18 do."""

from __future__ import annotations

import pytest

from febe.protocol.errors import LocalProtocolError, RemoteProtocolError
from febe.protocol.negotiation import answer, judge, version_name, version_range
from febe.protocol.startup import NegotiateProtocolVersion, StartupMessage

V30, V31, V32, V39999 = 0x30000, 0x30001, 0x30002, 0x3270F


def v(version: int, *options: str) -> NegotiateProtocolVersion:
    return NegotiateProtocolVersion(version=version, options=list(options))


@pytest.mark.parametrize(("minimum", "maximum", "expected"), [
    (None, None, (V30, V30)), ("3.0", None, (V30, V30)), (None, "3.0", (V30, V30)), (None, "3.2", (V30, V32)),
    (None, "grease", (V30, V39999)), ("3.2", "grease", (V32, V39999)), (None, "latest", (V30, V32)),
    ("3.2", "3.2", (V32, V32)), ("3.2", None, (V32, V32)), ("latest", None, (V32, V32)),
])
def test_range(minimum: str | None, maximum: str | None, expected: tuple[int, int]) -> None:
    assert version_range(minimum, maximum) == expected


@pytest.mark.parametrize(("minimum", "maximum"), [
    ("3.2", "3.0"), ("grease", None), ("3.1", None), (None, "3.1"), (None, "4.0"), (None, "3"), (None, "LATEST"),
    ("x", "3.0")])
def test_range_refused(minimum: str | None, maximum: str | None) -> None:
    with pytest.raises(LocalProtocolError) as error:
        version_range(minimum, maximum)
    assert error.value.sqlstate == "22023"


@pytest.mark.parametrize(("version", "options", "granted", "told"), [
    (V30, [], V30, None),
    (V31, [], V31, None),
    (V32, [], V32, None),
    (0x30003, [], V32, v(V32)),
    (V39999, [], V32, v(V32)),
    (V39999, ["_pq_.anything"], V32, v(V32, "_pq_.anything")),
    (V30, ["_pq_.a", "_pq_.b"], V30, v(V30, "_pq_.a", "_pq_.b")),
    (V32, ["_pq_.a"], V32, v(V32, "_pq_.a")),
    (V30, ["_pq_", "pq_.x", "_PQ_.x"], V30, None),
])
def test_answer(version: int, options: list[str], granted: int, told: NegotiateProtocolVersion | None) -> None:
    startup = StartupMessage(version=version, parameters={"user": "u", **dict.fromkeys(options, "1")})
    assert answer(startup) == (granted, told)


@pytest.mark.parametrize(("version", "name"), [
    (0x20000, "2.0"), (0x40000, "4.0"), (0x10000, "1.0"), (0x04D2162F, "1234.5679"), (-1, "65535.65535")])
def test_other_major_versions(version: int, name: str) -> None:
    with pytest.raises(RemoteProtocolError,
                       match=f"^unsupported frontend protocol {name}: server supports 3.0 to 3.2$") as error:
        answer(StartupMessage(version=version, parameters={}))
    assert (error.value.sqlstate, error.value.fatal) == ("0A000", True)


@pytest.mark.parametrize(("reply", "requested", "minimum", "options", "goes_on_with"), [
    (v(V30), V32, V30, [], V30),
    (v(V32), V39999, V30, [], V32),
    (v(V32, "_pq_.a"), V32, V30, ["_pq_.a"], V32),
    (v(V30, "_pq_.a"), V32, V30, ["_pq_.a", "_pq_.b"], V30),
    (v(V32, "_pq_.test_protocol_negotiation"), V39999, V30, ["_pq_.test_protocol_negotiation"], V32),
])
def test_judge(reply: NegotiateProtocolVersion, requested: int, minimum: int, options: list[str],
               goes_on_with: int) -> None:
    assert judge(reply, requested=requested, minimum=minimum, options=options) == goes_on_with


@pytest.mark.parametrize(("reply", "requested", "minimum", "options", "why"), [
    (v(V32), V30, V30, [], "higher-numbered version"),
    (v(0x20000), V32, V30, [], "pre-3.0 protocol version"),
    (v(-1), V32, V30, [], "pre-3.0 protocol version"),
    (v(V31), V32, V30, [], "non-existent 3.1 protocol version"),
    (v(V32), V32, V30, [], "asks for no changes"),
    (v(V30), V30, V30, ["_pq_.a"], "asks for no changes"),
    (v(V30), V32, V32, [], '"min_protocol_version" was set to 3.2'),
    (v(V32, "a"), V32, V30, ["a"], 'without a "_pq_." prefix'),
    (v(V32, "_pq_.b"), V32, V30, ["_pq_.a"], "that was not requested"),
    (v(V30, "_pq_.a", "_pq_.b"), V32, V30, ["_pq_.a"], "that was not requested"),
])
def test_judge_refuses(reply: NegotiateProtocolVersion, requested: int, minimum: int, options: list[str],
                       why: str) -> None:
    with pytest.raises(RemoteProtocolError, match=why):
        judge(reply, requested=requested, minimum=minimum, options=options)


def test_names() -> None:
    assert [version_name(version) for version in (V30, V32, V39999)] == ["3.0", "3.2", "3.9999"]
