"""Entry points of installed packages, by group."""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any


@cache
def installed(group: str) -> tuple[EntryPoint, ...]:
    """Return a group's entry points in the order of their names.

    They are looked up once per process, because that reads the metadata of every installed package.
    """
    return tuple(sorted(_all().select(group=group), key=lambda point: (point.name, point.value)))


@cache
def _all() -> Any:  # in Python 3.11 this is another class, with the same method
    return entry_points()
