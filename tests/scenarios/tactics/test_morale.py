"""Morale: what moves it, when it breaks, and what the broken do."""

from __future__ import annotations

from typing import Any

from scenarios.tactics.components import Status
from scenarios.tactics.inputs import Control, Order
from tests.reference.stage import Stage

STILL = {"rest_gain": 0, "leader_gain": 0, "break_below": 0}
"""Nothing moves morale by itself."""


def test_harm_and_deaths_lower_it_and_victories_raise_it() -> None:
    """Everyone who sees an enemy die is heartened; harm taken counts half."""
    with Stage("a#a", "..b", "...", spirits=STILL, accuracy=1000, morale=50) as stage:
        stage[2, "Health.hp"] = 1
        stage.plan(1, ("Attack", 2))
        stage.tick()
        assert stage.sim.world.keys.tolist() == [0, 1]
        assert [stage[key, "Morale.value"] for key in (0, 1)] == [55, 55]
    with Stage("a.b", ".#b", spirits=STILL, accuracy=1000, morale=50) as stage:
        stage[2, "Health.hp"] = 1
        stage[0, "Health.hp"] = 15
        stage.plan(1, ("Attack", 0))
        stage.plan(0, ("Attack", 1))
        stage.tick()
        assert [stage[key, "Morale.value"] for key in (0, 1, 2)] == [45, 45, 50]


def test_low_spirits_walk_at_half_the_pace_but_the_broken_run() -> None:
    """Below `slow_below` a cell takes twice the time; whoever has broken flees as fast as anyone."""
    for morale, broken, cells in ((25, False, 5), (24, False, 2), (24, True, 5)):
        with Stage("a.........", spirits=STILL | {"slow_below": 25}, morale=morale) as stage:
            stage.plan(0, ("MoveTo", 9, 0))
            stage.tick(1)
            stage[0, "Morale.broken"] = broken
            stage.sim.run_context.game.parameters.set("morale.break_below", 25 if broken else 0)
            stage.tick(9)
            assert stage.at(0) == (cells, 0)


def test_friends_of_other_squads_mourn_those_they_see() -> None:
    """Out of sight nobody of another squad knows."""
    with Stage(
        "a.a#a", "b....", spirits=STILL | {"sight_loss": 7, "outnumbered_loss": 0}, accuracy=1000, morale=50
    ) as stage:
        for key in (1, 2):
            stage[key, "Squad.id"] = 1
        stage[0, "Health.hp"] = 1
        stage.plan(3, ("Attack", 0))
        stage.tick()
        assert [stage[key, "Morale.value"] for key in (1, 2, 3)] == [43, 50, 55]


def test_rest_and_a_leader_who_is_near_raise_it_each_second() -> None:
    """Who planned with an enemy in sight does not rest; the leader itself follows nobody."""
    with Stage("aa....a", spirits={"leader_cells": 2, "rest_gain": 1}, morale=50, sight=1) as stage:
        stage.tick(10)
        assert [stage[key, "Morale.value"] for key in (0, 1, 2)] == [51, 52, 51]
        stage[2, "Progress.alert"] = 1
        stage.tick(10)
        assert [stage[key, "Morale.value"] for key in (0, 1, 2)] == [52, 54, 51]


def test_the_outnumbered_lose_it_when_they_plan() -> None:
    """Two enemies to one is enough; two to two is not."""
    with Stage("b.a.b", spirits=STILL, morale=50) as stage:
        stage.tick()
        assert [stage[key, "Morale.value"] for key in (0, 1, 2)] == [48, 50, 50]
    with Stage("baab", spirits=STILL, morale=50) as stage:
        stage.tick()
        assert [stage[key, "Morale.value"] for key in range(4)] == [50] * 4


def broken(**spirits: Any) -> Stage:
    """Return a stage on which the first agent's morale broke in its first tick, an enemy in sight."""
    stage = Stage(".....a..b", spirits={"rest_gain": 0, "leader_gain": 0, **spirits}, hp=500)
    stage[0, "Morale.value"] = 5
    stage.tick()
    return stage


def test_the_broken_flee_from_the_nearest_enemy_whatever_was_planned() -> None:
    """Planners are not asked, orders are not followed, and the flight goes on as long as there is anyone to flee."""
    with broken() as stage:
        assert stage[0, "Morale.broken"]
        stage.give(Order(squad="a", text="stand", x=8, y=0))
        assert [str(step) for step in stage.sim.world.entity(0).steps] == ["Retreat(target_id=1, distance=16)"]
        stage.tick(12)
        assert stage.at(0)[0] < 5
        assert stage.asked.count((0, 0)) == sum(key == 0 for _, key in stage.asked) == 1


def test_the_broken_who_see_nobody_wait() -> None:
    """They cower a second at a time."""
    with Stage("a", morale=5, spirits={"rest_gain": 0}) as stage:
        stage.tick(2)
        assert [str(step) for step in stage.sim.world.entity(0).steps] == ["Wait(duration=1.0)"]


def test_the_broken_rally_when_morale_has_come_back() -> None:
    """Not at the mark below which they broke, but at the higher one; then they plan again."""
    with broken(break_below=10, rally_at=30) as stage:
        stage[0, "Morale.value"] = 29
        stage.tick()
        assert stage[0, "Morale.broken"]
        stage[0, "Morale.value"] = 30
        stage.tick()
        assert (stage[0, "Morale.broken"], stage.status(0)) == (False, Status.STALE)
        stage.tick()
        assert stage.asked[-1] == (3, 0)


def test_who_is_taken_over_does_not_break() -> None:
    """The player's nerves hold; taking over a broken agent ends its flight."""
    with broken() as stage:
        stage.give(Control(agent=0))
        stage.tick(5)
        assert not stage[0, "Morale.broken"]
        assert stage.at(0) == (5, 0)
