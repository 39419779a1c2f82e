"""Foragers of several families pick berries from bushes in a field and carry them to their camps; bushes run out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import BaseModel, Field

from ai.actions import PromptText, known, number, on, pick
from ai.observation import Cell, Entry, Id, Observation, fact
from ai.planners.playbook import Consideration, Option
from ai.rules import Rule
from sim import (
    Act,
    Action,
    Component,
    Domain,
    Each,
    Grid,
    Inputs,
    Look,
    Observe,
    Plan,
    Portrayal,
    Resource,
    Run,
    Settings,
    Sum,
    System,
    World,
    column,
    i8,
    i16,
    i32,
    purpose,
)
from sim.space import walk

CELL, BERRIES = map(purpose, ("cell", "berries"))


class Place(Component):
    """The cell of a forager or bush; `run.space` makes addresses."""

    cell: i32


class Forager(Component):
    """Marks a forager: its family (an index of `families`) and the berries it carries."""

    family: i8
    load: i16


class Bush(Component):
    """Marks a bush, with its berries."""

    berries: i16


class Store(Resource):
    """Berries at each family's camp, and the camp's cell."""

    berries: i32 = column(per="families")
    camp: i32 = column(per="families")


class Picked(Each):
    """Attempts to pick a berry, by the bush's row; values are the foragers' rows."""

    @classmethod
    def apply(cls, world: World, run: Run, targets: Any, values: Any) -> None:
        """Give each bush's berries to the lowest keys."""
        bush, rank = world[Bush].berries, np.arange(len(targets)) - np.searchsorted(targets, targets)
        got = rank < bush[targets]
        world[Forager].load[values[got]] += 1
        world.scatter_add(bush, targets[got], -1)


class Stored(Sum):
    """Berries brought home, by family."""

    @classmethod
    def apply(cls, world: World, run: Run, targets: Any, values: Any) -> None:
        """Add them to the store."""
        world[Store].berries[targets] += values


class Seen(Entry):
    """A bush in sight that has berries."""

    id: Annotated[int, Id("bushes")]
    pos: Cell
    berries: int = fact(quiet=0, dtype="i2")


class Meadow(BaseModel, frozen=True):
    """The size of the field, cells."""

    width: int
    height: int


class Knowledge(Observation):
    """The knowledge of a forager."""

    pos: Cell = fact(say="")
    load: int = fact(quiet=0, say="carries {} of {room}", dtype="i2")
    room: int = fact(say="", dtype="i2")
    home: Cell
    bushes: tuple[Seen, ...] = fact(default=(), limit=6, nearest=True)
    field: Meadow = fact(shared=True, say="Field")


class Go(Action):
    """Walk to a cell."""

    timed: ClassVar[bool] = False
    to: Cell = on("field")

    @classmethod
    def advance(cls, turn: Any, rows: Any, args: Any) -> Any:
        """Take one step per tick."""
        grid, cell = turn.run.space, turn[Place].cell
        goals = grid.cell(args.to_x, args.to_y)
        cell[rows] = walk.toward(grid, cell[rows], goals)
        return cell[rows] == goals


class Pick(Action):
    """Pick a berry from a bush that you stand at."""

    reasons: ClassVar[tuple[str, ...]] = ("gone", "too far", "empty", "full")
    bush: int = known("bushes")

    @classmethod
    def refused(cls, turn: Any, rows: Any, args: Any) -> Any:
        """Refuse a bush elsewhere, one without berries, and a full basket."""
        at, cell = turn.target_rows(args.bush), turn[Place].cell
        return {
            "gone": at < 0,
            "too far": turn.run.space.chebyshev(cell[at], cell[rows]) > 1,
            "empty": turn[Bush].berries[at] == 0,
            "full": turn[Forager].load[rows] >= turn.run.settings.room,
        }

    @classmethod
    def apply(cls, turn: Any, rows: Any, args: Any) -> None:
        """Try to pick a berry."""
        turn.send(Picked, rows, rows, at=turn.target_rows(args.bush))


class Unload(Action):
    """Put your berries into the store of your camp."""

    reasons: ClassVar[tuple[str, ...]] = ("not at home", "nothing to store")

    @classmethod
    def refused(cls, turn: Any, rows: Any, args: Any) -> Any:
        """Refuse foragers that are not at home or carry nothing."""
        forager = turn[Forager]
        away = turn[Place].cell[rows] != turn[Store].camp[forager.family[rows]]
        return {"not at home": away, "nothing to store": forager.load[rows] == 0}

    @classmethod
    def apply(cls, turn: Any, rows: Any, args: Any) -> None:
        """Add the load to the store, and empty the basket."""
        forager = turn[Forager]
        turn.send(Stored, rows, forager.load[rows], at=forager.family[rows])
        forager.load[rows] = 0


class Rest(Action):
    """Do nothing for some ticks."""

    ticks: int = number(1, 20, default=1)

    @classmethod
    def duration_ticks(cls, turn: Any, rows: Any, args: Any) -> Any:
        """Return the number of ticks that the step asks for."""
        return args.ticks


class Grow(System):
    """Berries grow. Reads and writes Bush. Order: last."""

    reads: ClassVar = (Bush,)
    writes: ClassVar = (Bush,)

    def process(self, world: World, run: Run) -> None:
        """Grow a berry on some bushes in each tick."""
        bushes, settings = world.rows(Bush), run.settings
        grown = bushes[world.chance(bushes, BERRIES, settings.growth)]
        berries = world[Bush].berries
        berries[grown] = np.minimum(berries[grown] + 1, settings.berries)


