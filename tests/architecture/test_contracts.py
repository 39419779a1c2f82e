"""The house rules that neither ruff nor import-linter can express: what systems say, dead modules, silent tests."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path

from sim.cli import COMMANDS

ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    path for places in ("*.py", "ai/**/*.py", "sim/**/*.py", "scenarios/**/*.py") for path in ROOT.glob(places)
)
TESTS = sorted(ROOT.glob("tests/**/test_*.py"))
PLUGIN_FOLDERS = ("ai.clients", "ai.planners", "scenarios.tactics.actions")
"""Packages whose modules are found by discovery."""
SAID = {
    "Reads": r"\bReads(:| and writes) \w",
    "Writes": r"\b(Writes:|Reads and writes) \w",
    "Order": r"\bOrder: \w",
}
"""What a system's docstring has."""
STARTED = (
    "sim.__main__",
    "sim.testing.checks.child",
    "ai.testing_elsewhere",
    "sim.replay.rerun_child",
    "sim.viewer.asked",
)
"""Modules that another interpreter is started with."""


def module_name(path: Path) -> str:
    """Return the dotted name of a source file."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def entries() -> set[str]:
    """Return the modules that the installed distribution offers: packages, commands and entry points."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    points = project["project"]["entry-points"].values()
    named = [*project["project"]["scripts"].values(), *(value for group in points for value in group.values())]
    packages: list[str] = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    return {*packages, *(value.partition(":")[0] for value in named)}


def systems() -> list[tuple[str, str]]:
    """Return every System subclass in the source as (place, docstring)."""
    found = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            bases = [ast.unparse(base) for base in node.bases] if isinstance(node, ast.ClassDef) else []
            if isinstance(node, ast.ClassDef) and any(base.rpartition(".")[2] == "System" for base in bases):
                found.append((f"{path.relative_to(ROOT)}:{node.name}", ast.get_docstring(node) or ""))
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


def imported(paths: Iterable[Path]) -> set[str]:
    """Return what some files import of other modules."""
    return {name for path in paths for name in imports(path) if name != module_name(path)}


def test_every_system_says_what_it_reads_and_writes_and_when() -> None:
    """A system's docstring has `Reads: ...`, `Writes: ...` (or `Reads and writes ...`) and `Order: ...`."""
    found = systems()
    assert found
    short = {
        place: missing
        for place, text in found
        if (missing := [name for name, pattern in SAID.items() if not re.search(pattern, text)])
    }
    assert not short


def test_no_module_is_dead() -> None:
    """Every module is imported by another one, is found by discovery, is an entry, or serves the authors of tests."""
    used = imported([*SOURCES, ROOT / "tickweave_pytest.py"])
    # What a package `testing` offers is for tests: ours stand for those of users.
    used |= {name for name in imported(TESTS) if ".testing" in name}
    known = {*entries(), *STARTED, *(f"sim.cli.{module}" for module in COMMANDS.values())}
    dead = [
        name
        for name in map(module_name, SOURCES)
        if name not in used
        and name not in known
        and name.rpartition(".")[0] not in PLUGIN_FOLDERS
        and not any(other.startswith(f"{name}.") for other in {*used, *known})
    ]
    assert not dead


def test_every_test_says_what_it_promises() -> None:
    """Every test function has a docstring; ruff would demand one of helpers too."""
    silent = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {node.name}"
        for path in TESTS
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not ast.get_docstring(node)
    ]
    assert not silent
