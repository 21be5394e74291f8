"""Writes src/febe/client/blocking.py, the blocking face of the client, from the asyncio face.

    python tools/generate_blocking.py           writes it
    python tools/generate_blocking.py --check   says whether it is up to date

The asyncio face has signatures and one-line bodies only, so that words are all that has to be changed.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

CLIENT = Path(__file__).parent.parent / "src" / "febe" / "client"
SOURCE, TARGET = CLIENT / "asynchronous.py", CLIENT / "blocking.py"

DOCSTRING = '''"""The blocking face of the client.

Generated from asynchronous.py by tools/generate_blocking.py; edit that file.
"""'''
WORDS = {
    r"\basync def\b": "def",
    r"\bawait ": "",
    r"-> Flow\[(.*)\]:": r"-> \1:",
    r"from febe.flows.query import Flow\n": "",
    r"__aenter__": "__enter__",
    r"__aexit__": "__exit__",
    r"\brun_asyncio\b": "run_blocking",
    "by KeyboardInterrupt or a cancellation": "by KeyboardInterrupt",
    r"Any number of tasks (.*), each request": r"Threads \1, each request",
}


def blocking(source: str) -> str:
    """The blocking face's source.  Errors: ValueError when something asynchronous is left."""
    text = re.sub(r'\A""".*?"""', lambda _: DOCSTRING, source, count=1, flags=re.DOTALL)
    for word, replacement in WORDS.items():
        text = re.sub(word, replacement, text)
    left = re.search(r"\b(async|await|asyncio)\b", text)
    if left is not None:
        raise ValueError(f"{SOURCE.name} has an {left[0]!r} that this tool does not know")
    return text


def main() -> int:
    made = blocking(SOURCE.read_text())
    if "--check" in sys.argv[1:]:
        if not TARGET.exists() or TARGET.read_text() != made:
            print(f"{TARGET.name} is out of date: run python tools/generate_blocking.py")
            return 1
    else:
        TARGET.write_text(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
