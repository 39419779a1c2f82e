"""The checker for action kinds: small arenas full of agents, played in several ways that must not differ.

It knows no kind. Agents stand close together, some hurt, empty, exhausted, marked or down; most of them do the kind
under test with arguments that make sense and some that do not, the others do `COMPANIONS`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ai.actions import (
    ARGS_MAX,
    NONE,
    ArgSpec,
    ListShape,
    RecordShape,
    Role,
    Shape,
    TextShape,
    ToolRegistry,
    ToolSpec,
)
from ai.plan import BatchPlans
from ai.snapshot import SnapshotBatch
from sim.actions import discover
from sim.actions.base import Action, Args, Refused, Rows, Turn, Walk
from sim.changes import changes
from sim.columns import schema_of
from sim.components import (
    ActionSteps,
    Ammo,
    Arsenal,
    Condition,
    Conditions,
    Cooldowns,
    Guard,
    Health,
    Inventory,
    Kit,
    Morale,
    Position,
    Progress,
    Stamina,
    Status,
    Team,
)
from sim.digest import state_digest
from sim.frame import Frame
from sim.objects import Gives, Objects, Yields
from sim.perception import occupancy_of
from sim.reinforcements import reserves_of
from sim.rng import Purpose, Rng
from sim.scenario import Scenario
from sim.simulation import Simulation
from sim.state import WorldState
from sim.systems.cleanup import Cleanup
from sim.systems.combat import Combat
from sim.systems.execution import Execution
from sim.systems.upkeep import Upkeep
from sim.world import World

ARENAS: Final = 8
"""Arenas that a kind is checked in, unless told otherwise."""
CLOSE_CELLS: Final = 7
"""Columns of the map that agents share in every second arena; in the others they have all of it."""
TICKS: Final = 12
"""Ticks that an arena is played; at two ticks a second enough for most steps to end."""
LEAST_TICKS: Final = {"ticks": 1, "period": 1, "cooldown": 0}
"""What tells times, and the least that each may tell."""
PRIVATE: Final = (Ammo, Arsenal, Cooldowns, Guard, Inventory, Kit, Morale, Progress, Stamina)
"""What actions write of their own agents at once, and so no action may read of others."""
COMPANIONS: Final = ("Attack", "Block", "HeavyAttack", "MoveTo", "ThrowExplosive", "Wait")
"""What agents do that do not do the kind under test."""
MAP: Final = (
    "...................",
    "..+.....+..........",
    "....##.....#.......",
    "..+.....+..#.......",
    "...........#.......",
    "...................",
)
THINGS: Final[tuple[dict[str, Any], ...]] = (
    {"kind": "crate", "effect": {"kind": "give", "item": "bandage"}, "stock": 2},
    {"kind": "ore", "effect": {"kind": "yield", "each": 2}, "stock": 3},
    {"kind": "store", "effect": {"kind": "take", "team": "left"}},
    {"kind": "post", "effect": {"kind": "heal", "amount": 5}},
    {"kind": "lever", "effect": {"kind": "open", "x": 5, "y": 2}, "stock": 1},
)
"""What stands on the free cells of the map, one after the other."""

Prepare = Callable[[Simulation], None]
"""Brings what a kind needs into a fresh arena: things to use, columns of a plug-in."""


def check_action(kind: type[Action], *, arenas: int = ARENAS, prepare: Prepare | None = None) -> None:
    """Check that an action kind keeps the rules of `sim.actions.base`.

    That is: it is legal for someone and does not fail where it says it is; it refuses with a reason; `refusals` and
    what else only looks reads only, judges every agent alone, and reads nothing of others that their actions may write
    in the same phase; times are no shorter than they may be; `begin` and `effect` write to their own rows only and do
    nothing to the gone; nobody goes farther than one cell at once; the same moment always comes to the same; the order
    in which kinds, agents and births come does not matter; and nothing comes out of nowhere: rounds, things, agents,
    hit points beyond the maximum.

    Args:
        kind: what to check; it takes the place of a shipped kind of the same name.
        arenas: how many arenas to try.
        prepare: called with each arena before it is played.

    Raises:
        AssertionError: a rule is broken; one sentence that says which.
        ContractError: the kind is malformed.
    """
    others = [other for other in discover() if other.model_fields["act"].default != kind.model_fields["act"].default]
    registry = ToolRegistry([*others, kind])
    name = str(kind.model_fields["act"].default)
    legal = 0
    for number in range(arenas):
        with _arena(registry, name, number, prepare) as arena:
            legal += _check_looking(arena)
            _check_own_rows(arena)
            roots = _play(arena)
            _must(roots == _play(arena), name, "comes out differently when the same moment is played again")
            _must(
                roots == _play(arena, one_by_one=True),
                name,
                "depends on the order in which kinds and agents are visited; read only what no action writes",
            )
        with _arena(registry, name, number, prepare, births_reversed=True) as arena:
            _must(roots == _play(arena), name, "depends on the order in which agents were created; use keys")
    _must(legal > 0, name, f"was refused to everyone in {arenas} arenas; `prepare` can bring in what it needs")


def _must(holds: bool, name: str, rule: str) -> None:  # noqa: FBT001
    if not holds:
        raise AssertionError(f"{name} {rule}")


# -- arenas ------------------------------------------------------------------------------------------------------------


class _Arena(NamedTuple):
    """A simulation at a moment, and who does the kind under test with which arguments."""

    simulation: Simulation
    spec: ToolSpec
    rows: Rows
    args: Args

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def kind(self) -> type[Action]:
        assert issubclass(self.spec.kind, Action)
        return self.spec.kind

    @property
    def world(self) -> World:
        return self.simulation.world

    def turn(self) -> Turn:
        stage = self.simulation.stage
        return Turn(self.world, stage, occupancy_of(self.world, stage.grid), self.world.tick)


class _NoPlans:
    """A plan source that nobody asks."""

    tiers = ("none",)

    def plan(self, batch: SnapshotBatch) -> BatchPlans:
        raise NotImplementedError(f"{len(batch)} agents were planned for in an arena")

    def close(self) -> None:
        """There is nothing to give back."""


class _Dice:
    """Draws for every agent of an arena, one purpose after the other."""

    def __init__(self, number: int, keys: NDArray[np.int64]) -> None:
        self.rng, self.keys, self.purpose = Rng(number), keys, int(Purpose.USER)

    def below(self, bound: int) -> NDArray[np.int64]:
        """Return whole numbers from 0 to bound - 1, one an agent."""
        self.purpose += 1
        return self.rng.below(self.keys, 0, self.purpose, max(bound, 1))

    def often(self, percent: int) -> NDArray[np.bool_]:
        """Return True for about so many in a hundred."""
        return self.below(100) < percent


def _scenario(number: int) -> Scenario:
    """Return an arena's scenario: squads of different sizes and gear; some teams have nothing in reserve."""
    whole = {"x": 0, "y": 0, "width": len(MAP[0]), "height": len(MAP)}
    rich = {
        "smokes": 2, "explosives": 2, "medkits": 2, "sight": 12, "weapons": ["rifle", "carbine"],
        "items": {"bandage": 2, "flare": 1}, "abilities": ["brace", "dash", "spot"], "carry": 4,
    }  # fmt: skip
    poor = {**rich, "sight": 6, "weapons": ["carbine"], "items": {}, "abilities": ["spot"]}
    cells = [(x, y) for y, row in enumerate(MAP) for x, glyph in enumerate(row) if glyph != "#"]
    teams = [
        {
            "name": name,
            "squads": [
                {"name": f"{name} {archetype}", "archetype": archetype, "count": count, "area": whole}
                for archetype, count in (("rich", 5), ("poor", 1))
            ],
            "reinforcements": {"count": 3, "area": {**whole, "y": 4, "height": 2}} if (number + team) % 4 else None,
            "terrain_edits": 3 if (number + team) % 3 else 0,
        }
        for team, name in enumerate(("left", "right"))
    ]
    return Scenario.from_canonical(
        {
            "name": "arena",
            "description": "Where an action kind is checked",
            "ticks_per_second": 2,
            "seed": number,
            "map": {
                "rows": MAP,
                "places": [{"name": "door", "x": 9, "y": 0}],
                "objects": [{**THINGS[at % len(THINGS)], "x": x, "y": y} for at, (x, y) in enumerate(cells)],
            },
            "weapons": {"rifle": {"reach": 9}, "carbine": {"reach": 5}},
            "items": {"bandage": {"effect": "heal", "amount": 5}, "flare": {"effect": "smoke"}},
            "abilities": {
                "brace": {"kind": "defensive", "effect": "shield", "stamina": 20},
                "dash": {"effect": "stamina", "amount": 10},
                "spot": {"effect": "reveal", "stamina": 20},
            },
            "archetypes": {"rich": rich, "poor": poor},
            "teams": teams,
            "downed_s": 3 * (number % 2),
            "ends": "never",
        }
    )


