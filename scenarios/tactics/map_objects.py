"""Objects on the map: objects of the scenario, which stand there from the start, and dropped items, which lie there.

Each has an id that is never used again. Objects of the scenario stay on the map even when nothing is left in them;
dropped items disappear when an agent picks them up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from ai.actions import CELLS_MAX, KEY_MAX
from scenarios.tactics.components import Position, Senses
from scenarios.tactics.equipment import EquipmentTables
from scenarios.tactics.grid import Grid, Occupancy
from scenarios.tactics.inputs import CellIndex, Name, Rect
from scenarios.tactics.snapshot import OBJECTS_MAX
from sim.run.world import World

if TYPE_CHECKING:
    from scenarios.tactics.settings import TacticsSettings

ENDLESS: Final = -1
"""The remaining amount of an object that never runs out."""
PAIRS_AT_ONCE: Final = 1_000_000
"""The most pairs of agents and objects that are compared at once."""

Rows = NDArray[np.intp]
Ints = NDArray[np.int32]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, defer_build=True)


class Door(_Part):
    """Turns a rectangle of cells into floor: a door, a lever."""

    kind: Literal["open"] = "open"
    x: CellIndex = Field(description="West edge of the rectangle that becomes floor, cells from the west.")
    y: CellIndex = Field(description="North edge of the rectangle, cells from the north.")
    width: int = Field(1, ge=1, le=CELLS_MAX, description="Cells from west to east.")
    height: int = Field(1, ge=1, le=CELLS_MAX, description="Cells from north to south.")


class Crate(_Part):
    """Gives a number of an item with each use: a crate, a cache."""

    kind: Literal["give"] = "give"
    item: Name = Field(description="Name of the item.")
    each: int = Field(1, ge=1, le=100, description="Pieces for each use.")


class Heals(_Part):
    """Gives back hit points: a first-aid post."""

    kind: Literal["heal"] = "heal"
    amount: int = Field(20, ge=1, le=10_000, description="Hit points for each use.")


class ResourceNode(_Part):
    """Gives a number of units of cargo with each use: a resource."""

    kind: Literal["yield"] = "yield"
    each: int = Field(1, ge=1, le=1000, description="Units of cargo for each use.")


class Depot(_Part):
    """Takes all cargo and counts it as delivered by the agent's team (`team`: only by that one): a store, an exit."""

    kind: Literal["take"] = "take"
    team: Name | None = Field(None, description="The one team that may deliver here; without it, every team.")


class _Thing(_Part):
    kind: Name = Field(description="Name of the thing, as agents see it.")
    effect: Door | Crate | Heals | ResourceNode | Depot = Field(
        discriminator="kind", description="Effect of interacting with it."
    )
    stock: int | None = Field(
        None, ge=0, le=1_000_000, description="Uses, pieces or units that it holds; without a value, it never runs out."
    )


class MapObject(_Thing):
    """An object on the map: its kind, its cell, its effect, and its stock (by default it never runs out)."""

    x: CellIndex = Field(description="Cells from the west edge, counted from 0.")
    y: CellIndex = Field(description="Cells from the north edge, counted from 0.")


class Scattered(_Thing):
    """A number of equal objects, each on a cell of the area that the run's seed draws."""

    area: Rect = Field(description="Area in which they may stand.")
    count: int = Field(ge=1, le=1000, description="Number of objects.")


