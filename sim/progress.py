"""Progress of long work in notebooks: a bar under the cell; nothing elsewhere, where programs show their own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Final

QUICK_S: Final = 1.0
"""Work that takes less is not shown, seconds."""
Progress = Callable[[int, int], None]
"""Receives how much is done and how much there is in all."""


def in_notebook() -> bool:
    """Return whether this process is the kernel of a notebook."""
    ipython: Any = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return type(shell).__name__ == "ZMQInteractiveShell"


@contextmanager
def notebook_progress(what: str) -> Iterator[Progress]:
    """Give a function that shows progress under a notebook's cell; elsewhere it does nothing."""
    if not in_notebook():
        yield lambda _done, _of: None
        return
    from time import perf_counter

    display: Any = import_module("IPython.display").display
    began = perf_counter()
    handle: Any = None
    shown = -1.0

    def show(done: int, of: int) -> None:
        nonlocal handle, shown
        now = perf_counter()
        if now - began < QUICK_S or (now - shown < QUICK_S / 4 and done < of):
            return
        shown = now
        left = f", {(now - began) / done * (of - done):.0f} s left" if done and done < of else ""
        line = {"text/plain": f"{what}: {done:,} of {of:,}{left}"}
        if handle is None:
            handle = display(line, raw=True, display_id=True)
        else:
            handle.update(line, raw=True)

    yield show