@contextmanager
def _arena(
    registry: ToolRegistry, name: str, number: int, prepare: Prepare | None, *, births_reversed: bool = False
) -> Iterator[_Arena]:
    """Open an arena: agents in all sorts of states, each with a plan of one step."""
    scenario = _scenario(number)
    order = np.arange(scenario.agents)[::-1] if births_reversed else None
    with Simulation(scenario, registry=registry, source=_NoPlans(), order=order) as simulation:
        # With its names bound, a registry's specs say which there are.
        world, registry = simulation.world, simulation.registry
        spec = registry.spec(name)
        world.tick = 1
        if prepare is not None:
            prepare(simulation)
            world.flush()
        dice = _Dice(number, world.keys)
        _scatter(simulation, dice, columns=simulation.stage.grid.width if number % 2 else CLOSE_CELLS)
        _unsettle(world, dice, downed=bool(scenario.downed_s))
        doing = dice.often(70)
        rows, args = doing.nonzero()[0], _arguments(spec, simulation, dice)
        _plan(world, registry.code(name), rows, args[:, rows])
        for place, companion in enumerate(COMPANIONS):
            mine = (~doing & (dice.keys % len(COMPANIONS) == place)).nonzero()[0]
            given = _arguments(registry.spec(companion), simulation, dice)
            _plan(world, registry.code(companion), mine, given[:, mine])
        up = world[Health].hp[rows] > 0
        yield _Arena(simulation, spec, rows[up], np.ascontiguousarray(args[:, rows[up]]))


