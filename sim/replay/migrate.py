"""Brings replays of older formats to the present one: a table of steps, each from one format to the next.

A step gets the records of one format, in order, as plain data, and yields those of the next. What is written last must
be what the present reader takes; whether running the migrated replay again gives the same is for `verify`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from sim.errors import Corrupt, Incomplete, ReplayError, Unsupported
from sim.messages import one_line
from sim.replay.format import (
    FORMAT,
    HEADER,
    LINE_BYTES_MAX,
    MINOR,
    TICK,
    LineError,
    canonical,
    chain,
    decode_body,
    encode_line,
    split_line,
)
from sim.replay.reader import is_packed, open_source, read
from sim.replay.record import HASH_CHARS

BACKUP: Final = ".bak"
"""What the name of a replay's backup adds."""
Records = Iterator[tuple[str, dict[str, Any]]]
"""Kinds and bodies."""

OLDEST: Final = "tickweave/0"
"""The first form. It was written before any release and named itself `tickweave/1`; its ticks tell it."""


def _from_0(records: Records) -> Records:
    """Shorten hashes: `state` was a table with sixteen digits by component, `columns` a text with eight a column."""
    components: list[str] = []
    for kind, body in records:
        if kind == HEADER:
            components = body["components"]
            yield kind, {**body, "format": "tickweave/1"}
        elif kind == TICK:
            state = "".join(body["state"][name][:HASH_CHARS] for name in components)
            columns = "".join(body["columns"][at : at + HASH_CHARS] for at in range(0, len(body["columns"]), 8))
            yield kind, {**body, "state": state, "columns": columns}
        else:
            yield kind, body


STEPS: Final[dict[str, tuple[str, Callable[[Records], Records]]]] = {OLDEST: ("tickweave/1", _from_0)}
"""By format: the next one, and what leads there."""


def migrate(path: Path) -> str | None:
    """Bring a replay to the present format, in its own file; returns the format it had, None if it was the present one.

    What stood there is kept beside it, under the name with `.bak` added.

    Raises:
        Unsupported: it is of a format that is not known here, or of a newer one.
        Incomplete, Corrupt: it is not whole; the message says what to do.
        ReplayError: there is no such file, it cannot be written, or there is a backup already.
    """
    if is_packed(path):
        raise ReplayError(f"{path}: is packed; unpack it first")
    records = _records(path)
    found = version = _version(path, records)
    minor = records[0][1].get("minor", MINOR)
    if version == FORMAT and type(minor) is int and minor > MINOR:
        raise Unsupported(f"{path}: is of a newer minor version, {minor}, than is known here ({MINOR})")
    if version == FORMAT:
        return None
    while version != FORMAT:
        if version not in STEPS:
            raise Unsupported(f"{path}: format {version!r} is not known here; this brings older ones to {FORMAT!r}")
        version, step = STEPS[version]
        try:
            records = list(step(iter(records)))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise Corrupt(one_line(f"{path}: is not what format {found!r} holds: {error!r}")) from None
    lines, last = [], ""
    for kind, body in records:
        line, last = encode_line(last, kind, canonical(body))
        lines.append(line)
    data = b"".join(lines)
    read(data)  # refuses what cannot be read here before anything is written
    _replace(path, data)
    return found


def _version(path: Path, records: list[tuple[str, dict[str, Any]]]) -> str:
    header = records[0][1]
    version = header.get("format")
    if records[0][0] != HEADER or not isinstance(version, str):
        raise Corrupt(f"{path}: the first line holds no header, so it is no replay")
    ticks = [body for kind, body in records[1:2] if kind == TICK]
    if version == "tickweave/1" and ticks and isinstance(ticks[0].get("state"), dict):
        return OLDEST
    return version


def _records(path: Path) -> list[tuple[str, dict[str, Any]]]:
    """Read kinds and bodies of any format whose lines are chained as in the present one.

    Raises:
        Corrupt, Incomplete: a line is damaged; there is no end record.
    """
    found: list[tuple[str, dict[str, Any]]] = []
    last = ""
    with open_source(path) as stream:
        while line := stream.readline(LINE_BYTES_MAX + 1):
            try:
                parts = split_line(line)
                if chain(last, parts.kind, parts.body) != parts.chain:
                    raise LineError("breaks the chain")
                found.append((parts.kind, decode_body(parts.body)))
            except LineError as error:
                raise Corrupt(one_line(f"{path}: line {len(found) + 1}: {error}; it was left as it is")) from None
            last = parts.chain
    if not found:
        raise Incomplete(f"{path}: is empty")
    return found


def _replace(path: Path, data: bytes) -> None:
    """Put other bytes in a file's place and keep the old ones as its backup; a backup is never overwritten.

    Raises:
        ReplayError: that cannot be done.
    """
    backup = path.with_name(path.name + BACKUP)
    fresh = path.with_name(f"{path.name}.partial")
    try:
        with backup.open("xb") as copy:
            copy.write(path.read_bytes())
    except FileExistsError:
        raise ReplayError(f"{backup}: is there already; move it away first") from None
    except OSError as error:
        raise ReplayError(f"{backup}: cannot be written: {error.strerror or error}") from None
    try:
        fresh.write_bytes(data)
        fresh.replace(path)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise ReplayError(f"{path}: cannot be written: {error.strerror or error}") from None
