"""Maps: given as rows or generated, with named places and objects."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from ai.actions import CELLS_MAX
from scenarios.tactics.draws import MAP
from scenarios.tactics.grid import Terrain
from scenarios.tactics.inputs import (
    CellIndex,
    Name,
)
from scenarios.tactics.map_objects import Door, MapObject, Scattered
from scenarios.tactics.scenario.placement import overlapping
from sim.engine.rng import Rng
from sim.messages import problem
from sim.run.settings import Part
from sim.space.arrays import UNREACHABLE
from sim.space.search import hops

if TYPE_CHECKING:
    from scenarios.tactics.settings import TacticsSettings

POIS_MAX: Final = 64
"""The most named places of a map."""
THINGS_MAX: Final = 1000
"""The most objects on a map."""
CELLS_TOTAL_MAX: Final = 4_194_304
"""The most cells of a map."""
GLYPHS: Final = {".": Terrain.FLOOR, "+": Terrain.COVER, "#": Terrain.WALL}
"""The characters of a map's rows, and their terrain."""
Terrains = NDArray[np.uint8]


class Place(Part):
    """A named place that all agents know."""

    name: Name = Field(description="Name of the place.")
    x: CellIndex = Field(description="Cells from the west edge, counted from 0.")
    y: CellIndex = Field(description="Cells from the north edge, counted from 0.")


class GeneratedMap(Part):
    """A map generated from a seed: walls and cover scattered over floor, with one connected open region.

    `mirrored` makes the east the mirror image of the west, so that neither side has an advantage.
    """

    width: int = Field(ge=4, le=CELLS_MAX, description="Cells from west to east.")
    height: int = Field(ge=4, le=CELLS_MAX, description="Cells from north to south.")
    walls_permille: int = Field(100, ge=0, le=400, description="Chance that a cell is a wall, per-mille.")
    cover_permille: int = Field(50, ge=0, le=400, description="Chance that a cell is cover, per-mille.")
    seed: int = Field(0, ge=0, lt=2**63, description="Seed of the map alone.")
    mirrored: bool = Field(False, description="Whether the east is the mirror image of the west.")


class Map(Part):
    """The map: either `rows` of equal length (`.` floor, `+` cover, `#` wall) or `generate`.

    `objects` stand on the cells in the file, `scattered` ones on cells that the run's seed draws.
    """

    rows: tuple[str, ...] = Field(
        (),
        max_length=CELLS_MAX,
        description="The map as text, rows of equal length: `.` floor, `+` cover, `#` wall; instead of `generate`.",
    )
    generate: GeneratedMap | None = Field(None, description="A map generated from a seed, instead of `rows`.")
    places: tuple[Place, ...] = Field(
        (), max_length=POIS_MAX, description="Named cells that all agents know: goals, objectives."
    )
    objects: tuple[MapObject, ...] = Field(
        (), max_length=THINGS_MAX, description="Objects that agents can use: doors, crates, posts, resources, stores."
    )
    scattered: tuple[Scattered, ...] = Field(
        (), max_length=THINGS_MAX, description="Objects on cells that the run's seed draws."
    )

    @property
    def width(self) -> int:
        """Cells from west to east."""
        return self.generate.width if self.generate else len(self.rows[0])

    @property
    def height(self) -> int:
        """Cells from north to south."""
        return self.generate.height if self.generate else len(self.rows)

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        if bool(self.rows) == (self.generate is not None):
            raise problem("", "needs exactly one of 'rows' (the map as text) and 'generate' (a generated map)")
        for y, row in enumerate(self.rows):
            if not row or len(row) > CELLS_MAX:
                raise problem(f"rows[{y}]", f"is {len(row)} cells wide; a row has 1 to {CELLS_MAX}")
            if len(row) != len(self.rows[0]):
                raise problem(f"rows[{y}]", f"is {len(row)} cells wide, the first row {len(self.rows[0])}; pad it")
            odd = re.search(f"[^{re.escape(''.join(GLYPHS))}]", row)
            if odd:
                known = ", ".join(f"{glyph!r} {kind.name.lower()}" for glyph, kind in GLYPHS.items())
                raise problem(f"rows[{y}]", f"has {odd.group()!a} at column {odd.start()}; use {known}")
        if self.width * self.height > CELLS_TOTAL_MAX:
            raise problem("", f"has {self.width * self.height} cells; at most {CELLS_TOTAL_MAX} are possible")
        self._check_places()
        self._check_objects()
        return self

    def _check_objects(self) -> None:
        spots: list[tuple[str, int, int]]
        listed: tuple[MapObject | Scattered, ...] = (*self.objects, *self.scattered)
        for index, thing in enumerate(listed):
            if isinstance(thing, Scattered):
                name, area = f"scattered[{index - len(self.objects)}]", thing.area
                spots = [(f"{name}.area", area.x + area.width - 1, area.y + area.height - 1)]
            else:
                name = f"objects[{index}]"
                spots = [(name, thing.x, thing.y)]
            if isinstance(thing.effect, Door):
                opening = thing.effect
                corner = opening.x + opening.width - 1, opening.y + opening.height - 1
                spots.append((f"{name}.effect", *corner))
            for key, x, y in spots:
                if x >= self.width or y >= self.height:
                    raise problem(key, f"reaches to ({x}, {y}), outside the {self.width} by {self.height} map")
        things = len(self.objects) + sum(group.count for group in self.scattered)
        if things > THINGS_MAX:
            raise problem("scattered", f"makes {things} things in all; at most {THINGS_MAX} are possible")
        areas = [group.area for group in self.scattered]
        for one, other in overlapping(areas, range(len(areas))):
            raise problem(f"scattered[{one}].area", f"overlaps that of scattered[{other}]; draw from areas apart")

    def _check_places(self) -> None:
        cells = terrain_of(self)
        names: set[str] = set()
        for index, place in enumerate(self.places):
            key = f"places[{index}]"
            if place.name in names:
                raise problem(f"{key}.name", f"{place.name!r} is used twice; names are unique")
            names.add(place.name)
            if place.x >= self.width or place.y >= self.height:
                where = f"({place.x}, {place.y})"
                raise problem(key, f"{place.name!r} at {where} is outside the {self.width} by {self.height} map")
            if cells[place.y, place.x] == Terrain.WALL:
                free = np.argwhere(cells != Terrain.WALL)
                hint = "there is no free cell"
                if len(free):
                    y, x = free[np.abs(free - (place.y, place.x)).sum(axis=1).argmin()]
                    hint = f"the nearest free cell is ({x}, {y})"
                raise problem(key, f"{place.name!r} at ({place.x}, {place.y}) stands in a wall; {hint}")


