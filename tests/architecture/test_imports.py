"""Any module can be the first that a program imports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EACH = """
import importlib, os, sys

import esper, httpx, numpy, pydantic

for name in sys.argv[1:]:
    child = os.fork()
    if not child:
        try:
            importlib.import_module(name)
        except BaseException as error:
            print(f"{name}: {type(error).__name__}: {error}", flush=True)
        os._exit(0)
    os.waitpid(child, 0)
"""
"""Imports each module in a child of a process that has imported libraries only."""


@pytest.mark.nightly  # it takes a minute of processor time
def test_every_module_can_be_imported_first() -> None:
    """No module needs another one of ours to be imported before it."""
    names = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for folder in ("ai", "sim", "scenarios")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if path.name != "__main__.py"
    ]
    assert len(names) > 300
    found = subprocess.run([sys.executable, "-c", EACH, *names], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout == ""
