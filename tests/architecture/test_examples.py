"""Examples in docstrings are run."""

from __future__ import annotations

import doctest
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHOWN = [path for top in ("ai", "sim", "scenarios") for path in sorted(ROOT.glob(f"{top}/**/*.py"))]
MODULES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in SHOWN
    if ">>> " in path.read_text("utf-8")
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_docstrings_give_what_they_show(name: str) -> None:
    """What stands behind `>>>` runs and prints what stands below it."""
    found = doctest.testmod(import_module(name))
    assert (found.failed, found.attempted > 0) == (0, True)
