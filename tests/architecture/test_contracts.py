"""The house rules that a machine can check: docstrings, what systems touch, no dead files, no loose ends."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted([*ROOT.glob("ai/**/*.py"), *ROOT.glob("sim/**/*.py"), *ROOT.glob("scenarios/**/*.py")])
TESTS = sorted(ROOT.glob("tests/**/test_*.py"))
PLUGIN_FOLDERS = ("ai.clients", "ai.planners", "scenarios.tactics.actions")
ENTRIES = (
    "ai", "sim", "scenarios", "ai.testing", "sim.testing", "sim.cli", "sim.__main__", "sim.testing.checks.child",
    "sim.replay.other_process", "sim.testing.plugin",
)  # fmt: skip

Documented = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def shown(path: Path) -> str:
    """Name a test case by its file."""
    return str(path.relative_to(ROOT))


def module_name(path: Path) -> str:
    """Return the dotted name of a source file."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def public(node: ast.Module | ast.ClassDef, prefix: str = "") -> Iterator[tuple[str, Documented]]:
    """Yield public classes, functions and methods; what overrides a documented method may stay silent."""
    for child in node.body:
        if not isinstance(child, Documented) or child.name.startswith("_"):
            continue
        if any(isinstance(mark, ast.Name) and mark.id in ("overload", "override") for mark in child.decorator_list):
            continue
        yield prefix + child.name, child
        if isinstance(child, ast.ClassDef):
            yield from public(child, f"{prefix}{child.name}.")


def systems() -> list[tuple[str, str]]:
    """Return every System subclass in the source as (place, docstring)."""
    found = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            bases = [ast.unparse(base) for base in node.bases] if isinstance(node, ast.ClassDef) else []
            if isinstance(node, ast.ClassDef) and any(base.rpartition(".")[2] == "System" for base in bases):
                found.append((f"{shown(path)}:{node.name}", ast.get_docstring(node) or ""))
    return found


def imports(path: Path) -> set[str]:
    """Return the dotted names a file imports, submodules taken with `from package import module` included."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


@pytest.mark.parametrize("path", SOURCES, ids=shown)
def test_everything_public_has_a_docstring(path: Path) -> None:
    """Every module, and every public class, function and method in it, says what it is for."""
    tree = ast.parse(path.read_text("utf-8"))
    silent = [f"line {node.lineno}: {name}" for name, node in public(tree) if not ast.get_docstring(node)]
    if not ast.get_docstring(tree):
        silent.insert(0, "the module")
    assert not silent


def test_every_system_says_what_it_reads_and_writes_and_when() -> None:
    """A system's docstring has a line each for Reads, Writes and Order."""
    found = systems()
    assert found
    short = {
        place: missing
        for place, text in found
        if (
            missing := [
                word for word in ("Reads", "Writes", "Order") if not re.search(rf"^\s*{word}: \S", text, re.MULTILINE)
            ]
        )
    }
    assert not short


def test_no_module_is_dead() -> None:
    """Every module is imported by another one, is a plug-in found by discovery, or is an entry."""
    used = {name for path in SOURCES for name in imports(path) if name != module_name(path)}
    dead = [
        name
        for name in map(module_name, SOURCES)
        if name not in used
        and name not in ENTRIES
        and name.rpartition(".")[0] not in PLUGIN_FOLDERS
        and not any(other.startswith(f"{name}.") for other in used)
    ]
    assert not dead


@pytest.mark.parametrize("path", [*SOURCES, *TESTS], ids=shown)
def test_no_loose_ends(path: Path) -> None:
    """Work that is left goes into an issue, not into a comment."""
    words = "TO" + "DO", "FIX" + "ME", "XX" + "X"
    lines = path.read_text("utf-8").splitlines()
    assert not [number for number, line in enumerate(lines, 1) if any(re.search(rf"\b{w}\b", line) for w in words)]


@pytest.mark.parametrize("path", TESTS, ids=shown)
def test_every_test_says_what_it_checks(path: Path) -> None:
    """Every test function has a docstring: the sentence that it checks."""
    silent = [
        node.name
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not ast.get_docstring(node)
    ]
    assert not silent
