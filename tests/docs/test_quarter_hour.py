"""A person's first quarter of an hour: the script runs as it stands, and the page says what it is and counts right."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from sim.cli.new import MODEL
from tests.support.code_lines import code_lines

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "docs" / "quarter-hour.sh"
MESA = ROOT / "benchmarks" / "page" / "mesa_wealth.py"
PAGE = (ROOT / "docs" / "quarter-hour.md").read_text("utf-8")


def run_in_a_terminal(folder: Path, **environment: str) -> tuple[int, str]:
    """Run the script in a folder, as a person does in a terminal; return its exit code and what the terminal got."""
    left = ("TICKWEAVE_TRUST", "PYTHONPATH", "QUARTER_HOUR_INSTALL")
    inherited = {name: value for name, value in os.environ.items() if name not in left}
    own = {"XDG_CONFIG_HOME": str(folder / "config"), "TERM": "xterm-256color", "COLUMNS": "120", "LINES": "40"}
    terminal, inside = pty.openpty()
    with subprocess.Popen(
        ["bash", str(SCRIPT)],
        cwd=folder,
        env={**inherited, **own, **environment},
        stdin=subprocess.DEVNULL,
        stdout=inside,
        stderr=inside,
    ) as process:
        os.close(inside)
        said = bytearray()
        with suppress(OSError):  # Linux ends a terminal that nobody holds so
            while piece := os.read(terminal, 65_536):
                said += piece
    os.close(terminal)
    return process.returncode, re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", said.decode(errors="replace")).replace("\r", "")


def check(folder: Path, code: int, said: str) -> None:
    """Check that every command has done its part."""
    assert code == 0, said[-3000:]
    made = folder / "wealth"
    for name in ("wealth.py", "test_wealth.py", "wealth.html", "wealth.png", "sweep.png", "wealth.tables/agents.csv"):
        assert (made / name).stat().st_size > 100, name
    assert re.search(r"wealth  tick 200 of 200 .* ticks/s  100 agents", said)
    assert "match, 200 ticks" in said
    assert "40 cells, 0 failed" in said
    assert "foraging: 10 games" in said


def test_the_script_runs(tmp_path: Path) -> None:
    """Every command of the script succeeds in an empty folder, and leaves what it promises."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    check(tmp_path, *run_in_a_terminal(tmp_path, PATH=path, PYTHONPATH=str(ROOT), QUARTER_HOUR_INSTALL=""))


@pytest.mark.nightly
def test_the_script_installs_and_runs(tmp_path: Path) -> None:
    """The same with its first step: pip installs this tree and its extras into a fresh environment."""
    check(tmp_path, *run_in_a_terminal(tmp_path, QUARTER_HOUR_INSTALL=f"{ROOT}[tables,plot]"))
    assert (tmp_path / ".venv" / "bin" / "tickweave").exists()


def test_the_page_shows_the_script_and_counts_right(tmp_path: Path) -> None:
    """The page has the script's own commands, and its numbers are those of the files."""
    commands = SCRIPT.read_text("utf-8").partition("fi\n")[2].strip()
    assert f"```bash\n{commands}\n```" in PAGE
    (tmp_path / "wealth.py").write_text(MODEL.format(name="wealth", title="Wealth"))
    before = MESA.read_text("utf-8").partition("if __name__")[0]
    (tmp_path / "mesa.py").write_text(before)
    ours, model = code_lines(tmp_path / "wealth.py"), code_lines(tmp_path / "mesa.py")
    rest = code_lines(MESA) - model
    calls = len(re.findall(r"^tickweave ", commands, re.MULTILINE))
    assert f"| lines of the model | {ours} | {model} |" in PAGE
    assert f"| lines for tables, pictures and the sweep | 0 | {rest} |" in PAGE
    assert f"| commands | {calls} | 1 |" in PAGE
