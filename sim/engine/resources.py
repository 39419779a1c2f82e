"""Resources: state that belongs to no entity, hashed and snapshotted with the world."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from numpy.typing import NDArray

from sim.engine.columns import frozen_copy


class Resource(Protocol):
    """Is state that belongs to no entity: a map, a payload store. Hashed and snapshotted with the world."""

    name: str
    stamp: int
    """Changes whenever the content changes."""

    def columns(self) -> Mapping[str, NDArray[Any]]:
        """Hand out the content as arrays by name."""
        ...

    def restore(self, columns: Mapping[str, NDArray[Any]]) -> None:
        """Take over content that `columns` handed out earlier; the arrays must be copied."""
        ...


class ResourceCopies:
    """Copies resources' columns; what was copied for one snapshot serves the next ones until the content changes."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[tuple[int, int], Mapping[str, NDArray[Any]]]] = {}

    def of(self, resource: Resource, restores: int) -> Mapping[str, NDArray[Any]]:
        """Return a read-only copy of a resource's columns; `restores` is how often its world was restored."""
        # A resource may take its old stamp back in restore() and meet it again with other content.
        stamp = (resource.stamp, restores)
        kept = self._kept.get(resource.name)
        if kept is None or kept[0] != stamp:
            columns = {column: frozen_copy(array) for column, array in sorted(resource.columns().items())}
            kept = self._kept[resource.name] = stamp, columns
        return kept[1]
