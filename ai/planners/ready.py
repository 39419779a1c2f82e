"""What planners make ready once for a registry and an observation, and keep."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from ai.actions import ToolRegistry
from ai.observation import Layout, ObservationBatch

T = TypeVar("T")
KEPT_MAX = 16
"""Registries for which something is kept."""


class Ready(Generic[T]):
    """Keeps what `make` gives for each registry and layout."""

    def __init__(self, make: Callable[[ToolRegistry, Layout], T]) -> None:
        self._make = make
        self._kept: dict[tuple[ToolRegistry, Layout], T] = {}

    def of(self, registry: ToolRegistry, batch: ObservationBatch[Any]) -> T:
        """Return what was made for a registry and the layout of a batch."""
        key = registry, batch.layout
        if key not in self._kept:
            if len(self._kept) >= KEPT_MAX:
                self._kept.clear()
            self._kept[key] = self._make(*key)
        return self._kept[key]
