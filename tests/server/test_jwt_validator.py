"""The ready validator: signed tokens, keys that change, claims that are not enough."""

from __future__ import annotations

import base64
import json
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from febe.errors import AuthenticationError
from febe.server import PresentedToken, TokenVerdict
from febe.server.jwt_validator import JWTValidator
from tests.peers import oauth
from tests.peers.oauth import AUDIENCE, Provider


@pytest.fixture
def provider() -> Iterator[Provider]:
    with oauth.running() as found:
        yield found


@pytest.fixture
def validator() -> JWTValidator:
    return JWTValidator(audience=AUDIENCE, insecure=True)


def judged(validator: JWTValidator, provider: Provider, token: str, scope: str = "shop",
           issuer: str = "") -> TokenVerdict:
    return validator(PresentedToken(token=token, user="ann", database="d", issuer=issuer or provider.issuer,
                                    scope=scope))


def test_a_good_one(validator: JWTValidator, provider: Provider) -> None:
    assert judged(validator, provider, provider.token("ann")) == TokenVerdict(authorized=True, authn_id="ann")
    place = f"{provider.issuer}/.well-known/openid-configuration"
    assert judged(validator, provider, provider.token("ann"), issuer=place).authn_id == "ann"
    assert provider.requests.count("/jwks") == 2  # one for each name of the issuer, and not for each token


@pytest.mark.parametrize("claims, words", [
    ({"seconds": -60}, "expired"), ({"exp": None}, "exp"), ({"nbf": time.time() + 3600}, "not yet valid"),
    ({"iss": "https://other"}, "issuer"), ({"iss": None}, "iss"),
    ({"aud": "somebody else"}, "udience"), ({"aud": None}, "aud"),
    ({"sub": None}, "sub"), ({"sub": ""}, "names nobody"), ({"sub": 7}, "ubject"), ({"sub": "a\0b"}, "names nobody"),
    ({"sub": "a\nb"}, "names nobody"), ({"sub": "\ud800"}, "names nobody"),
    ({"scope": "openid"}, "lacks the scope shop"), ({"scope": None}, "lacks the scope"),
    ({"scope": {"shop": 1}}, "lacks the scope")])
def test_claims_that_are_not_enough(validator: JWTValidator, provider: Provider, claims: dict[str, Any],
                                    words: str) -> None:
    with pytest.raises(AuthenticationError, match=words):
        judged(validator, provider, provider.token("ann", **claims))


def test_scopes_by_other_names(validator: JWTValidator, provider: Provider) -> None:
    for claims in ({"scp": "a shop"}, {"scp": ["shop", 7]}, {"scope": ["shop"]}):
        token = provider.token("ann", **{"scope": None} | claims)
        assert judged(validator, provider, token).authorized


def test_who_signs_is_the_issuer(validator: JWTValidator, provider: Provider) -> None:
    """Another's key, no signature at all, and the public key taken for a secret (algorithm confusion)."""
    good = jwt.decode(provider.token("ann"), options={"verify_signature": False})
    other = Provider(issuer=provider.issuer)
    by_secret = jwt.encode(good, "secret" * 10, "HS256", headers={"kid": provider.key_id})
    none = jwt.encode(good, None, "none", headers={"kid": provider.key_id})
    for token in (other.token("ann"), by_secret, none, "a.b.c", "opaque", provider.token("ann")[:-8]):
        with pytest.raises(AuthenticationError):
            judged(validator, provider, token)


