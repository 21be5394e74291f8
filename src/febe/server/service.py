"""What all connections of one server share: engine, access rules, users, places, cancel keys."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from febe.flows.serve_authentication import METHODS
from febe.flows.serve_startup import Offer
from febe.ports.tls_server import ServerTLS
from febe.protocol.dialect import POSTGRESQL, Dialect
from febe.protocol.errors import EncryptionError
from febe.server.access import AccessFileError, AccessRules
from febe.server.engine import Engine
from febe.server.keys import CancelKeys
from febe.server.limits import Limits, Places
from febe.server.session import Session
from febe.server.shared import Shared
from febe.server.telemetry.events import Several, Telemetry
from febe.server.userlist import UserFileError
from febe.server.users import Users, UserSource
from febe.server.validators import Validator, Validators

if TYPE_CHECKING:
    from febe.ports.gss import ServerGSS

logger = logging.getLogger("febe.server")


class Service:
    """`closing` is what new clients are told when the server is on its way down.

    Errors: ValueError for options that make no sense together.
    """

    def __init__(self, engine: Engine, *, users: UserSource | None = None, authentication: str | None = None,
                 rules: AccessRules | None = None, limits: Limits | None = None,
                 tls: ServerTLS | None = None, gss: ServerGSS | None = None,
                 oauth: Validator | Mapping[str, Validator] | None = None, session: type[Session] | None = None,
                 replication: type[Session] | None = None, reread: Callable[[], Limits] | None = None,
                 telemetry: Sequence[Telemetry] = ()) -> None:
        if rules is not None and authentication is not None:
            raise ValueError("access rules name the methods of authentication themselves")
        self._session = session
        self.serves(engine)
        self.replication = replication
        self.users = Users(users)
        self.rules = rules if rules is not None else _same_for_all(authentication, users)
        self.limits = limits if limits is not None else Limits()
        self.places = Places(self.limits)
        self._reread = reread
        self.tls = tls
        self.gss = gss
        self.validators = Validators(oauth)
        self.offer = Offer(tls=tls.layer if tls is not None else None,
                           direct_tls=partial(tls.layer, is_direct=True) if tls is not None else None,
                           gss=gss.layer if gss is not None else None)
        self.telemetry = Several(telemetry) if telemetry else None
        self.keys = CancelKeys()
        self.shared = Shared()
        self._dialects: dict[Dialect, Dialect] = {}
        self.closing: str | None = None
        needing = {rule.method for rule in self.rules.rules if METHODS[rule.method].needs_users}
        if needing and users is None:
            raise ValueError(f"authentication by {', '.join(sorted(needing))} needs users")
        try:
            self.rules.require(self.validators.check)
        except AccessFileError as error:
            raise ValueError(str(error)) from None

    def serves(self, engine: Engine) -> None:
        """Take an engine, and the session class that goes with it."""
        self.engine = engine
        self.session: type[Session] = self._session or engine.session or Session

    @property
    def trusts(self) -> bool:
        """Nobody has to prove anything, and no rule was written that says so."""
        return not self.rules.written and any(rule.method == "trust" for rule in self.rules.rules)

    def dialect(self, wanted: Dialect = POSTGRESQL) -> Dialect:
        """A dialect, with messages as long as this server takes them."""
        if wanted not in self._dialects:
            self._dialects[wanted] = wanted.limited(self.limits.max_message_bytes)
        return self._dialects[wanted]

    def reload(self) -> None:
        """Read the files of rules, users and certificates, and the limits anew, for connections to come.

        What cannot be read stays as it was.
        """
        for what, reload in (("access rules", self.rules.reload), ("users", self.users.reload)):
            _reloaded(what, reload)
        if self._reread is not None:
            _reloaded("limits", self._reread_limits)
        if self.tls is not None:
            _reloaded("TLS certificates", self.tls.reload)

    def _reread_limits(self) -> None:
        assert self._reread is not None
        self.limits = self.places.limits = self._reread()
        self._dialects.clear()


def _reloaded(what: str, reload: Callable[[], Any]) -> None:
    try:
        reload()
    except (AccessFileError, EncryptionError, UserFileError, OSError, ValueError) as error:
        logger.error("%s were not reloaded: %s", what, error)


def _same_for_all(authentication: str | None, users: UserSource | None) -> AccessRules:
    name = authentication if authentication is not None else "scram-sha-256" if users is not None else "trust"
    if name not in METHODS:
        raise ValueError(f"{name!r} is no authentication method; there are {', '.join(METHODS)}")
    try:
        return AccessRules.of(f"local all,replication all {name}\nhost all,replication all all {name}\n",
                              methods=METHODS)
    except AccessFileError:
        raise ValueError(f"authentication by {name} needs access rules, because it is not for every connection") \
            from None


__all__ = ["Service"]