def _scatter(simulation: Simulation, dice: _Dice, *, columns: int) -> None:
    """Put agents on free cells anywhere in the first columns of the map."""
    position = simulation.world[Position]
    y, x = (~simulation.stage.grid.blocked_map[:, :columns]).nonzero()
    drawn = dice.rng.below(np.arange(len(x)), 1, Purpose.USER, 2**30)
    picked = np.argsort(drawn, kind="stable")[: simulation.world.n]
    position.x[:], position.y[:] = x[picked], y[picked]


def _unsettle(world: World, dice: _Dice, *, downed: bool) -> None:
    """Bring agents into all sorts of states that can be met."""
    health, ammo, kit, conditions = world[Health], world[Ammo], world[Kit], world[Conditions]
    health.hp[:] = np.where(dice.often(40), 1 + dice.below(30), 100)
    ammo.rounds[:] = np.where(dice.often(75), 20 + dice.below(11), dice.below(5))
    ammo.reserve[:] = np.where(dice.often(75), 90, dice.below(3))
    for column in (kit.smokes, kit.explosives, kit.medkits):
        column[:] = dice.below(4)
    world[Stamina].value[:] = np.where(dice.often(75), 100, dice.below(30))
    world[Morale].value[:] = dice.below(101)
    world[Inventory].cargo[:] = dice.below(5)
    for condition in Condition:
        held = dice.often(20) if condition is not Condition.DOWN else np.zeros(world.n, np.bool_)
        conditions.until[condition.value] = np.where(held, 20, 0)
    conditions.marked_by[:] = dice.below(2)
    conditions.focused_by[:] = dice.below(4)
    if downed:
        down = dice.often(30)
        health.hp[down] = 0
        conditions.until[Condition.DOWN.value, down] = 20


