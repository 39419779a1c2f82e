"""Counts lines of code: those that hold more than docstrings, comments and blanks."""

from __future__ import annotations

import ast
import io
import tokenize
from pathlib import Path
from typing import Final

_NO_CODE: Final = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}


def code_lines(path: Path) -> int:
    """Return the lines of code of a Python file."""
    source = path.read_text("utf-8")
    told: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        for each in getattr(node, "body", None) if isinstance(getattr(node, "body", None), list) else ():
            # A string that stands alone, also below a constant, is documentation.
            if (
                isinstance(each, ast.Expr)
                and isinstance(each.value, ast.Constant)
                and isinstance(each.value.value, str)
            ):
                told.update(range(each.lineno, (each.end_lineno or each.lineno) + 1))
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    held = {line for token in tokens if token.type not in _NO_CODE for line in range(token.start[0], token.end[0] + 1)}
    return len(held - told)


def code_lines_of(folder: Path) -> int:
    """Return the lines of code of all Python files of a folder."""
    return sum(code_lines(path) for path in sorted(folder.rglob("*.py")))
