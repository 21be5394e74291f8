"""One HTTP request, bounded in time and size, for what is beside the protocol: OAuth's providers and their keys.

It blocks: who has an event loop makes it in a thread.  Redirects are not followed, as libpq does not follow them.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from febe.protocol.errors import Error

BODY_LIMIT = 256 * 1024
"""libpq takes OAuth's documents up to this size (MAX_OAUTH_RESPONSE_SIZE)."""
SECONDS = 30.0


class HTTPError(Error):
    """There is no answer, or one that is too long or came too slowly."""


@dataclass(slots=True, frozen=True, kw_only=True)
class Answer:
    """An answer, of whatever status; `kind` is its media type without parameters."""

    status: int
    kind: str
    body: bytes


def fetch(url: str, *, form: Mapping[str, str] | None = None, authorization: str | None = None,
          insecure: bool = False, seconds: float = SECONDS) -> Answer:
    """GET, or POST with a form.  `insecure` allows http beside https.

    The certificate has to be good for the system's roots, or those of SSL_CERT_FILE.  Errors: HTTPError.
    """
    parts = urlsplit(url)
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if parts.scheme != "https" and not (insecure and parts.scheme == "http"):
        raise HTTPError(f"{url} is no https address")
    if not host or parts.username is not None or not url.isascii() or not url.isprintable() or " " in url:
        raise HTTPError(f"{url!r} is no address of a web server")
    headers = {"Accept": "application/json", "Connection": "close"}
    if authorization is not None:
        headers["Authorization"] = authorization
    body = None
    if form is not None:
        body = urlencode(form)
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        return _exchange(parts.scheme == "https", host, port, target, body, headers, seconds)
    except TimeoutError:
        raise HTTPError(f"{url}: no whole answer within {seconds:g} seconds") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise HTTPError(f"{url}: {error or type(error).__name__}") from None


def _exchange(is_tls: bool, host: str, port: int | None, target: str, body: str | None, headers: Mapping[str, str],
              seconds: float) -> Answer:
    kind = http.client.HTTPSConnection if is_tls else http.client.HTTPConnection
    connection = kind(host, port, timeout=seconds)
    found = socket.create_connection((host, connection.port), seconds)
    # A socket's time-out begins anew with every byte: the whole has an end of its own.
    late = threading.Event()

    def cut() -> None:
        late.set()
        with contextlib.suppress(OSError):
            socket.socket.shutdown(found, socket.SHUT_RDWR)

    clock = threading.Timer(seconds, cut)
    clock.daemon = True
    clock.start()
    try:
        if is_tls:
            found = ssl.create_default_context().wrap_socket(found, server_hostname=host, do_handshake_on_connect=False)
            found.do_handshake()
        connection.sock = found
        connection.request("GET" if body is None else "POST", target, body, dict(headers))
        response = connection.getresponse()
        read = response.read(BODY_LIMIT + 1)
        if late.is_set():
            raise TimeoutError
        if len(read) > BODY_LIMIT:
            raise ValueError(f"the answer is longer than {BODY_LIMIT} bytes")
        return Answer(status=response.status, kind=response.headers.get_content_type(), body=read)
    except Exception:
        if late.is_set():
            raise TimeoutError from None
        raise
    finally:
        clock.cancel()
        connection.close()
        found.close()


__all__ = ["BODY_LIMIT", "SECONDS", "Answer", "HTTPError", "fetch"]
