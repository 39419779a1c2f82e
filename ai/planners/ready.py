"""A cache for the things that planners prepare once for each registry and observation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from ai.actions import ToolRegistry
from ai.observation import Layout, ObservationBatch

T = TypeVar("T")
KEPT_MAX = 16
"""The most pairs of registry and layout that are kept."""


class Ready(Generic[T]):
    """Keeps the result of `make` for each registry and layout."""

    def __init__(self, make: Callable[[ToolRegistry, Layout], T]) -> None:
        self._make = make
        self._kept: dict[tuple[ToolRegistry, Layout], T] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Pickle without the results, which hold functions; they are made again."""
        return {"_make": self._make, "_kept": {}}

    def of(self, registry: ToolRegistry, batch: ObservationBatch[Any]) -> T:
        """Return the result for a registry and the layout of a batch."""
        key = registry, batch.layout
        if key not in self._kept:
            if len(self._kept) >= KEPT_MAX:
                self._kept.clear()
            self._kept[key] = self._make(*key)
        return self._kept[key]
