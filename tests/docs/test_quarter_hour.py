"""A person's first quarter of an hour: the script runs as it stands, and the page says what it is and counts right."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from sim.cli.new import MODEL
from tests.support.code_lines import code_lines

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "docs" / "quarter-hour.sh"
MESA = ROOT / "benchmarks" / "peers" / "mesa_wealth.py"
PAGE = (ROOT / "docs" / "quarter-hour.md").read_text("utf-8")


def test_the_script_runs(tmp_path: Path) -> None:
    """Every command of the script succeeds in an empty folder, and leaves what it promises."""
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "QUARTER_HOUR_INSTALL": "",
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
    }
    del environment["TICKWEAVE_TRUST"]
    done = subprocess.run(
        ["bash", str(SCRIPT)], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    made = tmp_path / "wealth"
    for name in ("wealth.py", "test_wealth.py", "wealth.html", "wealth.png", "sweep.png", "wealth.tables/agents.csv"):
        assert (made / name).stat().st_size > 100, name
    assert "match, 200 ticks" in done.stdout
    assert "40 cells, 0 failed" in done.stdout
    assert "is stronger" in done.stdout


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
