"""The page of promises names tests, and they exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "design" / "trust.md"


def test_every_promise_names_a_test_that_exists() -> None:
    """Each item of the list of promises names one test or more, and each name is that of a test function."""
    text = PAGE.read_text()
    promises = text[text.index("## Promises") : text.index("## What is not promised")]
    items = re.findall(r"^- (.+?)(?=^- |^#|\Z)", promises, re.DOTALL | re.MULTILINE)
    assert len(items) > 20
    for item in items:
        assert "`test_" in item, item
    known = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^(?:async )?def (test_\w+)", path.read_text(), re.MULTILINE)
    }
    assert set(re.findall(r"`(test_\w+)`", promises)) <= known
