"""Another interpreter: a module of ours in a process of its own, which reads its question as JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import RLock
from typing import Any, Final

_LOCK: Final = RLock()


@contextmanager
def without_folder() -> Iterator[None]:
    """Keep the current folder off the path for imports of every interpreter that is started in the block."""
    with _LOCK:  # of two threads, the second would restore what the first has set
        before = os.environ.get("PYTHONSAFEPATH")
        os.environ["PYTHONSAFEPATH"] = "1"
        try:
            yield
        finally:
            if before is None:
                os.environ.pop("PYTHONSAFEPATH", None)
            else:
                os.environ["PYTHONSAFEPATH"] = before


@contextmanager
def interpreter(
    module: str,
    asked: Mapping[str, Any],
    environment: Mapping[str, str],
    *,
    stderr: int = subprocess.DEVNULL,
    folder: str | None = None,
) -> Iterator[subprocess.Popen[str]]:
    """Start a module and hand it one JSON object on its standard input; an error in the block kills the process.

    The current folder is not on the process's path for imports, so that no other `ai` or `sim` is found there.

    Args:
        module: a dotted name, for `python -m`.
        asked: the object.
        environment: variables that differ from those of this process.
        stderr: the target of its standard error, as in `subprocess`.
        folder: its working folder; that of this process unless given.
    """
    process = subprocess.Popen(  # noqa: S603 - our own module in our own interpreter
        [sys.executable, "-P", "-m", module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        env={**os.environ, **environment},
        cwd=folder,
    )
    assert process.stdin is not None
    with process:
        try:
            process.stdin.write(json.dumps(asked))
            process.stdin.close()
            process.stdin = None  # so that `communicate` works
            yield process
        except BaseException:
            process.kill()
            raise
