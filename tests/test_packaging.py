"""What pip makes of the project: a pure wheel on request, and an install on a machine without a compiler."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = ("pyproject.toml", "setup.py", "README.md", "LICENSE", "src")
CORE = ("_kernel", "protocol", "types", "flows")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's sources and nothing that was built from them."""
    target = tmp_path_factory.mktemp("project")
    for name in PROJECT:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target / name,
                            ignore=shutil.ignore_patterns("*.so", "*.c", "*.egg-info", "__pycache__"))
        else:
            shutil.copy(ROOT / name, target)
    return target


@pytest.fixture(scope="module")
def pure(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of an unpacked wheel that was built with FEBE_KERNEL=off."""
    wheel = _build(project, tmp_path_factory.mktemp("pure"), FEBE_KERNEL="off")
    assert wheel.name.endswith("-py3-none-any.whl")
    return _unpacked(wheel)


def test_pure_wheel_has_no_machine_code(pure: Path) -> None:
    assert not [path for path in pure.rglob("*") if path.suffix in (".so", ".pyd", ".c")]
    assert (pure / "febe" / "py.typed").exists()


def test_import_needs_only_the_standard_library(pure: Path) -> None:
    program = ("import sys; before = set(sys.modules); import febe; "
               "print(febe.__file__, *sorted({name.partition('.')[0] for name in set(sys.modules) - before}))")
    where, *loaded = _python(pure, "-S", "-c", program).split()
    assert Path(where).is_relative_to(pure)
    assert set(loaded) - sys.stdlib_module_names == {"febe"}


@pytest.mark.timeout(1200)
def test_pure_wheel_passes_the_core_tests(pure: Path) -> None:
    tests = [str(ROOT / "tests" / name) for name in CORE if (ROOT / "tests" / name).is_dir()]
    _python(pure, "-m", "pytest", "-q", "-m", "not slow", "-p", "no:cacheprovider", *tests, FEBE_KERNEL="python")


def test_install_without_a_compiler(project: Path, tmp_path: Path) -> None:
    wheel = _build(project, tmp_path, FEBE_KERNEL="auto", CC="/no/compiler", LDSHARED="/no/compiler")
    assert _python(_unpacked(wheel), "-S", "-c", "import febe; print(febe.kernel)") == "python\n"


def _build(project: Path, target: Path, **environment: str) -> Path:
    _run([sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--no-deps", "-w", target, project],
         environment)
    shutil.rmtree(project / "build", ignore_errors=True)
    return next(target.glob("febe-*.whl"))


def _unpacked(wheel: Path) -> Path:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(wheel.parent / "unpacked")
    return wheel.parent / "unpacked"


def _python(path: Path, *arguments: str, **environment: str) -> str:
    """Run this interpreter with `path` before the installed packages, febe among them."""
    return _run([sys.executable, *arguments], {"PYTHONPATH": str(path), **environment})


def _run(command: list[str | Path], environment: dict[str, str]) -> str:
    inherited = {name: value for name, value in os.environ.items() if name not in ("FEBE_KERNEL", "PYTHONPATH")}
    done = subprocess.run(command, env=inherited | environment, cwd=ROOT, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    return done.stdout
