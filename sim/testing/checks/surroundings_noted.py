"""Notes what code of a user asks of its surroundings: variables of the environment, and files that it opens.

Requests of libraries and of Tickweave, and files that an import opens, are not noted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Final

from sim.messages import one_line
from sim.run.faults import is_ours, is_users

NOTES_MAX: Final = 20
"""Variables, and files, that are noted at most."""


@dataclass(slots=True)
class Notes:
    """Variables of the environment and files by name, each with the place in the user's code that asked first."""

    variables: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)


class _Watched(MutableMapping[str, str]):
    """The environment, which notes the code that reads it."""

    def __init__(self, environment: MutableMapping[str, str], notes: Notes) -> None:
        self._environment = environment
        self._notes = notes

    def __getitem__(self, name: str) -> str:
        _note(self._notes.variables, str(name))
        return self._environment[name]

    def __setitem__(self, name: str, value: str) -> None:
        self._environment[name] = value

    def __delitem__(self, name: str) -> None:
        del self._environment[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._environment)

    def __len__(self) -> int:
        return len(self._environment)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._environment, name)


def watch() -> Notes:
    """Note from now on, until the process ends."""
    notes = Notes()

    def opened(event: str, details: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(details[0], str | bytes | os.PathLike):
            _note(notes.files, os.fsdecode(details[0]))

    os.environ = _Watched(os.environ, notes)  # type: ignore[assignment]  # noqa: B003 - it stands before the old one
    sys.addaudithook(opened)
    return notes


def _note(noted: dict[str, str], name: str) -> None:
    if name in noted or len(noted) >= NOTES_MAX:
        return
    place = _asker(sys._getframe(2))  # noqa: SLF001 - the documented way to ask for the caller
    if place is not None:
        noted[name] = place


def _asker(frame: FrameType | None) -> str | None:
    """Return the place in a user's code that asked; None where it imports, or where ours asked on its behalf."""
    while frame is not None:
        code = frame.f_code
        if is_ours(code) or code.co_filename.startswith("<frozen importlib"):
            return None
        if is_users(code):
            return one_line(f"{Path(code.co_filename).name}, line {frame.f_lineno}")
        frame = frame.f_back
    return None
