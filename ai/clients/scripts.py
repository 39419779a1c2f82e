"""Script files of the clients that need no server: one JSON object a line, bounded, with errors that name the line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypeVar

from pydantic import BaseModel, ValidationError

from ai.actions.registry import reason_of
from ai.errors import ContractError

SCRIPT_BYTES_MAX: Final = 16 * 2**20  # bytes that a script may have
SCRIPT_LINES_MAX: Final = 100_000  # lines that a script may have

M = TypeVar("M", bound=BaseModel)


def script_lines(path: Path, of: type[M]) -> Iterator[M]:
    """Yield the lines of a script; blank lines are passed over.

    Raises:
        ContractError: it cannot be read, is too large, or a line is wrong; the message names file and line.
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
            yield checked_line(of, data, where)


def checked_line(of: type[M], data: object, where: str) -> M:
    """Return one line of a script as an object of type `of`.

    Raises:
        ContractError: it cannot be one; the message names the place and the field.
    """
    try:
        return of.model_validate(data)
    except ValidationError as error:
        raise ContractError(f"{where}: {reason_of(error)}") from None
