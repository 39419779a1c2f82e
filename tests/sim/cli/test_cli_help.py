"""Help pages and completion: what a person finds without reading the documentation."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from sim.cli import COMMANDS, app
from sim.cli.common import OK, USAGE
from sim.cli.examples import EXAMPLES
from sim.testing.checks import CHECKS
from tests.support.shell import Shell

ROOT = Path(__file__).parents[3]
NAMES = [name if name != "bench" else "bench llm" for name in COMMANDS]  # the only command of its group


def test_every_command_has_examples() -> None:
    """No command is without an example, and no example without its command."""
    assert sorted(EXAMPLES) == sorted(NAMES)


@pytest.mark.parametrize("line", [line for lines in EXAMPLES.values() for line in lines])
def test_an_example_is_a_command_line(line: str) -> None:
    """Every example has options and arguments that its command takes."""
    program, name, *words = shlex.split(line)
    assert program == "tickweave"
    group: Any = get_command(app)
    command = group.get_command(None, name)
    if name == "bench":
        name = words.pop(0)
        command = command.get_command(None, name)
    with command.make_context(name, words) as context:
        assert context.params


def test_the_list_of_commands_is_not_cut(capsys: pytest.CaptureFixture[str]) -> None:
    """Each command is described in one whole sentence that fits a terminal of 80 columns."""
    shell = Shell(capsys)
    assert shell("--help") == OK
    lines = shell.out.partition("Commands:\n")[2].splitlines()
    assert len(lines) >= len(COMMANDS)
    assert all(line.endswith(".") and not line.endswith("...") for line in lines)


def test_examples_name_checks_of_the_doctor() -> None:
    """A check that an example names is there."""
    words = [shlex.split(line) for lines in EXAMPLES.values() for line in lines]
    named = [line[line.index("--check") + 1] for line in words if "--check" in line]
    assert named
    assert set(named) <= {check.name for check in CHECKS}


@pytest.mark.parametrize("name", [*NAMES, ""])
def test_help_has_a_short_form(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`-h` prints the help page, and its examples stand each on a line of its own."""
    shell = Shell(capsys)
    words = name.split()
    assert shell(*words, "-h") == OK
    short = shell.out
    assert shell(*words, "--help") == OK
    assert shell.out == short
    assert all(f"  {line}\n" in short for line in EXAMPLES.get(name, ()))


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("tickweave ver", ["verify", "versus"]),
        ("tickweave run s", ["segregation", "siege", "skirmish", "stress-10k"]),
        ("tickweave sweep mar", ["market"]),
        ("tickweave run market --tie", ["--tiers"]),
        ("tickweave doctor wealth", []),  # the shell then offers files
    ],
)
def test_a_shell_completes_commands_scenarios_and_options(words: str, found: list[str]) -> None:
    """Completion names the commands, scenarios and options that begin as the last word."""
    done = subprocess.run(
        [sys.executable, "-c", "from sim.entry import main; main()"],
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "_TICKWEAVE_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(words.count(" ")),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == found, done.stderr


def test_help_is_a_word_too(capsys: pytest.CaptureFixture[str]) -> None:
    """`help run` is `run --help`, and `help` alone is the page of all commands."""
    shell = Shell(capsys)
    for words, same in ((["help", "run"], ["run", "--help"]), (["help"], ["--help"])):
        assert shell(*words) == OK
        said = shell.out
        assert shell(*same) == OK
        assert shell.out == said


def test_a_value_that_is_none_of_the_choices_is_refused_with_them(capsys: pytest.CaptureFixture[str]) -> None:
    """The sentence names the option, the value and the choices."""
    shell = Shell(capsys)
    assert shell("run", "market", "--prefer", "fast") == USAGE
    assert shell.err == "tickweave: Invalid value for '--prefer': 'fast' is not one of 'balanced', 'speed', 'cost'.\n"