CELLS_AT_ONCE: Final = 1 << 16
"""The number of cells that are drawn together."""


@lru_cache(maxsize=4)
def generate_map(spec: GeneratedMap) -> Terrains:
    """Generate a map: `[height, width] uint8` terrain, read-only.

    Each cell is drawn independently. Then all cells outside the largest walkable region (four neighbours, ties to the
    region met first in row order) become wall, so that every open cell can be reached from every other. If that region
    and its mirror image do not meet, the row in which they are closest is opened.
    """
    rng = Rng(spec.seed)
    flat = np.empty(spec.height * spec.width, np.uint8)
    for first in range(0, len(flat), CELLS_AT_ONCE):
        part = flat[first : first + CELLS_AT_ONCE]
        drawn = rng.below(np.arange(first, first + len(part)), 0, MAP, 1000)
        part[:] = np.select(
            [drawn < spec.walls_permille, drawn < spec.walls_permille + spec.cover_permille],
            [Terrain.WALL, Terrain.COVER],
            Terrain.FLOOR,
        )
    cells = flat.reshape(spec.height, spec.width)
    if spec.mirrored:
        half = spec.width // 2
        cells[:, spec.width - half :] = cells[:, half - 1 :: -1]
    kept = _largest_region(cells != Terrain.WALL)
    if spec.mirrored and not np.array_equal(kept, kept[:, ::-1]):
        west = (kept | kept[:, ::-1])[:, :half]
        x = int(np.flatnonzero(west.any(axis=0))[-1])
        between = cells[int(west[:, x].argmax()), x : spec.width - x]
        between[between == Terrain.WALL] = Terrain.FLOOR
        kept = _largest_region(cells != Terrain.WALL)
    cells[~kept] = Terrain.WALL
    cells.flags.writeable = False
    return cells


def _largest_region(walkable: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the cells of the largest region; of equally large ones, the region met first in row order."""
    wide = np.pad(walkable, 1)
    free = wide.ravel().nonzero()[0]
    if len(free):
        # On most maps, the region in the middle has more than half of all cells, and is thereby the largest.
        stride = wide.shape[1]
        middle = free[min(np.searchsorted(free, wide.shape[0] // 2 * stride + stride // 2), len(free) - 1)]
        around = np.array([-stride, -1, 1, stride])
        steps = hops(middle[None], wide.ravel(), lambda level: (level[:, None] + around).ravel())
        found = steps.reshape(wide.shape)[1:-1, 1:-1] != UNREACHABLE
        if 2 * np.count_nonzero(found) > len(free):
            return np.asarray(found)
    from scipy import ndimage  # loading it takes longer than a short run

    regions, count = ndimage.label(walkable)
    sizes = np.bincount(regions.ravel(), minlength=count + 1)
    sizes[0] = 0
    largest: NDArray[np.bool_] = walkable & (regions == sizes.argmax())
    return largest


def terrain_of(plan: Map) -> Terrains:
    """Return the terrain of a map, from rows or generated: `[height, width] uint8`, codes of `Terrain`."""
    if plan.generate is not None:
        return generate_map(plan.generate)
    drawn = np.frombuffer("".join(plan.rows).encode("ascii"), np.uint8).reshape(plan.height, plan.width)
    cells = np.zeros_like(drawn)
    for glyph, kind in GLYPHS.items():
        cells[drawn == ord(glyph)] = kind
    return cells


def terrain(settings: TacticsSettings) -> Terrains:
    """Return the map at the start of a run: `[height, width] uint8`, codes of `scenarios.tactics.grid.Terrain`."""
    return terrain_of(settings.map).copy()