class Objects:
    """Holds the objects of a world by ascending id. A resource of the world.

    `what [m]` is a position in `specs`, or -1 - item for a dropped item; `left [m]` is the amount left in it.

    Args:
        standing: the objects on the map at the start (`scenarios.tactics.scenario.place_things`).
        gear: the scenario's items.
    """

    name = "Objects"

    def __init__(self, standing: Sequence[MapObject], gear: EquipmentTables) -> None:
        self.specs: Sequence[MapObject] = standing
        self.kinds = tuple(sorted({thing.kind for thing in standing} | set(gear.items)))
        self._kind_of_spec = [self.kinds.index(thing.kind) for thing in standing]
        self._kind_of_item = [self.kinds.index(item) for item in gear.items]
        self.id: Ints = np.arange(len(standing), dtype=np.int32)
        self.what: Ints = np.arange(len(standing), dtype=np.int32)
        self.x: Ints = np.array([thing.x for thing in standing], np.int32)
        self.y: Ints = np.array([thing.y for thing in standing], np.int32)
        self.left: Ints = np.array([ENDLESS if t.stock is None else t.stock for t in standing], np.int32)
        self.next_id = len(standing)
        self.stamp = 0

    def __len__(self) -> int:
        return len(self.id)

    def columns(self) -> Mapping[str, NDArray[Any]]:
        """Return one row per object, and the id that the next one gets."""
        return {
            "id": self.id,
            "what": self.what,
            "x": self.x,
            "y": self.y,
            "left": self.left,
            "next_id": np.array([self.next_id], np.int32),
        }

    def restore(self, columns: Mapping[str, NDArray[Any]]) -> None:
        """Take over columns that `columns` returned."""
        for name in ("id", "what", "x", "y", "left"):
            setattr(self, name, columns[name].copy())
        self.next_id = int(columns["next_id"][0])
        self.stamp += 1

    def places(self, ids: Ints) -> Rows:
        """Return the positions of objects in the columns, -1 for those that are gone."""
        if not len(self.id):
            return np.full(len(ids), -1, np.intp)
        found = np.minimum(np.searchsorted(self.id, ids), len(self.id) - 1)
        return np.where(self.id[found] == ids, found, -1)

    def kind_of(self, places: Rows) -> Ints:
        """Return the kinds of objects, as positions in `kinds`."""
        table = np.array([*self._kind_of_spec, *self._kind_of_item[::-1]], np.int32)
        return table[self.what[places]]

    def lay(self, items: NDArray[np.integer[Any]], x: Ints, y: Ints) -> None:
        """Put one piece of each item on a cell, in the order given."""
        room = min(len(items), KEY_MAX - self.next_id)
        new = np.arange(self.next_id, self.next_id + room, dtype=np.int32)
        self.id = np.concatenate([self.id, new])
        self.what = np.concatenate([self.what, (-1 - items[:room]).astype(np.int32)])
        self.x, self.y = np.concatenate([self.x, x[:room]]), np.concatenate([self.y, y[:room]])
        self.left = np.concatenate([self.left, np.ones(room, np.int32)])
        self.next_id += room
        self.stamp += 1

    def draw(self, places: Rows, wanted: Ints) -> Ints:
        """Take the wanted amounts from objects, in the order of requests, and return each agent's amount."""
        left = np.where(self.left[places] == ENDLESS, KEY_MAX, self.left[places]).astype(np.int64)
        order = np.argsort(places, kind="stable")
        ranked, asked = places[order], wanted[order].astype(np.int64)
        before = np.cumsum(asked) - asked
        first = np.searchsorted(ranked, ranked)
        got = np.zeros(len(places), np.int64)
        got[order] = np.clip(left[order] - (before - before[first]), 0, asked)
        limited = self.left[places] != ENDLESS
        np.subtract.at(self.left, places[limited], got[limited].astype(np.int32))
        taken_up = (self.what < 0) & (self.left == 0)
        if taken_up.any():
            for name in ("id", "what", "x", "y", "left"):
                setattr(self, name, getattr(self, name)[~taken_up])
        self.stamp += 1
        return got.astype(np.int32)


def kinds_of(settings: TacticsSettings, gear: EquipmentTables) -> tuple[str, ...]:
    """Return the possible kinds of objects of a scenario, sorted."""
    listed = (*settings.map.objects, *settings.map.scattered)
    return tuple(sorted({thing.kind for thing in listed} | set(gear.items)))


def objects_seen(objects: Objects, world: World, grid: Grid, occupancy: Occupancy, rows: Rows) -> dict[str, Any]:
    """Return the columns of an observation for the objects that agents see, nearest first, ties by id."""
    if not len(objects):
        return {"id": np.zeros((len(rows), 0), np.int64)}
    count = len(objects)
    found = np.full((len(rows), OBJECTS_MAX), -1, np.int64)
    cut = np.zeros(len(rows), np.int32)
    cells = grid.cell(objects.x, objects.y)
    x, y, sight = world[Position].x, world[Position].y, world[Senses].sight
    step = max(PAIRS_AT_ONCE // count, 1)
    for start in range(0, len(rows), step):
        part = rows[start : start + step]
        dx, dy = objects.x - x[part][:, None], objects.y - y[part][:, None]
        distance2 = dx * dx + dy * dy
        viewer, thing = (distance2 <= (sight[part].astype(np.int32) ** 2)[:, None]).nonzero()
        clear = grid.sees(occupancy.cells[part[viewer]], cells[thing])
        viewer, thing = viewer[clear], thing[clear]
        order = np.lexsort((thing, distance2[viewer, thing], viewer))
        viewer, thing = viewer[order], thing[order]
        place = np.arange(len(viewer)) - np.searchsorted(viewer, viewer)
        near = place < OBJECTS_MAX
        found[start + viewer[near], place[near]] = thing[near]
        cut[start : start + step] = np.bincount(viewer[~near], minlength=len(part))
    there = found >= 0

    def listed(column: Ints, absent: int = 0) -> NDArray[np.int32]:
        return np.where(there, column[found], absent).astype(np.int32)

    return {
        "id": listed(objects.id, -1).astype(np.int64),
        "kind": listed(objects.kind_of(np.arange(count))),
        "pos": (listed(objects.x), listed(objects.y)),
        "state": listed(objects.left),
        "more": cut,
    }
