"""The check at acceptance, against a slow one that is read off its description."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai.actions import ARGS_MAX, NONE, ActionStep, AllyId, CellX, EnemyId, Role, Scan, ToolRegistry, Wait, cells_in
from ai.errors import ContractError
from ai.legality import refusals
from ai.plans import PlanBatch, Refusal
from ai.snapshot import AgentId, SnapshotBatch, WorldSnapshot
from scenarios.tactics.testing.planning import batches
from tests.ai.strategies import (
    Attack,
    Heal,
    Interact,
    MoveTo,
    Retreat,
    TakeCover,
    enemy,
    raw_plans,
    snapshot,
    wide_registry,
)
from tests.support.marks import covers

REGISTRY = wide_registry()
WORLD = snapshot(
    enemies=[enemy(9, 7, 5), enemy(8, 9, 9)],
    allies=[enemy(2, 5, 6)],
    player={"id": 3, "pos": {"x": 1, "y": 1}},
)


def verdict(steps: list[ActionStep], registry: ToolRegistry = REGISTRY, world: WorldSnapshot = WORLD) -> Refusal:
    """Judge one agent's plan; the agent is number 1."""
    batch = SnapshotBatch.from_snapshots([(AgentId(1), world)])
    return Refusal(int(refusals(batch, PlanBatch.from_steps(batch.keys, [steps], registry), registry)[0]))


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        pytest.param([], Refusal.EMPTY, marks=covers(Refusal.EMPTY)),
        ([Wait()], Refusal.ACCEPTED),
        ([MoveTo(x=15, y=11)], Refusal.ACCEPTED),
        pytest.param([MoveTo(x=16, y=0)], Refusal.OUTSIDE_MAP, marks=covers(Refusal.OUTSIDE_MAP)),
        ([MoveTo(x=0, y=12)], Refusal.OUTSIDE_MAP),
        ([TakeCover(position={"x": 0, "y": 12})], Refusal.OUTSIDE_MAP),
        ([TakeCover()], Refusal.ACCEPTED),
        ([Attack(target_id=9)], Refusal.ACCEPTED),
        ([Attack(target_id=8)], Refusal.ACCEPTED),
        ([Attack(target_id=2)], Refusal.UNKNOWN_TARGET),
        ([Attack(target_id=1)], Refusal.UNKNOWN_TARGET),
        ([Heal()], Refusal.ACCEPTED),
        ([Heal(target_id=1)], Refusal.ACCEPTED),
        ([Heal(target_id=2)], Refusal.ACCEPTED),
        ([Heal(target_id=3)], Refusal.ACCEPTED),
        ([Heal(target_id=9)], Refusal.UNKNOWN_TARGET),
        ([Wait(), Scan(), Attack(target_id=7)], Refusal.UNKNOWN_TARGET),
        ([MoveTo(x=16, y=0), Attack(target_id=7)], Refusal.OUTSIDE_MAP),
    ],
)  # fmt: skip
def test_a_plan_is_judged_by_what_its_agent_knows(steps: list[ActionStep], expected: Refusal) -> None:
    """Cells must be on the map, enemies seen, allies oneself, the leader or seen; the first wrong step decides."""
    assert verdict(steps) is expected


@covers(Refusal.UNKNOWN_KIND)
def test_a_kind_that_is_not_offered_is_refused() -> None:
    """A verb the registry knows but does not offer is refused, whatever its arguments."""
    assert verdict([Wait()], REGISTRY.offering(["Scan"])) is Refusal.UNKNOWN_KIND


@covers(Refusal.UNKNOWN_TARGET)
def test_without_a_leader_nobody_is_the_leader() -> None:
    """An ally argument of an agent without leader cannot match the mark of a missing one."""
    world = snapshot()
    assert verdict([Heal(target_id=0)], world=world) is Refusal.UNKNOWN_TARGET


