"""Writes the client's other faces from the asyncio face: the blocking one, and the one for trio.

    python tools/generate_blocking.py           writes them
    python tools/generate_blocking.py --check   says whether they are up to date

The asyncio face awaits and does not know on what, so that words are all that has to be changed.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

CLIENT = Path(__file__).parent.parent / "src" / "febe" / "client"

DOCSTRING = '''"""{title}

Generated from {source} by tools/generate_blocking.py; edit that file.
"""'''
WORDS = {
    r"\basync def\b": "def",
    r"\basync (with|for)\b": r"\1",
    r"\bawait ": "",
    r"-> Flow\[(.*)\]:": r"-> \1:",
    r"from febe.flows.query import Flow\n": "",
    r"__aenter__": "__enter__",
    r"__aexit__": "__exit__",
    r"__aiter__": "__iter__",
    r"__anext__": "__next__",
    r"StopAsyncIteration": "StopIteration",
    r"\bAsyncIterator\b": "Iterator",
    r"Iterable\[Any\] \| AsyncIterable\[Any\]": "Iterable[Any]",
    r"AsyncIterable, ": "",
    r"\brun_asyncio\b": "run_blocking",
    r"client\.asynchronous\b": "client.blocking",
    r"client\.asynchronous_(\w+)": r"client.blocking_\1",
    r"Awaitable\[(\w+)\]": r"\1",
    r"Awaitable, ": "",
    r"by KeyboardInterrupt or a cancellation,": "by KeyboardInterrupt,",
    r"Any number of tasks (.*), each request": r"Threads \1, each request",
    r"\btask\b": "thread",
    r"\btasks\b": "threads",
}
TRIO = {r"\brun_asyncio\b": "run_trio", r"client\.asynchronous\b": "client.structured",
        r"client\.asynchronous_(\w+)": r"client.structured_\1",
        r"febe\.aio\b": "febe.trio"}


def blocking(source: str) -> str:
    """The blocking face's source.  Errors: ValueError when something asynchronous is left."""
    text = _changed(source, WORDS)
    left = re.search(r"\b(async|await|asyncio)\b", text)
    if left is not None:
        raise ValueError(f"the asyncio face has an {left[0]!r} that this tool does not know")
    return text


def structured(source: str) -> str:
    """The source of the face for trio.  Errors: ValueError when something of asyncio is left."""
    text = _changed(source, TRIO)
    if re.search(r"\basyncio\b", text) is not None:
        raise ValueError("the asyncio face names asyncio where this tool does not know how trio has it")
    return text


def _changed(source: str, words: dict[str, str]) -> str:
    text = re.sub(r'\A""".*?"""\n', "", source, count=1, flags=re.DOTALL)
    for word, replacement in words.items():
        text = re.sub(word, replacement, text)
    return re.sub(r"(?:from febe\S* import .*\n)+", _sorted, text)


def _sorted(imports: re.Match[str]) -> str:
    return "".join(sorted(imports[0].splitlines(keepends=True)))


# Source, target, what its first line says, how it is made
FILES: tuple[tuple[str, str, str, Callable[[str], str]], ...] = (
    ("asynchronous.py", "blocking.py", "The blocking face of the client.", blocking),
    ("asynchronous.py", "structured.py", "The face of the client for trio.", structured),
    ("asynchronous_pool.py", "blocking_pool.py", "The pool of the blocking face.", blocking),
    ("asynchronous_pool.py", "structured_pool.py", "The pool of the face for trio.", structured),
    ("asynchronous_held.py", "blocking_held.py", "What the blocking face holds open at the server.", blocking),
    ("asynchronous_held.py", "structured_held.py", "What the face for trio holds open at the server.", structured),
    ("asynchronous_bulk.py", "blocking_bulk.py", "What carries much data on the blocking face, streams and COPY.",
     blocking),
    ("asynchronous_bulk.py", "structured_bulk.py", "What carries much data on the face for trio, streams and COPY.",
     structured),
    ("asynchronous_listening.py", "blocking_listening.py", "A listener that connects again: the blocking face's.",
     blocking),
    ("asynchronous_listening.py", "structured_listening.py", "A listener that connects again: trio's.", structured),
    ("asynchronous_retry.py", "blocking_retry.py", "Transactions that are run again: the blocking face's.", blocking),
    ("asynchronous_retry.py", "structured_retry.py", "Transactions that are run again: trio's.", structured),
)


def made() -> dict[Path, str]:
    """What each generated file is to hold."""
    return {CLIENT / target: DOCSTRING.format(title=title, source=source) + "\n"
            + make((CLIENT / source).read_text()) for source, target, title, make in FILES}


def main() -> int:
    stale = 0
    for path, text in made().items():
        if "--check" not in sys.argv[1:]:
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            print(f"{path.name} is out of date: run python tools/generate_blocking.py")
            stale = 1
    return stale


if __name__ == "__main__":
    sys.exit(main())