def _arguments(spec: ToolSpec, simulation: Simulation, dice: _Dice) -> Args:
    """Return arguments for every agent: mostly ones that make sense, `[ARGS_MAX, n]`; payloads are stored."""
    world = simulation.world
    found = np.full((ARGS_MAX, world.n), NONE, np.int32)
    given: dict[str, NDArray[np.bool_]] = {}
    for place, arg in enumerate(spec.args):
        owner = arg.name.partition(".")[0]
        if owner not in given:
            given[owner] = np.ones(world.n, np.bool_) if arg.required else dice.often(60)
        found[place] = np.where(given[owner], _values(arg, world, dice), NONE)
    if spec.payload:
        drawn = {field.name: _contents(field.shape, world, dice) for field in spec.payload}
        contents = [{name: values[row] for name, values in drawn.items()} for row in range(world.n)]
        written = [json.dumps(each, sort_keys=True, separators=(",", ":")).encode() for each in contents]
        found[spec.payload_place] = [simulation.stage.payloads.add(content) for content in written]
    return found


def _contents(shape: Shape, world: World, dice: _Dice) -> list[Any]:
    """Return a value of a payload for every agent."""
    if isinstance(shape, TextShape):
        return ["text"[: shape.chars_max]] * world.n
    if isinstance(shape, ListShape):
        entries = [_contents(shape.item, world, dice) for _ in range(min(shape.high, max(shape.low, 2)))]
        return [list(entry) for entry in zip(*entries, strict=True)]
    if isinstance(shape, RecordShape):
        fields = {field.name: _contents(field.shape, world, dice) for field in shape.fields}
        return [{name: values[row] for name, values in fields.items()} for row in range(world.n)]
    values = _values(shape, world, dice).tolist()
    if shape.choices:
        return [shape.choices[value] for value in values]
    return values if shape.scale == 1 else [value / shape.scale for value in values]


