"""Script files of the clients that need no server: one JSON object a line, bounded, with errors that name the line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from ai.errors import ContractError

SCRIPT_BYTES_MAX: Final = 16 * 2**20  # bytes that a script may have
SCRIPT_LINES_MAX: Final = 100_000  # lines that a script may have


def script_lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the objects of a script, each with its place for messages; blank lines are passed over.

    Raises:
        ContractError: it cannot be read, is too large, or a line is not an object; the message names file and line.
    """
    try:
        if path.stat().st_size > SCRIPT_BYTES_MAX:
            raise ContractError(f"{path}: a script has at most {SCRIPT_BYTES_MAX} bytes")
        lines = path.read_text("utf-8").split("\n")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not a UTF-8 text file"
        raise ContractError(f"{path}: the script cannot be read: {reason}") from None
    if len(lines) > SCRIPT_LINES_MAX:
        raise ContractError(f"{path}: a script has at most {SCRIPT_LINES_MAX} lines, not {len(lines)}")
    for number, text in enumerate(lines, 1):
        if text.strip():
            where = f"{path}, line {number}"
            try:
                data = json.loads(text)
            except (ValueError, RecursionError):
                raise ContractError(f"{where}: not JSON") from None
            if not isinstance(data, dict):
                raise ContractError(f"{where}: a line must be an object")
            yield where, data


def unknown_field(where: str, data: dict[str, Any], known: tuple[str, ...]) -> None:
    """Refuse a line with a field that nobody reads.

    Raises:
        ContractError: it has one.
    """
    for name in data:
        if name not in known:
            raise ContractError(f"{where}: unknown field {str(name)[:40]!r}; known: {', '.join(known)}")
