"""The log of a real coordinator's dialogue with its datanode (wire.txt): who, and the bytes of each message."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from febe.protocol.message import Sender

_LINE = re.compile(r"#1 (?P<who>[<>]) (?:STARTUP len=(?P<size>\d+) code=3\.0|'(?P<type>.)' len=(?P<length>\d+)) "
                   r"(?P<body>b['\"].*)")


def vectors() -> Iterator[tuple[Sender, bytes]]:
    for line in Path(__file__).with_name("wire.txt").read_text().splitlines():
        match = _LINE.fullmatch(line)
        if match is None:
            assert line in ("#1 > CLOSED", "#1 < CLOSED")
            continue
        body: bytes = ast.literal_eval(match["body"])
        sender = Sender.FRONTEND if match["who"] == ">" else Sender.BACKEND
        if match["type"] is None:
            data = (len(body) + 8).to_bytes(4, "big") + (196608).to_bytes(4, "big") + body
        else:
            assert int(match["length"]) == len(body) + 4
            data = match["type"].encode() + (len(body) + 4).to_bytes(4, "big") + body
        yield sender, data
