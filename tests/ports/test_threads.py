"""Threads for calls that block."""

from __future__ import annotations

import subprocess
import sys
from queue import SimpleQueue
from threading import Event, Thread, current_thread, get_ident

from febe.ports.threads import Threads


def test_one_after_the_other_is_one_thread() -> None:
    threads, told = Threads(), SimpleQueue[Thread]()
    threads.submit(lambda: told.put(current_thread()))
    first = told.get(timeout=60)
    found = {first}
    for _ in range(20):
        while not threads._idle:
            pass
        threads.submit(lambda: told.put(current_thread()))
        found.add(told.get(timeout=60))
    assert found == {first} and first.is_alive()
    threads._end()
    assert not first.is_alive()


def test_a_call_waits_for_no_other() -> None:
    threads, told, go_on = Threads(), SimpleQueue[int](), Event()
    for _ in range(50):
        threads.submit(lambda: (told.put(get_ident()), go_on.wait(60)))
    assert len({told.get(timeout=60) for _ in range(50)}) == 50
    go_on.set()
    threads._end()


def test_the_programs_end_waits_for_what_is_at_work() -> None:
    program = """
import threading
from febe.ports.threads import Threads
threads, working, ending = Threads(), threading.Event(), threading.Event()
def call():
    working.set()
    threading.main_thread().join()  # it has come to its end
    print("whole", flush=True)
threads.submit(call)
threads.submit(lambda: None)
assert working.wait(60)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr, done.returncode) == ("whole\n", "", 0)
