"""The few rules of style that matter, enforced on every file of the project."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAX_FILE_LINES = 800
MAX_FUNCTION_LINES = 90

# The only places that may ask the machine for the time or for randomness: everything else takes a clock or a seed.
MAY_READ_CLOCK = (
    "runtime/cluster/",
    "runtime/exchange/",
    "runtime/execute.py",
    "runtime/batch/execution.py",
    "connectors/filelog/",
    "connectors/socket",
    "connectors/datagen.py",
    "connectors/nexmark.py",
    "connectors/filesystem",
    "connectors/print.py",
    "tableapi/cli/",
    "tableapi/demo/",
    "tableapi/notebook/",
    "tableapi/functions/",
    "tableapi/result.py",
)


def sources(*folders: str) -> list[Path]:
    """Python files below the given folders, symlinked twins left out."""
    found = []
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            relative = path.relative_to(ROOT).as_posix()
            if not relative.startswith(("tableapi/runtime/", "tableapi/connectors/")):
                found.append(path)
    return found


PRODUCT = sources("tableapi", "runtime", "connectors")
EVERYTHING = PRODUCT + [p for p in sources("tests", "benchmarks", "examples", "docs") if p.name != "harness.py"]


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", EVERYTHING, ids=name)
def test_files_and_functions_are_small(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= MAX_FILE_LINES, f"{name(path)} is two rooms in one: split it by topic"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= MAX_FUNCTION_LINES, f"{name(path)}:{node.lineno} {node.name} has {length} lines"


@pytest.mark.parametrize("path", PRODUCT, ids=name)
def test_modules_say_what_they_own(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert not tree.body or ast.get_docstring(tree), f"{name(path)} has no module docstring"


@pytest.mark.parametrize("path", EVERYTHING, ids=name)
def test_nothing_is_left_for_later(path: Path) -> None:
    marks = "TO" + "DO|FIX" + "ME|X" + "XX|HA" + "CK"
    for number, line in enumerate(path.read_text().splitlines(), 1):
        assert not re.search(rf"\b({marks})\b", line), f"{name(path)}:{number} leaves something for later: {line.strip()}"


@pytest.mark.parametrize("path", PRODUCT, ids=name)
def test_no_exception_is_swallowed(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ExceptHandler) and all(isinstance(s, ast.Pass) for s in node.body):
            pytest.fail(f"{name(path)}:{node.lineno} swallows an exception; say what it may be with contextlib.suppress")


@pytest.mark.parametrize("path", PRODUCT, ids=name)
def test_time_and_chance_come_from_outside(path: Path) -> None:
    if name(path).startswith(MAY_READ_CLOCK):
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            used = f"{node.value.id}.{node.attr}"
            assert used not in {"time.time", "time.time_ns", "datetime.now", "random.random"}, (
                f"{name(path)}:{node.lineno} {used}"
            )


def test_every_tracked_symlink_stays_inside() -> None:
    listed = subprocess.run(["git", "ls-files", "-s"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    for line in listed.splitlines():
        mode, _, _, path = line.split(maxsplit=3)
        if mode == "120000":
            assert (ROOT / path).resolve().is_relative_to(ROOT), path


def test_no_path_of_a_machine_is_in_the_tree() -> None:
    suspicious = re.compile(r"/(?:home|root|Users|work)/[a-z]")
    for path in EVERYTHING:
        if path.name != "test_tidy.py":
            for number, line in enumerate(path.read_text().splitlines(), 1):
                assert not suspicious.search(line), f"{name(path)}:{number} {line.strip()}"
