"""What agents see and when they notice: sight, walls, smoke, the nearest, ties, alarms, and who plans first."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ai.llm.prompt_rows import PromptRows
from ai.observation import ObservationBatch
from scenarios.tactics.components import Condition, Conditions, Status
from scenarios.tactics.grid import Terrain
from scenarios.tactics.inputs import Order, Remove
from scenarios.tactics.snapshot import WorldSnapshot
from tests.reference.stage import Stage


@pytest.fixture(autouse=True, params=["small", "large"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every test run both ways in which perception finds pairs."""
    if request.param == "large":
        monkeypatch.setattr("scenarios.tactics.perception.PAIRS_AT_ONCE", 0)


def batch_of(stage: Stage) -> ObservationBatch[WorldSnapshot]:
    """Tick once and return what the planned agents knew."""
    stage.tick()
    batch = stage.sim.run_context.source.batch  # type: ignore[attr-defined]
    assert batch is not None
    return batch


def enemies(stage: Stage, key: int) -> list[int]:
    """Return the enemies an agent knows of in the first tick."""
    batch = batch_of(stage)
    return [int(found) for found in batch.enemies.id[batch.keys.tolist().index(key)] if found >= 0]


@pytest.mark.parametrize(("gap", "seen"), [(3, True), (4, True), (5, False)])
def test_sight_ends_at_its_radius(gap: int, seen: bool) -> None:  # noqa: FBT001
    """An enemy exactly at the radius is seen, one a cell farther is not."""
    with Stage("a" + "." * (gap - 1) + "b...", sight=4) as stage:
        assert enemies(stage, 0) == [1] * seen


def test_distance_is_measured_straight() -> None:
    """Three and four cells across make five, which a sight of five reaches and one of four does not."""
    for sight, seen in ((5, [1]), (4, [])):
        with Stage("a...", "....", "....", "....", "...b", sight=sight) as stage:
            assert enemies(stage, 0) == seen


@pytest.mark.parametrize(("row", "seen"), [("a.b", [1]), ("a+b", [1]), ("a#b", [])])
def test_walls_hide_and_cover_does_not(row: str, seen: list[int]) -> None:
    """Nobody sees through a wall; cover does not stop sight."""
    with Stage(row) as stage:
        assert enemies(stage, 0) == seen


def test_smoke_hides_between_but_not_on_an_agents_own_cell() -> None:
    """Nobody sees through smoke; agents in smoke see their neighbours."""
    with Stage("a.b") as stage:
        stage.sim.run_context.game.smoke.add(np.array([stage.sim.run_context.game.grid.cell_at(1, 0)]), 99)
        assert enemies(stage, 0) == []
    with Stage("ab.") as stage:
        cells = np.array([stage.sim.run_context.game.grid.cell_at(x, 0) for x in range(3)])
        stage.sim.run_context.game.smoke.add(cells, 99)
        assert enemies(stage, 0) == [1]


def test_the_nearest_eight_enemies_are_known_ties_by_key() -> None:
    """Of ten enemies the eight nearest are reported, nearest first, equals by key."""
    with Stage("b.b.b", ".....", "b.a.b", ".....", "b.b.b", "b...b") as stage:
        # Keys follow rows: 1 to 3 above, 4 and 5 beside, 6 to 8 below, 9 and 10 farther below.
        assert enemies(stage, 0) == [2, 4, 5, 7, 1, 3, 6, 8]


def test_enemies_beyond_the_eighth_are_counted_and_said() -> None:
    """Of ten enemies two are cut: the observation counts them, its digest has the count, and a prompt says so."""
    with Stage("b.b.b", ".....", "b.a.b", ".....", "b.b.b", "b...b") as stage:
        batch = batch_of(stage)
        row = slice(batch.keys.tolist().index(0), batch.keys.tolist().index(0) + 1)
        one = batch.take(row)
        assert one.enemies.more.tolist() == [2]
        assert "and 2 more allies" in PromptRows.of(one).message()
        without = replace(one, columns={**one.columns, "enemies.more": np.zeros(1, np.int32)})
        assert without.digest() != one.digest()


def test_allies_are_never_enemies_and_nobody_knows_itself() -> None:
    """Friends are listed as allies, the nearest four, and neither among enemies nor oneself."""
    with Stage("aaaaaa.b", sight=16) as stage:
        batch = batch_of(stage)
        team = {key: "ab"[key == 6] for key in range(7)}
        for row, key in enumerate(batch.keys.tolist()):
            assert all(team[found] != team[key] for found in batch.enemies.id[row].tolist() if found >= 0)
            assert all(team[found] == team[key] for found in batch.allies.id[row].tolist() if found >= 0)
            assert key not in batch.allies.id[row]
        assert batch.allies.id[0].tolist() == [1, 2, 3, 4]
        assert batch.allies.id[2].tolist() == [1, 3, 0, 4]


def test_a_leader_knows_no_leader() -> None:
    """The squad's lowest key has no leader, and the places of one are zeros; the others know theirs, seen or not."""
    with Stage(".a#a") as stage:
        batch = batch_of(stage)
        assert batch.player.id.tolist() == [-1, 0]
        assert [batch.player.pos.x[0], batch.player.pos.y[0], batch.player.hp[0]] == [0, 0, 0]
        assert [batch.player.pos.x[1], batch.player.pos.y[1], batch.player.hp[1]] == [1, 0, 100]


