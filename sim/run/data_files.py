"""Data files of a run: declared in its settings, read once, known by their digest.

The bytes that are hashed are those that the model gets. A name is a path below the folder of the scenario file; no file
outside of that folder is read, whatever a scenario or recording of a stranger says. A recording has the digests of its
files, and a file of another content is never given to its run.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, Field

from sim.errors import MachineError, ScenarioError
from sim.messages import one_line, quoted, shown
from sim.run.files import read_bytes

FILES_MAX: Final = 64
"""Data files of a run."""
BYTES_MAX: Final = 256 * 1024 * 1024
"""Bytes of all data files of a run."""


class _DataName(str):
    """The value of a setting of the type `DataFile`, which tells it from other texts."""

    __slots__ = ()


DataFile = Annotated[
    str,
    Field(max_length=128, pattern=r"^(?:[A-Za-z0-9_][A-Za-z0-9_. -]*/)*[A-Za-z0-9_][A-Za-z0-9_. -]*$"),
    AfterValidator(_DataName),
]
"""A setting that names a file of data: a path below the folder of the scenario file. `Run.open` opens it."""


class DataFiles:
    """Where the data files of a run are, and what was read of them.

    Args:
        folders: the folders in which they are looked for, in order.
        recorded: the digests of a recording by name; then only files of these contents are given out.
    """

    def __init__(self, folders: Sequence[Path], recorded: Mapping[str, str] | None = None) -> None:
        self.folders = tuple(dict.fromkeys(folder.absolute() for folder in folders))
        self._recorded = recorded
        self._read: dict[str, bytes] = {}

    def of(self, settings: BaseModel) -> dict[str, bytes]:
        """Return the content of every file that settings declare, by name.

        Raises:
            ScenarioError: one is missing or cannot be read, or there are too many; one sentence.
            MachineError: it is not what a recording was made with.
        """
        # Defaults are not validated where settings are made, so their types say nothing before a second reading.
        again = type(settings).model_validate_json(settings.model_dump_json())
        names = list(dict.fromkeys(_named(again)))
        if len(names) > FILES_MAX:
            raise ScenarioError(f"settings name {len(names)} data files; at most {FILES_MAX} are read")
        for name in names:
            if name not in self._read:
                self._read[name] = self._content(name, BYTES_MAX - sum(map(len, self._read.values())))
        return {name: self._read[name] for name in names}

    def _content(self, name: str, left: int) -> bytes:
        if self._recorded is not None and name not in self._recorded:
            raise MachineError(f"the recording has no digest of the data file {quoted(name)}, which is declared here")
        refusal: ScenarioError | None = None
        for folder in self.folders:
            path = folder / name
            try:
                if not path.exists():
                    continue
                if not path.resolve().is_relative_to(folder.resolve()):
                    raise ScenarioError(f"{shown(str(path))}: is a link to another folder; put a copy in its place")
                content = read_bytes(path, left)
            except ScenarioError as error:
                refusal = refusal or error
                continue
            except OSError as error:
                refusal = refusal or ScenarioError(one_line(f"{shown(str(path))}: cannot be read: {error.strerror}"))
                continue
            if self._recorded is None or digest_of(content) == self._recorded[name]:
                return content
            refusal = ScenarioError(f"{shown(str(path))}: has changed since the recording")
        if self._recorded is not None:
            why = refusal or "it is not beside the recording, not in this folder, and not beside the domain's file"
            raise MachineError(f"the run needs the data file {quoted(name)} as it was recorded: {why}")
        if refusal is not None:
            raise refusal
        where = ", ".join(shown(str(folder)) for folder in self.folders)
        raise ScenarioError(f"there is no data file {quoted(name)} in {where}")


def digest_of(content: bytes) -> str:
    """Return the digest of a data file, as `sha256sum` prints it."""
    return hashlib.sha256(content).hexdigest()


def home_of(kind: type[Any]) -> Path | None:
    """Return the folder of the file that defines a class; None for a class that no file defines."""
    file = getattr(sys.modules.get(kind.__module__), "__file__", None)
    return None if file is None else Path(file).parent


def _named(value: object) -> Iterator[str]:
    """Yield the names of data files that a value holds, in order."""
    if isinstance(value, _DataName):
        yield str(value)
    elif isinstance(value, BaseModel):
        for field in type(value).model_fields:
            yield from _named(getattr(value, field))
    elif isinstance(value, dict):
        for each in value.values():
            yield from _named(each)
    elif isinstance(value, list | tuple | set | frozenset):
        for each in value:
            yield from _named(each)
