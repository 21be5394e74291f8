"""Which form of the kernel is loaded, and that it needs nothing but Python."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import febe._kernel
from tests.kernel.kernels import COMPILED, SOURCE

WITHOUT_CYTHON = """
import sys
sys.modules["cython"] = sys.modules["Cython"] = None
import febe._kernel
from importlib import import_module
for module in febe._kernel.MODULES:
    assert import_module("febe._kernel." + module).__file__.endswith(".py"), module
from febe._kernel import kinds, rows
data = rows.RowEncoder([kinds.INT4_BINARY, kinds.FLOAT4_TEXT]).encode([(1, 0.1)])
assert rows.RowDecoder([kinds.INT4_BINARY, kinds.FLOAT4_TEXT], tuple).decode(data, 0, len(data)) == [(1, 0.1)]
print(febe._kernel.KIND)
"""


def test_runs_without_cython() -> None:
    environment = {**os.environ, "FEBE_KERNEL": "python"}
    done = subprocess.run([sys.executable, "-c", WITHOUT_CYTHON], env=environment, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("python\n", "")


def test_source_is_loaded_beside_compiled_modules() -> None:
    assert SOURCE.KIND == "python"
    assert SOURCE.rows.__file__.endswith(".py")


@pytest.mark.skipif(COMPILED is None, reason="no compiled kernel is loaded")
def test_compiled_modules_are_loaded() -> None:
    assert febe._kernel.KIND == "compiled"
    assert not febe._kernel.rows.__file__.endswith(".py")  # type: ignore[attr-defined]
