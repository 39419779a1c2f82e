"""The last phases: breath and spirits come back, old plans go stale, the dead leave and are replaced as leaders."""

from __future__ import annotations

import pytest

from scenarios.tactics.components import Status
from tests.reference.stage import Stage


def test_a_point_of_stamina_comes_back_every_tick() -> None:
    """Up to a hundred."""
    with Stage("a") as stage:
        stage[0, "Stamina.value"] = 97
        seen = []
        for _ in range(4):
            stage.tick()
            seen.append(stage[0, "Stamina.value"])
        assert seen == [98, 99, 100, 100]


@pytest.mark.parametrize("rate", [1, 5, 10])
def test_morale_comes_back_every_second(rate: int) -> None:
    """At the end of each second, up to a hundred."""
    with Stage("a", morale=98, rate=rate, spirits={"rest_gain": 1}) as stage:
        stage.tick(rate - 1)
        assert stage[0, "Morale.value"] == 98
        stage.tick()
        assert stage[0, "Morale.value"] == 99
        stage.tick(2 * rate)
        assert stage[0, "Morale.value"] == 100


def test_plans_older_than_their_time_go_stale() -> None:
    """After its time to live a running plan is stale, and its agent is asked again in the next tick."""
    with Stage("a", planning={"ttl_s": 2}) as stage:
        stage.tick(20)
        assert stage.status(0) is Status.RUNNING
        stage.tick()
        assert stage.status(0) is Status.STALE
        stage.tick()
        assert stage.asked == [(0, 0), (21, 0)]


def test_the_dead_leave_at_the_end_of_the_tick() -> None:
    """Agents without hit points are gone, keys of the others stay, and nobody gets a dead one's key."""
    with Stage("aab") as stage:
        stage[0, "Health.hp"] = 0
        stage[2, "Health.hp"] = -5
        stage.tick()
        assert stage.sim.world.keys.tolist() == [1]
        assert stage.sim.world.next_key == 3


def test_watchers_are_told_who_died() -> None:
    """A tick's report has one event with the keys of its dead, and none when nobody died."""
    with Stage("aab") as stage:
        assert stage.give().events == []
        stage[0, "Health.hp"] = 0
        (event,) = stage.give().events
        assert (event.name, event.columns["key"].tolist()) == ("died", [0])


def test_the_lowest_key_left_leads_the_squad() -> None:
    """When the leader falls, its squad follows the next; other squads keep theirs."""
    with Stage("aaabb") as stage:
        assert [stage[key, "Squad.leader"] for key in range(5)] == [0, 0, 0, 3, 3]
        stage[0, "Health.hp"] = 0
        stage.tick()
        assert [stage[key, "Squad.leader"] for key in (1, 2, 3, 4)] == [1, 1, 3, 3]


def test_the_last_team_wins_and_none_is_a_draw() -> None:
    """One team left wins by name, no team left is a draw, and scenarios that never end go on."""
    for hp, ends, outcome in (((1, 0), "last_team", "a wins"), ((0, 0), "last_team", "draw"), ((0, 0), "never", None)):
        with Stage("ab", ends=ends) as stage:
            for key in (0, 1):
                stage[key, "Health.hp"] = hp[key]
            report = stage.tick()
            assert report is not None
            assert report.outcome == stage.sim.outcome == outcome
    with Stage("aa", ends="last_team") as stage:
        report = stage.tick()
        assert report is not None
        assert report.outcome is None
