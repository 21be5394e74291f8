"""One HTTP request: what it refuses, and that nobody keeps it waiting."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator

import pytest

from febe.ports.http import BODY_LIMIT, HTTPError, fetch
from tests.peers.certificates import Authority, Pair

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
Talk = Callable[[socket.socket], object]


@contextlib.contextmanager
def saying(talk: Talk) -> Iterator[int]:
    """A server of one connection that says what it is told to; it ends when its client does."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def work() -> None:
            with contextlib.suppress(OSError):
                peer, _ = listener.accept()
                with peer:
                    talk(peer)
                    while peer.recv(65536):
                        pass

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            thread.join(10)
            assert not thread.is_alive()


def answer(data: bytes) -> Talk:
    return lambda peer: (peer.recv(65536), peer.sendall(data))


def test_an_answer() -> None:
    with saying(answer(OK + b"Content-Length: 2\r\n\r\n{}")) as port:
        got = fetch(f"http://127.0.0.1:{port}/a?b=c", insecure=True)
    assert (got.status, got.kind, got.body) == (200, "application/json", b"{}")


def test_redirects_are_not_followed() -> None:
    with saying(answer(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")) as port:
        assert fetch(f"http://127.0.0.1:{port}/", insecure=True).status == 302


@pytest.mark.parametrize("data, words", [
    (b"", "Remote end closed"), (b"nonsense\r\n\r\n", "nonsense"), (OK + b"X: " + b"y" * 70_000, "header line"),
    (OK + b"X: y\r\n" * 200 + b"\r\n", "headers"), (OK + b"\r\n" + b"x" * (BODY_LIMIT + 1), "longer than"),
    (OK + b"Content-Length: 99999999999\r\n\r\n" + b"x" * (BODY_LIMIT + 9), "longer than")])
def test_answers_that_are_none(data: bytes, words: str) -> None:
    def talk(peer: socket.socket) -> None:
        answer(data)(peer)
        peer.shutdown(socket.SHUT_WR)

    with saying(talk) as port, pytest.raises(HTTPError, match=words):
        fetch(f"http://127.0.0.1:{port}/", insecure=True)


@pytest.mark.parametrize("head", [b"", OK, OK + b"Content-Length: 1000\r\n\r\n"], ids=["nothing", "headers", "body"])
def test_drop_by_drop_is_not_for_ever(head: bytes) -> None:
    """A time-out that begins anew with each byte would never come."""
    over = threading.Event()

    def talk(peer: socket.socket) -> None:
        answer(head)(peer)
        while not over.wait(0.02):
            peer.sendall(b"x")

    with saying(talk) as port:
        try:
            with pytest.raises(HTTPError, match=r"no whole answer within 0\.3 seconds"):
                fetch(f"http://127.0.0.1:{port}/", insecure=True, seconds=0.3)
        finally:
            over.set()


def test_a_handshake_that_does_not_end() -> None:
    with saying(lambda peer: None) as port, pytest.raises(HTTPError, match="no whole answer"):
        fetch(f"https://127.0.0.1:{port}/", seconds=0.3)


@pytest.mark.parametrize("url", ["http://127.0.0.1/", "file:///etc/passwd", "ftp://h/", "https://", "https://u:p@h/",
                                 "https://h:x/", "https://h/a b", "https://h/\r\nX: y", "https://h\u00f6st/", ""])
def test_addresses_that_do_not_do(url: str) -> None:
    with pytest.raises(HTTPError):
        fetch(url)


def test_certificates_count(authority: Authority, localhost: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(localhost.certificate, localhost.key)

    def talk(peer: socket.socket) -> None:
        with contextlib.suppress(OSError), context.wrap_socket(peer, server_side=True) as secure:
            answer(OK + b"Content-Length: 2\r\n\r\n{}")(secure)
            secure.unwrap()

    with saying(talk) as port, pytest.raises(HTTPError, match="certificate"):
        fetch(f"https://localhost:{port}/")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.root))
    with saying(talk) as port:
        assert fetch(f"https://localhost:{port}/").body == b"{}"
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_more: [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))])
    with saying(talk) as port, pytest.raises(HTTPError, match="certificate"):
        fetch(f"https://other.example:{port}/")
