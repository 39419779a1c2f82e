"""How steps run: in order, in time, after cooldowns, checked twice, and resolved all at once."""

from __future__ import annotations

import numpy as np
import pytest

from scenarios.tactics.actions.base import TRIES_MAX, Refused
from scenarios.tactics.components import Status
from scenarios.tactics.inputs import Remove, SetCells
from tests.reference.stage import Stage


def test_steps_run_one_after_the_other_one_a_tick() -> None:
    """The next step starts in the tick after the last one's effect; the plan ends with its last step."""
    with Stage("a") as stage:
        stage.plan(0, ("Wait", 100), ("Wait", 200), ("Block",))
        seen = []
        for _ in range(4):
            stage.tick()
            seen.append((stage[0, "Progress.step"], stage[0, "Progress.started_at"]))
        assert seen == [(1, -1), (1, 1), (2, -1), (2, 3)]
        stage.tick(8)
        assert stage.status(0) is Status.RUNNING
        stage.tick()
        assert stage.status(0) is Status.FINISHED
        assert stage[0, "Progress.waiting_since"] == 12


def test_a_finished_plan_is_followed_by_another_in_the_next_tick() -> None:
    """Who is done is asked again at once, who is busy is not."""
    with Stage("aa") as stage:
        stage.plan(0, ("Wait", 100))
        stage.tick(3)
        assert stage.asked == [(0, 0), (0, 1), (1, 0)]


def test_the_plan_can_be_read_as_steps() -> None:
    """`entity(key).steps` gives the plan's steps in order, with their arguments."""
    with Stage("a.b") as stage:
        stage.plan(0, ("MoveTo", 1, 0, 2), ("Wait", 1500), ("Attack", 1), ("Heal", None))
        stage.tick()
        steps = stage.sim.world.entity(0).steps
        assert [str(step) for step in steps] == [
            "MoveTo(x=1, y=0, speed=sprint)", "Wait(duration=1.5)", "Attack(target_id=1)", "Heal()",
        ]  # fmt: skip
        assert steps[0].model_dump(mode="json") == {"act": "MoveTo", "x": 1, "y": 0, "speed": "sprint"}


def test_an_agent_waits_for_its_cooldown() -> None:
    """A step whose group cools down is neither started nor refused until the group works again."""
    with Stage("ab", hp=10_000) as stage:
        stage.plan(0, ("QuickAttack", 1), ("AimedShot", 1))
        stage.tick(5)
        assert stage[0, "Progress.started_at"] == -1
        assert stage.status(0) is Status.RUNNING
        stage.tick()
        assert stage[0, "Progress.started_at"] == 5


def test_a_step_is_judged_when_it_starts_not_when_it_waits() -> None:
    """A target lost during the cooldown is refused only when the step's turn comes."""
    with Stage("ab") as stage:
        stage.plan(0, ("Attack", 1), ("Attack", 1))
        stage.tick(5)
        stage.give(Remove(agent=1))
        stage.tick(4)
        assert stage.status(0) is Status.RUNNING
        stage.tick()
        assert stage.refusal(0) is Refused.TARGET_GONE


@pytest.mark.parametrize("hide", ["wall", "smoke", "death"])
def test_a_long_step_is_judged_again_before_its_effect(hide: str) -> None:
    """Sight and target are those of the tick in which the effect comes; a refused effect costs nothing."""
    with Stage("a.b") as stage:
        stage.plan(0, ("AimedShot", 1))
        stage.tick(5)
        if hide == "wall":
            stage.give(SetCells(cell="wall", x=1, y=0))
        elif hide == "smoke":
            stage.sim.run_context.game.smoke.add(np.array([stage.sim.run_context.game.grid.cell_at(1, 0)]), 99)
        else:
            stage.give(Remove(agent=1))
        while stage.status(0) is Status.RUNNING:
            stage.tick()
        assert stage.sim.world.tick == 10
        assert stage.refusal(0) is (Refused.TARGET_GONE if hide == "death" else Refused.NO_SIGHT)
        assert stage[0, "Ammo.rounds"] == 30
        assert not stage[0, "Cooldowns.ready_at"].any()


def test_what_hides_only_in_between_does_not_matter() -> None:
    """Smoke that is gone when the effect comes does not refuse the step."""
    with Stage("a.b") as stage:
        stage.plan(0, ("AimedShot", 1))
        stage.tick()
        stage.sim.run_context.game.smoke.add(np.array([stage.sim.run_context.game.grid.cell_at(1, 0)]), 8)
        stage.tick(9)
        assert stage.status(0) is Status.FINISHED


