"""An exception of foreign code, in one sentence: where in the run, where in the user's own code, and what it says."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Final

import ai
import sim
from sim.messages import one_line, shown
from sim.run.simulation import FAULT_NOTE

_OURS: Final = tuple(str(Path(str(package.__file__)).parent) for package in (ai, sim))
_LIBRARIES: Final = ("site-packages", "dist-packages", str(Path(traceback.__file__).parent))


def fault_of(error: BaseException) -> str | None:
    """Return the sentence for an exception that foreign code raised; None where no foreign code took part."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith((*_OURS, "<")) and not any(part in frame.filename for part in _LIBRARIES)
    ]
    where = [note.removeprefix(FAULT_NOTE) for note in getattr(error, "__notes__", ()) if note.startswith(FAULT_NOTE)]
    if not frames:
        return None
    last = frames[-1]
    place = f"{shown(Path(last.filename).name)}, line {last.lineno}, in {last.name}"
    return one_line(f"{'; '.join([*where[:1], place])}: {type(error).__name__}: {error}")
