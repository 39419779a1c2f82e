"""The planners that plug in: what they strive for, what they choose, and that they search as far as they promise."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from ai.facts import FACTS, bits, facts_of
from ai.operators import Operator, operators
from hypothesis import given
from hypothesis import strategies as st

from ai.actions import STEPS_MAX, ToolRegistry
from ai.errors import ContractError
from ai.orchestrator import FallbackOrchestrator, drive
from ai.planners.base import PlanCall, TierPlans
from ai.planners.behaviour import Behaviour, Branch
from ai.planners.goap import Goap, search
from ai.planners.heuristic import Heuristic
from ai.planners.scripted import Script, Scripted
from ai.planners.utility import Utility
from ai.plans import Outcome
from ai.snapshot import SharedMap, SnapshotBatch
from ai.testing import sample_snapshots
from scenarios.tactics.actions import default_registry

REGISTRY = default_registry()
BITS = 4


def batch_of(**columns: list[int]) -> SnapshotBatch:
    """Return a batch of agents of whom only some columns matter; enemies are given by their cells."""
    n = len(next(iter(columns.values())))
    given = {name: np.array(values, np.int32) for name, values in columns.items()}
    full = {"hp": np.full(n, 100, np.int32), "hp_max": np.full(n, 100, np.int32), "ammo": np.full(n, 9, np.int32)}
    enemies: dict[str, np.ndarray] = {}
    if "enemy_at" in given:
        at = given.pop("enemy_at")
        enemies = {
            "enemy": np.where(np.arange(8) == 0, np.where(at >= 0, 50, -1)[:, None], -1).astype(np.int64),
            "enemy_x": np.where(np.arange(8) == 0, at[:, None], 0).astype(np.int32),
            "enemy_hp": np.where(np.arange(8) == 0, 100, 0).astype(np.int32).repeat(n).reshape(8, n).T.copy(),
        }

    shared = SharedMap(width=64, height=64)
    return SnapshotBatch(np.arange(n, dtype=np.int64), map=shared, **{**full, **enemies, **given})


def ask(planner: object, batch: SnapshotBatch, registry: ToolRegistry = REGISTRY) -> TierPlans:
    """Ask one planner."""
    call = PlanCall(None, lambda: 0.0)
    return drive(planner.plan(batch, registry, call))  # type: ignore[attr-defined]


def verbs(planner: object, batch: SnapshotBatch, registry: ToolRegistry = REGISTRY) -> list[list[str]]:
    """Return the verbs that a planner gives each agent."""
    plans = ask(planner, batch, registry).plans
    return [[step.act for step in plans.steps(row, registry)] for row in range(len(batch))]


@st.composite
def operator_sets(draw: st.DrawFn) -> tuple[Operator, ...]:
    """Draw a few operators over four facts."""
    some = st.integers(0, 2**BITS - 1)
    count = draw(st.integers(1, 5))
    return tuple(
        Operator(f"v{place}", draw(some) & draw(some), draw(some) & draw(some) & draw(some), draw(some),
                 draw(some) & draw(some), draw(st.integers(1, 9)))
        for place in range(count)
    )  # fmt: skip


@given(known=operator_sets(), start=st.integers(0, 2**BITS - 1), want=st.integers(1, 2**BITS - 1))
def test_the_search_finds_a_plan_of_least_effort(known: tuple[Operator, ...], start: int, want: int) -> None:
    """Held against trying every sequence of up to four operators."""
    found = search(start, want, known)
    least = None
    for length in range(4):
        for tried in product(known, repeat=length):
            facts, effort = start, 0
            for operator in tried:
                if not operator.applies(facts):
                    break
                facts, effort = operator.after(facts), effort + operator.effort
            else:
                if facts & want == want and (least is None or effort < least):
                    least = effort
    if found is None:
        assert least is None
        return
    facts, spent = start, 0
    by_verb = {operator.verb: operator for operator in known}
    for verb in found:
        assert by_verb[verb].applies(facts)
        facts, spent = by_verb[verb].after(facts), spent + by_verb[verb].effort
    assert facts & want == want
    assert len(found) <= STEPS_MAX
    assert least is None or spent <= least


def test_goap_plans_several_steps_towards_beating_an_enemy() -> None:
    """Who has no round loads first, who is far away goes near, and who stands by strikes."""
    batch = batch_of(enemy_at=[4, 20, 1, 20], ammo=[9, 9, 9, 0], reserve=[9, 9, 9, 9])
    near, far, close, empty = verbs(Goap(), batch)
    assert near[-1] in {"Attack", "AimedShot"}
    assert far[0] == "Approach"
    assert far[-1] in {"Attack", "AimedShot"}
    assert close == ["HeavyAttack"]
    assert {"Reload", "Approach"} <= set(empty)


def test_goap_strives_for_what_can_be_reached() -> None:
    """Without an enemy: heal, load, go to the goal, look around; what the registry lacks is not planned."""
    batch = batch_of(hp=[20, 100, 100, 100], medkits=[1, 0, 0, 0], ammo=[9, 0, 9, 9], reserve=[0, 9, 0, 0],
                     goal_x=[-1, -1, 7, -1], goal_y=[-1, -1, 7, -1])  # fmt: skip
    assert verbs(Goap(), batch) == [["Heal"], ["Reload"], ["MoveTo"], ["Scan"]]
    fewer = REGISTRY.offering(["Scan", "Wait"])
    assert verbs(Goap(), batch, fewer) == [["Scan"]] * 4


def test_what_kinds_declare_are_facts() -> None:
    """Every kind of the shipped registry declares facts that there are, and several can be operators."""
    found = {operator.verb for operator in operators(REGISTRY)}
    assert {"Attack", "Approach", "Heal", "MoveTo", "Reload", "Scan", "TakeCover"} <= found
    with pytest.raises(ContractError, match=r"Mine\.needs: there is no fact 'amo'"):
        bits(["amo"], "Mine.needs")


@given(st.sets(st.sampled_from(FACTS)), st.sets(st.sampled_from(FACTS)))
def test_facts_are_bits(on: set[str], off: set[str]) -> None:
    """Names and bits stand for each other, `!` for the opposite."""
    found_on, found_off = bits([*sorted(on), *(f"!{name}" for name in sorted(off))], "here")
    assert (found_on.bit_count(), found_off.bit_count()) == (len(on), len(off))


def test_facts_are_what_agents_know() -> None:
    """Each fact holds for the agents that it should hold for."""
    batch = batch_of(enemy_at=[-1, 4, 1], hp=[100, 30, 100], medkits=[0, 1, 0])
    facts = facts_of(batch).tolist()
    held = [{name for place, name in enumerate(FACTS) if each >> place & 1} for each in facts]
    assert "enemy" not in held[0]
    assert {"enemy", "enemy in reach", "medkit"} <= held[1]
    assert not {"healthy", "enemy close"} & held[1]
    assert {"enemy close", "healthy"} <= held[2]


def test_a_behaviour_tree_takes_the_first_branch_that_succeeds() -> None:
    """Branches are tried in order; one whose verbs are not offered fails."""
    tree = (Branch(("enemy",), ("HeavyAttack",)), Branch(("enemy",), ("Attack", "TakeCover")), Branch((), ("Scan",)))
    batch = batch_of(enemy_at=[4, -1])
    assert verbs(Behaviour(tree), batch) == [["HeavyAttack"], ["Scan"]]
    fewer = REGISTRY.offering(["Attack", "TakeCover", "Scan", "Wait"])
    assert verbs(Behaviour(tree), batch, fewer) == [["Attack", "TakeCover"], ["Scan"]]


def test_a_behaviour_tree_that_does_nothing_is_refused() -> None:
    """A branch has one verb at least."""
    with pytest.raises(ContractError, match="a branch does 1 to"):
        Behaviour((Branch((), ()),))


def test_utility_weighs_what_agents_know() -> None:
    """Blows at arm's length, shots within reach, medkits for the wounded, the objective when all is quiet."""
    batch = batch_of(enemy_at=[1, 5, 5, -1, 20], hp=[100, 100, 10, 100, 100], medkits=[0, 0, 1, 0, 0],
                     goal_x=[-1, -1, -1, 9, -1], goal_y=[-1, -1, -1, 9, -1])  # fmt: skip
    assert verbs(Utility(), batch) == [["HeavyAttack"], ["Attack"], ["Heal"], ["MoveTo"], ["Approach"]]


