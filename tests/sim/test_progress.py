"""Progress in notebooks: a line under the cell that is written again, and nothing anywhere else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sim.progress import notebook_progress
from tests.support.optional import needs

ROOT = Path(__file__).parents[2]
SLOW = """
import time
from sim import Simulation, load

class Slow:
    def on_tick(self, report):
        time.sleep(0.1)

with Simulation(load("market"), seed=1, listeners=[Slow()]) as simulation:
    simulation.run(30)
"""
QUICK = """
with Simulation(load("market"), seed=1) as simulation:
    simulation.run(3)
"""


@needs("nbclient")
@needs("ipykernel")
def test_a_slow_cell_shows_its_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of some seconds has one line, which says in the end that all is done; a quick run has none."""
    import nbformat
    from nbclient import NotebookClient

    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(each) for each in (SLOW, QUICK)])
    written = []
    client = NotebookClient(notebook, timeout=300)
    client.on_cell_executed = lambda cell, **_: written.append([each.get("data", each) for each in cell.outputs])
    client.execute()
    assert written == [[{"text/plain": "market: 30 of 30"}], []]


def test_elsewhere_nothing_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """Outside of a notebook the function does nothing, and loads nothing."""
    with notebook_progress("work") as show:
        show(1, 2)
    assert capsys.readouterr() == ("", "")
