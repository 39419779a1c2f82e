"""Where scenarios come from: a name or a path in, a validated `Scenario` out, every fault in one sentence."""

from __future__ import annotations

import os
import re
import stat
import tomllib
from importlib import resources
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Final

from ai.entries import installed
from scenarios.tactics.scenario.model import Scenario
from sim.errors import ScenarioError
from sim.messages import one_line, quoted, shown, suggestion

FILE_BYTES_MAX: Final = 8 * 1024 * 1024
"""Bytes of a scenario file or of a file of inputs."""
DEPTH_MAX: Final = 32
"""How deep a scenario file may nest, and dots that one key may have."""
ENTRY_POINTS: Final = "tickweave.scenarios"
"""Entry point group for scenarios of other packages: each names a `Scenario`, or the path of a TOML file."""


def load(name_or_path: str | Path) -> Scenario:
    """Read a scenario by name (`skirmish`) or from a path (`./mine.toml`).

    A text with no directory in it and no `.toml` at its end is a name: of a shipped scenario, or of one that another
    package offers under the entry point group `tickweave.scenarios`.

    Raises:
        ScenarioError: there is no such scenario, or the file is not a valid one; one sentence that says where and why.

    >>> load("skirmish").agents
    20
    """
    if isinstance(name_or_path, Path) or _is_path(name_or_path):
        return from_toml(read_text(name_or_path), shown(str(name_or_path)))
    for name, found in _offers():
        if name == name_or_path:
            return _offered(name, found)
    hint = suggestion(name_or_path, [name for name, _ in _offers()], "scenarios")
    if os.path.lexists(name_or_path):
        hint = f"for the file of that name, write ./{shown(name_or_path)}"
    raise ScenarioError(one_line(f"no scenario {quoted(name_or_path)}; {hint}"))


def folder_of(name_or_path: str | Path) -> Path | None:
    """Return the folder of the file that `load` reads, where the scenario's plug-ins stand; None if it reads none."""
    if isinstance(name_or_path, Path) or _is_path(name_or_path):
        return Path(name_or_path).parent
    found = dict(_offers()).get(name_or_path)
    return found.parent if isinstance(found, Path) else None


def _is_path(text: str) -> bool:
    return text.endswith(".toml") or Path(text).name != text


def available() -> list[tuple[str, Scenario]]:
    """Return every scenario that `load` knows by name: the shipped ones, then those of other packages, in name order.

    Raises:
        ScenarioError: one of them cannot be read; the sentence names it.
    """
    return [(name, _offered(name, found)) for name, found in _offers()]


def from_toml(text: str, source: str) -> Scenario:
    """Read a scenario from TOML text; `source` stands first in a refusal.

    Raises:
        ScenarioError: it is no valid scenario; one sentence.
    """
    depth = _depth(text)
    if depth > DEPTH_MAX:
        raise ScenarioError(f"{source}: nests more than {DEPTH_MAX} levels deep; no key of a scenario does")
    try:
        data = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, ValueError, RecursionError) as error:
        raise ScenarioError(one_line(f"{source}: is not TOML: {error}")) from None
    return Scenario.from_canonical(data, source)


def read_text(path: str | Path) -> str:
    """Read a text file that a person named: a regular one, of bounded size, in UTF-8.

    Raises:
        ScenarioError: it cannot be read; one sentence.
    """
    source = shown(str(path))
    try:
        status = Path(path).stat()
        if stat.S_ISDIR(status.st_mode):
            raise ScenarioError(f"{source}: is a directory; name a file in it")
        if not stat.S_ISREG(status.st_mode):
            raise ScenarioError(f"{source}: is not a regular file")
        if status.st_size > FILE_BYTES_MAX:
            raise ScenarioError(f"{source}: has {status.st_size} bytes; at most {FILE_BYTES_MAX} are read")
        with Path(path).open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ScenarioError(one_line(f"{source}: cannot be read: {reason}")) from None
    return decode(data, source)


def decode(data: bytes, source: str) -> str:
    """Return bytes that came from outside as text.

    Raises:
        ScenarioError: there are too many, or they are not UTF-8; one sentence.
    """
    if len(data) > FILE_BYTES_MAX:
        raise ScenarioError(f"{source}: has more than {FILE_BYTES_MAX} bytes, which is the limit")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ScenarioError(f"{source}: is not UTF-8 at byte {error.start}; save it as UTF-8") from None


_TOKEN: Final = re.compile(
    r'"""(?:[^"\\]|\\.|"(?!""))*+(?:""")?|' + r"'''(?:[^']|'(?!''))*+(?:''')?|"
    r'"(?:[^"\\\n]|\\.)*+"?|' + r"'[^'\n]*+'?|#[^\n]*+|[\[\]{}.=,\n]",
    re.DOTALL,
)


def _depth(text: str) -> int:
    """Return how deep TOML text nests, in brackets or in dotted keys; tomllib takes far too long over a deep one."""
    deepest = depth = dots = 0
    for match in _TOKEN.finditer(text):
        mark = match.group()
        if mark in "[{":
            depth += 1
        elif mark in "]}":
            depth -= 1
        dots = dots + 1 if mark == "." else 0 if mark in "[]{}=,\n" else dots
        deepest = max(deepest, depth, dots)
    return deepest


def _offers() -> list[tuple[str, Path | EntryPoint]]:
    """Find what has a name, unread: shipped files in name order, then entry points in name order."""
    folder = Path(str(resources.files("scenarios.tactics")))
    shipped: list[tuple[str, Path | EntryPoint]] = [(path.stem, path) for path in sorted(folder.glob("*.toml"))]
    offers = shipped + [(point.name, point) for point in installed(ENTRY_POINTS)]
    names = [name for name, _ in offers]
    for name, found in offers:
        if names.count(name) > 1 and isinstance(found, EntryPoint):
            raise ScenarioError(
                f"entry point {found.value!r} offers scenario {name!r}, which there is already; rename it"
            )
    return offers


def _offered(name: str, found: Path | EntryPoint) -> Scenario:
    if isinstance(found, Path):
        return from_toml(read_text(found), str(found))
    source = f"scenario {name!r} of entry point {found.value!r}"
    try:
        offer = found.load()
    except Exception as error:
        raise ScenarioError(one_line(f"{source}: cannot be imported: {error!r}")) from error
    if isinstance(offer, Scenario):
        return offer
    if isinstance(offer, str | os.PathLike):
        return from_toml(read_text(Path(offer)), source)
    raise ScenarioError(
        f"{source}: is of type {type(offer).__name__}; it must be a Scenario or the path of a TOML file"
    )
