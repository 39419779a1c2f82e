"""What the documentation shows is run: its files, its Python, its command lines, and the output that it prints.

A page is run from top to bottom in one empty folder:

- a block whose first line is ```` ```python wealth.py ```` (or toml, jsonl) is written to that file, not executed;
- any other Python block is executed; blocks of one page share their names, and functions called `test_...` are called;
- in a console block each `$ tickweave` line is run; `# exit N` gives its exit code, and each further line that is shown
  must occur in the output, in that order (`...` stands for anything).

`# not run` in the first line of a block, or at the end of a command, leaves it out.
"""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import esper
import pytest

from sim.cli import invoke

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs" / "how-to").glob("*.md")),
    *sorted((ROOT / "docs" / "reference").glob("*.md")),
    *sorted((ROOT / "scenarios").glob("**/*.md")),
]
LINES_MAX = 25
"""Lines of the first model of one's own."""
NOT_RUN = "# not run"
BLOCK = re.compile(
    r"^```(?P<language>python|toml|jsonl|console)(?: (?P<file>[\w.-]+))?\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE
)
TEST = re.compile(r"^(?:def )?(test_\w+|Test\w+)(?=\(| = )(.*?)(?=^\S|\Z)", re.DOTALL | re.MULTILINE)
FAILS = "# fails"


@dataclass(frozen=True)
class Example:
    """One fenced block, the line it starts on, and the file that it is written to, if any."""

    language: str
    text: str
    line: int
    file: str | None


@dataclass(frozen=True)
class Command:
    """One command line of a console block, how it ends, and the lines of output that are shown."""

    line: str
    code: int
    shown: tuple[str, ...]


def examples(page: Path) -> list[Example]:
    """Return the blocks of a page that are meant to be run or written, in order."""
    text = page.read_text("utf-8")
    return [
        Example(match["language"], match["text"], text.count("\n", 0, match.start()) + 2, match["file"])
        for match in BLOCK.finditer(text)
        if not match["text"].startswith(NOT_RUN) and (match["file"] or match["language"] in ("python", "console"))
    ]


def commands(text: str) -> list[Command]:
    """Return the `tickweave` commands of a console block, continuation lines joined, less those marked `# not run`."""
    found: list[Command] = []
    for part in re.split(r"^\$ ", text.replace("\\\n", " "), flags=re.MULTILINE)[1:]:
        line, *shown = part.splitlines()
        if line.startswith("tickweave ") and not line.rstrip().endswith(NOT_RUN):
            code = re.search(r"#\s*exit (\d+)\s*$", line)
            lines = tuple(" ".join(each.split()) for each in shown if each.strip() not in ("", "..."))
            found.append(Command(line, int(code[1]) if code else 0, lines))
    return found


def run_command(command: Command) -> None:
    """Run one command as a reader would, and look for what the page shows of its output."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        code = invoke(shlex.split(command.line, comments=True)[1:])
    output = printed.getvalue()
    assert code == command.code, f"$ {command.line}\n{output}"
    left = " ".join(output.split())
    for line in command.shown:
        _, found, left = left.partition(line)
        assert found, f"$ {command.line}\nthe page shows {line!r}, the command prints\n{output}"


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


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give an empty folder of a reader who has trusted no folder yet; modules imported from it are forgotten."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delenv("TICKWEAVE_TRUST", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
    context = esper.current_world
    yield tmp_path
    esper.switch_world(context)
    sys.modules.pop("example", None)
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_examples_run(page: Path, reader: Path) -> None:
    """Every example of a page runs, in order, and prints what the page shows."""
    module = ModuleType("example")
    sys.modules["example"], names = module, vars(module)
    for example in examples(page):
        if example.file is not None:
            (reader / example.file).write_text(example.text, "utf-8")
        elif example.language == "python":
            # Blank lines in front make a traceback show the page's own line number. A page has no __future__ import.
            lines = "\n" * (example.line - 1) + example.text
            exec(compile(lines, str(page), "exec", dont_inherit=True), names)
            run_tests(example.text, names)
        else:
            for command in commands(example.text):
                run_command(command)


@pytest.mark.parametrize("page", ["README.md", "docs/tutorial.md"])
def test_a_first_model_is_short(page: str) -> None:
    """A model of wealth is one file of at most 25 lines, and the page shows its metrics as `run` prints them."""
    found = examples(ROOT / page)
    first = next(each for each in found if each.file == "wealth.py")
    assert len(first.text.splitlines()) <= LINES_MAX
    shown = [command for each in found if each.language == "console" for command in commands(each.text)]
    run = next(command for command in shown if command.line.startswith("tickweave run wealth.py"))
    assert {line.split()[0] for line in run.shown} >= {"gini", "poorest"}


def test_examples_are_found() -> None:
    """The patterns above find blocks, files, commands, exit codes and output, so an empty page has no examples."""
    text = (
        "$ tickweave run skirmish \\\n  --ticks 3  # exit 64\nagents   20\n...\n$ tickweave check x  # not run\n$ ls\n"
    )
    assert commands(text) == [Command("tickweave run skirmish    --ticks 3  # exit 64", 64, ("agents 20",))]
    match = BLOCK.search("```python wealth.py\nx = 1\n```\n")
    assert match is not None
    assert match["file"] == "wealth.py"
    assert len([page for page in PAGES if examples(page)]) >= 12
