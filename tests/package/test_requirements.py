"""What `make` installs: every package pinned with its hashes, and nothing else."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "requirements").glob("*.txt"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def pinned(file: Path) -> dict[str, Requirement]:
    """Return the packages of a file by name, after checking that each line has a version and hashes."""
    found = {}
    for entry in re.split(r"\n(?=\S)", re.sub(r"^#.*\n", "", file.read_text("utf-8"), flags=re.MULTILINE).strip()):
        line, *hashes = re.split(r"\s*\\?\n\s+", entry.removesuffix("\\"))
        assert hashes, line
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", each.rstrip(" \\")) for each in hashes), entry
        requirement = Requirement(line.rstrip(" \\"))
        assert [each.operator for each in requirement.specifier] == ["=="], line
        found[re.sub(r"[-_.]+", "-", requirement.name).lower()] = requirement
    return found


def declared(extra: str | None) -> list[Requirement]:
    """Return what the project needs for an extra, with the extras that it names."""
    listed = PROJECT["dependencies"] if extra is None else PROJECT["optional-dependencies"][extra]
    found = []
    for requirement in map(Requirement, listed):
        found += (
            [each for more in requirement.extras for each in declared(more)]
            if requirement.name == "tickweave"
            else [requirement]
        )
    return found


@pytest.mark.parametrize(("file", "extras"), [("run", []), ("test", ["test"]), ("llm", ["llama"])])
def test_everything_that_the_project_needs_is_pinned_with_hashes(file: str, extras: list[str]) -> None:
    """A package that `pyproject.toml` names and that `make lock` did not pin yet fails here."""
    pins = pinned(ROOT / "requirements" / f"{file}.txt")
    for needed in [*declared(None), *(each for extra in extras for each in declared(extra)), Requirement("hatchling")]:
        pin = pins[re.sub(r"[-_.]+", "-", needed.name).lower()]
        assert needed.specifier.contains(str(pin.specifier).removeprefix("==")), f"{needed}: run `make lock`"


def test_all_files_pin_the_same_versions() -> None:
    """So that one environment can hold all of them."""
    versions: dict[str, set[str]] = {}
    for file in FILES:
        for name, pin in pinned(file).items():
            versions.setdefault(name, set()).add(str(pin.specifier))
    assert {name: found for name, found in versions.items() if len(found) > 1} == {}


def test_make_installs_nothing_without_hashes() -> None:
    """Each installation takes hashed packages, or brings no dependencies; `make lock` itself may fetch its tool."""
    lines = re.findall(r"^(?:\t\$\(PIP\)|SELF :=) (.*)$", (ROOT / "Makefile").read_text("utf-8"), flags=re.MULTILINE)
    installs = [line for line in lines if line.startswith("install")]
    assert len(installs) >= 5
    assert [line for line in installs if "--require-hashes" not in line and "--no-deps" not in line] == ["install uv"]
