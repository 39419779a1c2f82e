"""Other surroundings: variables, time zone, language and working folder differ, and undeclared files are named.

The check notes every request to the surroundings. So a variable is named only after another value of it
has come to another run, and a file only where the user's code has opened it.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Final

from sim.errors import MachineError, SimError
from sim.testing.checks.base import Case, Check, Checked, Finding, Untested
from sim.testing.checks.processes import Other, compare

VARIED: Final = {
    "TZ": "Pacific/Kiritimati",
    "LANG": "tr_TR.UTF-8",
    "LC_ALL": "C.UTF-8",
    "USER": "somebody",
    "LOGNAME": "somebody",
    "COLUMNS": "40",
}
"""Variables that are always different in the other process."""


ADVICE: Final = "declare it as a setting of the type DataFile and open it with run.open"


def _run(case: Case) -> Checked:
    with tempfile.TemporaryDirectory() as elsewhere:
        folder = elsewhere
        try:
            found, notes = compare(case, Other({**VARIED, "PWD": folder}, folder=folder, notes=True))
        except MachineError:
            raise
        except SimError:  # perhaps a file that is found in this folder alone
            folder = str(Path.cwd())
            found, notes = compare(case, Other(VARIED, folder=folder, notes=True))
            if not notes.get("files"):
                raise
        if isinstance(found, Untested):
            return found
        for name, place in notes.get("variables", {}).items():
            changed = {**VARIED, name: another(os.environ.get(name))}
            other, _ = compare(case, Other(changed, folder=folder))
            if isinstance(other, Finding):
                said = f"{place}, reads the variable {name!r} of the environment; make it a setting"
                return replace(other, reason=said)
    for name, place in notes.get("files", {}).items():
        return Finding(None, reason=f"{place}, opens the file {name!r}, which no replay knows; {ADVICE}")
    return found


def another(value: str | None) -> str:
    """Return another value of a variable, one of its kind."""
    if value is None:
        return "1"
    return str(int(value) + 1) if value.isascii() and value.isdigit() else f"{value}x"


CHECK: Final = Check(
    "surroundings",
    "another process with other variables, time zone, language and working folder",
    "the environment: a variable, the time zone, a relative path, a file of data",
    _run,
)
