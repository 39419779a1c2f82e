"""Runs the simulation and the slow reference side by side and compares everything after every tick."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ai.actions import EncodedStep, ToolRegistry
from ai.observation import ObservationBatch
from ai.plans import BatchPlans, PlanBatch
from scenarios.tactics.actions import default_registry
from scenarios.tactics.components import AGENT
from scenarios.tactics.grid import MARGIN
from scenarios.tactics.inputs import Input
from scenarios.tactics.reinforcements import reserves_of
from scenarios.tactics.scenario import terrain
from sim.engine.columns import schema_of
from sim.engine.rng import philox4x32
from sim.run.planning_service import LivePlanner
from sim.run.scenario_file import Scenario
from sim.run.simulation import Simulation, TickReport
from tests.reference.slow_rules import heuristic
from tests.reference.slow_things import COMPASS
from tests.reference.slow_tick import RULED, Known, Plan, SlowTick, SlowWorld, Step

Choose = Callable[[int, int], Plan]
"""Gives the plan of an agent key at a tick; asked twice, it answers the same with fresh steps."""

COLUMNS = [(spec.label, component, spec.name) for component in AGENT for spec in schema_of(component).columns]


class MismatchError(AssertionError):
    """The two do not agree; the message names tick, key, column and both values."""


class Scripted:
    """A plan source that hands out whatever `choose` says, legal or not."""

    tiers = ("script",)
    models = ()

    def __init__(self, choose: Choose, registry: ToolRegistry | None = None) -> None:
        self.choose = choose
        self.registry = registry or default_registry()
        self.batch: ObservationBatch[Any] | None = None

    def plan(self, batch: ObservationBatch[Any], walks: Any = None) -> BatchPlans:
        """Hand the plans out."""
        assert walks is None
        self.batch = batch
        chosen = [self.choose(int(key), batch.tick) for key in batch.keys]
        plans = PlanBatch.empty(batch.keys, max(map(len, chosen)))
        plans.tier[:] = 0
        for row, plan in enumerate(chosen):
            for place, step in enumerate(plan):
                code = self.registry.code(step.kind)
                plans.set_step(row, place, EncodedStep(code, tuple(step.stored()), step.payload))
        return BatchPlans(plans, self.tiers, [])

    def forget(self) -> None:
        """No call is ever open."""

    def close(self) -> None:
        """There is nothing to give back."""


class Watched:
    """Lets another plan source plan and keeps the batch it was asked for."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.tiers = inner.tiers
        self.models = inner.models
        self.batch: ObservationBatch[Any] | None = None

    def plan(self, batch: ObservationBatch[Any], walks: Any = None) -> BatchPlans:
        """Note the batch and pass it on."""
        self.batch = batch
        plans: BatchPlans = self.inner.plan(batch, walks)
        return plans

    def forget(self) -> None:
        """Let the inner source forget."""
        self.inner.forget()

    def close(self) -> None:
        """Close the inner source."""
        self.inner.close()


def run_in_step(
    scenario: Scenario,
    *,
    ticks: int,
    seed: int | None = None,
    inputs: Mapping[int, Sequence[Input]] | None = None,
    choose: Choose | None = None,
) -> SlowWorld:
    """Run both for some ticks or until the run is decided, and return the slow world.

    Args:
        scenario: what to run; its own timed inputs are applied as well.
        ticks: how long.
        seed: replaces the scenario's.
        inputs: more inputs by tick.
        choose: plans; the scenario's rules plan where it is not given.

    Raises:
        MismatchError: they do not agree.
    """
    source: Any
    if choose is None:
        source = Watched(LivePlanner(scenario, default_registry(), None, time.perf_counter))
    else:
        source = Scripted(choose)
    slow = SlowWorld(scenario, scenario.seed if seed is None else seed, _planner(choose), _glyphs(scenario))
    timeline: dict[int, list[Input]] = {}
    for timed in scenario.inputs:
        timeline.setdefault(timed.tick, []).append(timed.input)
    with Simulation(scenario, seed=seed, source=source) as fast:
        _compare_state(-1, fast, slow)
        for tick in range(ticks):
            injected = [*(inputs or {}).get(tick, ())]
            for item in injected:
                fast.inject(item)
            source.batch = None
            report = fast.tick()
            expected = slow.tick([*timeline.get(tick, ()), *injected])
            _compare_report(report, expected, source.batch)
            _compare_state(tick, fast, slow)
            if report.outcome is not None:
                break
    return slow


def _planner(choose: Choose | None) -> Callable[[SlowWorld, Known], tuple[Plan, int]]:
    if choose is None:
        return heuristic
    return lambda world, known: (choose(known.me.key, world.tick_number), 0)


def _glyphs(scenario: Scenario) -> list[list[str]]:
    return [[".+#"[code] for code in row] for row in terrain(scenario.settings).tolist()]


def _check(tick: int, what: str, name: str, fast: object, slow: object) -> None:
    if fast != slow:
        raise MismatchError(f"tick {tick}, {what}, {name}: the simulation has {fast!r}, the reference {slow!r}")


