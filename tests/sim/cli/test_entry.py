"""The command starts quietly, whatever comes while it loads."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

STARTS_INTERRUPTED = """
import sys

class CtrlC:
    def find_spec(self, name, path=None, target=None):
        if name == MODULE:
            raise KeyboardInterrupt

sys.meta_path.insert(0, CtrlC())
from sim.entry import main
main()
"""


@pytest.mark.parametrize(
    ("module", "command"), [("sim.cli.common", ["--version"]), ("sim.run.simulation", ["run", "epidemic"])]
)
def test_ctrl_c_while_loading_ends_in_one_sentence(module: str, command: list[str], tmp_path: Path) -> None:
    """Interrupted before its parts are loaded, the command says so, with the exit code of any interrupted command."""
    ended = subprocess.run(
        [sys.executable, "-c", STARTS_INTERRUPTED.replace("MODULE", repr(module)), *command],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "tickweave: interrupted\n")


@pytest.mark.parametrize(
    ("command", "unused"),
    [
        (["--version"], {"numpy", "httpx", "rich.progress", "sim.run.simulation"}),
        (["run", "skirmish", "--ticks", "1", "--quiet"], {"httpx", "scipy", "rich.live", "http.server"}),
    ],
    ids=["version", "run"],
)
def test_a_command_loads_only_what_it_needs(command: list[str], unused: set[str], tmp_path: Path) -> None:
    """Modules that take long to load stay out of commands that do not use them."""
    code = f"import sys; from sim.cli import invoke; assert invoke({command}) == 0; print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-P", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert unused & set(ast.literal_eval(done.stdout.splitlines()[-1])) == set()


def test_a_package_that_is_not_ours_is_told_in_one_sentence(tmp_path: Path) -> None:
    """Found before ours, written over ours, or missing: the sentence says which and what to do, and nothing is run."""
    home = tmp_path / "site"
    home.mkdir()
    shutil.copy(ROOT / "tickweave.py", home)
    for name in ("ai", "scenarios", "sim"):
        (home / name).mkdir()
        (home / name / "__init__.py").write_text("raise SystemExit('executed')")

    def said(*, path: Path) -> tuple[int, str]:
        code = f"import sys; sys.path.insert(0, {str(path)!r}); import tickweave; tickweave.main()"
        done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)
        return done.returncode, done.stderr

    other = tmp_path / "other"
    (other / "sim").mkdir(parents=True)
    (other / "sim" / "__init__.py").write_text("raise SystemExit('executed')")
    shutil.copy(ROOT / "tickweave.py", other)
    code, told = said(path=other)
    assert code == 2
    assert re.fullmatch(r"tickweave: the package 'ai' that Python finds is not Tickweave's .*own\n", told), told
    (home / "sim" / "__init__.py").write_text("VERSION = 1")
    code, told = said(path=home)
    assert code == 2
    assert re.fullmatch(r"tickweave: the package of Tickweave is not whole, or another one .*own\n", told), told
    shutil.rmtree(home / "ai")
    (home / "ai").write_text("")
    assert said(path=home)[0] == 2
