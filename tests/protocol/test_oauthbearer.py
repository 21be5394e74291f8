"""OAUTHBEARER's messages and addresses, without anybody at the other end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from febe.errors import AuthenticationError, RemoteProtocolError
from febe.protocol.oauthbearer import (
    TOKEN,
    auth_of,
    discovery_uri,
    failure,
    initial_response,
    issuer_of,
    read_failure,
    token_of,
)


def test_golden_bytes() -> None:
    """RFC 7628, section 4.1, with PostgreSQL's header and without host and port."""
    assert initial_response("vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==") == (
        b"n,,\x01auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\x01\x01")
    assert initial_response(None) == b"n,,\x01auth=\x01\x01"


@given(st.from_regex(TOKEN, fullmatch=True))
def test_what_one_side_says_the_other_understands(token: str) -> None:
    assert token_of(auth_of(initial_response(token))) == token


@given(st.binary(max_size=60) | st.binary(max_size=40).map(lambda data: b"n,,\x01auth=" + data))
def test_any_bytes_are_understood_or_refused(data: bytes) -> None:
    try:
        token = token_of(auth_of(data))
    except (RemoteProtocolError, AuthenticationError):
        return
    assert TOKEN.fullmatch(token)


@given(st.binary(max_size=80))
def test_any_refusal_is_understood_or_refused(data: bytes) -> None:
    try:
        assert read_failure(data).status
    except AuthenticationError:
        return


@pytest.mark.parametrize("data", [b"", b"[]", b"7", b"{", b"{}",
                                  b'{"status": 7}', b'{"status": "a\\u001b[0m"}', b"[" * 999,
                                  b'{"status": "x", "scope": []}', b'\xff', b'{"status": "\\u0000"}'])
def test_refusals_that_make_no_sense(data: bytes) -> None:
    with pytest.raises(AuthenticationError):
        read_failure(data)


def test_a_refusal() -> None:
    found = read_failure(failure("https://issuer.example", "a b"))
    assert found.openid_configuration == "https://issuer.example/.well-known/openid-configuration"
    assert (found.status, found.scope) == ("invalid_token", "a b")
    named = "https://issuer.example/.well-known/oauth-authorization-server/tenant"
    assert read_failure(failure(named, "")).openid_configuration == named


@pytest.mark.parametrize("uri, issuer", [
    ("https://i.example/.well-known/openid-configuration", "https://i.example"),
    ("https://i.example:8443/.well-known/oauth-authorization-server", "https://i.example:8443"),
    ("https://i.example/tenant/.well-known/openid-configuration", "https://i.example/tenant"),
    ("https://i.example/.well-known/openid-configuration/tenant/x", "https://i.example/tenant/x"),
    ("https://i.example/.well-known/oauth-authorization-server/tenant", "https://i.example/tenant"),
    ("HTTPS://i.example/.well-known/openid-configuration", "HTTPS://i.example")])
def test_issuers(uri: str, issuer: str) -> None:
    assert issuer_of(uri) == issuer
    assert discovery_uri(uri) == uri


@pytest.mark.parametrize("uri, words", [
    ("http://i.example/.well-known/openid-configuration", "must use HTTPS"),
    ("file:///.well-known/openid-configuration", "must use HTTPS"),
    ("https://i.example/.well-known/openid-configuration?x=1", "query or fragment"),
    ("https://i.example/.well-known/openid-configuration#x", "query or fragment"),
    ("https://i.example", "not a .well-known URI"),
    ("https://i.example/.well-known/security.txt", "unsupported .well-known suffix"),
    ("https://i.example/.well-known/openid-configurationx", "unsupported .well-known suffix"),
    ("https://i.example/.well-known/", "unsupported .well-known suffix"),
    ("https://i.example/.well-known/openid-configuration/", "invalid format"),
    ("https://i.example/a/.well-known/oauth-authorization-server", "invalid format"),
    ("https://i.example/a/.well-known/openid-configuration/b", "invalid format"),
    ("https:///.well-known/openid-configuration", "invalid format"),
    ("https://i.example/.well-known/openid-configuration/.well-known/openid-configuration", "invalid format")])
def test_addresses_that_do_not_do(uri: str, words: str) -> None:
    with pytest.raises(AuthenticationError, match=words):
        issuer_of(uri)


def test_http_where_it_is_allowed() -> None:
    assert issuer_of("http://localhost:1/.well-known/openid-configuration", insecure=True) == "http://localhost:1"
