"""What planning tests share: two tiny registries, snapshots by hand, and plans as bare integers."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, ClassVar

import numpy as np
from hypothesis import strategies as st

from ai.actions import Action, Record, ToolRegistry, known, name, number, on, seconds, several, words
from ai.observation import Cell, ObservationBatch
from ai.plans import PlanBatch
from scenarios.tactics.snapshot import WorldSnapshot
from scenarios.tactics.testing.planning import MAP_HEIGHT, MAP_WIDTH


class Speed(StrEnum):
    """How fast to walk."""

    WALK = "walk"
    RUN = "run"


class MoveTo(Action):
    """Walk to a cell."""

    x: int = on("bounds", axis="x")
    y: int = on("bounds", axis="y")
    speed: Speed | None = None


class Attack(Action):
    """Attack an enemy you see."""

    target_id: int = known("enemies")


class Approach(Action):
    """Go towards an enemy, up to a distance."""

    target_id: int = known("enemies")
    distance: int = number(1, 64, rounded=True, default=2)


class Retreat(Action):
    """Go away from an enemy, up to a distance."""

    target_id: int = known("enemies")
    distance: int = number(1, 64, rounded=True, default=8)


class AimedShot(Action):
    """Shoot an enemy with care; not one of the common verbs."""

    first_tier: ClassVar[bool] = False
    target_id: int = known("enemies")


class Heal(Action):
    """Heal yourself or an ally."""

    target_id: int | None = known("allies", "self", "player", default=None)


class TakeCover(Action):
    """Go behind cover."""

    position: Cell | None = on("bounds", default=None)


class Reload(Action):
    """Load your weapon."""


class ThrowSmoke(Action):
    """Throw smoke on a cell."""

    x: int = on("bounds", axis="x")
    y: int = on("bounds", axis="y")


class ThrowExplosive(Action):
    """Throw an explosive on a cell."""

    x: int = on("bounds", axis="x")
    y: int = on("bounds", axis="y")


class Block(Action):
    """Brace against the next hit."""


class Scan(Action):
    """Look around for a moment."""

    radius: int = number(1, 64, rounded=True, default=10)


class Wait(Action):
    """Stay where you are for some seconds."""

    duration: float = seconds(default=1.0)


KINDS: tuple[type[Action], ...] = (
    MoveTo, Attack, Approach, Retreat, AimedShot, Heal, TakeCover, Reload, ThrowSmoke, ThrowExplosive, Block,
    Scan, Wait,
)  # fmt: skip


def small_registry(offered: list[str] | None = None) -> ToolRegistry:
    """Return a registry of the kinds above that offers all of them or those named."""
    return ToolRegistry(KINDS, idle=Wait(), offered=offered)


class UseItem(Action):
    """Use a thing you carry."""

    first_tier: ClassVar[bool] = False
    item_name: str = name("items")


class Interact(Action):
    """Do something with a thing you see."""

    first_tier: ClassVar[bool] = False
    target_id: int = known("objects")


class Patrol(Action):
    """Walk from cell to cell."""

    first_tier: ClassVar[bool] = False
    waypoints: tuple[Cell, ...] = several(2, 4, on("bounds"))
    pace: Speed = Speed.RUN


class Site(Record):
    """Where and how much."""

    at: Cell = on("bounds")
    share: float = number(0, 1, scale=1000, default=0.5)
    why: str | None = words(20, default=None)


class Dig(Action):
    """Change the ground."""

    first_tier: ClassVar[bool] = False
    title: str = words(12)
    site: Site


WIDE: tuple[type[Action], ...] = (*KINDS, UseItem, Interact, Patrol, Dig)
NAMES = {"items": ("medkit", "rope", "smoke")}


def wide_registry() -> ToolRegistry:
    """Return a registry of all kinds above, with names, objects, lists and records."""
    return ToolRegistry(WIDE, idle=Wait(), tables=NAMES)


def snapshot(*, x: int = 5, y: int = 5, **fields: Any) -> WorldSnapshot:
    """Return a snapshot on the small map; `me` adds to the agent's own fields."""
    me = {"pos": {"x": x, "y": y}, **fields.pop("me", {})}
    bounds = {"width": MAP_WIDTH, "height": MAP_HEIGHT}
    return WorldSnapshot.model_validate({"bounds": bounds, "me": me, **fields})


def enemy(key: int, x: int, y: int, **fields: Any) -> dict[str, Any]:
    """Return one enemy in the form a snapshot takes."""
    return {"id": key, "pos": {"x": x, "y": y}, **fields}


def agents(n: int, **fields: Any) -> list[tuple[int, WorldSnapshot]]:
    """Return agents 1 to n, each on its own cell and with the same knowledge otherwise."""
    return [(k, snapshot(x=k % MAP_WIDTH, **fields)) for k in range(1, n + 1)]


def one_row(world: WorldSnapshot, key: int = 1) -> ObservationBatch[WorldSnapshot]:
    """Return a batch of one agent."""
    return WorldSnapshot.from_objects([(key, world)], tables=NAMES)


def raw_plans(keys: np.ndarray[Any, np.dtype[np.int64]], registry: ToolRegistry) -> st.SearchStrategy[PlanBatch]:
    """Draw plans as bare integers, near the borders of what is legal."""
    n = len(keys)
    stored = st.sampled_from([-(2**31), -1, 0, 1, 2, 5, 11, 12, 15, 16, 64, 65, 100, 600_000, 600_001, 2**31 - 1])

    def build(drawn: tuple[list[int], list[list[int]], list[list[list[int]]]]) -> PlanBatch:
        lengths, kinds, args = drawn
        plans = PlanBatch.empty(keys, 2)
        plans.length[:] = lengths
        plans.kind[:] = np.array(kinds, np.int16).reshape(2, n)
        plans.args[:] = np.array(args, np.int32).reshape(2, 4, n)
        return plans

    def fixed(of: st.SearchStrategy[Any], size: int) -> st.SearchStrategy[list[Any]]:
        return st.lists(of, min_size=size, max_size=size)

    codes = st.integers(-1, len(registry.specs))
    return st.tuples(fixed(st.integers(0, 2), n), fixed(fixed(codes, n), 2), fixed(fixed(fixed(stored, n), 4), 2)).map(
        build
    )
