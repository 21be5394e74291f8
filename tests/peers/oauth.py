"""A small OAuth provider of this session's own: device authorisation, discovery (RFC 8628, RFC 8414), signed tokens."""

from __future__ import annotations

import base64
import contextlib
import json
import secrets
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote_plus, urlsplit
from urllib.request import urlopen

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from .certificates import Pair

CLIENT_ID = "febe-tests"
AUDIENCE = "postgresql://shop"
DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"


@dataclass(kw_only=True)
class Device:
    """A device that waits until somebody lets it in."""

    user_code: str
    scope: str
    user: str | None = None
    denied: bool = False
    questions: int = 0


@dataclass(kw_only=True)
class Provider:
    """A running provider.

    `document` and `device_answer` are added to what it says; `slow` has it slow the next client down.
    """

    issuer: str
    client_secret: str | None = None
    interval: int = 0
    slow: bool = False
    document: dict[str, Any] = field(default_factory=dict)
    device_answer: dict[str, Any] = field(default_factory=dict)
    devices: dict[str, Device] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    issued: Path | None = None
    """A file that gets a line `token user` for each token that is good for a while."""
    key: Any = field(default_factory=lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048))
    key_id: str = "first"

    def token(self, user: str, *, scope: str = "openid shop", seconds: float = 300, **claims: Any) -> str:
        """A signed token; `claims` replace its own, None takes one away."""
        found = {"iss": self.issuer, "sub": user, "aud": AUDIENCE, "scope": scope, "exp": time.time() + seconds,
                 "iat": time.time(), "jti": secrets.token_hex(8)} | claims
        algorithm = "ES256" if isinstance(self.key, ec.EllipticCurvePrivateKey) else "RS256"
        made = jwt.encode({name: value for name, value in found.items() if value is not None}, self.key, algorithm,
                          headers={"kid": self.key_id})
        if self.issued is not None and seconds > 0:
            with self.issued.open("a") as file:
                file.write(f"{made} {user}\n")
        return made

    @property
    def jwks(self) -> dict[str, Any]:
        """Its public keys."""
        kind = jwt.algorithms.ECAlgorithm if isinstance(self.key, ec.EllipticCurvePrivateKey) \
            else jwt.algorithms.RSAAlgorithm
        return {"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": self.key_id}, {"kty": "unheard of"},
                         kind.to_jwk(self.key.public_key(), as_dict=True) | {"kid": self.key_id, "use": "sig"}]}

    def approve(self, verification_uri: str, user_code: str, user: str) -> None:
        """What a person does with a browser."""
        with urlopen(f"{verification_uri}?user_code={user_code}&user={user}", timeout=10) as page:
            assert page.status == 200


class _Handler(BaseHTTPRequestHandler):
    provider: Provider

    def do_GET(self) -> None:
        provider, parts = self.provider, urlsplit(self.path)
        provider.requests.append(parts.path)
        match parts.path:
            case "/.well-known/openid-configuration" | "/.well-known/oauth-authorization-server":
                self._say(200, {"issuer": provider.issuer, "token_endpoint": f"{provider.issuer}/token",
                                "device_authorization_endpoint": f"{provider.issuer}/device",
                                "jwks_uri": f"{provider.issuer}/jwks",
                                "grant_types_supported": [DEVICE_CODE]} | provider.document)
            case "/jwks":
                self._say(200, provider.jwks)
            case "/activate":
                asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
                for device in provider.devices.values():
                    if device.user_code == asked["user_code"]:
                        device.user, device.denied = asked["user"], asked["user"] == "nobody"
                        return self._say(200, {})
                self._say(404, {})
            case _:
                self._say(404, {})

    def do_POST(self) -> None:
        provider, path = self.provider, urlsplit(self.path).path
        provider.requests.append(path)
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        form = {name: values[0] for name, values in parse_qs(body).items()}
        if not self._is_client(form):
            return self._say(401, {"error": "invalid_client", "error_description": "who are you?"})
        if path == "/device":
            device = Device(user_code=f"{secrets.token_hex(2)}-{secrets.token_hex(2)}".upper(),
                            scope=form.get("scope", ""))
            code = secrets.token_urlsafe(16)
            provider.devices[code] = device
            return self._say(200, {"device_code": code, "user_code": device.user_code, "expires_in": 60,
                                   "verification_uri": f"{provider.issuer}/activate",
                                   "interval": provider.interval} | provider.device_answer)
        waiting = provider.devices.get(form.get("device_code", ""))
        if path != "/token" or form.get("grant_type") != DEVICE_CODE or waiting is None:
            return self._say(400, {"error": "invalid_grant", "error_description": "no such code"})
        waiting.questions += 1
        if provider.slow:
            provider.slow = False
            return self._say(400, {"error": "slow_down"})
        if waiting.denied:
            return self._say(400, {"error": "access_denied", "error_description": "the person says no"})
        if waiting.user is None:
            return self._say(400, {"error": "authorization_pending"})
        self._say(200, {"access_token": provider.token(waiting.user, scope=waiting.scope), "token_type": "Bearer",
                        "expires_in": 300})

    def _is_client(self, form: dict[str, str]) -> bool:
        if self.provider.client_secret is None:
            return form.get("client_id") == CLIENT_ID
        scheme, _, pair = self.headers.get("Authorization", "").partition(" ")
        name, _, secret = base64.b64decode(pair).decode().partition(":")
        return scheme == "Basic" and (unquote_plus(name), unquote_plus(secret)) == (
            CLIENT_ID, self.provider.client_secret)

    def _say(self, status: int, document: dict[str, Any]) -> None:
        data = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextlib.contextmanager
def running(pair: Pair | None = None, **options: Any) -> Iterator[Provider]:
    """Start a provider on a free port, with TLS where there is a certificate for `localhost`."""
    handler = type("Handler", (_Handler,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    if pair is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair.certificate, pair.key)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    scheme = "https" if pair is not None else "http"
    provider = handler.provider = Provider(  # type: ignore[attr-defined]
        issuer=f"{scheme}://localhost:{server.server_port}", **options)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
