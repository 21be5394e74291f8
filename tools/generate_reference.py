"""Writes docs/reference/messages.md and docs/reference/states.md from the declarations in febe.protocol.

    python tools/generate_reference.py            # write the pages
    python tools/generate_reference.py --check    # fail when one is not what it should be
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "src"))

from febe.protocol.asynchronous import NoticeResponse, NotificationResponse
from febe.protocol.dialect import POSTGRESQL
from febe.protocol.fields import Counted, IfLeft, Kind, Record, Secret, When
from febe.protocol.logical import LOGICAL
from febe.protocol.message import LARGE, Framing, Message, Sender
from febe.protocol.replication import BACKUP, STREAMING
from febe.protocol.startup import ParameterStatus
from febe.protocol.states import BACKEND, FRONTEND, REQUESTS, State

REFERENCE = Path(__file__).parent.parent / "docs" / "reference"
NOTE = "<!-- Written by tools/generate_reference.py; do not edit. -->\n"
ASYNCHRONOUS = (NoticeResponse, ParameterStatus, NotificationResponse)
S = State

# The manual's order.
SECTIONS = ("Start-up", "SSL Session Encryption", "GSSAPI Session Encryption", "GSSAPI Authentication",
            "SASL Authentication", "Simple Query", "Extended Query", "Function Call", "COPY Operations",
            "Asynchronous Operations", "Error and Notice Message Fields", "Canceling Requests in Progress",
            "Termination", "Streaming Replication Protocol", "Base Backup", "Logical Replication Message Formats")

DIAGRAMS: dict[str, tuple[str, tuple[State, ...]]] = {
    "Start-up": (
        "Encryption is settled before the StartupMessage. Each kind may be asked for once, and what comes after a "
        "one-byte yes is inside the encrypted channel.",
        (S.START, S.SSL_ASKED, S.SSL_REFUSED, S.SSL_ASKED_LAST, S.GSSENC_ASKED, S.GSSENC_REFUSED, S.GSSENC_ASKED_LAST,
         S.START_LAST)),
    "Authentication": (
        "What the frontend is asked for, up to the first ReadyForQuery.",
        (S.STARTED, S.NEGOTIATED, S.PASSWORD_WANTED, S.PASSWORD_SENT, S.GSS_WANTED, S.GSS_SENT, S.SASL_WANTED,
         S.SASL_SENT, S.SASL_CONTINUED, S.SASL_ENDED, S.UNSUPPORTED, S.AUTHENTICATED)),
    "Simple query and function call": (
        "From IDLE and back. The copy states are in a diagram of their own.",
        (S.IDLE, S.QUERY, S.QUERY_ROWS, S.QUERY_NEXT, S.FUNCTION_CALL, S.ENDING)),
    "Extended query": (
        "A request sent while another is being answered waits its turn, so the way back to IDLE stands for the way to "
        "the next request. After an error everything up to the next Sync is dropped.",
        (S.IDLE, S.PARSE, S.BIND, S.DESCRIBE_STATEMENT, S.DESCRIBE, S.EXECUTE, S.CLOSE, S.SYNC, S.SKIPPING, S.ENDING)),
    "COPY": (
        "Within a query string; within Execute it is the same with CommandComplete leading back to IDLE and "
        "ErrorResponse to SKIPPING. Either side of copy-both may end its half first.",
        (S.QUERY, S.QUERY_ROWS, S.QUERY_NEXT, S.QUERY_COPY_IN, S.QUERY_COPY_IN_DONE, S.QUERY_COPY_OUT,
         S.QUERY_COPY_OUT_DONE, S.COPY_BOTH, S.COPY_BOTH_FRONTEND_DONE, S.COPY_BOTH_BACKEND_DONE, S.COPY_BOTH_DONE)),
}


def all_messages() -> list[type[Message]]:
    found = {cls for messages in POSTGRESQL.messages.values() for cls in messages}
    for payloads in (*STREAMING.values(), BACKUP, LOGICAL):
        found |= set(payloads.values())
    return sorted(found, key=lambda cls: (SECTIONS.index(cls.section), cls.type, cls.code or 0, cls.__name__))


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = ["| " + " | ".join(cells) + " |" for cells in (head, *rows)]
    columns = lines[0].count("|") - 1
    return "\n".join([lines[0], "|" + "---|" * columns, *lines[1:]]) + "\n"


def link(cls: type[Message]) -> str:
    return f"[{cls.__name__}](#{cls.__name__.lower()})"


def first_byte(cls: type[Message]) -> str:
    return f"`{cls.type}`" if cls.type else "none"


def messages_page() -> str:
    classes = all_messages()
    parts = [NOTE, "# Messages\n", (
        "Every message of protocol 3.0 and 3.2, by the chapters of the manual, as declared in `febe.protocol`. F is "
        "sent by the frontend, B by the backend. The *limit* is the largest length word, which counts itself, that is "
        f"taken; {LARGE} is PostgreSQL's limit for messages that may be long. The last three chapters are of what lies "
        "inside CopyData.\n")]
    for sender in (Sender.FRONTEND, Sender.BACKEND):
        typed = sorted((cls for cls in classes if cls.sender in (sender, Sender.BOTH) and cls.type
                        and cls.framing is not Framing.PAYLOAD),
                       key=lambda cls: (cls.type, cls.code or 0, cls.__name__))
        parts.append(f"## By byte: {sender.name.lower()}\n")
        parts.append(table(("byte", "code", "message", "chapter"), (
            (first_byte(cls), "" if cls.code is None else str(cls.code), link(cls), cls.section) for cls in typed)))
    for section in SECTIONS:
        parts.append(f"## {section}\n")
        parts += [entry for cls in classes if cls.section == section for entry in message_entry(cls)]
    return "\n".join(parts)


def message_entry(cls: type[Message]) -> Iterator[str]:
    yield f"### {cls.__name__}\n"
    yield paragraphs(cls)
    yield table(("byte", "code", "sender", "since", "limit"), [(
        first_byte(cls), "" if cls.code is None else str(cls.code), cls.sender.value, cls.since,
        {Framing.BYTE: "one byte, no length", Framing.PAYLOAD: "that of CopyData"}.get(cls.framing, str(cls.limit)))])
    if cls.fields:
        yield table(("field", "type"), ((f"`{name}`", notation(kind)) for name, kind in cls.fields))
        for name, record in records(cls):
            yield f"Each of `{name}`:\n"
            yield table(("field", "type"), ((f"`{part}`", notation(kind)) for part, kind in record.fields))


def notation(kind: Kind[object]) -> str:
    secret = " (not shown in traces)" if kind.secret else ""
    return kind.notation.replace("|", "\\|") + secret


def records(cls: type[Message]) -> Iterator[tuple[str, Record]]:
    for name, kind in cls.fields:
        inner = kind
        while isinstance(inner, Counted | IfLeft | When | Secret):
            inner = inner.element if isinstance(inner, Counted) else inner.kind
        if isinstance(inner, Record):
            yield name, inner


def paragraphs(cls: type[Message]) -> str:
    return inspect.cleandoc(cls.__doc__ or "") + "\n"


def states_page() -> str:
    parts = [NOTE, "# States\n", (
        "A conversation has one state, the same seen from both ends. Two tables give for each state the messages that "
        "the frontend and the backend may send, and the state that follows; a message that is not there is a protocol "
        "error (08P01). Both roles of febe read the same tables, from `febe.protocol.states`.\n"), (
        "NoticeResponse, ParameterStatus and NotificationResponse may come in every state from AUTHENTICATED on and "
        "are left out here, as is Terminate, which the frontend may send whenever it may send anything in a "
        "session.\n"),
        "## Diagrams\n"]
    for title, (text, states) in DIAGRAMS.items():
        parts += [f"### {title}\n", text + "\n", diagram(states)]
    parts += ["## States\n", table(("state", "meaning"), (
        (f"`{state.name}`", state.value) for state in State if state not in (S.QUEUED, S.DROPPED, S.ANSWERED)))]
    for sender, rows in ((Sender.FRONTEND, FRONTEND), (Sender.BACKEND, BACKEND)):
        parts += [f"## The {sender.name.lower()}'s table\n", table(
            ("state", "message", "next state"),
            ((f"`{state.name}`", " ".join(names), target) for state in State if state in rows
             for target, names in grouped(rows[state]).items()))]
    parts += ["## Requests\n", (
        "A request is answered when its turn comes, in the state given here; `queued` above stands for that.\n"), table(
            ("request", "answered in"), ((cls.__name__, answered_in(cls)) for cls in REQUESTS))]
    return "\n".join(parts)


def grouped(row: dict[type[Message], State]) -> dict[str, list[str]]:
    """What follows -> the messages that lead there."""
    found: dict[str, list[str]] = {}
    for cls, after in row.items():
        if cls not in ASYNCHRONOUS:
            target = {S.QUEUED: "queued", S.DROPPED: "no effect", S.ANSWERED: "the next request's, or `IDLE`"}.get(
                after, f"`{after.name}`")
            found.setdefault(target, []).append(cls.__name__)
    return found


def answers(cls: type[Message]) -> list[State]:
    answer = REQUESTS[cls]
    if isinstance(answer, State):
        return [answer]
    return [answer(cls(kind=kind, name="")) for kind in "SP"]  # type: ignore[call-arg]


def answered_in(cls: type[Message]) -> str:
    states = answers(cls)
    return f"`{states[0].name}`" if len(states) == 1 else " (statement) or ".join(f"`{s.name}`" for s in states) + \
        " (portal)"


def diagram(states: tuple[State, ...]) -> str:
    """The edges between these states, and those that leave them for the end, as a Mermaid state diagram."""
    edges: dict[tuple[State, State], list[str]] = {}
    for sender, rows in (("F", FRONTEND), ("B", BACKEND)):
        for state in states:
            for cls, after in rows.get(state, {}).items():
                targets = [after]
                if after is S.QUEUED:
                    targets = answers(cls) if state is S.IDLE else []
                elif after is S.ANSWERED:
                    targets = [S.IDLE]
                elif after is S.DROPPED or after is S.TERMINATED or cls in ASYNCHRONOUS:
                    targets = []
                for target in targets:
                    if target in states or (target in (S.CLOSED, S.STARTED, S.IDLE) and state is not S.IDLE):
                        edges.setdefault((state, target), []).append(f"{sender} {cls.__name__}")
    lines = ["```mermaid", "stateDiagram-v2"]
    start = next((state for state in (S.START, S.STARTED, S.IDLE, S.QUERY) if state in states), states[0])
    lines.append(f"    [*] --> {start.name}")
    for (state, target), labels in edges.items():
        end = "[*]" if target is S.CLOSED else target.name
        lines.append(f"    {state.name} --> {end}: {', '.join(labels)}")
    return "\n".join([*lines, "```", ""])


PAGES = {"messages.md": messages_page, "states.md": states_page}


def main(arguments: list[str]) -> int:
    stale = 0
    for name, page in PAGES.items():
        path, text = REFERENCE / name, page()
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale += 1
        if "--check" in arguments:
            print(f"{name} is out of date: run tools/generate_reference.py", file=sys.stderr)
        else:
            path.write_text(text, encoding="utf-8")
    return stale if "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
