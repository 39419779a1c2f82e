"""Consent to execute local Python files, once a folder and remembered, as editors trust a workspace.

A scenario or replay can name Python files: a domain, or plug-ins. Loading them executes them. A path that a person
typed counts as consent for that file's folder, and so does `--trust`. Otherwise a terminal asks; without a terminal the
command ends.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Final

import typer

from sim.cli.common import require_file, usage
from sim.errors import MachineError, ScenarioError, SimError
from sim.messages import shown
from sim.replay.format import Header
from sim.replay.reader import iter_records, open_source
from sim.run.files import read_toml
from sim.run.scenario_file import Scenario, load, python_files
from sim.run.writing import whole

Trust = Annotated[
    bool,
    typer.Option(
        "--trust", help="Execute the local Python files of the scenario or replay; remembered for their folder."
    ),
]
"""The option of every command that may execute local code."""
ENVIRONMENT: Final = "TICKWEAVE_TRUST"
"""Set to 1, this variable is consent for everything; for automation."""
FOLDERS_MAX: Final = 10_000
"""The most folders that are remembered."""


def load_scenario(name: str, *, trust: bool) -> Scenario:
    """Load a scenario after consent to its local Python files.

    Raises:
        ExitError: consent was not given.
        ScenarioError: it is not valid.
    """
    if name.endswith(".py"):
        remember([Path(name).absolute().parent])
    else:
        require(local_files(name), trust=trust)
    return load(name)


def local_files(name: str) -> list[Path]:
    """Return the Python files that loading a scenario file would execute; none for a name."""
    if not name.endswith(".toml"):
        return []
    with suppress(ScenarioError):  # `load` reports the fault
        return [Path(name).parent / each for each in python_files(read_toml(name))]
    return []


def files_of(replay: Path, given: Sequence[Path] | None, *, trust: bool) -> tuple[Path, ...]:
    """Return the Python files of a replay's run: those given, and those beside the replay or in this folder.

    The replay's folder comes last: data files are looked for in it.

    Raises:
        ExitError: consent was not given for a file that was found.
    """
    files = list(given or ())
    remember([file.absolute().parent for file in files if file.exists()])
    found: list[Path] = []
    for name in _named(replay):
        if Path(name).name in [file.name for file in files]:
            continue
        beside = [folder / name for folder in (replay.parent, Path()) if (folder / name).is_file()]
        found += beside[:1]
    require(found, trust=trust)
    return (*files, *found, replay.parent)


def _named(replay: Path) -> list[str]:
    """Return the Python files that a replay's header names; none if it cannot be read."""
    try:
        with open_source(replay) as stream:
            header = next(iter_records(stream)).body
    except (SimError, OSError, StopIteration):
        return []
    return python_files(header.scenario) if isinstance(header, Header) else []


def require(files: Iterable[Path], *, trust: bool) -> None:
    """Make sure that a person agreed to execute these files.

    Raises:
        ExitError: consent was not given.
    """
    asked = [file for file in files if not remembered([file])]
    if not asked:
        return
    names = ", ".join(shown(str(file)) for file in asked)
    if not trust and not _agreed(names):
        raise usage(f"would execute {names}; read that code, then add --trust")
    remember([file.absolute().parent for file in asked])


def remembered(files: Sequence[Path]) -> bool:
    """Return whether consent was given before for the folders of all of these files."""
    known = _folders()
    return os.environ.get(ENVIRONMENT) == "1" or all(str(file.absolute().parent) in known for file in files)


def trust_metrics(specs: Sequence[str] | None) -> None:
    """Remember the folders of files that a person named as metrics: a path that is typed is consent."""
    for spec in specs or ():
        place = spec.rpartition(":")[0]
        if place.endswith(".py"):
            require_file(place)
            remember([Path(place).absolute().parent])


def _agreed(names: str) -> bool:
    if sys.stdin is None or sys.stderr is None or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    return typer.confirm(f"This executes {names}. Do you trust this folder?", err=True)


def remember(folders: Sequence[Path]) -> None:
    """Remember consent for folders; if that cannot be written, it holds for this command alone."""
    known = _folders()
    new = [str(folder) for folder in folders if str(folder) not in known]
    if not new:
        return
    store = _store()
    try:
        store.parent.mkdir(parents=True, exist_ok=True)
        with whole(store, replace=True) as file:
            file.write((json.dumps({"folders": [*known, *new][-FOLDERS_MAX:]}, indent=1) + "\n").encode())
    except (OSError, MachineError):
        return


def _folders() -> list[str]:
    try:
        data = json.loads(_store().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    folders = data.get("folders") if isinstance(data, dict) else None
    return [each for each in folders if isinstance(each, str)] if isinstance(folders, list) else []


def _store() -> Path:
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "tickweave" / "trusted.json"
