"""The command starts quietly, whatever comes while it loads."""

from __future__ import annotations

import subprocess
import sys

STARTS_INTERRUPTED = """
import sys

class CtrlC:
    def find_spec(self, name, path=None, target=None):
        if name == "sim.run.simulation":
            raise KeyboardInterrupt

sys.meta_path.insert(0, CtrlC())
from sim.entry import main
main()
"""


def test_ctrl_c_while_loading_ends_in_one_sentence() -> None:
    """Interrupted before its parts are loaded, the command says so, with the exit code of any interrupted command."""
    ended = subprocess.run(
        [sys.executable, "-c", STARTS_INTERRUPTED, "--version"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "tickweave: interrupted\n")
