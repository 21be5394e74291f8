"""Whether a client may in: the rule that decides, the proof that it asks for, the name map (manual: "Client
Authentication")."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from febe.flows.serve import Conversation
from febe.flows.serve_attempt import Attempt, PresentedToken, Proof, TokenVerdict
from febe.flows.serve_authentication import METHODS
from febe.ports.asyncio import AsyncioPort
from febe.ports.tune import peer_user
from febe.protocol.errors import AuthenticationError, ConnectTimeout
from febe.server.access import AccessFileError, Request, Rule
from febe.server.limits import FatalError
from febe.server.parameters import printable
from febe.server.service import Service

T = TypeVar("T")
logger = logging.getLogger("febe.server")

_ENCRYPTIONS = {"SSL": "SSL encryption", "GSS": "GSS encryption", None: "no encryption"}


@dataclass(slots=True, kw_only=True)
class Admitted:
    """Somebody who was let in.  `system_user` is the method and what it proved, as SYSTEM_USER has it."""

    system_user: str | None
    administrator: bool


class Gate:
    """Decides about one connection.  Errors: FatalError, worded as PostgreSQL words it; why is for the log only."""

    def __init__(self, service: Service, conversation: Conversation, port: AsyncioPort, address: str | None,
                 place: str) -> None:
        self._service = service
        self._conversation = conversation
        self._port = port
        self._address = address
        self._place = place
        self._encryption = port.encryption

    async def admit(self, user: str, database: str, *, physical: bool = False) -> Admitted:
        """Have the client prove what its rule asks for.  Errors: FatalError, RemoteProtocolError, ConnectionLost."""
        service = self._service
        found = await service.users.find(user, _in_thread)

        def member(name: str, role: str) -> bool:
            return service.users.is_member(found, name, role)

        request = Request(user=user, database=database, address=self._address, tls=self._encryption == "SSL",
                          gss=self._encryption == "GSS", replication=physical)
        rules = service.rules
        rule = await (_in_thread(rules.find, request, member) if rules.look_up else _now(rules.find, request, member))
        if rule is None or rule.method == "reject":
            raise FatalError(self._refusal(request, rule), "28000")
        self._check_certificate(rule)
        method = METHODS[rule.method]
        try:
            attempt = Attempt(conversation=self._conversation, user=user, database=database,
                              credential=found.credential, options=rule.options, encryption=self._encryption,
                              certificate=self._port.certificate,
                              principal=self._port.principal,
                              gss=service.gss.exchange if service.gss is not None else None,
                              system_user=self._system_user if self._address is None else None,
                              validate=self._validator(rule) if rule.method == "oauth" else None,
                              check_map=lambda name: self._check_name(rule, user, name, member))
            proof = await method.exchange(attempt)
            self._check_map(rule, attempt, proof, member)
            if found.user is None and not method.needs_users:
                self._note(f'role "{user}" does not exist', user, rule)
                raise FatalError(f'role "{user}" does not exist', "28000")
        except AuthenticationError as error:
            self._note(str(error), user, rule)
            raise FatalError(method.refusal.format(user), method.sqlstate) from None
        identity = None if proof.identity is None else f"{rule.method}:{proof.identity}"
        return Admitted(system_user=identity, administrator=found.user is not None and found.user.administrator)

    def _validator(self, rule: Rule) -> Callable[[PresentedToken], Awaitable[TokenVerdict]] | None:
        """The rule's validator, which takes no longer than a client may take to get in."""
        validator = self._service.validators.of(rule.options)
        if validator is None:
            return None

        async def validate(token: PresentedToken) -> TokenVerdict:
            try:
                async with asyncio.timeout(self._service.limits.authentication_timeout):
                    return await validator(token)
            except TimeoutError as error:
                raise ConnectTimeout("the validator did not answer") from error

        return validate

    def _check_map(self, rule: Rule, attempt: Attempt, proof: Proof, member: Callable[[str, str], bool]) -> None:
        """What was proved has to stand for the user asked for.  Errors: AuthenticationError."""
        names = [proof.system_name] if proof.system_name is not None else []
        if rule.client_certificate == "verify-full" and rule.method != "cert":
            certificate = attempt.certificate
            name = certificate and (certificate.subject if rule.options.get("clientname") == "DN"
                                    else certificate.common_name)
            if not name:
                raise AuthenticationError("client certificate contains no user name")
            names.append(name)
        for name in names:
            self._check_name(rule, attempt.user, name, member)

    def _check_name(self, rule: Rule, user: str, name: str, member: Callable[[str, str], bool]) -> None:
        try:
            self._service.rules.check_map(rule.options.get("map"), user, name, member)
        except AccessFileError as error:
            raise AuthenticationError(str(error)) from None

    def _check_certificate(self, rule: Rule) -> None:
        if rule.client_certificate is None:
            return
        if self._service.tls is None or self._service.tls.client_ca is None:
            raise FatalError("client certificates can only be checked if a root certificate store is available",
                             "F0000")
        if self._port.certificate is None:
            raise FatalError("connection requires a valid client certificate", "28000")

    def _refusal(self, request: Request, rule: Rule | None) -> str:
        host = "[local]" if request.address is None else request.address.partition("%")[0]
        encryption = _ENCRYPTIONS[self._encryption]
        if request.replication:
            what = ("no pg_hba.conf entry for replication connection from" if rule is None
                    else "pg_hba.conf rejects replication connection for")
            return f'{what} host "{host}", user "{request.user}", {encryption}'
        what = "no pg_hba.conf entry for" if rule is None else "pg_hba.conf rejects connection for"
        return f'{what} host "{host}", user "{request.user}", database "{request.database}", {encryption}'

    def _system_user(self) -> str:
        try:
            return peer_user(self._port.extra("socket"))
        except (LookupError, OSError) as error:
            raise AuthenticationError(str(error)) from None

    def _note(self, why: str, user: str, rule: Rule) -> None:
        where = f' ("{rule.line.file}", line {rule.line.number})' if self._service.rules.written else ""
        logger.warning("authentication failed: user=%s address=%s method=%s%s: %s", printable(user), self._place,
                       rule.method, where, printable(why))


async def _in_thread(call: Callable[..., T], *args: Any) -> T:
    return await asyncio.to_thread(call, *args)


async def _now(call: Callable[..., T], *args: Any) -> T:
    return call(*args)


__all__ = ["Admitted", "Gate"]
