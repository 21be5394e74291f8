from __future__ import annotations

from types import SimpleNamespace

import pytest

from tests.kernel.kernels import COMPILED, SOURCE


@pytest.fixture(params=["compiled", "python"])
def kernel(request: pytest.FixtureRequest) -> SimpleNamespace:
    """Each form of the kernel in turn."""
    if request.param == "python":
        return SOURCE
    if COMPILED is None:
        pytest.skip("no compiled kernel is loaded")
    return COMPILED
