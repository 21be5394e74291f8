"""The compiled and the interpreted encoder give the same bytes and the same errors."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from febe._kernel import columns

pytest.importorskip("pyarrow")

SCRIPT = Path(__file__).with_name("arrow_digest.py")


def digests(kernel: str) -> list[list[str]]:
    environment = {name: value for name, value in os.environ.items() if name != "FEBE_KERNEL"}
    if kernel:
        environment["FEBE_KERNEL"] = kernel
    done = subprocess.run(
        [sys.executable, SCRIPT, "0", "4"], env=environment, capture_output=True, text=True, check=True
    )
    return [line.split() for line in done.stdout.splitlines()]


@pytest.mark.skipif(not columns.COMPILED, reason="the kernel is not compiled")
def test_both_kernels_agree() -> None:
    compiled, interpreted = digests(""), digests("python")
    assert {mode for mode, _ in compiled} == {"True"}
    assert {mode for mode, _ in interpreted} == {"False"}
    assert [digest for _, digest in compiled] == [digest for _, digest in interpreted]


def test_the_interpreted_kernel_encodes_all_kinds() -> None:
    assert {mode for mode, _ in digests("python")} == {"False"}
