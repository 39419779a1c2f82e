"""An error of a user's own code, in one sentence: the place in the run and in that code, the message."""

from __future__ import annotations

import contextlib
from pathlib import Path
from types import CodeType
from typing import Final

import ai.errors
import sim.errors
from ai.errors import AIError
from sim.errors import SimError
from sim.messages import error_text, one_line, shown

FAULT_NOTE: Final = "tickweave: "
"""How the note begins that says where in a run an exception was raised."""

_OURS: Final = tuple(str(Path(str(module.__file__)).parent) for module in (ai.errors, sim.errors))
_LIBRARIES: Final = ("site-packages", "dist-packages", str(Path(contextlib.__file__).parent))


def fault_of(error: BaseException) -> str | None:
    """Return the sentence for an error; None where no code but ours and that of libraries took part.

    An error of ours, which says what to do, stands without its type.
    """
    if isinstance(error.__cause__, StopIteration):
        error = error.__cause__  # a generator that it passes turns it into a RuntimeError
    trace, last = error.__traceback__, None
    while trace is not None:
        if is_users(trace.tb_frame.f_code):
            last = (trace.tb_frame.f_code, trace.tb_lineno)
        trace = trace.tb_next
    if last is None:
        return None
    code, line = last
    where = [note.removeprefix(FAULT_NOTE) for note in getattr(error, "__notes__", ()) if note.startswith(FAULT_NOTE)]
    place = f"{shown(Path(code.co_filename).name)}, line {line}, in {code.co_qualname}"
    said = str(error) if isinstance(error, SimError | AIError) else error_text(error)
    return one_line(f"{'; '.join([*where[:1], place])}: {said}")


def trouble_of(error: OSError | MemoryError) -> str:
    """Return the sentence for trouble of the machine, which says nothing about a run."""
    if isinstance(error, MemoryError):
        place = fault_of(error)
        return f"out of memory{f' ({place})' if place else ''}; try fewer agents, a smaller map, or fewer processes"
    where = f"{shown(str(error.filename))}: " if error.filename else ""
    return fault_of(error) or one_line(f"{where}{error.strerror or error}")


def is_ours(code: CodeType) -> bool:
    """Return whether code is of the framework."""
    return code.co_filename.startswith(_OURS)


def is_users(code: CodeType) -> bool:
    """Return whether code is neither ours nor a library's."""
    file = code.co_filename
    return not is_ours(code) and not file.startswith("<") and not any(part in file for part in _LIBRARIES)
