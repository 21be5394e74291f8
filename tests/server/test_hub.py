"""What the postmaster keeps for its processes, and how it bears with those that are slow, dead or out of their mind."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from febe.server.limits import FatalError, Limits, Places
from febe.server.processes import hub as hub_module
from febe.server.processes.hub import Hub, Member
from febe.server.processes.link import Link
from febe.server.processes.outbox import Outbox


class Process:
    """A process as far as the hub can see."""

    def __init__(self, hub: Hub, number: int) -> None:
        ours, self.socket = socket.socketpair()
        ours.setblocking(False)
        self.socket.settimeout(20)
        self.blocked: list[bool] = []
        self.member = Member(process_id=number, outbox=Outbox(ours, self.blocked.append))
        self._hub = hub
        hub.members[number] = self.member

    def says(self, *line: Any) -> None:
        self._hub.received(self.member, json.dumps(line).encode() + b"\n")

    def hears(self) -> list[Any]:
        self.socket.setblocking(False)
        data = b""
        try:
            while True:
                data += self.socket.recv(65536)
        except BlockingIOError:
            return [json.loads(line) for line in data.split(b"\n") if line]


@pytest.fixture
def processes() -> Iterator[tuple[Places, Hub, Process, Process]]:
    places = Places(Limits(max_connections=2))
    hub = Hub(places)
    made = Process(hub, 1), Process(hub, 2)
    yield places, hub, *made
    for one in made:
        one.socket.close()
        one.member.outbox.socket.close()


def test_what_a_dead_process_had_is_free(processes: Any) -> None:
    places, hub, one, other = processes
    for number in (1, 2):
        one.says(number, "take", "10.0.0.1")
        one.says(0, "enter", "ada", False)
    one.says(3, "issue", True, 0)
    one.says(0, "listen", "news")
    other.says(4, "take", "")
    assert other.hears() == [["answer", 4, None, ["sorry, too many clients already", "53300"]]]
    process_id, key = one.hears()[-1][2]
    other.says(0, "cancel", process_id, key)
    assert one.hears() == [["cancel", process_id]]
    hub.gone(one.member)
    assert places.taken == 0
    other.says(0, "cancel", process_id, key)
    other.says(0, "stop", "terminate", process_id)
    other.says(5, "publish", [[2, "news", ""]])
    other.says(6, "take", "")
    assert other.hears() == [["answer", 5, None, None], ["answer", 6, None, None]]


def test_nobody_gives_back_what_he_has_not(processes: Any) -> None:
    places, _, one, other = processes
    one.says(0, "take", "a")
    one.says(0, "enter", "ada", False)
    other.says(0, "leave", "ada")
    other.says(0, "give_back", "a")
    other.says(0, "withdraw", 77)
    assert places.taken == 1
    one.says(0, "give_back", "a")
    one.says(0, "give_back", "a")
    assert places.taken == 0


@pytest.mark.parametrize("line", [b"x\n", b"[]\n", b'[0, "nothing"]\n', b'[0, "enter"]\n', b"7\n"])
def test_what_makes_no_sense(processes: Any, line: bytes) -> None:
    _, hub, one, _ = processes
    with pytest.raises((ValueError, KeyError, TypeError)):
        hub.received(one.member, line)


def test_a_line_without_end(processes: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    _, hub, one, _ = processes
    monkeypatch.setattr(hub_module, "LONGEST_LINE", 100)
    with pytest.raises(ValueError, match="too long"):
        hub.received(one.member, b"x" * 101)


def test_what_everybody_is_at(processes: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    _, hub, one, other = processes
    one.says(9, "activity")
    assert one.hears() == [["answer", 9, [], None]]  # nobody else has a session
    other.says(0, "issue", False, 0)
    one.says(10, "activity")
    (question,) = [line for line in other.hears() if line[0] == "activity"]
    assert one.hears() == []
    assert hub.due() > 0
    other.says(0, "told", question[1], [["row"]])
    other.says(0, "told", question[1], [["late"]])
    assert one.hears() == [["answer", 10, [["row"]], None]]
    assert hub.due() is None
    # who does not answer is done without
    monkeypatch.setattr(hub_module, "ANSWER_SECONDS", 0)
    one.says(11, "activity")
    hub.expire()
    assert one.hears() == [["answer", 11, [], None]]
    monkeypatch.undo()
    one.says(12, "activity")
    hub.gone(other.member)
    assert one.hears() == [["answer", 12, [], None]]


def test_a_process_that_takes_nothing(processes: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "MOST_WAITING", 1 << 22)
    _, _, one, slow = processes
    slow.says(0, "listen", "news")
    rows = [[1, "news", "x" * 7000]] * 200
    room = True
    while room:
        one.says(1, "publish", rows)
        one.says(2, "room")
        *_, (_, _, room, _) = one.hears()
    assert slow.blocked == [True]
    assert slow.member.outbox.waiting >= 1 << 22
    heard = 0
    while slow.member.outbox.waiting:
        slow.socket.recv(1 << 20)
        slow.member.outbox.writable()
        heard += 1
    assert slow.blocked == [True, False]
    one.says(3, "room")
    assert one.hears() == [["answer", 3, True, None]]


def test_clients_on_their_way_are_not_forgotten_open() -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    outbox = Outbox(ours, lambda _: None)
    files = [os.pipe() for _ in range(3)]
    outbox.send(b"first\n", files[0][0])
    with pytest.raises(OSError):
        os.fstat(files[0][0])
    data, (received,), _, _ = socket.recv_fds(theirs, 100, 5)
    assert data == b"first\n"
    outbox.send(b"x" * (1 << 22))
    outbox.send(b"second\n", files[1][0])
    outbox.close()
    with pytest.raises(OSError):
        os.fstat(files[1][0])
    theirs.close()
    ours, theirs = socket.socketpair()
    theirs.close()
    gone = Outbox(ours, lambda _: None)
    gone.send(b"third\n", files[2][0])
    with pytest.raises(OSError):
        os.fstat(files[2][0])
    assert gone.waiting == 0
    gone.close()
    for one in (received, *(file[1] for file in files)):
        os.close(one)


def test_one_order_that_fails_is_not_the_last(caplog: pytest.LogCaptureFixture) -> None:
    theirs, ours = socket.socketpair()
    done, ended = threading.Event(), threading.Event()

    def fail() -> None:
        raise RuntimeError("no event loop")

    link = Link(ours)
    link.start({"fail": fail, "go": done.set}, client=lambda one: one.close(), ended=ended.set)
    theirs.sendall(b'["fail"]\n["go"]\n')
    assert done.wait(20)
    assert "could not be carried out" in caplog.text
    theirs.close()
    assert ended.wait(20)
    with pytest.raises(FatalError, match="administrator command"):
        link.ask("room")
    link.tell("done")  # nobody is there to hear it
    ours.close()
