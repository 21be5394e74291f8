"""A fuzz target over everything that reads the peer's bytes.

    python -m tests.protocol.fuzz --seconds 600 [--seed 7]
    python -m tests.protocol.fuzz --atheris [libFuzzer's options]     # where the package atheris is installed

Each input is a role, a state, a way of cutting, and a stream.  The frame scanner and the core, compiled and
interpreted, fed at once, in pieces and byte by byte, have to say the same: the same messages, then the same error.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from importlib import import_module
from typing import Any

from febe._kernel import KIND
from febe.protocol.dialect import POSTGRESQL
from febe.protocol.message import Sender
from febe.protocol.states import State
from tests.kernel.kernels import as_source
from tests.protocol.golden import GOLDEN
from tests.protocol.strategies import OTHER, SIDES

STATES = [(sender, state) for sender in SIDES for state, row in POSTGRESQL.tables[sender].items() if row]
GOLDEN_BYTES = [data for _, data in GOLDEN]
WORDS = [b"\0\0\0\0", b"\0\0\0\3", b"\0\0\0\4", b"\0\0\x27\x10", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff",
         b"\x3f\xff\xff\xfe"]


class Core:
    """The core on one form of the kernel."""

    def __init__(self, connection: Any, errors: Any, message: Any, states: Any) -> None:
        self.connection, self.errors, self.message, self.states = connection, errors, message, states

    def at(self, peer: Sender, state: State) -> Any:
        """What listens to `peer` in this state."""
        made = self.connection.Connection(self.message.Sender[OTHER[peer].name])
        made.state = self.states.State[state.name]
        return made

    def hear(self, listener: Any, pieces: list[bytes]) -> list[Any]:
        """All that comes of these bytes: messages one by one, then the error if there is one."""
        heard: list[Any] = []
        for piece in pieces:
            listener.receive(piece)
            while True:
                try:
                    event = listener.next_event()
                except self.errors.RemoteProtocolError as error:
                    heard.append((str(error), error.sqlstate, error.fatal))
                    if error.fatal:
                        return heard
                    continue
                if event is None or isinstance(event, self.connection.DirectTLS):
                    break
                heard += list(event.bodies()) if hasattr(event, "bodies") else [repr(event)]
        return heard


def _load() -> Core:
    return Core(*(import_module(f"febe.protocol.{name}") for name in ("connection", "errors", "message", "states")))


CORES = [_load(), as_source(_load, "febe")]


def one(data: bytes) -> None:
    """Judge one input.  Errors: AssertionError, or whatever should not have come out of the core."""
    if len(data) < 4:
        return
    peer, state = STATES[data[0] % len(STATES)]
    step, start, stream = data[1] % 16 + 1, data[2], data[4:]
    scanners = [core.connection._scanners(core.connection.POSTGRESQL, core.message.Sender[peer.name]) for core in CORES]
    for scanner, other in zip(*scanners, strict=True):
        pos = start % (len(stream) + 1)
        most = data[3] or 1 << 30
        assert scanner.scan(stream, pos, most) == other.scan(stream, pos, most)
    if state.name.endswith(("_ASKED", "_ASKED_LAST")) and stream[:1] in (b"S", b"G"):
        return  # what follows in clear is refused when it is there, and belongs to TLS when it comes later
    outcomes = []
    for core in CORES:
        for size in (len(stream) or 1, step, 1):
            listener = core.at(peer, state)
            heard = core.hear(listener, [stream[pos:pos + size] for pos in range(0, len(stream), size)])
            outcomes.append((heard, listener.state.name, listener.transaction_status,
                             [waiting.name for waiting in listener._pending]))
    assert all(outcome == outcomes[0] for outcome in outcomes)


def generated(source: random.Random) -> bytes:
    """A stream of messages, with some damage."""
    stream = bytearray(b"".join(source.choices(GOLDEN_BYTES, k=source.randrange(8))))
    for _ in range(source.choice((0, 0, 1, 2, 5))):
        pos = source.randrange(len(stream) + 1)
        match source.randrange(4):
            case 0:
                stream[pos:pos + 1] = source.randbytes(1)
            case 1:
                del stream[pos:pos + source.randrange(1, 9)]
            case 2:
                stream[pos:pos] = source.randbytes(source.randrange(9))
            case _:
                stream[pos:pos + 4] = source.choice(WORDS)
    return source.randbytes(4) + bytes(stream)


def run(seed: int, *, seconds: float = 0, rounds: int = 0) -> int:
    """Judge inputs until the time or the number is up, and return how many; the one that failed is named."""
    source = random.Random(seed)
    end = time.monotonic() + seconds
    done = 0
    while done < rounds or time.monotonic() < end:
        data = generated(source)
        try:
            one(data)
        except BaseException as error:
            error.add_note(f"input {data!r} (seed {seed}, number {done})")
            raise
        done += 1
    return done


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.protocol.fuzz", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=time.time_ns() & 0xFFFF_FFFF)
    parser.add_argument("--atheris", action="store_true")
    options, rest = parser.parse_known_args()
    if options.atheris:
        import atheris  # type: ignore[import-untyped]
        atheris.Setup([sys.argv[0], *rest], one)
        atheris.Fuzz()
    print(f"seed {options.seed}: {run(options.seed, seconds=options.seconds)} inputs, kernel {KIND} and interpreted")


if __name__ == "__main__":
    main()
