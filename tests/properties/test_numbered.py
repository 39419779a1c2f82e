"""The table of numbered properties, held against the tests that are there."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROWS = re.findall(r"^\| P(\d+) \| (.+?) \| (.+?) \|$", (ROOT / "tests/properties/README.md").read_text(), re.MULTILINE)


@cache
def defined(path: str) -> dict[str, str | None]:
    """Return the first lines of the docstrings of a file's tests, by name."""
    tree = ast.parse((ROOT / path).read_text())
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return {node.name: ast.get_docstring(node) for node in tree.body if isinstance(node, kinds)}


def test_every_number_has_a_promise() -> None:
    """P1 to P20 are there, in order, once each."""
    assert [int(number) for number, _, _ in ROWS] == list(range(1, 21))


@pytest.mark.parametrize(("number", "promise", "tests"), ROWS, ids=[f"P{number}" for number, _, _ in ROWS])
def test_every_promise_has_tests_that_say_it(number: str, promise: str, tests: str) -> None:
    """Each is a sentence, and names tests that exist and have a sentence of their own."""
    assert promise.endswith(".")
    names = re.findall(r"`([^`]+)`", tests)
    assert names
    for name in names:
        path, _, test = name.partition("::")
        assert (defined(path).get(test) or "").endswith("."), f"P{number}: {name} is not there, or says nothing"
