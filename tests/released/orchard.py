"""An orchard whose pickers gather, trade, talk and rest: a domain that is frozen with the recordings beside it.

It has a column, a resource and an argument of every sort that is equal on every machine. Never change this file: the
recordings were made with it, and must match for as long as their format is read.
"""

import csv
from enum import IntEnum, StrEnum

import numpy as np
from pydantic import Field

from ai.actions import PromptText, known, name, number, pick, words
from ai.observation import AgentId, Cell, Entry, Observation, fact
from ai.rules import Rule
from sim import (
    Act,
    Action,
    Component,
    DataFile,
    Domain,
    Each,
    First,
    Grid,
    Input,
    Inputs,
    Network,
    Observe,
    Plan,
    Plane,
    Resource,
    Settings,
    Sum,
    System,
    Union,
    boolean,
    column,
    i8,
    i16,
    i32,
    i64,
    purpose,
)

GRID = Grid(8, 6)
BIRTH, STEP, LUCK = map(purpose, ("orchard birth", "orchard step", "orchard luck"))


class OrchardSettings(Settings):
    """The constants of a run."""

    agents: int = Field(6, ge=1, le=100, description="Pickers.")
    trees: DataFile = Field("trees.csv", description="A table with `x`, `y` and `fruit`.")
    fails_at: int = Field(-1, ge=-1, description="The tick in which a system fails; -1 for none.")
    ends_at: int = Field(-1, ge=-1, description="The tick in which the run is decided; -1 for none.")


class Humour(IntEnum):
    """The humour of a picker."""

    CALM = 0
    CROSS = 5


class Picker(Component):
    """One picker: columns of every sort."""

    cell: i32
    energy: i16 = column(default=30)
    luck: i8
    picked: i64
    awake: boolean = column(default=True)
    money: float = column(scale=100, default=2.5)
    humour: Humour
    goods: i32 = column(per="goods", default=1)
    days: i16 = column(shape=(3,))
    motto: str
    heard: tuple[str, ...] = column(limit=3)


class Ladder(Component):
    """A mark of those that have a ladder."""


class Fruit(Resource):
    """Fruit on each cell."""

    left: i16 = column(per="cell")


class Prices(Resource):
    """The price of each good."""

    price: i32 = column(per="goods", default=3)


class Clock(Resource):
    """A single value."""

    hour: i32


class Smoke(Resource, rows=20):
    """Rows that vary in number."""

    cell: i32
    strength: float = column(scale=10)


class Sold(Sum):
    """Pieces sold, by good."""

    @classmethod
    def apply(cls, world, run, targets, values):
        world[Prices].price[targets] = np.maximum(world[Prices].price[targets] - values, 1)


class Voice(Each):
    """Words, by listener."""

    @classmethod
    def apply(cls, world, run, targets, values):
        world.remember(world[Picker].heard, targets, values)


class Praise(Union):
    """Who was praised."""

    @classmethod
    def apply(cls, world, run, targets, values):
        world[Picker].energy[targets] += 1


class Gift(First):
    """Energy from the first who gives."""

    @classmethod
    def apply(cls, world, run, targets, values):
        world[Picker].energy[targets] += values.astype(np.int16)


class Other(Entry):
    """Another picker."""

    id: AgentId
    pos: Cell
    energy: int = fact(dtype="i2")


class Known(Observation):
    """What a picker knows."""

    pos: Cell = fact(say="")
    energy: int = fact(dtype="i2")
    fruit: int = fact()
    money: float = fact(scale=100, dtype="i8")
    goods: dict[str, int] = fact(default={}, table="goods", quiet=0)
    heard: tuple[str, ...] = fact(default=(), limit=3)
    others: tuple[Other, ...] = fact(default=(), limit=4, nearest=True)


class Hand(StrEnum):
    """A hand."""

    LEFT = "left"
    RIGHT = "right"


class Pick(Action):
    """Pick fruit from the tree on this cell."""

    reasons = ("bare",)
    hand: Hand

    @classmethod
    def refused(cls, turn, rows, args):
        return {"bare": turn[Fruit].left[turn[Picker].cell[rows]] < 1}

    @classmethod
    def apply(cls, turn, rows, args):
        cells = turn[Picker].cell[rows]
        first = turn.world.claim(cells, rows, turn.run.spaces["orchard"].size)
        turn[Fruit].left[cells[first]] -= 1
        turn[Picker].picked[rows[first]] += 1
        turn[Picker].goods[args.hand[first], rows[first]] += 1
        turn[Smoke].add(cell=cells[0], strength=1.5)


class Sell(Action):
    """Sell pieces of a good."""

    reasons = ("not that many",)
    good: str = name("goods")
    count: int = number(1, 9)

    @classmethod
    def refused(cls, turn, rows, args):
        return {"not that many": turn[Picker].goods[args.good, rows] < args.count}

    @classmethod
    def apply(cls, turn, rows, args):
        turn[Picker].money[rows] += 100 * args.count * turn[Prices].price[args.good]
        turn[Picker].goods[args.good, rows] -= args.count
        turn.send(Sold, rows, args.count, at=args.good)