def test_keys_change(validator: JWTValidator, provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    from febe.server import jwt_validator

    assert judged(validator, provider, provider.token("ann")).authorized
    old = provider.token("ann")
    provider.key, provider.key_id = ec.generate_private_key(ec.SECP256R1()), "second"
    with pytest.raises(AuthenticationError, match="does not have"):
        judged(validator, provider, provider.token("ann"))  # asked for a moment ago
    asked = provider.requests.count("/jwks")
    assert asked == 1
    monkeypatch.setattr(jwt_validator, "AGAIN_SECONDS", 0)
    assert judged(validator, provider, provider.token("ann")).authorized
    with pytest.raises(AuthenticationError, match="does not have"):
        judged(validator, provider, old)


def test_an_issuer_that_does_not_answer_is_not_asked_by_everybody(
        validator: JWTValidator, provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    from febe.server import jwt_validator

    provider.document = {"jwks_uri": f"{provider.issuer}/nowhere"}
    for _ in range(3):
        with pytest.raises(AuthenticationError, match=r"keys cannot be had.*response code 404"):
            judged(validator, provider, provider.token("ann"))
    assert provider.requests.count("/nowhere") == 1
    provider.document = {}
    monkeypatch.setattr(jwt_validator, "AGAIN_SECONDS", 0)
    assert judged(validator, provider, provider.token("ann")).authorized


def test_who_has_a_known_key_does_not_wait_for_who_has_not(validator: JWTValidator, provider: Provider) -> None:
    judged(validator, provider, provider.token("ann"))
    (keys,) = validator._keys.values()
    with keys._lock:  # as while the issuer is asked for an unknown one
        assert judged(validator, provider, provider.token("ann")).authorized


def test_keys_grow_old(validator: JWTValidator, provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that the issuer has withdrawn is not believed for ever, even if he cannot be reached."""
    from febe.server import jwt_validator

    token = provider.token("ann")
    assert judged(validator, provider, token).authorized
    monkeypatch.setattr(jwt_validator, "FRESH_SECONDS", 0)
    monkeypatch.setattr(jwt_validator, "AGAIN_SECONDS", 0)
    provider.document = {"jwks_uri": "https://localhost:1/"}
    with pytest.raises(AuthenticationError, match="keys cannot be had"):
        judged(validator, provider, token)


def test_keys_of_no_name(validator: JWTValidator, provider: Provider) -> None:
    claims = jwt.decode(provider.token("ann"), options={"verify_signature": False})
    assert judged(validator, provider, jwt.encode(claims, provider.key, "RS256")).authorized


def test_keys_in_a_file(provider: Provider, tmp_path: Path) -> None:
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps(provider.jwks))
    assert judged(JWTValidator(audience=AUDIENCE, jwks=path), provider, provider.token("ann")).authorized
    for text in ("{", "[]", "{}", '{"keys": 7}', "[" * 100_000):
        path.write_text(text)
        with pytest.raises(AuthenticationError):
            judged(JWTValidator(audience=AUDIENCE, jwks=str(path)), provider, provider.token("ann"))
    with pytest.raises(AuthenticationError, match="cannot be had"):
        judged(JWTValidator(audience=AUDIENCE, jwks=tmp_path / "none"), provider, provider.token("ann"))


@pytest.mark.parametrize("document", [{"issuer": "https://evil.example"}, {"jwks_uri": None}, {"jwks_uri": 7},
                                      {"jwks_uri": "http://localhost:1/"}, {"x": "y" * 300_000}])
def test_discovery_that_leads_nowhere(validator: JWTValidator, provider: Provider, document: dict[str, Any]) -> None:
    provider.document = document
    with pytest.raises(AuthenticationError):
        judged(validator, provider, provider.token("ann"))


def test_https_only(provider: Provider) -> None:
    with pytest.raises(AuthenticationError, match="no https address"):
        judged(JWTValidator(audience=AUDIENCE), provider, provider.token("ann"))
    assert provider.requests == []


@pytest.mark.parametrize("options", [{"audience": ""}, {"audience": []}, {"audience": "a", "algorithms": ["HS256"]},
                                     {"audience": "a", "algorithms": ["none"]}])
def test_options_that_are_not_safe(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        JWTValidator(**options)




HEADERS = (b"[" * 45_000, b'{"a":' * 9_000, b'{"alg":"RS256","kid":[1]}', b'{"alg":["x"]}', b"null", b"7", b"\xff\xfe",
           b'{"alg":"RS256","kid":"first","crit":["b64"],"b64":false}', b'{"alg":"RS256","kid":"first","crit":7}',
           b'{"alg":null,"kid":"first"}', b'{"alg":{},"kid":{}}', b'{"alg":"ES256","kid":"first"}', b'{"kid":"first"}')


@pytest.mark.parametrize("header", HEADERS, ids=range(len(HEADERS)))
def test_headers_that_make_no_sense(validator: JWTValidator, provider: Provider, header: bytes) -> None:
    rest = provider.token("ann").partition(".")[2]
    with pytest.raises(AuthenticationError):
        judged(validator, provider, f"{base64.urlsafe_b64encode(header).rstrip(b'=').decode()}.{rest}")


def test_damaged_tokens(validator: JWTValidator, provider: Provider) -> None:
    """Each is refused as it should be, or is the token that it was: the last letter has bits that say nothing."""
    good, source = provider.token("ann"), random.Random(5)
    signed = good.rpartition(".")[0]
    for _ in range(400):
        damaged = list(good)
        for _ in range(source.randrange(1, 4)):
            damaged[source.randrange(len(damaged))] = source.choice("ABCabc019-_.~+/=")
        token = "".join(damaged)
        try:
            assert judged(validator, provider, token).authn_id == "ann" and token.startswith(signed)
        except AuthenticationError as error:
            assert token != good
            assert token not in str(error)