def _compare_state(tick: int, fast: Simulation, slow: SlowWorld) -> None:
    world, stage = fast.world, fast.run_context.game
    _check(tick, "world", "keys", world.keys.tolist(), sorted(slow.agents))
    _check(tick, "world", "next_key", world.next_key, slow.next_key)
    _check(tick, "world", "outcome", fast.outcome, slow.outcome() if tick >= 0 else None)
    held = {}
    for label, component, name in COLUMNS:
        column = getattr(world[component], name)
        held[label] = (column if column.ndim == 1 else np.moveaxis(column, -1, 0)).tolist()
    for row, key in enumerate(world.keys.tolist()):
        expected = slow.agents[key].columns(slow.texts, slow.tables.own_items)
        assert expected.keys() == held.keys()
        for label, values in held.items():
            _check(tick, f"agent {key}", label, values[row], expected[label])
    clouds = {
        (cell % stage.grid.stride - MARGIN, cell // stage.grid.stride - MARGIN): until
        for cell, until in zip(stage.smoke.cell.tolist(), stage.smoke.until.tolist(), strict=True)
    }
    _check(tick, "Smoke", "cell: until", clouds, slow.smoke)
    assert stage.smoke.cell.tolist() == sorted(set(stage.smoke.cell.tolist()))
    rows = ["".join(".+#"[code] for code in row) for row in stage.grid.terrain.tolist()]
    for y, row in enumerate(rows):
        _check(tick, "Grid", f"terrain row {y}", row, "".join(slow.terrain[y]))
    _check(tick, "Parameters", "value", stage.parameters.columns()["value"].tolist(), list(slow.rules.values()))
    _check(tick, "Budgets", "left", stage.budgets.left.tolist(), list(slow.budget.values()))
    aims = stage.objectives
    states = [("open", "done", "failed")[state] for state in aims.state.tolist()]
    _check(tick, "Objectives", "progress", aims.progress.tolist(), [aim.progress for aim in slow.aims])
    _check(tick, "Objectives", "state", states, [aim.state for aim in slow.aims])
    teams = range(len(slow.scenario.settings.teams))
    _check(
        tick,
        "teams",
        "score",
        [team.score for team in fast.domain.standings(world)],
        [slow.score(team) for team in teams],
    )
    _check(tick, "Reserves", "left", reserves_of(world).left.tolist(), slow.reserves)
    _check(tick, "Objectives", "delivered", aims.delivered.tolist(), slow.delivered)
    things = stage.objects
    found = list(zip(*(column.tolist() for column in (things.id, things.x, things.y, things.left)), strict=True))
    laid = [(n, *thing.place, -1 if thing.left is None else thing.left) for n, thing in slow.things.items()]
    _check(tick, "Objects", "id, x, y, left", found, laid)
    _check(tick, "Objects", "next_id", things.next_id, slow.next_thing)
    _check(tick, "TerrainEdits", "left", stage.edits.left.tolist(), slow.edits)
    stored = {index: stage.payloads[index] for index in stage.payloads.columns()["index"].tolist()}
    _check(tick, "Payloads", "contents", stored, dict(sorted(slow.payloads.items())))
    _check(tick, "Texts", "all", list(stage.lore.texts.all), slow.texts)


def _compare_report(report: TickReport, expected: SlowTick, batch: ObservationBatch[Any] | None) -> None:
    tick = report.tick
    applied = [item for place, item in enumerate(report.inputs) if place not in report.refused]
    _check(tick, "report", "inputs", applied, expected.applied)
    _check(tick, "report", "refused", [report.inputs[place] for place in report.refused], expected.refused)
    for reason in report.refused.values():
        assert reason
        assert "\n" not in reason
    _check(tick, "report", "outcome", report.outcome, expected.outcome)
    _check(tick, "report", "draws", report.draws.get("hit", 0), expected.hits_drawn)
    _check(tick, "batch", "keys", [] if batch is None else batch.keys.tolist(), sorted(expected.known))
    if batch is None:
        return
    for row, key in enumerate(sorted(expected.known)):
        for name, value in expected.known[key].items():
            _check(tick, f"agent {key}", f"batch.{name}", batch.column(name)[row].tolist(), value)


class Dice:
    """Numbers from a seed, one after the other; the same on every machine."""

    def __init__(self, *seed: int) -> None:
        self.seed = (sum(part * 1_000_003**place for place, part in enumerate(seed)) & 0xFFFFFFFF, len(seed))
        self.count = 0

    def below(self, bound: int) -> int:
        """Return a whole number from 0 to bound - 1."""
        self.count += 1
        return philox4x32((self.count, 0, 0, 0), self.seed)[0] * bound >> 32

    def pick(self, values: Sequence[Any]) -> Any:
        """Return one of some values."""
        return values[self.below(len(values))]


def random_plans(seed: int, scenario: Scenario, kinds: Sequence[str] = RULED, strangers: int = 2) -> Choose:
    """Return a script of random plans of one to four steps of some kinds, with targets and cells of every sort.

    `strangers` is how many keys are named besides those of the first agents. Kinds that need a name of a weapon or of
    an ability are left out where the scenario has none.
    """
    lacking = set() if scenario.settings.weapons else {"EquipWeapon"}
    lacking |= set() if scenario.settings.abilities else {"UseAbility", "UseDefensiveAbility"}
    possible = [kind for kind in kinds if kind not in lacking]

    def choose(key: int, tick: int) -> Plan:
        dice = Dice(seed, key, tick)
        return [
            _random_step(dice, dice.pick(possible), scenario, scenario.agents + strangers)
            for _ in range(1 + dice.below(4))
        ]

    return choose


def errands(seed: int, scenario: Scenario) -> Choose:
    """Return a script in which everyone walks from one thing on the map to another and deals with each."""
    things = [(n, thing.x, thing.y) for n, thing in enumerate(scenario.settings.map.objects)]

    def choose(key: int, tick: int) -> Plan:
        dice = Dice(seed, key, tick)
        chosen = [dice.pick(things) for _ in range(3)]
        return [step for n, x, y in chosen for step in (Step("MoveTo", [x, y, 2]), Step("Interact", [n]))]

    return choose


def _payload(kind: str, **fields: Any) -> bytes:
    registry = default_registry()
    return registry.encode(registry.make(kind, **fields)).payload


def _random_request(dice: Dice, width: int, height: int) -> dict[str, Any]:
    where: dict[str, Any] = {"method": dice.pick(["Coordinates", "DirectionFrom", "LineOfSight"])}
    match where["method"]:
        case "Coordinates":
            where["cell"] = dice.pick([None, {"x": dice.below(width + 1), "y": dice.below(height + 1)}])
        case "DirectionFrom":
            where |= {"cardinal": dice.pick(list(COMPASS)), "distance": dice.pick(["near", "medium"])}
        case _:
            where["look_distance"] = 1 + dice.below(6)
    kind = dice.pick(["Cave", "Crater", "Cliff", "Lake", "Forest", "Ruins", "Custom"])
    return {
        "feature_type": {"type": kind},
        "relative_location": where,
        "intensity": dice.pick([0.0, 0.5, 1.0]),
    }


def _random_step(dice: Dice, kind: str, scenario: Scenario, keys: int) -> Step:
    width, height = scenario.settings.map.width, scenario.settings.map.height
    args: list[int | None]
    match kind:
        case "EquipWeapon":
            args = [dice.below(len(scenario.settings.weapons))]
        case "SwitchWeapon":
            args = [dice.below(4)]
        case "UseItem" | "DropItem":
            args = [dice.below(3 + len(scenario.settings.items))]
        case "Throw":
            args = [dice.below(3 + len(scenario.settings.items)), dice.below(width), dice.below(height)]
        case "UseAbility" | "UseDefensiveAbility":
            args = [dice.below(len(scenario.settings.abilities))]
        case "Interact":
            things = len(scenario.settings.map.objects) + sum(group.count for group in scenario.settings.map.scattered)
            args = [dice.below(things + 6)]
        case "Patrol":
            cells = tuple({"x": dice.below(width), "y": dice.below(height)} for _ in range(2 + dice.below(2)))
            return Step(kind, [0, None], _payload(kind, waypoints=cells))
        case "ModifyTerrain":
            request = _random_request(dice, width, height)
            return Step(kind, [0], _payload(kind, request_id=f"r{dice.below(3)}", payload=request))
        case "Attack" | "AimedShot" | "QuickAttack" | "HeavyAttack":
            args = [dice.below(keys)]
        case "Charge" | "CoordinateAttack" | "Distract" | "MarkTarget" | "Revive" | "Taunt":
            args = [dice.below(keys)]
        case "Strafe":
            args = [dice.below(keys), dice.below(2)]
        case "CoverFire":
            args = [dice.below(keys), 100 + dice.below(2000)]
        case "AoEAttack":
            args = [dice.below(width), dice.below(height), 1 + dice.below(4)]
        case "Dodge":
            args = [dice.pick([None, 0, 1])]
        case "CallReinforcements":
            args = [1 + dice.below(3)]
        case "RequestCover":
            args = [100 + dice.below(4000)]
        case "Regroup" | "SetAmbush":
            args = [dice.below(width), dice.below(height)]
        case "Approach" | "Retreat":
            args = [dice.below(keys), 1 + dice.below(8)]
        case "Heal":
            args = [None if dice.below(2) else dice.below(keys)]
        case "MoveTo":
            args = [dice.below(width), dice.below(height), dice.pick([None, 0, 1, 2])]
        case "TakeCover":
            args = [None, None] if dice.below(3) else [dice.below(width), dice.below(height)]
        case "ThrowExplosive" | "ThrowSmoke":
            args = [dice.below(width), dice.below(height)]
        case "Scan":
            args = [1 + dice.below(12)]
        case "Wait":
            args = [100 + dice.below(600)]
        case _:
            args = []
    return Step(kind, args)
