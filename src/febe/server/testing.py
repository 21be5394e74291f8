"""A test kit for engines: what the server relies on, asked of yours.

    from febe.server.testing import check

    def test_my_engine():
        check(MyEngine(), queries=["select * from t"], wrong=["selec"])

`check` raises AssertionError with everything that was found, `findings` gives it as a list.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from febe.server.engine import Engine, EngineError, EngineSession, Prepared
from febe.server.portals import Portal
from febe.server.results import check_formats
from febe.server.statements import Statement

CANCEL_SECONDS = 5.0
"""How long a cancelled query may go on before it counts as not cancelled."""


def check(engine: Engine, *, queries: Sequence[str], wrong: Sequence[str] = (), endless: str = "") -> None:
    """Errors: AssertionError; the parameters are those of `findings`."""
    found = findings(engine, queries=queries, wrong=wrong, endless=endless)
    if found:
        raise AssertionError("the engine does not keep what the server relies on:\n" + "\n".join(found))


def findings(engine: Engine, *, queries: Sequence[str], wrong: Sequence[str] = (), endless: str = "") -> list[str]:
    """What is wrong with an engine, a line each.

    `queries` return rows, have no parameters and change nothing; `wrong` are to be refused; `endless` is a query that
    goes on until it is cancelled.
    """
    found: list[str] = []
    for sql in queries:
        for rule in (_describes, _repeats, _ends_early, _in_two_sessions):
            _judge(found, f"{rule.__doc__} ({sql})", lambda rule=rule, sql=sql: rule(engine, sql))  # type: ignore[misc]
    for sql in wrong:
        _judge(found, f"{_refuses.__doc__} ({sql})", lambda sql=sql: _refuses(engine, sql))  # type: ignore[misc]
    _judge(found, str(_transacts.__doc__), lambda: _transacts(engine))
    if endless:
        _judge(found, f"{_cancels.__doc__} ({endless})", lambda: _cancels(engine, endless))
    return found


def _judge(found: list[str], rule: str, ask: Callable[[], str]) -> None:
    try:
        wrong = ask()
    except Exception as error:
        wrong = f"{type(error).__name__}: {error}"
    if wrong:
        found.append(f"{rule.rstrip('.')}: {wrong}")


def _opened(engine: Engine) -> EngineSession:
    return engine.open(user="test", database="test", parameters={})


def _portal(prepared: Prepared, form: int) -> Portal:
    formats = (form,) * len(prepared.columns or ())
    check_formats(prepared.columns or (), formats)
    return Portal(Statement(prepared), (), formats)


def _all(portal: Portal, most: int = 0) -> tuple[bytes, int]:
    parts: list[bytes] = []
    count = 0
    while True:
        data, rows = portal.pull(most)
        if not rows:
            return b"".join(parts), count
        parts.append(bytes(data))
        count += rows


def _describes(engine: Engine, sql: str) -> str:
    """A query says its columns before it is run, and its rows go into them in text and in binary."""
    session = _opened(engine)
    try:
        prepared = session.prepare(sql, ())
        if prepared.columns is None:
            return "columns is None, which says that there are no rows"
        counts = [_all(_portal(prepared, form))[1] for form in (0, 1)]
        return f"{counts[0]} rows in text and {counts[1]} in binary" if counts[0] != counts[1] else ""
    finally:
        session.close()


def _repeats(engine: Engine, sql: str) -> str:
    """A prepared statement can be run again."""
    session = _opened(engine)
    try:
        prepared = session.prepare(sql, ())
        first, again = _all(_portal(prepared, 0))[1], _all(_portal(prepared, 0), 1)[1]
        prepared.close()
        return f"{first} rows, then {again} one by one" if first != again else ""
    finally:
        session.close()


def _ends_early(engine: Engine, sql: str) -> str:
    """A result may be left after its first row, and the session goes on."""
    session = _opened(engine)
    try:
        portal = _portal(session.prepare(sql, ()), 0)
        portal.pull(1)
        portal.close()
        _all(_portal(session.prepare(sql, ()), 0))
        return ""
    finally:
        session.close()


def _in_two_sessions(engine: Engine, sql: str) -> str:
    """Two sessions are read in turns, and one closes without the other."""
    first, second = _opened(engine), _opened(engine)
    one, other = _portal(first.prepare(sql, ()), 0), _portal(second.prepare(sql, ()), 0)
    a, b = one.pull(1)[1], other.pull(1)[1]
    one.close()
    first.close()
    rest = _all(other)[1]
    second.close()
    again = _opened(engine)
    every = _all(_portal(again.prepare(sql, ()), 0))[1]
    again.close()
    return "" if a == b and b + rest == every else f"{b + rest} rows where there are {every}"


def _refuses(engine: Engine, sql: str) -> str:
    """What cannot be understood is an EngineError with an SQLSTATE of its own, and the session goes on."""
    session = _opened(engine)
    try:
        for _ in range(2):
            try:
                prepared = session.prepare(sql, ())
                prepared.execute(())
            except EngineError as error:
                if len(error.sqlstate) != 5 or error.sqlstate == "XX000":
                    return f"SQLSTATE {error.sqlstate}"
            else:
                return "it was accepted"
        return ""
    finally:
        session.close()


def _transacts(engine: Engine) -> str:
    """A transaction begins and ends, or is refused with SQLSTATE 0A000."""
    session = _opened(engine)
    try:
        for end in (session.commit, session.rollback):
            try:
                session.begin()
            except EngineError as error:
                return "" if error.sqlstate == "0A000" else f"SQLSTATE {error.sqlstate}"
            end()
        return ""
    finally:
        session.close()


def _cancels(engine: Engine, sql: str) -> str:
    """A query that runs is stopped from another thread, with SQLSTATE 57014."""
    session = _opened(engine)
    seen: list[BaseException | None] = []
    begun = threading.Event()

    def work() -> None:
        try:
            portal = _portal(session.prepare(sql, ()), 0)
            begun.set()
            _all(portal)
            seen.append(None)
        except BaseException as error:
            seen.append(error)
        finally:
            begun.set()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    begun.wait(CANCEL_SECONDS)
    for _ in range(int(CANCEL_SECONDS * 10)):
        session.cancel()  # again and again, as the server does for who goes away: the first may come too early
        thread.join(0.1)
        if not thread.is_alive():
            break
    else:
        return f"it goes on after {CANCEL_SECONDS:g} s"
    session.close()
    (error,) = seen
    if error is None:
        return "it has ended by itself"
    return "" if isinstance(error, EngineError) and error.sqlstate == "57014" else f"{type(error).__name__}: {error}"