def _values(arg: ArgSpec, world: World, dice: _Dice) -> NDArray[np.int64]:
    position = world[Position]
    if arg.role in (Role.CELL_X, Role.CELL_Y):
        here, size = (position.x, len(MAP[0])) if arg.role is Role.CELL_X else (position.y, len(MAP))
        near = here + dice.below(5) - 2
        return np.clip(np.where(dice.often(80), near, dice.below(size)), 0, size - 1)
    if arg.role is Role.OBJECT:
        objects = world.resources["Objects"]
        assert isinstance(objects, Objects)
        far = (objects.x - position.x[:, None]) ** 2 + (objects.y - position.y[:, None]) ** 2
        near = np.argsort(far, axis=1, kind="stable")[np.arange(world.n), dice.below(6)]
        return np.where(dice.often(85), objects.id[near], dice.below(len(objects) + 20))
    if arg.role in (Role.ENEMY, Role.ALLY):
        dx, dy = position.x - position.x[:, None], position.y - position.y[:, None]
        wanted = (world[Team].id != world[Team].id[:, None]) == (arg.role is Role.ENEMY)
        far = np.where(wanted, dx * dx + dy * dy, 10_000) + np.where(np.eye(world.n, dtype=np.bool_), 20_000, 0)
        by_distance = np.argsort(far, axis=1, kind="stable")
        nearest = world.keys[by_distance[np.arange(world.n), dice.below(3)]]
        return np.where(dice.often(75), nearest, dice.below(world.n * 3 // 2))
    spread = 3000 if arg.scale > 1 and not arg.choices else 5
    return arg.low + dice.below(min(arg.high - arg.low + 1, spread))


def _plan(world: World, code: int, rows: Rows, args: Args) -> None:
    """Let agents have a plan of one step, but for those who are down."""
    steps, progress = world[ActionSteps], world[Progress]
    up = world[Health].hp[rows] > 0
    rows, args = rows[up], args[:, up]
    steps.length[rows] = 1
    steps.kind[0, rows] = code
    for place in range(ARGS_MAX):
        steps.args[0, place, rows] = args[place]
    progress.status[rows] = Status.RUNNING
    progress.planned_at[rows] = world.tick


# -- looking -----------------------------------------------------------------------------------------------------------


def _check_looking(arena: _Arena) -> int:
    """Check everything that only looks; return how many agents may do it."""
    kind, name, rows, args = arena.kind, arena.name, arena.rows, arena.args
    codes = _looked(arena, rows, args, "refusals")
    known = {code.value for code in Refused}
    odd = sorted(set(codes.tolist()) - known)
    _must(not odd, name, f"refuses with {odd[:1]}, which is no reason of `Refused`")
    _must(
        codes.tolist() == _looked(arena, rows, args, "refusals").tolist(), name, "refuses differently when asked again"
    )
    legal = (codes == Refused.NO.value).nonzero()[0]
    looks = ("period", "arrived", "onward") if issubclass(kind, Walk) else ("ticks",)
    for look in ("refusals", *looks, *(("cooldown",) if kind.group else ())):
        asked = np.arange(len(rows)) if look == "refusals" else legal
        if not len(asked):
            continue
        together = _looked(arena, rows[asked], args[:, asked], look)
        alone = [_looked(arena, rows[[at]], args[:, [at]], look)[0] for at in asked]
        _must(together.tolist() == alone, name, f"judges an agent by who else is asked, in `{look}`")
        if look in LEAST_TICKS:
            _must(together.min() >= LEAST_TICKS[look], name, f"comes to {together.min()} ticks, in `{look}`")
        if look == "onward":
            _check_steps(arena, rows[asked], together)
        _check_private(arena, asked, together, look)
    return len(legal)


def _check_steps(arena: _Arena, rows: Rows, cells: NDArray[np.int64]) -> None:
    """Check that agents want to go to cells beside their own, stay, or find no way on (-1)."""
    grid = arena.simulation.stage.grid
    position = arena.world[Position]
    away = cells - grid.cell(position.x[rows], position.y[rows])
    odd = ~np.isin(away, [0, *grid.neighbours]) & (cells != -1)
    _must(not odd.any(), arena.name, "wants to go farther than one cell north, west, east or south at once")


def _check_private(arena: _Arena, asked: NDArray[np.intp], answers: NDArray[Any], look: str) -> None:
    """Check that agents are judged by nothing that other agents' actions may write in the same phase.

    Half of the agents are asked again with such columns of all others in reverse, then the other half.
    """
    world, before = arena.world, arena.world.snapshot()
    for half in (slice(0, None, 2), slice(1, None, 2)):
        rows, args = arena.rows[asked[half]], arena.args[:, asked[half]]
        others = np.setdiff1d(np.arange(world.n), rows)
        for component in PRIVATE:
            for spec in schema_of(component).columns:
                column = getattr(world[component], spec.name)
                column[..., others] = column[..., others[::-1]]
        if len(rows):
            again = _looked(arena, rows, args, look)
            _must(
                again.tolist() == answers[half].tolist(),
                arena.name,
                f"reads of another agent what its actions may write in the same phase, in `{look}`",
            )
        world.restore(before)


def _looked(arena: _Arena, rows: Rows, args: Args, look: str) -> NDArray[Any]:
    """Call something that only looks, in a turn of its own, and see to it that nothing was written.

    Looks that answer one number for all agents give that number for each.
    """
    kind, name, world, turn = arena.kind, arena.name, arena.world, arena.turn()
    before, state, draws = state_digest(world), world.snapshot(), dict(arena.simulation.stage.rng.counts)
    given = args.copy()
    with _legal(name, look):
        found = np.asarray(getattr(kind, look)(turn, *((args,) if look in ("ticks", "cooldown") else (rows, args))))
    if look in LEAST_TICKS:
        found = np.broadcast_to(found, rows.shape)
    _must(found.shape == rows.shape, name, f"answers {found.shape} to {rows.shape} agents in `{look}`")
    if look == "arrived" and not world.pending:
        # A walk may note in its own step how far it has come.
        _check_foreign(arena, state, rows)
        world.restore(state)
        args[:] = given
        turn.rewritten.clear()
    unwritten = state_digest(world) == before and np.array_equal(args, given) and not world.pending
    unasked = not (_asking(turn) or turn.clouds or turn.reshaped or len(turn.afflictions.touched))
    _must(unwritten and unasked, name, f"writes where it may only look, in `{look}`")
    _must(arena.simulation.stage.rng.counts == draws, name, f"draws random numbers where it may only look, in `{look}`")
    return found


@contextmanager
def _legal(name: str, call: str) -> Iterator[None]:
    try:
        yield
    except AssertionError:
        raise
    except Exception as error:
        raise AssertionError(f"{name} fails in `{call}`: {type(error).__name__}: {error}") from error


# -- doing -------------------------------------------------------------------------------------------------------------


def _check_own_rows(arena: _Arena) -> None:
    """Check that those who may do it, one half after the other, write to nobody else's row."""
    codes = _looked(arena, arena.rows, arena.args, "refusals")
    legal = (codes == Refused.NO.value).nonzero()[0]
    for picked in (legal[::2], legal[1::2]):
        if len(picked):
            _check_half(arena, picked)


def _check_half(arena: _Arena, picked: NDArray[np.intp]) -> None:
    kind, name, world, turn = arena.kind, arena.name, arena.world, arena.turn()
    rows, args, before = arena.rows[picked], arena.args[:, picked].copy(), world.snapshot()
    resources = {resource: state_digest(world).components[resource] for resource in world.resources}
    with _legal(name, "begin"):
        kind.begin(turn, rows, args)
    if issubclass(kind, Walk):
        there = _there(kind, turn, rows, args)
        rows, args = rows[there], args[:, there]
    if len(rows):
        with _legal(name, "effect"):
            kind.effect(turn, rows, args)
    _must(not world.pending, name, "changes who exists by itself; go through the turn")
    _check_foreign(arena, before, arena.rows[picked])
    digest = state_digest(world).components
    for resource, hashed in resources.items():
        _must(digest[resource] == hashed, name, f"changes {resource} at once; go through the turn")
    world.restore(before)
    _check_asked(arena, turn)


def _asking(turn: Turn) -> list[tuple[Any, ...]]:
    """Return what was asked of a turn about agents; each begins with their rows."""
    return [*turn.harmed, *turn.mended, *turn.walks, *turn.laid, *turn.uses, *turn.rewritten, *turn.calls]


def _check_asked(arena: _Arena, turn: Turn) -> None:
    """Check that what was asked of a turn is about agents who are there, and is no less than nothing."""
    rows = np.concatenate([turn.afflictions.touched, *(asked[0] for asked in _asking(turn))])
    there = ((rows >= 0) & (rows < arena.world.n)).all()
    _must(bool(there), arena.name, "does something to a target that is gone (its row is -1); refuse such targets")
    for _, amounts in (*turn.harmed, *turn.mended):
        _must(bool((amounts >= 0).all()), arena.name, "harms or mends by less than nothing")
    for walkers, cells in turn.walks:
        _check_steps(arena, walkers, cells)


def _check_foreign(arena: _Arena, before: WorldState, rows: Rows) -> None:
    """Check that since a state nothing of anyone else has changed."""
    world = arena.world
    own = set(world.keys[rows].tolist())
    for change in changes(before, world.snapshot()):
        foreign = change.key not in own and change.column.split(".")[0] not in world.resources
        _must(not foreign, arena.name, f"writes {change.column} of agent {change.key}, who does something else")


def _there(kind: type[Walk], turn: Turn, rows: Rows, args: Args) -> NDArray[np.bool_]:
    return np.asarray(kind.arrived(turn, rows, args), np.bool_)


def _play(arena: _Arena, *, one_by_one: bool = False) -> list[str]:
    """Play an arena from its moment on, and return the state's root after every tick; the arena stays as it was.

    Actors are visited kind by kind, or one by one with the last first.
    """
    simulation, world, name = arena.simulation, arena.world, arena.name
    stage, execution, before, roots = simulation.stage, Execution(), world.snapshot(), []
    for _ in range(TICKS):
        had = _stock(world)
        frame = Frame(stage, world.tick)
        frame.occupancy = occupancy_of(world, stage.grid)
        turn = Turn(world, stage, frame.occupancy, world.tick)
        visits = list(execution.in_use(world, stage.registry))
        if one_by_one:
            visits = [
                (action, rows[[at]], args[:, [at]])
                for action, rows, args in reversed(visits)
                for at in reversed(range(len(rows)))
            ]
        for action, rows, args in visits:
            with _legal(name, "a tick"):
                execution.act(action, turn, rows, args)
        execution.settle(turn, frame)
        Combat().process(world, frame)
        Upkeep().process(world, frame)
        lost = set(world.keys[world[Health].hp <= 0].tolist())
        Cleanup().process(world, frame)
        world.tick += 1
        world.events.clear()
        roots.append(state_digest(world).root)
        _check_stock(name, had, _stock(world), lost)
        _check_sane(simulation, name)
    stage.rng.take_counts()
    world.restore(before)
    return roots


ON_MAP: Final = -1
"""The key that stands for what lies or stands on the map."""


class _Stock(NamedTuple):
    """What there is: things by agents' keys (`ON_MAP`: nobody's) and name, and who may still come."""

    things: dict[str, dict[int, int]]
    reserves: int


def _stock(world: World) -> _Stock:
    ammo, kit, keys = world[Ammo], world[Kit], world.keys.tolist()
    columns: dict[str, NDArray[Any]] = {
        "rounds": ammo.rounds + ammo.reserve + world[Arsenal].rounds.sum(0),
        "smokes": kit.smokes,
        "explosives": kit.explosives,
        "medkits": kit.medkits,
        "items": world[Inventory].count.sum(0),
        "cargo": world[Inventory].cargo,
    }
    things = {name: dict(zip(keys, column.tolist(), strict=True)) for name, column in columns.items()}
    for held in things.values():
        held[ON_MAP] = 0
    objects = world.resources["Objects"]
    assert isinstance(objects, Objects)
    for kind, what, left in zip(objects.kind_of(np.arange(len(objects))), objects.what, objects.left, strict=True):
        effect = objects.specs[what].effect if what >= 0 else None
        match effect:
            case None:
                things.get(objects.kinds[kind], things["items"])[ON_MAP] += int(left)
            case Gives():
                things.get(effect.item, things["items"])[ON_MAP] += int(left)
            case Yields():
                things["cargo"][ON_MAP] += int(left)
    return _Stock(things, int(reserves_of(world).left.sum()))


def _check_stock(name: str, before: _Stock, after: _Stock, lost: set[int]) -> None:
    """Check that things and agents only ever grow fewer, but for agents that leave the reserves."""
    for thing, held in after.things.items():
        had = sum(before.things[thing].values())
        has = sum(count for key, count in held.items() if key in before.things[thing])
        _must(has <= had, name, f"makes {thing} out of nothing: {had} become {has}")
    keys = before.things["rounds"].keys(), after.things["rounds"].keys()
    vanished = sorted(keys[0] - keys[1] - lost)
    _must(not vanished, name, f"lets agent {vanished[:1]} vanish alive")
    born = len(keys[1] - keys[0])
    _must(born == before.reserves - after.reserves, name, f"lets {born} agents come, but other numbers leave reserves")


def _check_sane(simulation: Simulation, name: str) -> None:
    """Check the ranges that every column's unit promises, and that everyone stands on a floor of its own."""
    world = simulation.world
    ammo, kit, health, position = world[Ammo], world[Kit], world[Health], world[Position]
    ranges: dict[str, tuple[NDArray[Any], Any, Any]] = {
        "Ammo.rounds": (ammo.rounds, 0, ammo.magazine),
        "Ammo.reserve": (ammo.reserve, 0, 2**31 - 1),
        "Kit.smokes": (kit.smokes, 0, 2**15 - 1),
        "Kit.explosives": (kit.explosives, 0, 2**15 - 1),
        "Kit.medkits": (kit.medkits, 0, 2**15 - 1),
        "Stamina.value": (world[Stamina].value, 0, 100),
        "Morale.value": (world[Morale].value, 0, 100),
        "Health.hp": (health.hp, 0, health.hp_max),
    }
    for column, (values, low, high) in ranges.items():
        wrong = values[(values < low) | (values > high)]
        _must(not len(wrong), name, f"brings {column} to {wrong[:1].tolist()}, outside of its range")
    cells = simulation.stage.grid.cell(position.x, position.y)
    _must(len(np.unique(cells)) == len(cells), name, "puts two agents on one cell")
    _must(not simulation.stage.grid.wall[cells].any(), name, "puts an agent into a wall")
