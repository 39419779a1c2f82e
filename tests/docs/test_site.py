"""The documentation as a site: every page is in it, and it builds without a warning."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONFIG = (ROOT / "mkdocs.yml").read_text("utf-8")


@pytest.mark.parametrize("folder", ["", "how-to", "reference"])
def test_every_page_is_in_the_navigation(folder: str) -> None:
    """A page that is not in the navigation would not be found."""
    for page in sorted((ROOT / "docs" / folder).glob("*.md")):
        assert f"- {page.relative_to(ROOT / 'docs')}\n" in CONFIG


@pytest.mark.nightly
def test_the_site_builds(tmp_path: Path) -> None:
    """No link is broken, every public name is in the reference, and the gallery shows every domain."""
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    reference = (tmp_path / "reference" / "python" / "index.html").read_text("utf-8")
    for package in ("ai", "sim", "sim.testing", "sim.tables", "sim.sweep", "sim.adapters", "sim.replay"):
        for name in import_module(package).__all__:
            assert f'.{name}"' in reference, f"{package}.{name} is not in the reference"
    pictures = sorted((tmp_path / "gallery").glob("*.png"))
    assert len(pictures) == 6
    assert all(picture.read_bytes().startswith(b"\x89PNG") for picture in pictures)
    assert all(picture.with_suffix(".html").read_text("utf-8").startswith("<!doctype html>") for picture in pictures)
