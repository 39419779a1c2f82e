"""What other installed packages offer, by entry point group."""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points


@cache
def installed(group: str) -> tuple[EntryPoint, ...]:
    """Return a group's entry points in the order of their names.

    They are looked up once a process: finding them means reading what every installed package says of itself.
    """
    return tuple(sorted(entry_points(group=group), key=lambda point: (point.name, point.value)))
