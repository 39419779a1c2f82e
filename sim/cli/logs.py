"""The program's log on stderr: a line per record for people, or a JSON object per record for programs.

Every command writes warnings, each once. `run` also takes `--verbose` and `--log-json`.
"""

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
LINES_MAX: Final = 100
"""The most different warnings that one command writes."""

Verbose = Annotated[int, typer.Option("--verbose", "-v", count=True, help="Log the run's steps; twice: in detail.")]
LogJson = Annotated[bool, typer.Option("--log-json", help="Write the log as JSON, one object per line.")]


class _Stderr(logging.Handler):
    """Writes to the current stderr, so that a progress bar can make room; without `verbose`, each line once."""

    def __init__(self, *, verbose: bool, as_json: bool) -> None:
        super().__init__()
        self._once = not (verbose or as_json)
        self._as_json = as_json
        self._written: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        line = self._object(record) if self._as_json else f"tickweave: {one_line(record.getMessage())}"
        if self._once:
            if line in self._written or len(self._written) >= LINES_MAX:
                return
            self._written.add(line)
        try:
            sys.stderr.write(f"{line}\n")
        except (OSError, ValueError, AttributeError):
            return  # a closed or full stderr stops nothing

    @staticmethod
    def _object(record: logging.LogRecord) -> str:
        entry = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["exception"] = logging.Formatter().formatException(record.exc_info)
        return json.dumps(entry)


@contextmanager
def logs(verbose: int, *, as_json: bool) -> Iterator[None]:
    """Write the log on stderr in the block: warnings, with 1 also the steps, with 2 in detail."""
    logger = logging.getLogger(ROOT)
    before, level = logger.handlers[:], logger.level
    others = [handler for handler in before if not isinstance(handler, _Stderr)]
    logger.handlers = [*others, _Stderr(verbose=verbose > 0, as_json=as_json)]
    logger.setLevel(LEVELS[min(verbose, len(LEVELS) - 1)])
    try:
        yield
    finally:
        logger.handlers = before
        logger.setLevel(level)


@contextmanager
def warnings_only() -> Iterator[None]:
    """Write warnings on stderr in the block, unless the host program has configured logging itself."""
    if logging.getLogger().handlers or logging.getLogger(ROOT).handlers:
        yield
        return
    with logs(0, as_json=False):
        yield
