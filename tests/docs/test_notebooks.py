"""The notebooks run, as a reader runs them, and leave no worlds behind when a cell is run again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.optional import needs

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))
LEFT = """
import gc, esper
gc.collect()
print(sorted(esper.list_worlds()))
"""


@needs("nbclient")
@needs("ipykernel")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every cell runs; the cell that makes the simulation is run twice more, and only the last world is there."""
    import nbformat
    from nbclient import NotebookClient

    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = nbformat.read(path, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), f"{path.name} has outputs; clear them"
    making = [cell for cell in notebook.cells if cell.source.startswith("simulation = Simulation(")]
    again = [nbformat.v4.new_code_cell(cell.source) for cell in making * 2]
    notebook.cells += [*again, nbformat.v4.new_code_cell(LEFT)]
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    left = notebook.cells[-1].outputs[0]["text"]
    assert left.count("tickweave-") <= len(making), left
    shown = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert any("image/png" in output.get("data", {}) for output in shown), "no picture was drawn"


def test_there_are_three_notebooks() -> None:
    """A model of one's own, villagers with a language model, and a sweep."""
    assert [path.stem for path in NOTEBOOKS] == ["own-model", "sweep", "villagers"]