@pytest.mark.parametrize(
    ("kind", "args", "expected"),
    [
        (-1, (), Refusal.UNKNOWN_KIND),
        (99, (), Refusal.UNKNOWN_KIND),
        (REGISTRY.code("Wait"), (), Refusal.OUT_OF_RANGE),
        (REGISTRY.code("Wait"), (99,), Refusal.OUT_OF_RANGE),
        (REGISTRY.code("Wait"), (100,), Refusal.ACCEPTED),
        (REGISTRY.code("Wait"), (600_000,), Refusal.ACCEPTED),
        (REGISTRY.code("Wait"), (600_001,), Refusal.OUT_OF_RANGE),
        (REGISTRY.code("Wait"), (100, 0), Refusal.OUT_OF_RANGE),
        (REGISTRY.code("Block"), (NONE, NONE, NONE, 0), Refusal.OUT_OF_RANGE),
        (REGISTRY.code("Attack"), (-1,), Refusal.OUT_OF_RANGE),
        (REGISTRY.code("MoveTo"), (0, 0, 1), Refusal.ACCEPTED),
        (REGISTRY.code("MoveTo"), (0, 0, 2), Refusal.OUT_OF_RANGE),
        (REGISTRY.code("MoveTo"), (0, NONE), Refusal.OUT_OF_RANGE),
        (REGISTRY.code("MoveTo"), (2**31 - 1, 0), Refusal.OUT_OF_RANGE),
    ],
)
def test_integers_are_judged_by_the_registrys_tables(kind: int, args: tuple[int, ...], expected: Refusal) -> None:
    """Plans that came as bare integers get the same care: kinds, ranges, missing and surplus arguments."""
    batch = SnapshotBatch.from_snapshots([(AgentId(1), WORLD)])
    plans = PlanBatch.empty(batch.keys)
    plans.set_all(np.array([0]), kind, *args)
    assert Refusal(int(refusals(batch, plans, REGISTRY)[0])) is expected


def slow_verdict(batch: SnapshotBatch, plans: PlanBatch, row: int, registry: ToolRegistry) -> Refusal:
    """Judge one agent's plan step by step and argument by argument."""
    if not plans.length[row]:
        return Refusal.EMPTY
    for step in range(int(plans.length[row])):
        code = int(plans.kind[step, row])
        if not 0 <= code < len(registry.specs) or registry.specs[code].name not in registry:
            return Refusal.UNKNOWN_KIND
        spec = registry.specs[code]
        args = spec.args
        for place in range(ARGS_MAX):
            value = int(plans.args[step, place, row])
            if spec.payload and place == len(args):
                if value < 0:
                    return Refusal.OUT_OF_RANGE
                continue
            if place >= len(args):
                if value != NONE:
                    return Refusal.OUT_OF_RANGE
                continue
            arg = args[place]
            if value == NONE:
                if arg.required:
                    return Refusal.OUT_OF_RANGE
                continue
            if not arg.low <= value <= arg.high:
                return Refusal.OUT_OF_RANGE
            if (arg.role is Role.CELL_X and value >= batch.map.width) or (
                arg.role is Role.CELL_Y and value >= batch.map.height
            ):
                return Refusal.OUTSIDE_MAP
            if arg.role is Role.ENEMY and value not in batch.enemy[row]:
                return Refusal.UNKNOWN_TARGET
            if arg.role is Role.ALLY and value not in {*batch.ally[row], batch.keys[row], batch.leader[row]}:
                return Refusal.UNKNOWN_TARGET
            if arg.role is Role.OBJECT and value not in batch.object[row]:
                return Refusal.UNKNOWN_TARGET
        if spec.payload:
            try:
                step_made = registry.decode(
                    code, plans.args[step, :, row].tolist(), plans.payloads.get((row, step), b"")
                )
            except ContractError:
                return Refusal.OUT_OF_RANGE
            if any(cell.x >= batch.map.width or cell.y >= batch.map.height for cell in cells_in(step_made)):
                return Refusal.OUTSIDE_MAP
    return Refusal.ACCEPTED


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_all_agents_at_once_are_judged_as_each_alone(data: st.DataObject) -> None:
    """The check on arrays agrees, for any integers, with the slow check of one agent after the other."""
    batch = SnapshotBatch.from_snapshots(data.draw(batches()))
    offered = data.draw(st.sampled_from([None, ["Attack", "MoveTo", "Wait"], []]))
    registry = wide_registry() if offered is None else wide_registry().offering(offered)
    plans = data.draw(raw_plans(batch.keys, registry))
    found = refusals(batch, plans, registry)
    assert found.tolist() == [slow_verdict(batch, plans, row, registry) for row in range(len(batch))]


