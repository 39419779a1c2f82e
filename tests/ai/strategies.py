"""What planning tests share: two tiny registries, snapshots by hand, and plans as bare integers."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

import numpy as np
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from ai.actions import (
    ActionStep,
    AllyId,
    Cell,
    CellX,
    CellY,
    Distance,
    EnemyId,
    ItemName,
    ObjectId,
    Payload,
    Role,
    Scan,
    Share,
    Text,
    ToolRegistry,
    Wait,
)
from ai.plans import PlanBatch
from ai.snapshot import AgentId, SnapshotBatch, WorldSnapshot
from scenarios.tactics.testing.planning import MAP_HEIGHT, MAP_WIDTH


class Speed(StrEnum):
    """How fast to walk."""

    WALK = "walk"
    RUN = "run"


class MoveTo(ActionStep):
    """Walk to a cell."""

    act: Literal["MoveTo"] = "MoveTo"
    x: CellX
    y: CellY
    speed: Speed | None = None


class Attack(ActionStep):
    """Attack an enemy you see."""

    act: Literal["Attack"] = "Attack"
    target_id: EnemyId


class Approach(ActionStep):
    """Go towards an enemy, up to a distance."""

    act: Literal["Approach"] = "Approach"
    target_id: EnemyId
    distance: Distance = 2


class Retreat(ActionStep):
    """Go away from an enemy, up to a distance."""

    act: Literal["Retreat"] = "Retreat"
    target_id: EnemyId
    distance: Distance = 8


class AimedShot(ActionStep):
    """Shoot an enemy with care; not one of the common verbs."""

    act: Literal["AimedShot"] = "AimedShot"
    target_id: EnemyId


class Heal(ActionStep):
    """Heal yourself or an ally."""

    act: Literal["Heal"] = "Heal"
    target_id: AllyId | None = None


class TakeCover(ActionStep):
    """Go behind cover."""

    act: Literal["TakeCover"] = "TakeCover"
    position: Cell | None = None


class Reload(ActionStep):
    """Load your weapon."""

    act: Literal["Reload"] = "Reload"


class ThrowSmoke(ActionStep):
    """Throw smoke on a cell."""

    act: Literal["ThrowSmoke"] = "ThrowSmoke"
    x: CellX
    y: CellY


class ThrowExplosive(ActionStep):
    """Throw an explosive on a cell."""

    act: Literal["ThrowExplosive"] = "ThrowExplosive"
    x: CellX
    y: CellY


class Block(ActionStep):
    """Brace against the next hit."""

    act: Literal["Block"] = "Block"


KINDS: tuple[type[ActionStep], ...] = (
    MoveTo, Attack, Approach, Retreat, AimedShot, Heal, TakeCover, Reload, ThrowSmoke, ThrowExplosive, Block,
    Scan, Wait,
)  # fmt: skip


def small_registry(offered: list[str] | None = None) -> ToolRegistry:
    """Return a registry of the kinds above that offers all of them or those named."""
    return ToolRegistry(KINDS, offered=offered)


class UseItem(ActionStep):
    """Use a thing you carry."""

    act: Literal["UseItem"] = "UseItem"
    item_name: ItemName


class Interact(ActionStep):
    """Do something with a thing you see."""

    act: Literal["Interact"] = "Interact"
    target_id: ObjectId


class Patrol(ActionStep):
    """Walk from cell to cell."""

    act: Literal["Patrol"] = "Patrol"
    waypoints: Annotated[tuple[Cell, ...], Field(min_length=2, max_length=4), Payload()]
    pace: Speed = Speed.RUN


class Site(BaseModel):
    """Where and how much."""

    at: Cell
    share: Share = 0.5
    why: Annotated[Text, Field(max_length=20)] | None = None


class Dig(ActionStep):
    """Change the ground."""

    act: Literal["Dig"] = "Dig"
    name: Annotated[Text, Field(max_length=12), Payload()]
    site: Annotated[Site, Payload()]


WIDE: tuple[type[ActionStep], ...] = (*KINDS, UseItem, Interact, Patrol, Dig)
NAMES = {Role.ITEM: ("smoke", "rope", "medkit")}


def wide_registry() -> ToolRegistry:
    """Return a registry of all kinds above, with names, objects, lists and records."""
    return ToolRegistry(WIDE, names=NAMES)


def snapshot(*, x: int = 5, y: int = 5, **fields: Any) -> WorldSnapshot:
    """Return a snapshot on the small map; `me` adds to the agent's own fields."""
    me = {"pos": {"x": x, "y": y}, **fields.pop("me", {})}
    bounds = {"width": MAP_WIDTH, "height": MAP_HEIGHT}
    return WorldSnapshot.model_validate({"bounds": bounds, "me": me, **fields})


def enemy(key: int, x: int, y: int, **fields: Any) -> dict[str, Any]:
    """Return one enemy in the form a snapshot takes."""
    return {"id": key, "pos": {"x": x, "y": y}, **fields}


def agents(n: int, **fields: Any) -> list[tuple[AgentId, WorldSnapshot]]:
    """Return agents 1 to n, each on its own cell and with the same knowledge otherwise."""
    return [(AgentId(k), snapshot(x=k % MAP_WIDTH, **fields)) for k in range(1, n + 1)]


def one_row(world: WorldSnapshot, key: int = 1) -> SnapshotBatch:
    """Return a batch of one agent."""
    return SnapshotBatch.from_snapshots([(AgentId(key), world)])


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
