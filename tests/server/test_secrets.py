"""Passwords, verifiers, tokens and cancel keys reach no log, no error and no trace."""

from __future__ import annotations

import io
import logging
import traceback
from typing import Any

import pytest

import febe
from febe.flows.connect import Login
from febe.flows.serve_attempt import Attempt, Credential
from febe.ports.tls_client import ClientTLS
from febe.protocol.scram import ScramVerifier
from febe.protocol.trace import Tracer
from febe.server import ServerTLS
from tests.peers.certificates import Pair
from tests.server.listening import listening
from tests.server.wire import Script

PASSWORD, WRONG = "correct-horse", "battery-staple"


@pytest.mark.parametrize("method", ["password", "md5", "scram-sha-256"])
def test_of_a_login(localhost: Pair, method: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    traced = io.StringIO()
    said = ""
    with listening(Script(), users={"demo": PASSWORD}, authentication=method,
                   tls=ServerTLS(certificate=localhost.certificate, key=localhost.key)) as listener:
        for password in (PASSWORD, WRONG):
            options: dict[str, Any] = {"host": "localhost", "port": listener.port, "user": "demo", "sslmode": "require",
                                       "password": password, "max_protocol_version": "3.2"}
            try:
                with febe.connect(**options, trace=Tracer(traced)) as connection:
                    key = connection._session.secret_key
                    said += repr(connection) + repr(connection._session.port.layer)
            except febe.Error as error:
                said += "".join(traceback.format_exception(error)) + repr(vars(error))
    said += caplog.text + traced.getvalue()
    assert "PasswordMessage" in said or "SASLResponse" in said
    for secret in (PASSWORD, WRONG, str(key), key.hex(), repr(key)[2:-1]):
        assert secret not in said


def test_of_objects() -> None:
    verifier = ScramVerifier.make(PASSWORD, b"0123456789abcdef")
    shown = [repr(found) for found in (
        Login(user="u", password=PASSWORD), verifier, Credential(verifier=verifier, md5="0" * 32),
        ClientTLS(sslpassword=PASSWORD), Attempt(conversation=None, user="u", database="d",  # type: ignore[arg-type]
                                                 credential=Credential(verifier=verifier)))]
    for text in shown:
        assert PASSWORD not in text
        assert str(verifier) not in text
        assert "StoredKey" not in text
        assert repr(verifier.stored_key) not in text