def test_utility_takes_the_next_best_where_the_best_is_not_offered() -> None:
    """An option that cannot be made leaves the agent to the next."""
    batch = batch_of(enemy_at=[1])
    assert verbs(Utility(), batch, REGISTRY.offering(["Attack", "Scan", "Wait"])) == [["Attack"]]


def test_a_script_gives_the_last_line_that_counts() -> None:
    """An agent's own line goes before everyone's of the same tick, later ones before earlier, none before its tick."""
    lines = [
        {"tick": 0, "steps": [{"act": "Wait", "duration": 1}]},
        {"agent": 1, "tick": 0, "steps": [{"act": "Block"}]},
        {"agent": 2, "tick": 5, "steps": [{"act": "Scan", "radius": 3}]},
    ]
    batch = batch_of(x=[0, 0, 0])
    script = Scripted(Script.model_validate({"lines": lines}))
    assert verbs(script, batch) == [["Wait"], ["Block"], ["Wait"]]
    late = SnapshotBatch(np.arange(3, dtype=np.int64), tick=5, map=batch.map)
    assert verbs(script, late) == [["Wait"], ["Block"], ["Scan"]]


def test_a_wrong_line_costs_its_agents_alone() -> None:
    """What the registry cannot read is invalid, with the reason, and the next tier plans."""
    lines = [{"agent": 1, "steps": [{"act": "Fly"}]}, {"agent": 0, "steps": [{"act": "Block"}]}]
    answer = ask(Scripted(Script.model_validate({"lines": lines})), batch_of(x=[0, 0]))
    assert answer.outcome.tolist() == [Outcome.OK, Outcome.INVALID]
    assert "Fly" in answer.errors[1]


