"""Files that a person names: regular ones, of bounded size, as UTF-8 text, as TOML."""

from __future__ import annotations

import difflib
import os
import re
import stat
import tomllib
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, Final

from sim.errors import ScenarioError
from sim.messages import one_line, shown

FILE_BYTES_MAX: Final = 8 * 1024 * 1024
"""The most bytes of a scenario, a Python file of a domain, or a file of inputs."""
LISTED_MAX: Final = 10_000
"""Names of a folder that are looked through for a suggestion."""
DEPTH_MAX: Final = 32
"""How deep TOML may nest, and dots that one key may have."""


def read_bytes(path: str | Path, limit: int = FILE_BYTES_MAX) -> bytes:
    """Read a file that a person named, of at most `limit` bytes.

    Raises:
        ScenarioError: the file cannot be read, is not a regular file, or is too large; the message is one sentence.
    """
    source = shown(str(path))
    try:
        status = Path(path).stat()
        if stat.S_ISDIR(status.st_mode):
            raise ScenarioError(f"{source}: is a directory; name a file in it")
        if not stat.S_ISREG(status.st_mode):
            raise ScenarioError(f"{source}: is not a regular file")
        if status.st_size > limit:
            raise ScenarioError(f"{source}: has {status.st_size} bytes; at most {limit} are read")
        with open(path, "rb", opener=_opened) as file:
            data = file.read(limit + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ScenarioError(one_line(f"{source}: cannot be read: {reason}{near_file(path)}")) from None
    if len(data) > limit:
        raise ScenarioError(f"{source}: has more than {limit} bytes, which is the limit")
    return data


def near_file(path: str | Path) -> str:
    """Return a suggestion for a name that is not there: a file of the same kind beside it that was probably meant."""
    wanted = Path(path)
    with suppress(OSError, ValueError):
        if not os.path.lexists(wanted):
            with os.scandir(wanted.parent) as found:
                alike = [each.name for each in islice(found, LISTED_MAX) if each.name.endswith(wanted.suffix)]
            for near in difflib.get_close_matches(wanted.name, alike, n=1):
                return f"; did you mean {shown(str(wanted.with_name(near)))}?"
    return ""


def _opened(path: str, flags: int) -> int:
    """Open a file; a pipe that takes its place in this moment is not waited for."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def read_text(path: str | Path) -> str:
    """Read a text file that a person named.

    Raises:
        ScenarioError: as `read_bytes`, or it is not UTF-8.
    """
    return decode(read_bytes(path), shown(str(path)))


def decode(data: bytes, source: str, limit: int = FILE_BYTES_MAX) -> str:
    """Return bytes from outside as text; error messages start with `source`.

    Raises:
        ScenarioError: there are too many bytes, or they are not UTF-8; the message is one sentence.
    """
    if len(data) > limit:
        raise ScenarioError(f"{source}: has more than {limit} bytes, which is the limit")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ScenarioError(f"{source}: is not UTF-8 at byte {error.start}; save it as UTF-8") from None


def read_toml(path: str | Path) -> dict[str, Any]:
    """Read a TOML file that a person named.

    Raises:
        ScenarioError: as `read_text` and `parsed_toml`.
    """
    return parsed_toml(read_text(path), shown(str(path)))


def parsed_toml(text: str, source: str) -> dict[str, Any]:
    """Return what TOML text holds; error messages start with `source`.

    Raises:
        ScenarioError: it is not TOML, or nests too deep: `tomllib` takes far too long over such a text.
    """
    if _depth(text) > DEPTH_MAX:
        raise ScenarioError(f"{source}: nests more than {DEPTH_MAX} levels deep; no key of a scenario does")
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ScenarioError(one_line(f"{source}: is not TOML: {error}")) from None


_TOKEN: Final = re.compile(
    r'"""(?:[^"\\]|\\.|"(?!""))*+(?:""")?|' + r"'''(?:[^']|'(?!''))*+(?:''')?|"
    r'"(?:[^"\\\n]|\\.)*+"?|' + r"'[^'\n]*+'?|#[^\n]*+|[\[\]{}.=,\n]",
    re.DOTALL,
)


def _depth(text: str) -> int:
    """Return how deep TOML text nests, in brackets or in dotted keys."""
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
