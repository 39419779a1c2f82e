"""The combat phase: harm and healing are summed and applied at once; guards, morale and alarm follow."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from scenarios.tactics.components import Status
from scenarios.tactics.game import Notes
from scenarios.tactics.systems.combat import Combat
from tests.reference.stage import Stage


def fight(stage: Stage, harm: Sequence[tuple[int, int]] = (), mend: Sequence[tuple[int, int]] = ()) -> None:
    """Run the phase alone with (row, amount) pairs, each in a part of its own."""

    def parts(pairs: Sequence[tuple[int, int]]) -> list[tuple[np.ndarray, np.ndarray]]:
        return [(np.array([row]), np.array([amount], np.int32)) for row, amount in pairs]

    strike(stage, Notes(harm=parts(harm), mend=parts(mend)))


def strike(stage: Stage, notes: Notes) -> None:
    """Run the phase alone with the notes of the phases before it."""
    world, run = stage.sim.world, stage.sim.run_context
    run.begin(world.tick, ())
    run.notes = notes
    Combat().process(world, run)


def test_harm_from_several_adds_up() -> None:
    """Two parts on one agent, and one part that names it twice, are summed."""
    with Stage("ab") as stage:
        fight(stage, harm=[(1, 10), (1, 15)])
        assert [stage[key, "Health.hp"] for key in (0, 1)] == [100, 75]
        strike(stage, Notes(harm=[(np.array([0, 0]), np.array([5, 5], np.int32))]))
        assert stage[0, "Health.hp"] == 90


def test_healing_and_harm_meet_before_the_maximum() -> None:
    """Hit points become the sum, at most the maximum: healing is not cut off before the harm."""
    with Stage("a") as stage:
        fight(stage, harm=[(0, 15)], mend=[(0, 20)])
        assert stage[0, "Health.hp"] == 100
        fight(stage, harm=[(0, 25)], mend=[(0, 20)])
        assert stage[0, "Health.hp"] == 95


@pytest.mark.parametrize(("harm", "taken"), [([10], 5), ([5, 10], 8), ([1], 1)])
def test_a_guard_halves_the_sum_rounded_up(harm: list[int], taken: int) -> None:
    """The guard works on what falls together, not on each hit."""
    with Stage("a") as stage:
        stage[0, "Guard.until"] = 1
        fight(stage, harm=[(0, amount) for amount in harm])
        assert stage[0, "Health.hp"] == 100 - taken


def test_a_guard_ends_at_its_tick() -> None:
    """A guard until tick 1 holds in tick 0 and not in tick 1."""
    with Stage("a") as stage:
        stage[0, "Guard.until"] = 1
        stage.tick()
        fight(stage, harm=[(0, 10)])
        assert stage[0, "Health.hp"] == 90


def test_guards_do_not_halve_healing() -> None:
    """Only harm is halved."""
    with Stage("a") as stage:
        stage[0, "Health.hp"], stage[0, "Guard.until"] = 10, 5
        fight(stage, mend=[(0, 20)])
        assert stage[0, "Health.hp"] == 30


def test_morale_falls_with_harm_taken_and_with_dead_squad_mates() -> None:
    """Half the harm taken, and ten for each of the squad who died; not for other squads, and not below zero."""
    with Stage("aaaab") as stage:
        fight(stage, harm=[(0, 9), (1, 100), (2, 150)])
        assert [stage[key, "Morale.value"] for key in (0, 3, 4)] == [76, 80, 100]
    with Stage("aa") as stage:
        stage[1, "Morale.value"] = 4
        fight(stage, harm=[(0, 500)])
        assert stage[1, "Morale.value"] == 0


def test_a_guarded_agent_loses_less_morale() -> None:
    """Morale follows the harm taken, which is what the guard let through."""
    with Stage("a") as stage:
        stage[0, "Guard.until"] = 1
        fight(stage, harm=[(0, 20)])
        assert stage[0, "Morale.value"] == 95


def test_who_is_hit_out_of_the_blue_plans_anew() -> None:
    """A plan that knew of no threat goes stale when harm comes; one that did runs on."""
    with Stage("a#b") as stage:
        stage.tick()
        fight(stage, harm=[(0, 1)])
        assert stage.status(0) is Status.STALE
        assert stage[0, "Progress.waiting_since"] == 1
    with Stage("a.b") as stage:
        stage.tick()
        fight(stage, harm=[(0, 1)])
        assert stage.status(0) is Status.RUNNING


def test_without_harm_and_healing_nothing_changes() -> None:
    """Not even hit points above the maximum are touched."""
    with Stage("ab") as stage:
        stage[0, "Health.hp"] = 120
        before = stage.sim.snapshot()
        fight(stage)
        fight(stage, harm=[(1, 0)])
        assert stage.sim.snapshot() == before
