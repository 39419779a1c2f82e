"""What the documentation shows is run: its Python, and its command lines."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
NOT_RUN = "# not run"
BLOCK = re.compile(r"^```(?P<language>python|console)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
TEST = re.compile(r"^(?:def )?(test_\w+|Test\w+)(?=\(| = )(.*?)(?=^\S|\Z)", re.DOTALL | re.MULTILINE)
FAILS = "# fails"
TIMEOUT_S = 120


@dataclass(frozen=True)
class Example:
    """One fenced block and the line it starts on."""

    language: str
    text: str
    line: int


def examples(page: Path) -> list[Example]:
    """Return the blocks of a page that are meant to be run, in order."""
    text = page.read_text("utf-8")
    return [
        Example(match["language"], match["text"], text.count("\n", 0, match.start()) + 2)
        for match in BLOCK.finditer(text)
        if not match["text"].startswith(NOT_RUN)
    ]


def commands(text: str) -> list[str]:
    """Return the `tickweave` commands of a console block, continuation lines joined, less those marked `# not run`."""
    lines = text.replace("\\\n", " ").splitlines()
    shown = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    return [line for line in shown if line.startswith("tickweave ") and not line.rstrip().endswith(NOT_RUN)]


def run_command(line: str, folder: Path) -> None:
    """Run one command line as a reader would; a trailing `# exit N` says how it ends."""
    expected = re.search(r"#\s*exit (\d+)\s*$", line)
    words = shlex.split(line, comments=True)[1:]
    # A reader has trusted no folder yet.
    environment = {name: value for name, value in os.environ.items() if name != "TICKWEAVE_TRUST"}
    done = subprocess.run(
        [sys.executable, "-m", "sim", *words],
        cwd=folder,
        env={**environment, "PYTHONPATH": str(ROOT), "XDG_CONFIG_HOME": str(folder / "config")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == (int(expected[1]) if expected else 0), f"$ {line}\n{done.stdout}{done.stderr}"


def run_tests(text: str, names: dict[str, Any]) -> None:
    """Run the tests that a block defines, as pytest would; one marked `# fails` does, as its page says."""
    for name, body in TEST.findall(text):
        if name.startswith("Test"):
            names[name]().runTest()
        elif FAILS in body:
            with pytest.raises(AssertionError):
                names[name]()
        else:
            names[name]()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_examples_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every example of a page runs, in order, in one empty folder; Python blocks share their names."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "example"}
    for example in examples(page):
        if example.language == "python":
            # Blank lines in front make a traceback show the page's own line number. A page has no __future__ import.
            lines = "\n" * (example.line - 1) + example.text
            exec(compile(lines, str(page), "exec", dont_inherit=True), names)
            run_tests(example.text, names)
        else:
            for line in commands(example.text):
                run_command(line, tmp_path)


def test_examples_are_found() -> None:
    """The patterns above find blocks and commands, so that a page without examples is a page that has none."""
    text = "$ tickweave run skirmish \\\n  --ticks 3\noutput\n$ tickweave scenarios  # not run\n$ ls\n"
    assert commands(text) == ["tickweave run skirmish    --ticks 3"]
    assert BLOCK.search(f"```console\n{text}```\n")
