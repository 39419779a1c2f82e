"""What all agents of a batch know alike: the map and its named places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ai.actions import CELLS_MAX
from ai.snapshot.world import Poi, WorldSnapshot


@dataclass(frozen=True, slots=True)
class SharedMap:
    """The part of the world that all agents of a batch know: size, walls, cover and named places.

    `blocked` and `cover` are `[height, width] bool`, or None where unknown (snapshots that came as objects).
    """

    width: int = CELLS_MAX
    height: int = CELLS_MAX
    blocked: NDArray[np.bool_] | None = None
    cover: NDArray[np.bool_] | None = None
    pois: tuple[Poi, ...] = ()
    head: bytes = field(init=False, repr=False, compare=False)
    """What a batch's digest takes from here; made once, as many batches share a map."""

    def __post_init__(self) -> None:
        """Write size and places down."""
        object.__setattr__(self, "head", f"{self.width},{self.height},{self.pois}".encode())


def shared_map(snapshots: Sequence[WorldSnapshot]) -> SharedMap:
    """Find the bounds that hold for every snapshot of a batch, and the places that all of them name.

    Each agent's own bounds bind its own plan in the prompt.
    """
    known = [s.bounds for s in snapshots if s.bounds is not None]
    common = set.intersection(*(set(s.pois) for s in snapshots)) if snapshots else set()
    pois = tuple(sorted(common, key=lambda poi: (poi.k, poi.pos.x, poi.pos.y)))
    if not known:
        return SharedMap(pois=pois)
    return SharedMap(width=min(b.width for b in known), height=min(b.height for b in known), pois=pois)
