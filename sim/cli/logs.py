"""What the program logs while it works, on stderr: for people a line each, for programs a JSON object each."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Final

import typer

from sim.messages import one_line

ROOT: Final = "tickweave"
"""The logger above all others of the program."""
LEVELS: Final = (logging.WARNING, logging.INFO, logging.DEBUG)

Verbose = Annotated[int, typer.Option("--verbose", "-v", count=True, help="Tell what is done; twice, in detail.")]
LogJson = Annotated[bool, typer.Option("--log-json", help="Write what is told as JSON, one object a line.")]


class _Lines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return f"tickweave: {one_line(record.getMessage())}"


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        told = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        return json.dumps(told)


class _Stderr(logging.Handler):
    """Writes to whatever stderr is at the moment: a progress bar moves aside for what is written there."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            sys.stderr.write(f"{self.format(record)}\n")
        except (OSError, ValueError, AttributeError):
            return  # a stderr that is closed or full stops nothing


@contextmanager
def logs(verbose: int, *, as_json: bool) -> Iterator[None]:
    """Write the program's log on stderr in the block: warnings, what is done with 1, in detail with 2."""
    logger, handler = logging.getLogger(ROOT), _Stderr()
    handler.setFormatter(_Json() if as_json else _Lines())
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(LEVELS[min(verbose, len(LEVELS) - 1)])
    try:
        yield
    finally:
        logger.setLevel(before)
        logger.removeHandler(handler)
