"""Commands that are measured from outside: each runs as a process of its own, with compiled bytecode."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
"""Variables of processes that are compared with this one: one thread each, as `run.sh` says."""
USERS = {name: value for name, value in ENVIRONMENT.items() if not name.endswith("_THREADS")}
"""Variables of commands as a user types them."""
TICKWEAVE = (sys.executable, "-P", "-m", "sim")


def spent(command: Sequence[str], folder: Path) -> tuple[float, float]:
    """Return the seconds that a command takes, by the clock and of the processor.

    Raises:
        SystemExit: it fails.
    """
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=USERS, capture_output=True, text=True, check=False)
    wall, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"{' '.join(command)[:200]}: {done.stderr[-500:]}")
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def said(code: str, *words: str, python: str = sys.executable, folder: Path | None = None) -> str:
    """Return the last line that a piece of Python prints.

    Raises:
        SystemExit: it fails.
    """
    command = [python, "-c", code, *words]
    done = subprocess.run(command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(words)} in {folder or '.'}: {done.stderr[-500:]}")
    return done.stdout.splitlines()[-1]