class Talk(Action):
    """Say something to another picker."""

    reasons = ("gone",)
    to: int = known("others")
    words: str = words(60)

    @classmethod
    def refused(cls, turn, rows, args):
        return {"gone": turn.target_rows(args.to) < 0}

    @classmethod
    def apply(cls, turn, rows, args):
        listeners = turn.target_rows(args.to)
        turn.send(Voice, rows, [turn.world.texts.intern(text) for text in args.payload("words")], at=listeners)
        turn.send(Praise, rows, np.ones(len(rows), np.int64), at=listeners)
        turn.send(Gift, rows, np.full(len(rows), 2), at=listeners)


class Rest(Action):
    """Rest for some hours."""

    hours: int = number(1, 6, default=1)

    @classmethod
    def duration_ticks(cls, turn, rows, args):
        return args.hours

    @classmethod
    def apply(cls, turn, rows, args):
        turn[Picker].energy[rows] += 3
        turn[Picker].humour[rows] = Humour.CALM


class Hail(Input):
    """Hail strikes a cell."""

    x: int = Field(ge=0, le=7)
    y: int = Field(ge=0, le=5)

    def apply(self, world, run):
        cell = run.spaces["orchard"].cell(self.x, self.y)
        if world[Fruit].left[cell] == 0:
            return "there was nothing on that tree"
        world[Fruit].left[cell] = 0
        return None


class Wander(System):
    """Pickers tire, step about, and are lucky or not; smoke drifts; the day goes on."""

    reads = writes = (Picker, Ladder, Clock, Smoke, Fruit)

    def process(self, world, run):
        if run.tick == self.fails_at(run):
            raise ValueError("a ladder broke")
        picker, grid = world[Picker], run.spaces["orchard"]
        picker.energy[:] -= 1
        picker.awake[:] = picker.energy > 3
        picker.humour[picker.energy < 10] = Humour.CROSS
        picker.luck[:] = world.below(slice(None), LUCK, 5)
        picker.days[run.tick % 3] += 1
        moved = world.chance(slice(None), STEP, 400)
        x, y = grid.xy(picker.cell)
        picker.cell[moved] = grid.cell((x[moved] + 1) % grid.width, y[moved])
        world[Clock].hour += 1
        if run.tick == 4:
            world.kill(world.rows(Picker)[-1:])
            world.spawn({Picker: {"energy": [20], "motto": ["late"]}, Ladder: {}}, count=1, like=[0])
        if run.tick == 6:
            world.attach(world.rows(Picker)[:1], Ladder)

    @staticmethod
    def fails_at(run):
        """Return the tick in which this system fails."""
        return run.settings.fails_at


class Orchard(Domain):
    """The orchard."""

    settings, inputs = OrchardSettings, (Hail,)
    components, resources = (Picker, Ladder), (Fruit, Prices, Clock, Smoke)
    tables = {"goods": ("apples", "pears")}
    channels = (Sold, Voice, Praise, Gift)
    actions, observation, idle = (Pick, Sell, Talk, Rest), Known, Rest(1)
    systems = (Inputs, Wander, Observe, Plan, Act)
    prompt = PromptText(role="You plan for pickers in an orchard.")
    rules = (
        Rule("energy < 12", Rest(2)),
        Rule("fruit >= 1", Pick(hand=Hand.LEFT)),
        Rule("goods.apples >= 2", Sell("apples", 1)),
        Rule("others", Talk(pick("nearest"), "Good day!")),
    )

    def spaces(self, run):
        return {
            "orchard": GRID,
            "paths": Network(6, [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 0)]),
            "sky": Plane(8, 6),
        }

    def setup(self, world, run):
        for row in csv.DictReader(run.open(self.settings.trees)):
            world[Fruit].left[run.spaces["orchard"].cell(int(row["x"]), int(row["y"]))] = int(row["fruit"])
        world.spawn({Picker: {}}, count=self.settings.agents)
        world.flush()
        world[Picker].cell[:] = world.below(slice(None), BIRTH, run.spaces["orchard"].size)
        world[Picker].motto[:] = world.texts.intern("an apple a day")

    def observe(self, world, rows):
        picker = world[Picker]
        asker, other = (rows[:, None] != np.arange(world.n)).nonzero()
        return world.observed(
            Known,
            rows,
            pos=GRID.xy(picker.cell[rows]),
            energy=picker.energy[rows],
            fruit=world[Fruit].left[picker.cell[rows]],
            money=picker.money[rows],
            goods=picker.goods[:, rows],
            heard=picker.heard[:, rows],
            others={
                "rows": asker,
                "id": world.keys[other],
                "pos": GRID.xy(picker.cell[other]),
                "energy": picker.energy[other],
            },
        )

    def outcome(self, world):
        return "the harvest is in" if world.tick == self.settings.ends_at else None
