"""Functions that the server answers itself, called by OID (FunctionCall) or by a SELECT of nothing but them.

OIDs, arguments and results are those of PostgreSQL 18's pg_proc.  Arguments that are NULL give NULL where PostgreSQL's
function is strict.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from febe.server.engine import EngineError
from febe.server.typenames import name_of
from febe.types.oids import BOOL, BYTEA, FLOAT8, INT4, INT8, OID, TEXT, VOID

if TYPE_CHECKING:
    from febe.server.execution import Execution


@dataclass(slots=True, kw_only=True, frozen=True)
class Function:
    """One function.  `call` gets the session and the arguments' Python values.

    `waits`: it may take its time.  `returns_set`: it gives a list, a row for each.
    """

    oid: int
    name: str
    arguments: tuple[int, ...]
    result: int
    call: Callable[..., Any]
    strict: bool = True
    waits: bool = False
    returns_set: bool = False

    def __call__(self, session: Execution, values: list[Any]) -> Any:
        """Call it."""
        if self.strict and any(value is None for value in values):
            return None
        return self.call(session, *values)


class Functions:
    """Functions by OID and by name and number of arguments."""

    def __init__(self, functions: list[Function]) -> None:
        self._by_oid = {function.oid: function for function in functions}
        self._by_name: dict[tuple[str, int], Function] = {}
        for function in functions:
            self._by_name.setdefault((function.name, len(function.arguments)), function)
        self._names = {function.name for function in functions}

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def by_oid(self, oid: int) -> Function:
        """Errors: EngineError (42883), in PostgreSQL's words (fastpath.c)."""
        found = self._by_oid.get(oid)
        if found is None:
            raise EngineError(f"function with OID {oid} does not exist", sqlstate="42883")
        return found

    def by_name(self, name: str, arguments: int) -> Function | None:
        """The function of this name that takes so many arguments."""
        return self._by_name.get((name, arguments))


# Sessions


def _cancel_backend(session: Execution, process_id: int) -> bool:
    backend = _backend(session, process_id, "cancel query")
    if backend is None:
        return False
    backend.cancel()
    return True


def _terminate_backend(session: Execution, process_id: int, timeout: int = 0) -> bool:
    backend = _backend(session, process_id, "terminate process")
    if backend is None:
        return False
    backend.terminate()
    if timeout > 0 and process_id != session.process_id:
        return session.wait(timeout / 1000, lambda: session.shared.activity.get(process_id) is None)
    return True


def _backend(session: Execution, process_id: int, what: str) -> Any:
    backend = session.shared.activity.get(process_id)
    if backend is None:
        session.warn(f"PID {process_id} is not a PostgreSQL backend process", "01000")
    elif backend.user != session.user:
        raise EngineError(f"permission denied to {what}", sqlstate="42501",
                          detail="Only roles with privileges of the role whose process is to be stopped may do so.")
    return backend


def _sleep(session: Execution, seconds: float) -> str:
    session.wait(max(seconds, 0.0))
    return ""


def _current_setting(session: Execution, name: str, missing_ok: bool = False) -> str | None:
    try:
        return session.setting(name)
    except EngineError:
        if missing_ok:
            return None
        raise


def _set_config(session: Execution, name: str | None, value: str | None, local: bool | None) -> str | None:
    if name is None:
        raise EngineError("SET requires parameter name", sqlstate="22004")
    return session.set_parameter(name, value, local=bool(local))


def _notify(session: Execution, channel: str | None, payload: str | None) -> str:
    session.mailbox.notify(session.process_id, channel or "", payload or "")
    return ""


_SESSION = [
    Function(oid=2026, name="pg_backend_pid", arguments=(), result=INT4, call=lambda session: session.process_id),
    Function(oid=2171, name="pg_cancel_backend", arguments=(INT4,), result=BOOL, call=_cancel_backend),
    Function(oid=2096, name="pg_terminate_backend", arguments=(INT4, INT8), result=BOOL, call=_terminate_backend,
             waits=True),
    Function(oid=2626, name="pg_sleep", arguments=(FLOAT8,), result=VOID, call=_sleep, waits=True),
    Function(oid=2077, name="current_setting", arguments=(TEXT,), result=TEXT, call=_current_setting),
    Function(oid=3294, name="current_setting", arguments=(TEXT, BOOL), result=TEXT, call=_current_setting),
    Function(oid=2078, name="set_config", arguments=(TEXT, TEXT, BOOL), result=TEXT, call=_set_config, strict=False),
    Function(oid=3036, name="pg_notify", arguments=(TEXT, TEXT), result=VOID, call=_notify, strict=False),
    Function(oid=3035, name="pg_listening_channels", arguments=(), result=TEXT, returns_set=True,
             call=lambda session: session.mailbox.channels),
]

# Advisory locks


def _locking(kind: str, shared: bool) -> Callable[..., Any]:
    def call(session: Execution, *key: int) -> Any:
        if kind == "unlock":
            found = session.locks.release(key, shared=shared)
            if not found:
                mode = "ShareLock" if shared else "ExclusiveLock"
                session.warn(f"you don't own a lock of type {mode}", "01000")
            return found
        wait = not kind.startswith("try")
        got = session.locks.acquire(key, shared=shared, transaction=kind.endswith("xact"), wait=wait,
                                    cancelled=session.is_cancelled)
        return "" if wait else got

    return call