class ForagingSettings(Settings):
    """The field, the bushes, and the families."""

    width: int = Field(30, ge=4, le=1024, description="Cells from west to east.")
    height: int = Field(20, ge=4, le=1024, description="Cells from north to south.")
    families: tuple[str, ...] = Field(("Ash", "Birch", "Cedar"), min_length=1, max_length=16, description="Families.")
    each: int = Field(5, ge=1, le=1000, description="Foragers of a family.")
    bushes: int = Field(24, ge=1, le=10_000, description="Bushes.")
    berries: int = Field(12, ge=1, le=1000, description="Berries of a full bush.")
    growth: int = Field(5, ge=0, le=1000, description="Chance that a bush grows a berry in a tick, per-mille.")
    room: int = Field(6, ge=1, le=1000, description="Berries that one forager carries.")
    sight: int = Field(8, ge=1, le=64, description="Distance that a forager sees, cells.")

    @property
    def agents(self) -> int:
        """The number of foragers and bushes."""
        return len(self.families) * self.each + self.bushes


class Foraging(Domain):
    """Families gather berries."""

    settings: Any = ForagingSettings
    ticks: ClassVar[int] = 200
    every: ClassVar[int | None] = 5
    components, resources, observation = (Place, Forager, Bush), (Store,), Knowledge
    actions, idle = (Go, Pick, Unload, Rest), Rest(2)
    systems = (Inputs, Observe, Plan, Act, Grow)
    prompt = PromptText(
        role="You plan for foragers. Their family wants as many berries at home as they can carry there.",
        rules=("Pick only at a bush that you stand at or beside.", "Carry a full basket home and unload it there."),
        examples=((Go(Cell(x=3, y=4)), Pick(7), Pick(7)), (Go(Cell(x=1, y=1)), Unload())),
    )
    rules = (
        Rule("load >= room", (Go(pick("home")), Unload())),
        Rule("bushes within 1", Pick(pick("nearest"))),
        Rule("bushes", (Go(pick("nearest bushes")), Pick(pick("nearest")))),
        Rule("load > 0", (Go(pick("home")), Unload())),
        Rule("always", Rest(3)),
    )
    options = (
        Option(Unload(), 100, when=("load > 0", "home within 0")),
        Option(Go(pick("home")), 0, (Consideration("load", 0, 6, 55),)),
        Option(Pick(pick("nearest")), 50, when="bushes within 1"),
        Option(Go(pick("nearest bushes")), 30, when="bushes"),
        Option(Rest(3), 1),
    )

    portrayal = Portrayal(
        looks=(
            Look(has=Forager, place="Place.cell", colour="Forager.family", names="families"),
            Look(has=Bush, place="Place.cell", colour="#588157", size="Bush.berries", glyph="*"),
        )
    )

    @property
    def tables(self) -> Mapping[str, Sequence[str]]:  # type: ignore[override] # from the settings
        """The families."""
        return {"families": self.settings.families}

    @property
    def group_names(self) -> Sequence[str]:
        """The families."""
        names: Sequence[str] = self.settings.families
        return names

    def groups(self, world: World) -> Any:
        """Group foragers by family; a bush belongs to the first group, but it never plans."""
        return self.group_names, world[Forager].family

    def spaces(self, run: Run) -> dict[str, Any]:
        """Return the field."""
        return {"field": Grid(self.settings.width, self.settings.height)}

    def setup(self, world: World, run: Run) -> None:
        """Put camps and bushes on random cells, and families into their camps."""
        settings, grid = self.settings, run.space
        cells = world.order_at(np.arange(grid.size), CELL)
        families = np.arange(len(settings.families))
        world[Store].camp[:] = cells[families]
        for family in families.tolist():
            values = {Forager: {"family": family}, Place: {"cell": cells[family]}}
            world.spawn(values, count=settings.each)
        spots = np.resize(cells[len(families) :], settings.bushes)
        world.spawn({Bush: {"berries": settings.berries}, Place: {"cell": spots}}, count=settings.bushes)

    def plannable(self, world: World) -> Any:
        """Foragers plan."""
        return world.has(Forager)

    def observe(self, world: World, rows: Any) -> Any:
        """Return the knowledge of foragers: their basket, their camp, and the bushes with berries in sight."""
        settings, grid, cell, bushes = self.settings, world.run.space, world[Place].cell, world.rows(Bush)
        away = grid.chebyshev(cell[rows][:, None], cell[bushes][None, :])
        which, seen = ((away <= settings.sight) & (world[Bush].berries[bushes] > 0)).nonzero()
        at = grid.xy(cell[bushes[seen]])
        found = {"rows": which, "id": world.keys[bushes[seen]], "pos": at, "berries": world[Bush].berries[bushes[seen]]}
        return world.observed(
            Knowledge,
            rows,
            pos=grid.xy(cell[rows]),
            load=world[Forager].load[rows],
            room=settings.room,
            home=grid.xy(world[Store].camp[world[Forager].family[rows]]),
            bushes=found,
            field=Meadow(width=grid.width, height=grid.height),
        )

    def scores(self, world: World) -> Mapping[str, float]:
        """Return the berries at each camp."""
        return dict(zip(self.settings.families, map(float, world[Store].berries), strict=True))

    def outcome(self, world: World) -> str | None:
        """Return the family with the most berries at the last tick as the winner."""
        if world.tick < world.run.ticks:
            return None
        scores = self.scores(world)
        best = [name for name, score in scores.items() if score == max(scores.values())]
        return f"{best[0]} wins" if len(best) == 1 else "draw"
