"""Going through the hosts of a plan until one of them gives the session that was asked for (libpq: PQconnectPoll).

An address that does not answer is followed by the next one; so is a server that cannot take connections now (57P03) or
is not of the kind asked for.  Every other refusal is the answer.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from febe.client.base import not_connected
from febe.client.hosts import Host
from febe.client.options import Plan, Target
from febe.flows import close, query
from febe.flows.connect import Login, open_session
from febe.flows.port import Stream
from febe.flows.session import Session
from febe.flows.watch import Server, Watch
from febe.protocol.errors import ConnectionLost, ConnectTimeout, Error, PostgresError

if TYPE_CHECKING:
    from febe.flows.authenticate_oauth import Aside

Dial: TypeAlias = "Callable[[Target], Awaitable[Session]]"
"""Opens a session at one address.  Errors: OSError and ConnectTimeout when nobody is there; others are the server's."""
Lookup: TypeAlias = "Callable[[str, int, int], Awaitable[list[Any]]]"
"""The addresses that a name and a port stand for, as `socket.getaddrinfo` gives them, with flags.  Errors: OSError."""

CANNOT_CONNECT_NOW = "57P03"


async def reach(plan: Plan, dial: Dial, lookup: Lookup) -> Session:
    """The first session that will do.

    Errors: ConnectionLost with what went wrong at every address; what a server refuses with, and the failures before
    that as its notes.
    """
    if plan.on_event is None:
        return await _reach(plan, dial, lookup)
    watch = Watch(plan.on_event, _server(plan.hosts[0], plan.login))
    with watch.operation("connect") as seen:
        session = await _reach(plan, dial, lookup)
        assert session.watch is not None
        seen.server = session.watch.server
        return session


async def _reach(plan: Plan, dial: Dial, lookup: Lookup) -> Session:
    failures: list[ConnectionLost] = []
    kinds = ("standby", "any") if plan.target_session_attrs == "prefer-standby" else (plan.target_session_attrs,)
    for kind in kinds:
        for host, login in zip(plan.hosts, plan.logins, strict=True):
            try:
                addresses = await _addresses(host, lookup)
            except OSError as error:
                failures.append(_unknown(host, error))
                continue
            if plan.shuffle:
                import random

                random.shuffle(addresses)
            for address in addresses:
                target = Target(plan=plan, host=host, address=address, login=login, kind=kind)
                try:
                    return await dial(target)
                except ConnectTimeout as error:
                    failures.append(error)
                except OSError as error:
                    failures.append(not_connected(target, error))
                except PostgresError as error:
                    if error.sqlstate != CANNOT_CONNECT_NOW or (host is plan.hosts[-1] and kind == kinds[-1]):
                        raise _noted(error, failures) from None
                    failures.append(ConnectionLost(f"{_place(host)}: {error.message}", retry_is_safe=True))
                    break
                except _WrongKind as error:
                    failures.append(ConnectionLost(f"{_place(host)}: {error}", retry_is_safe=True))
                    break
                except BaseException as error:
                    raise _noted(error, failures) from error.__cause__
    if len(failures) == 1:
        raise failures[0]
    last = failures[-1]
    raise type(last)("\n".join(dict.fromkeys(map(str, failures))), retry_is_safe=True) from last


async def open_at(connecting: Callable[[], Awaitable[Stream]], target: Target, aside: Aside) -> Session:
    """Open a session of the kind that the target asks for; for `dial`.  `connecting` makes a fresh connection, `aside`
    a call that may block.

    Errors: those of the connect flow, and one that `reach` knows.
    """
    session = await open_session(connecting, target.login, aside)
    wrong = await _wrong(session, target.kind)
    if wrong is not None:
        await close.close(session)
        raise _WrongKind(wrong)
    if target.plan.on_event is not None:
        session.watch = Watch(target.plan.on_event, _server(target.host, target.login, session.process_id))
    return session


def _server(host: Host, login: Login, process_id: int = 0) -> Server:
    return Server(host=host.path if host.is_unix else host.name or host.address,
                  port=None if host.is_unix else host.port, database=login.database or login.user, user=login.user,
                  process_id=process_id)


class _WrongKind(Error):
    """A session is open, and is not of the kind asked for."""


async def _addresses(host: Host, lookup: Lookup) -> list[str]:
    if host.is_unix:
        return [host.path]
    if host.address:
        found = await lookup(host.address, host.port, socket.AI_NUMERICHOST)
    else:
        found = await lookup(host.name, host.port, 0)
    return list(dict.fromkeys(_numeric(*entry[4]) for entry in found))


def _numeric(address: str, port: int = 0, flow: int = 0, scope: int = 0) -> str:
    return f"{address}%{scope}" if scope and "%" not in address else address


def _unknown(host: Host, error: OSError) -> ConnectionLost:
    said = error.strerror or str(error)
    words = (f'could not parse network address "{host.address}"' if host.address
             else f'could not translate host name "{host.name}" to address')
    return ConnectionLost(f"{words}: {said}", retry_is_safe=True)


def _place(host: Host) -> str:
    where = f'on socket "{host.path}"' if host.is_unix else f'at "{host.address or host.name}", port {host.port}'
    return f"connection to server {where} failed"


def _noted(error: BaseException, failures: list[ConnectionLost]) -> BaseException:
    for failure in dict.fromkeys(map(str, failures)):
        error.add_note(f"before that: {failure}")
    return error


# What a session must not be, by the kind asked for, and libpq's words for it.
_READ_ONLY, _STANDBY = "SHOW transaction_read_only", "SELECT pg_catalog.pg_is_in_recovery()"
_WRONG: Mapping[str, tuple[str, bool, str]] = {
    "read-write": (_READ_ONLY, True, "session is read-only"),
    "read-only": (_READ_ONLY, False, "session is not read-only"),
    "primary": (_STANDBY, True, "server is in hot standby mode"),
    "standby": (_STANDBY, False, "server is not in hot standby mode"),
}


async def _wrong(session: Session, kind: str) -> str | None:
    """Why this session is not of the kind asked for."""
    if kind == "any":
        return None
    question, unwanted, words = _WRONG[kind]
    standby = session.parameters.get("in_hot_standby")
    read_only = session.parameters.get("default_transaction_read_only")
    if standby is None or (question == _READ_ONLY and read_only is None):  # a server before 14
        answer = await query.fetchval(session, question, ())
        found = answer in (True, "on")
    else:
        found = standby == "on" or (question == _READ_ONLY and read_only == "on")
    return words if found is unwanted else None


__all__ = ["Dial", "Lookup", "open_at", "reach"]