def test_a_refused_plan_ends_and_is_followed_by_another_after_a_pause() -> None:
    """A refusal drops the steps that are left; half a second later the agent is asked again."""
    with Stage("a") as stage:
        stage.plan(0, ("Attack", 7), ("Wait", 100))
        stage.tick()
        assert stage.status(0) is Status.REFUSED
        assert stage[0, "Progress.waiting_since"] == 5
        stage.tick(5)
        assert stage.asked == [(0, 0), (5, 0)]
        assert stage.refusal(0) is Refused.NO


def test_the_lowest_key_wins_a_cell_and_the_other_tries_again() -> None:
    """Two who want one cell: the lower key gets it, the other counts a try."""
    with Stage("b.a") as stage:
        stage.plan(0, ("MoveTo", 1, 0, 2))
        stage.plan(1, ("MoveTo", 1, 0, 2))
        stage.tick()
        assert [stage.at(0), stage.at(1)] == [(1, 0), (0, 0)]
        assert [stage[0, "Progress.tries"], stage[1, "Progress.tries"]] == [0, 1]


def test_a_cell_left_this_tick_is_not_free_yet() -> None:
    """Nobody steps onto a cell that was taken at the start of the phase; so nobody swaps places either."""
    with Stage("ab..") as stage:
        stage.plan(0, ("MoveTo", 3, 0, 2))
        stage.plan(1, ("MoveTo", 3, 0, 2))
        stage.tick()
        assert [stage.at(0), stage.at(1)] == [(0, 0), (2, 0)]
    with Stage("ab") as stage:
        stage.plan(0, ("MoveTo", 1, 0, 2))
        stage.plan(1, ("MoveTo", 0, 0, 2))
        stage.tick(2)
        assert [stage.at(0), stage.at(1)] == [(0, 0), (1, 0)]


def test_who_cannot_get_on_is_blocked() -> None:
    """After so many failed steps in a row the walk is refused; a step that works starts the count again."""
    with Stage("ab.......") as stage:
        stage.plan(0, ("MoveTo", 8, 0, 2))
        stage.tick(TRIES_MAX - 1)
        assert stage[0, "Progress.tries"] == TRIES_MAX - 1
        stage.tick()
        assert stage.refusal(0) is Refused.BLOCKED
    with Stage("ab.......") as stage:
        stage.plan(0, ("MoveTo", 8, 0, 2))
        stage.tick(TRIES_MAX - 1)
        stage.give(Remove(agent=1))
        assert stage.at(0) == (1, 0)
        assert stage[0, "Progress.tries"] == 0


def test_a_crowd_around_a_goal_calls_it_reached() -> None:
    """Who fails three steps within four cells of its goal has arrived; farther away it goes on trying."""
    for row, ticks, status in (("ab...", 4, Status.FINISHED), ("ab....", 4, Status.RUNNING)):
        with Stage(row) as stage:
            stage.plan(0, ("MoveTo", len(row) - 1, 0, 2))
            stage.tick(ticks)
            assert stage.status(0) is status


def test_two_may_kill_each_other_in_one_tick() -> None:
    """Shots of one tick are simultaneous: both die."""
    with Stage("ab", hp=5, accuracy=1000, ends="last_team") as stage:
        stage.plan(0, ("Attack", 1))
        stage.plan(1, ("Attack", 0))
        report = stage.tick()
        assert report is not None
        assert (report.agents, report.outcome) == (0, "draw")


def test_smoke_thrown_this_tick_hides_nobody_this_tick() -> None:
    """Everything reads the state at the start of the phase, whatever the kinds' order is."""
    with Stage("a..b", accuracy=1000) as stage:
        stage.plan(0, ("ThrowSmoke", 1, 0))
        stage.plan(1, ("Attack", 0))
        stage.tick()
        assert stage.status(1) is Status.FINISHED


def test_targets_are_where_they_stood_at_the_start_of_the_phase() -> None:
    """Who walks out of reach in the same tick is still hit there."""
    with Stage("a.b..", reach=2, accuracy=1000) as stage:
        stage.plan(0, ("Attack", 1))
        stage.plan(1, ("MoveTo", 4, 0, 2))
        stage.tick()
        assert stage.at(1) == (3, 0)
        assert stage[1, "Health.hp"] == 90


def test_everybody_draws_for_itself() -> None:
    """Whether others shoot as well changes nobody's luck."""
    hits = []
    for others in (False, True):
        with Stage("abbb", accuracy=400, hp=1000) as stage:
            for _ in range(6):
                stage.plan(0, *[("Attack", 1)] * 8)
                if others:
                    stage.plan(3, *[("Attack", 0)] * 8)
            found = []
            for _ in range(80):
                stage.tick()
                found.append(stage[1, "Health.hp"])
            hits.append(found)
    assert hits[0] == hits[1]