def _unlock_all(session: Execution) -> str:
    session.locks.release_all()
    return ""


# name, kind, shared, OID of the form with one int8, OID of the form with two int4
_LOCKS = (
    ("pg_advisory_lock", "", False, 2880, 2886),
    ("pg_advisory_xact_lock", "xact", False, 3089, 3093),
    ("pg_advisory_lock_shared", "", True, 2881, 2887),
    ("pg_advisory_xact_lock_shared", "xact", True, 3090, 3094),
    ("pg_try_advisory_lock", "try", False, 2882, 2888),
    ("pg_try_advisory_xact_lock", "try xact", False, 3091, 3095),
    ("pg_try_advisory_lock_shared", "try", True, 2883, 2889),
    ("pg_try_advisory_xact_lock_shared", "try xact", True, 3092, 3096),
    ("pg_advisory_unlock", "unlock", False, 2884, 2890),
    ("pg_advisory_unlock_shared", "unlock", True, 2885, 2891),
)
_ADVISORY = [
    Function(oid=oid, name=name, arguments=arguments, call=_locking(kind, shared),
             result=VOID if kind in ("", "xact") else BOOL, waits=kind in ("", "xact"))
    for name, kind, shared, *oids in _LOCKS
    for oid, arguments in zip(oids, ((INT8,), (INT4, INT4)), strict=True)
] + [Function(oid=2892, name="pg_advisory_unlock_all", arguments=(), result=VOID, call=_unlock_all)]

# Large objects


def _method(name: str) -> Callable[..., Any]:
    def call(session: Execution, *values: Any) -> Any:
        return getattr(session.large_objects, name)(*values)

    return call


def _with_zero(name: str) -> Callable[..., Any]:
    """One that gives nothing in Python gives 0 here, for success."""
    def call(session: Execution, *values: Any) -> int:
        getattr(session.large_objects, name)(*values)
        return 0

    return call


def _small(name: str) -> Callable[..., Any]:
    """The forms whose result is an int4 (be-fsstubs.c: be_lo_lseek, be_lo_tell)."""
    def call(session: Execution, *values: Any) -> int:
        found: int = getattr(session.large_objects, name)(*values)
        if found > 0x7FFFFFFF:
            raise EngineError(f"lo_{name} result out of range for large-object descriptor {values[0]}",
                              sqlstate="22003")
        return found

    return call


def _unlink(session: Execution, oid: int) -> int:
    session.large_objects.unlink(oid)
    return 1


def _from_bytea(session: Execution, oid: int, data: bytes) -> int:
    made = session.large_objects.create(oid)
    session.large_objects.put(made, 0, data)
    return made


def _put(session: Execution, oid: int, offset: int, data: bytes) -> str:
    session.large_objects.put(oid, offset, data)
    return ""


_LARGE_OBJECTS = [
    Function(oid=952, name="lo_open", arguments=(OID, INT4), result=INT4, call=_method("open")),
    Function(oid=953, name="lo_close", arguments=(INT4,), result=INT4, call=_with_zero("close")),
    Function(oid=954, name="loread", arguments=(INT4, INT4), result=BYTEA, call=_method("read")),
    Function(oid=955, name="lowrite", arguments=(INT4, BYTEA), result=INT4, call=_method("write")),
    Function(oid=956, name="lo_lseek", arguments=(INT4, INT4, INT4), result=INT4, call=_small("seek")),
    Function(oid=3170, name="lo_lseek64", arguments=(INT4, INT8, INT4), result=INT8, call=_method("seek")),
    Function(oid=957, name="lo_creat", arguments=(INT4,), result=OID,
             call=lambda session, mode: session.large_objects.create()),
    Function(oid=715, name="lo_create", arguments=(OID,), result=OID, call=_method("create")),
    Function(oid=958, name="lo_tell", arguments=(INT4,), result=INT4, call=_small("tell")),
    Function(oid=3171, name="lo_tell64", arguments=(INT4,), result=INT8, call=_method("tell")),
    Function(oid=1004, name="lo_truncate", arguments=(INT4, INT4), result=INT4, call=_with_zero("truncate")),
    Function(oid=3172, name="lo_truncate64", arguments=(INT4, INT8), result=INT4, call=_with_zero("truncate")),
    Function(oid=964, name="lo_unlink", arguments=(OID,), result=INT4, call=_unlink),
    Function(oid=3457, name="lo_from_bytea", arguments=(OID, BYTEA), result=OID, call=_from_bytea),
    Function(oid=3458, name="lo_get", arguments=(OID,), result=BYTEA, call=_method("get")),
    Function(oid=3459, name="lo_get", arguments=(OID, INT8, INT4), result=BYTEA, call=_method("get")),
    Function(oid=3460, name="lo_put", arguments=(OID, INT8, BYTEA), result=VOID, call=_put),
]

BUILT_IN = [*_SESSION, *_ADVISORY, *_LARGE_OBJECTS]
FUNCTIONS = Functions(BUILT_IN)


def signature(function: Function) -> str:
    """Name and argument types, as PostgreSQL writes them in messages."""
    return f"{function.name}({', '.join(map(name_of, function.arguments))})"
