"""The faces are one: two are generated from the third."""

from __future__ import annotations

import ast
import importlib.util
import inspect
from pathlib import Path
from types import ModuleType

import pytest

import febe
import febe.aio
import febe.client.asynchronous as asynchronous
import febe.client.blocking as blocking
import febe.client.structured as structured
import febe.errors
import febe.trio

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_blocking", ROOT / "tools" / "generate_blocking.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_generated_faces_are_up_to_date(generator: ModuleType) -> None:
    for path, text in generator.made().items():
        assert path.read_text() == text, "run python tools/generate_blocking.py"


def test_nothing_asynchronous_is_left_over(generator: ModuleType) -> None:
    with pytest.raises(ValueError, match="async"):
        generator.blocking("x = lambda: (yield async_, async)")
    with pytest.raises(ValueError, match="asyncio"):
        generator.structured("import asyncio")


def test_bodies_are_one_line() -> None:
    tree = ast.parse(inspect.getsource(asynchronous))
    methods = [node for node in ast.walk(tree) if isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef)
               and not node.name.startswith("__")]
    assert len(methods) > 10
    for method in methods:
        body = method.body[1:] if ast.get_docstring(method) else method.body
        assert len(body) == 1, method.name


def test_the_faces_have_the_same_names() -> None:
    for name in asynchronous.__all__[:-1]:
        ours, theirs, others = (
            {attribute.replace("__a", "__") for attribute in vars(getattr(module, name))}
            for module in (asynchronous, blocking, structured))
        assert ours == theirs == others


def test_what_is_exported_is_there() -> None:
    for module in (febe, febe.aio, febe.trio, febe.errors):
        for name in module.__all__:
            assert getattr(module, name) is not None
    assert febe.errors.UniqueViolation.condition == "unique_violation"
    assert febe.kernel in ("compiled", "python")
    for module in (febe, febe.errors):
        with pytest.raises(AttributeError):
            _ = module.NoSuchThing


def test_run_uses_uvloop_when_it_is_there() -> None:
    async def main() -> str:
        import asyncio

        return type(asyncio.get_running_loop()).__module__

    expected = "uvloop" if importlib.util.find_spec("uvloop") else "asyncio"
    assert febe.aio.run(main()).startswith(expected)