class Swap(ActionStep):
    """Swap an ally with an enemy on a column of the map."""

    act: Literal["Swap"] = "Swap"
    ally: AllyId
    enemy: EnemyId
    x: CellX | None = None


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (Swap(ally=2, enemy=9), Refusal.ACCEPTED),
        (Swap(ally=9, enemy=9), Refusal.UNKNOWN_TARGET),
        (Swap(ally=2, enemy=2), Refusal.UNKNOWN_TARGET),
        (Swap(ally=2, enemy=9, x=16), Refusal.OUTSIDE_MAP),
        (Swap(ally=9, enemy=9, x=16), Refusal.UNKNOWN_TARGET),
    ],
)
def test_roles_are_read_for_each_place_of_an_argument(step: Swap, expected: Refusal) -> None:
    """Kinds of third parties may put targets and cells at any place; the first wrong argument decides."""
    assert verdict([step], ToolRegistry([Swap, Retreat, MoveTo])) is expected


def _route(*cells: tuple[int, int]) -> ActionStep:
    return REGISTRY.make("Patrol", waypoints=[{"x": x, "y": y} for x, y in cells])


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (_route((1, 1), (15, 11)), Refusal.ACCEPTED),
        (_route((1, 1), (16, 1)), Refusal.OUTSIDE_MAP),
        (_route((1, 1), (1, 12)), Refusal.OUTSIDE_MAP),
        (Interact(target_id=5), Refusal.ACCEPTED),
        (Interact(target_id=6), Refusal.UNKNOWN_TARGET),
    ],
)
def test_payloads_and_objects_are_judged(step: ActionStep, expected: Refusal) -> None:
    """Cells inside a list must lie on the map, and an object must be one the agent sees."""
    thing = {"id": 5, "kind": "door", "pos": {"x": 1, "y": 1}}
    batch = SnapshotBatch.from_snapshots([(AgentId(1), snapshot(objects=[thing]))])
    plans = PlanBatch.from_steps(batch.keys, [[step]], REGISTRY)
    assert Refusal(int(refusals(batch, plans, REGISTRY)[0])) is expected


@covers(Refusal.OUT_OF_RANGE)
def test_a_step_without_its_payload_is_refused() -> None:
    """Integers that name a payload which the plan does not carry are out of range."""
    batch = SnapshotBatch.from_snapshots([(AgentId(1), WORLD)])
    plans = PlanBatch.from_steps(batch.keys, [[_route((1, 1), (2, 2))]], REGISTRY)
    plans.payloads.clear()
    assert refusals(batch, plans, REGISTRY).tolist() == [Refusal.OUT_OF_RANGE]


def test_payloads_travel_with_their_plans() -> None:
    """Taking and putting plans takes and puts their payloads, and no others stay behind."""
    keys = np.arange(3, dtype=np.int64)
    one, two = _route((1, 1), (2, 2)), _route((3, 3), (4, 4))
    plans = PlanBatch.from_steps(keys, [[one], [two, one], [one]], REGISTRY)
    part = plans.take(np.array([1, 2]))
    assert [part.steps(row, REGISTRY) for row in range(2)] == [(two, one), (one,)]
    plans.put(np.array([0, 2]), part, np.array([0, 1]), 0)
    assert [plans.steps(row, REGISTRY) for row in range(3)] == [(two, one), (two, one), (one,)]
    plans.put(np.array([1]), PlanBatch.from_steps(keys[:1], [[Interact(target_id=1)]], REGISTRY), np.array([0]), 0)
    assert sorted(plans.payloads) == [(0, 0), (0, 1), (2, 0)]
    assert plans.digest(()) != plans.take(np.array([0, 1, 1])).digest(())
