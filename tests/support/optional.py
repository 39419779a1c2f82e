"""Optional packages in tests: skipped with a sentence where they are missing, and a failure in the gate."""

from __future__ import annotations

import importlib.util
import os

import pytest

GATE = "TICKWEAVE_GATE"
"""Set by `.ci/run`: there, nothing that the gate installs may be missing."""


def needs(package: str) -> pytest.MarkDecorator:
    """Return a mark for tests that need a package."""
    missing = importlib.util.find_spec(package) is None
    if missing and os.environ.get(GATE):
        pytest.fail(f"the gate needs {package}, which is not installed", pytrace=False)
    return pytest.mark.skipif(missing, reason=f"{package} is not installed here")
