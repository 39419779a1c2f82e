"""The domains that tests of the model layer plan for: a market without any place, and foragers on a field.

Between them they use every kind of fact and argument. `steps` draws what an agent may do.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

from hypothesis import strategies as st

from ai.actions import (
    Action,
    ArgSpec,
    Kind,
    ListShape,
    PromptText,
    Record,
    RecordShape,
    Shape,
    TextShape,
    ToolRegistry,
    ToolSpec,
    known,
    name,
    number,
    on,
    seconds,
    several,
    words,
)
from ai.llm.encodings.base import PLAN_STEPS_MAX
from ai.observation import AgentId, Cell, Entry, Id, Observation, ObservationBatch, fact

# -- a market ----------------------------------------------------------------------------------------------------------

TABLES = {"goods": ("bread", "fish", "fine wool"), "trades": ("baker", "fisher", "weaver")}


class Person(Entry):
    """Somebody whom a villager sees."""

    id: AgentId
    trade: str = fact(table="trades", say="{}")
    mood: int = fact(say="mood {}", dtype="i2")


class Villager(Observation):
    """What a villager knows on a market day."""

    money: float = fact(scale=100, unit="coins", say="{} coins")
    mood: int = fact(say="mood {} of 100", dtype="i2", low=0, high=100)
    asleep: bool = fact(default=False)
    stock: dict[str, int] = fact(default={}, table="goods", quiet=0, say="has {} {name}")
    price: dict[str, float] = fact(default={}, table="goods", scale=100, say="{name} costs {}")
    debt_to: AgentId | None = fact(default=None, say="owes {}")
    wish: str | None = fact(default=None)
    heard: tuple[str, ...] = fact(default=(), limit=8)
    people: tuple[Person, ...] = fact(default=(), limit=12)


class Buy(Action):
    """Buy pieces of a good at its price."""

    good: str = name("goods")
    count: int = number(1, 100)


class Sell(Action):
    """Sell pieces of a good."""

    first_tier = False
    keep = -1
    good: str = name("goods")
    count: int = number(1, 100)


class Talk(Action):
    """Say something to somebody here."""

    to: int = known("people", "debt_to")
    what: str = words(60, least=1)


class Sleep(Action):
    """Sleep for some hours."""

    keep = 2
    hours: int = number(1, 12, default=1)


class Tip(Action):
    """Give some coins away, to somebody or to a beggar."""

    first_tier = False
    coins: float = number(0, 5, scale=10)
    to: int | None = known("people", default=None)
    pause: float | None = seconds(0.1, 60, default=None)


MARKET = ToolRegistry(
    [Buy, Sell, Talk, Sleep, Tip],
    idle=Sleep(1),
    prompt=PromptText(
        "You plan for villagers on a market day.",
        ("Keep a coin for tomorrow.", "Sleep when the mood is below 30."),
        ((Buy("bread", 2), Sleep(3)),),
    ),
    tables=TABLES,
)


def villager(**fields: Any) -> Villager:
    """Return a villager with a few coins."""
    return Villager(**{"money": 3.0, "mood": 50, **fields})


def market(*villagers: Villager, keys: tuple[int, ...] | None = None) -> ObservationBatch[Villager]:
    """Return a batch of villagers with the ids 1 to n, or those given."""
    ids = range(1, len(villagers) + 1) if keys is None else keys
    return Villager.from_objects(list(zip(ids, villagers, strict=True)), tables=TABLES)


PEOPLE = {key: Person(id=key, trade=TABLES["trades"][key % 3], mood=key) for key in range(1, 30)}
TEXTS = st.sampled_from(["Fish is cheap today.", 'There is a "fire"!', "a1 7 rich\na2 8", ""]) | st.text(max_size=8)
VILLAGERS: st.SearchStrategy[Villager] = st.builds(
    Villager,
    money=st.integers(0, 300).map(lambda hundredths: hundredths / 100),
    mood=st.sampled_from([0, 50, 100]),
    asleep=st.booleans(),
    stock=st.dictionaries(st.sampled_from(TABLES["goods"]), st.integers(0, 2)),
    price=st.just({"bread": 2.5, "fish": 4.0, "fine wool": 9.0}) | st.just({"bread": 1.0}),
    debt_to=st.none() | st.integers(1, 5),
    wish=st.none() | TEXTS,
    heard=st.lists(TEXTS, max_size=3).map(tuple),
    people=st.lists(
        st.builds(
            lambda key, mood: PEOPLE[key].model_copy(update={"mood": mood or key}),
            st.integers(1, 29),
            st.sampled_from([0, 0, 7]),
        ),
        max_size=14,
        unique_by=lambda person: person.id,
    ).map(tuple),
)

# -- foragers ----------------------------------------------------------------------------------------------------------


class Weather(StrEnum):
    """What it is like outside."""

    DRY = "dry"
    RAIN = "rain"


class Habit(StrEnum):
    """What a forager tends to."""

    SLOW = "slow"
    SHY = "shy"


@dataclass(frozen=True)
class Field:
    """A field of cells."""

    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.width} by {self.height} cells"


BushId = Annotated[int, Id("bushes")]


class Bush(Entry):
    """A bush that a forager sees."""

    id: BushId
    pos: Cell
    berries: int = fact(quiet=0)


class Guide(Entry):
    """Who leads a camp."""

    id: AgentId
    pos: Cell
    tired: bool = fact(default=False)


class Forager(Observation):
    """What a forager knows."""

    pos: Cell
    energy: int = fact(dtype="i2")
    load: int = fact(default=0, quiet=0, say="carries {} of {room}", dtype="i2")
    room: int = fact(default=20, say="", dtype="i2")
    home: Cell | None = fact(default=None)
    weather: Weather = fact(default=Weather.DRY, say={"rain": "in the rain"})
    habits: tuple[Habit, ...] = fact(default=(), meaning={"slow": "Walks slowly.", "shy": "Keeps away from others."})
    rested: float = fact(default=0.0, ticks=True, quiet=0, say="rested {}s")
    camp: int | None = fact(default=None)
    guide: Guide | None = fact(default=None, by="camp")
    bushes: tuple[Bush, ...] = fact(default=(), limit=6, nearest=True)
    others: tuple[Cell, ...] = fact(default=(), limit=4, say="others at")
    field: Field = fact(shared=True)
    landmarks: tuple[str, ...] = fact(default=(), shared=True)


class Go(Action):
    """Walk to a cell."""

    at: Cell = on("field")


class Look(Action):
    """Look from one cell in some direction."""

    x: int = on("field", axis="x")
    y: int = on("field", axis="y")
    mood: Habit = Habit.SHY


class Pick(Action):
    """Pick berries from a bush you see."""

    bush: int = known("bushes")


class Nap(Action):
    """Close your eyes for a moment."""

    keep = 1
    pause: float = seconds(0.5, 30, default=1.0)


class Rest(Action):
    """Rest for a while, here or at a cell."""

    at: Cell | None = on("field", default=None)
    habit: Habit | None = None
    pause: float = seconds(0.5, 30, default=1.0)


class Wander(Action):
    """Rest wherever you like."""

    at: Cell | None = on("field", default=None)
    habit: Habit | None = None


class Order(Record):
    """One thing to fetch."""

    good: str = name("goods")
    share: float = number(-1, 1, scale=4)
    why: str | None = words(12, default=None)


class Tour(Action):
    """Visit cells and bushes in order."""

    first_tier = False
    pace: int = number(-3, 3)
    stops: tuple[Cell, ...] = several(1, 3, on("field"))
    bushes: tuple[int, ...] = several(0, 2, known("bushes"))
    order: Order


FORAGING = ToolRegistry(
    [Go, Look, Nap, Pick, Rest, Wander, Tour], idle=Nap(), tables={"goods": ("nuts", "red berries")}
)


def forager(**fields: Any) -> Forager:
    """Return a forager on a small field."""
    return Forager(**{"pos": Cell(2, 3), "energy": 5, "field": Field(12, 9), **fields})


def foragers(*all_of: Forager, keys: tuple[int, ...] | None = None) -> ObservationBatch[Forager]:
    """Return a batch of foragers with the ids 1 to n, or those given."""
    ids = range(1, len(all_of) + 1) if keys is None else keys
    return Forager.from_objects(list(zip(ids, all_of, strict=True)), ticks_per_second=4)


CELLS = st.builds(Cell, st.integers(0, 11), st.integers(0, 8))
FORAGERS: st.SearchStrategy[Forager] = st.builds(
    Forager,
    pos=CELLS,
    energy=st.sampled_from([0, 5]),
    load=st.sampled_from([0, 3]),
    home=st.none() | CELLS,
    weather=st.sampled_from(Weather),
    habits=st.lists(st.sampled_from(Habit), unique=True).map(tuple),
    rested=st.sampled_from([0.0, 0.3, 2.0]),
    camp=st.none() | st.sampled_from([1, 2]),
    guide=st.none() | st.builds(Guide, id=st.sampled_from([7, 8]), pos=st.just(Cell(1, 1)), tired=st.booleans()),
    bushes=st.lists(
        st.builds(Bush, id=st.integers(0, 9), pos=st.sampled_from([Cell(1, 1), Cell(4, 4)]), berries=st.integers(0, 1)),
        max_size=8,
        unique_by=lambda bush: bush.id,
    ).map(tuple),
    others=st.lists(CELLS, max_size=6).map(tuple),
    field=st.sampled_from([Field(12, 9), Field(30, 1)]),
    landmarks=st.sampled_from([(), ("old tree", "ford"), ("ford",)]),
)
BATCHES: st.SearchStrategy[ObservationBatch[Any]] = st.one_of(
    st.lists(VILLAGERS, min_size=1, max_size=6).map(lambda all_of: market(*all_of)),
    st.lists(FORAGERS, min_size=1, max_size=6).map(lambda all_of: foragers(*all_of)),
)


# -- what agents may do ------------------------------------------------------------------------------------------------


def steps(registry: ToolRegistry, batch: ObservationBatch[Any], row: int = 0) -> st.SearchStrategy[Action]:
    """Draw a step that one agent of a batch may take."""
    one = batch.take(slice(row, row + 1))
    drawn = [_step(registry, spec, one) for spec in registry]
    return st.one_of([strategy for strategy in drawn if strategy is not None])


def plans(registry: ToolRegistry, batch: ObservationBatch[Any], row: int = 0) -> st.SearchStrategy[list[Action]]:
    """Draw a plan that one agent of a batch may be asked for."""
    return st.lists(steps(registry, batch, row), min_size=1, max_size=PLAN_STEPS_MAX)


_Drawn = st.SearchStrategy[Any]


def _step(registry: ToolRegistry, spec: ToolSpec, one: ObservationBatch[Any]) -> _Drawn | None:
    """Draw a step of an action, None where a target that it needs is not known."""
    fields: dict[str, _Drawn] = {}
    cells: dict[str, dict[str, _Drawn]] = {}
    for arg in spec.args:
        value = _argument(registry, arg, one)
        if value is None and arg.required:
            return None
        owner, _, axis = arg.name.partition(".")
        if axis and value is not None:
            cells.setdefault(owner, {})[axis] = value
            value = st.fixed_dictionaries(cells[owner])
        value = st.none() if value is None else value
        fields[owner] = value if arg.required else st.none() | value
    for part in spec.payload:
        shaped = _shaped(registry, part.shape, one)
        if shaped is None:
            return None
        fields[part.name] = shaped
    return st.fixed_dictionaries(fields).map(lambda given: registry.make(spec.name, **given))


def _shaped(registry: ToolRegistry, shape: Shape, one: ObservationBatch[Any]) -> _Drawn | None:
    match shape:
        case TextShape():
            return st.text(st.characters(codec="utf-8"), min_size=shape.chars_min, max_size=shape.chars_max)
        case ListShape():
            item = _shaped(registry, shape.item, one)
            return None if item is None else st.lists(item, min_size=shape.low, max_size=shape.high)
        case RecordShape():
            fields: dict[str, _Drawn] = {}
            for part in shape.fields:
                value = _shaped(registry, part.shape, one)
                if value is None:
                    return None
                fields[part.name] = value if part.required else st.none() | value
            return st.fixed_dictionaries(fields)
        case ArgSpec():
            return _argument(registry, shape, one)


def _argument(registry: ToolRegistry, arg: ArgSpec, one: ObservationBatch[Any]) -> _Drawn | None:
    if arg.kind is Kind.NAME:
        return st.sampled_from(registry.tables[arg.sources[0]])
    if arg.choices:
        return st.sampled_from(arg.choices)
    if arg.kind is Kind.TARGET:
        ids = one.targets(*arg.sources)[0]
        return st.sampled_from(ids) if ids else None
    if arg.kind in (Kind.CELL, Kind.CELL_X, Kind.CELL_Y):
        space = one.shared[arg.sources[0]][int(one.column(arg.sources[0])[0])]
        x, y = st.integers(0, space.width - 1), st.integers(0, space.height - 1)
        return {Kind.CELL: st.fixed_dictionaries({"x": x, "y": y}), Kind.CELL_X: x, Kind.CELL_Y: y}[arg.kind]
    stored = st.integers(arg.low, arg.high)
    return stored if arg.scale == 1 else stored.map(lambda value: value / arg.scale)