def test_tiers_of_some_teams_are_passed_over_by_others() -> None:
    """Each team's agents go down their own tiers, in one call."""
    orchestrator = FallbackOrchestrator([Goap(), Utility(), Heuristic()], only={"goap": {0}, "utility": {1}})
    team = np.array([0, 1, 2, 0], np.int32)
    plain = batch_of(x=[0, 0, 0, 0])
    batch = SnapshotBatch(plain.keys, team=team, map=plain.map)
    plans = drive(orchestrator.plan_batch_with_fallback(None, batch, REGISTRY))
    assert [plans.tiers[tier] for tier in plans.plans.tier.tolist()] == ["goap", "utility", "heuristic", "goap"]
    assert [(attempt.tier, attempt.rows.tolist()) for attempt in plans.attempts] == [
        ("goap", [0, 3]), ("utility", [1]), ("heuristic", [2]),
    ]  # fmt: skip


@pytest.mark.parametrize("only", [{"emergency": {0}}, {"gaop": {0}}])
def test_only_known_tiers_can_be_kept_to_teams(only: dict[str, set[int]]) -> None:
    """The last tier is for everyone, and a typing error is told."""
    with pytest.raises(ContractError, match="`only` names"):
        FallbackOrchestrator([Goap()], only=only)


def test_agents_out_of_a_file_are_planned_for_by_every_planner() -> None:
    """From snapshots, as another engine would use them."""
    for planner in (Goap(), Utility(), Behaviour()):
        results = drive(FallbackOrchestrator([planner, Heuristic()]).plan_batch_with_fallback(
            None, sample_snapshots(), REGISTRY))  # fmt: skip
        assert planner.name in {result.tier for result in results.values()}