def test_followers_see_how_their_leader_holds_itself() -> None:
    """It stands on open ground, crouches in cover and in ambush, and lies when it is down, whatever it lies on."""
    now, never = 99, 0
    for ground, ambush, down, stance in (
        (".", never, never, "stand"),
        ("+", never, never, "crouch"),
        (".", now, never, "crouch"),
        ("+", never, now, "prone"),
        (".", now, now, "prone"),
    ):
        with Stage("aa..", downed_s=20) as stage:
            if ground == "+":
                stage.sim.run_context.game.grid.set_cells(0, 0, 1, 1, Terrain.COVER)
            until = stage.sim.world[Conditions].until
            until[Condition.AMBUSH, 0], until[Condition.DOWN, 0] = ambush, down
            batch = batch_of(stage)
            follower = batch.keys.tolist().index(1)
            player = batch.to_object(follower).player
            assert player is not None
            assert player.stance == stance


def test_the_next_leader_is_the_lowest_key_left() -> None:
    """When a leader leaves, its squad follows the lowest key left, in the same tick."""
    with Stage("aaa") as stage:
        stage.give(Remove(agent=0))
        assert [stage[key, "Squad.leader"] for key in (1, 2)] == [1, 1]


def test_unused_places_hold_minus_one_and_zeros() -> None:
    """Two agents that see nobody have equal bytes in every place for others."""
    with Stage("a#b") as stage:
        batch = batch_of(stage)
        for name in ("pos.x", "pos.y", "hp", "cover"):
            assert not batch.column(f"enemies.{name}").any()
        assert (batch.enemies.id == -1).all()
        assert (batch.allies.id == -1).all()


def test_cooldowns_are_known_as_ticks_left() -> None:
    """What is ready shows zero, what is not shows how many ticks are left."""
    with Stage("a") as stage:
        stage.cool(0, heal=7, weapon=3)
        stage.tick(2)
        stage.give(Order(squad="a", text="look"))
        batch = stage.sim.run_context.source.batch  # type: ignore[attr-defined]
        left = dict(zip(batch.tables["cooldowns"], batch.me.cooldowns[0].tolist(), strict=True))
        assert {name: ticks for name, ticks in left.items() if ticks} == {"heal": 5, "weapon": 1}


def _asked(stage: Stage, ticks: int, key: int) -> list[int]:
    stage.tick(ticks)
    return [tick for tick, asked in stage.asked if asked == key]


def test_scanners_notice_at_once_and_only_within_their_radius() -> None:
    """Who scans is alarmed in the tick an enemy can be seen within the radius, others every few ticks."""
    for radius, asked in ((3, [0, 4]), (1, [0])):
        with Stage("a#b.", planning={"alert_every": 1000}) as stage:
            stage.plan(0, *[("Scan", radius)] * 8)
            stage.tick(4)
            stage.sim.run_context.game.grid.set_cells(1, 0, 1, 1, Terrain.FLOOR)
            assert _asked(stage, 3, 0) == asked


def test_others_notice_when_it_is_their_turn() -> None:
    """An agent that does not scan looks around when key plus tick is a multiple of the interval."""
    with Stage("a#b.", planning={"alert_every": 7}) as stage:
        stage.tick(1)
        stage.sim.run_context.game.grid.set_cells(1, 0, 1, 1, Terrain.FLOOR)
        stage.tick(8)
        assert [asked for asked in stage.asked if asked[0]] == [(6, 1), (7, 0)]


def test_who_planned_with_an_enemy_in_sight_is_not_alarmed() -> None:
    """A plan that knew of a threat runs on."""
    with Stage("a.b", planning={"alert_every": 1}) as stage:
        assert _asked(stage, 10, 0) == [0]


def test_the_longest_waiting_plan_first_then_the_lowest_key() -> None:
    """When only some may plan, those that waited longest do, equals by key."""
    with Stage("aaaa", planning={"per_tick_max": 2}) as stage:
        for key, since in enumerate((0, -5, 0, -9)):
            stage[key, "Progress.waiting_since"] = since
        stage.tick(2)
        assert stage.asked == [(0, 1), (0, 3), (1, 0), (1, 2)]


def test_the_alarmed_stand_behind_those_that_wait_already() -> None:
    """An alarm is a need that arises now, whenever the old plan was made."""
    with Stage("a#b.", planning={"per_tick_max": 1, "alert_every": 1}) as stage:
        stage.plan(1, ("Wait", 500))
        stage.tick(7)
        assert stage.asked == [(0, 0), (1, 1), (6, 1)]
        stage.sim.run_context.game.grid.set_cells(1, 0, 1, 1, Terrain.FLOOR)
        stage[1, "Progress.status"] = int(Status.FINISHED)
        stage.tick(2)
        assert stage.asked[3:] == [(7, 1), (8, 0)]


def test_an_empty_world_perceives_nothing() -> None:
    """Without agents nobody is chosen and the tick goes on."""
    with Stage("a.") as stage:
        report: Any = stage.give(Remove(agent=0))
        assert report.known is None
        assert stage.tick().agents == 0
