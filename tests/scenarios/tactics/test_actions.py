"""Each action kind: its effect, what it costs, and what it is refused for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ai.errors import ContractError
from scenarios.tactics import actions
from scenarios.tactics.actions.base import Action, Refused, period_of, ticks_of_ms, ticks_of_s
from scenarios.tactics.components import Status
from scenarios.tactics.draws import HIT
from scenarios.tactics.grid import Terrain
from scenarios.tactics.inputs import Remove
from sim.engine.rng import philox4x32
from tests.reference.stage import Stage
from tests.support.marks import covers

SURE = 1000
"""An accuracy that hits 95 times in 100; seed 1 hits in the ticks used here."""


def refused(stage: Stage, key: int, *step: Any) -> Refused:
    """Let an agent plan one step, tick once, and return why it was refused (NO if it was not)."""
    stage.plan(key, step)
    stage.tick()
    assert (stage.status(key) is Status.REFUSED) == (stage.refusal(key) is not Refused.NO)
    return stage.refusal(key)


def ended(stage: Stage, key: int, ticks: int) -> Status:
    """Tick until an agent's plan is over, at most so often, and return how it ended."""
    for _ in range(ticks):
        stage.tick()
        if stage.status(key) is not Status.RUNNING:
            break
    return stage.status(key)


# Strikes.


@pytest.mark.parametrize(
    ("kind", "damage", "ticks", "rounds", "cooldown"),
    [
        ("Attack", 10, 1, 1, 10),
        ("AimedShot", 15, 10, 1, 20),
        ("QuickAttack", 5, 1, 1, 5),
        ("HeavyAttack", 25, 5, 0, 30),
    ],
)
def test_a_strike_harms_at_its_end_and_costs_rounds_and_a_cooldown(
    kind: str, damage: int, ticks: int, rounds: int, cooldown: int
) -> None:
    """A hit takes its damage in the tick the step ends; rounds are spent and the weapon cools from then on."""
    with Stage("ab", accuracy=SURE) as stage:
        stage.plan(0, (kind, 1))
        stage.tick(ticks - 1)
        assert stage[1, "Health.hp"] == 100
        stage.tick()
        assert stage[1, "Health.hp"] == 100 - damage
        assert stage[0, "Ammo.rounds"] == 30 - rounds
        assert stage.cooldowns(0) == {"weapon": ticks - 1 + cooldown}
        assert stage.status(0) is Status.FINISHED


@covers(Refused.NO_STAMINA)
def test_a_heavy_blow_costs_breath() -> None:
    """Twenty points of stamina, of which one comes back in the same tick; with fewer than twenty it is refused."""
    with Stage("ab", accuracy=SURE) as stage:
        stage.plan(0, ("HeavyAttack", 1))
        stage.tick(5)
        assert stage[0, "Stamina.value"] == 81
    with Stage("ab") as stage:
        stage[0, "Stamina.value"] = 19
        assert refused(stage, 0, "HeavyAttack", 1) is Refused.NO_STAMINA


@covers(Refused.TARGET_GONE, Refused.NOT_HOSTILE, Refused.OUT_OF_RANGE)
@pytest.mark.parametrize("kind", ["Attack", "AimedShot", "QuickAttack", "HeavyAttack"])
def test_strikes_are_refused_for_bad_targets(kind: str) -> None:
    """Who is gone, a friend, too far away or hidden cannot be struck."""
    with Stage("ab") as stage:
        assert refused(stage, 0, kind, 77) is Refused.TARGET_GONE
    with Stage("aa") as stage:
        assert refused(stage, 0, kind, 1) is Refused.NOT_HOSTILE
    with Stage("a.........b", reach=9, sight=16) as stage:
        assert refused(stage, 0, kind, 1) is Refused.OUT_OF_RANGE
    with Stage("a#b") as stage:
        expected = Refused.OUT_OF_RANGE if kind == "HeavyAttack" else Refused.NO_SIGHT
        assert refused(stage, 0, kind, 1) is expected


@pytest.mark.parametrize(
    ("kind", "cells", "refusal"),
    [
        ("Attack", 9, Refused.NO), ("Attack", 10, Refused.OUT_OF_RANGE),
        ("AimedShot", 9, Refused.NO), ("AimedShot", 10, Refused.OUT_OF_RANGE),
        ("QuickAttack", 4, Refused.NO), ("QuickAttack", 5, Refused.OUT_OF_RANGE),
        ("HeavyAttack", 1, Refused.NO), ("HeavyAttack", 2, Refused.OUT_OF_RANGE),
    ],
)  # fmt: skip
def test_strikes_reach_exactly_so_far(kind: str, cells: int, refusal: Refused) -> None:
    """Reach is the weapon's; a hasty shot reaches four cells, a blow the cells around."""
    with Stage("a" + "." * (cells - 1) + "b", reach=9, sight=16) as stage:
        assert refused(stage, 0, kind, 1) is refusal


def test_a_hasty_shot_reaches_no_farther_than_the_weapon() -> None:
    """A weapon that reaches two cells does so in haste as well."""
    with Stage("a..b", reach=2) as stage:
        assert refused(stage, 0, "QuickAttack", 1) is Refused.OUT_OF_RANGE


def test_a_blow_reaches_all_eight_cells_around() -> None:
    """Diagonal neighbours can be struck."""
    with Stage("a.", ".b") as stage:
        assert refused(stage, 0, "HeavyAttack", 1) is Refused.NO


@covers(Refused.NO_AMMO)
@pytest.mark.parametrize("kind", ["Attack", "AimedShot", "QuickAttack"])
def test_an_empty_weapon_does_not_fire(kind: str) -> None:
    """Without a round in the weapon a shot is refused, whatever its target."""
    with Stage("ab", magazine=0) as stage:
        assert refused(stage, 0, kind, 1) is Refused.NO_AMMO


def test_a_blow_needs_no_rounds() -> None:
    """An empty weapon still strikes."""
    with Stage("ab", magazine=0) as stage:
        assert refused(stage, 0, "HeavyAttack", 1) is Refused.NO


def _hits(stage: Stage, shots: int = 60) -> list[bool]:
    """Shoot so often, once a tick, and return which shots hit."""
    hits = []
    for _ in range(shots):
        stage[0, "Cooldowns.ready_at"] = 0
        stage[0, "Ammo.rounds"] = 1
        stage.plan(0, ("Attack", 1))
        before = stage[1, "Health.hp"]
        stage.tick()
        hits.append(stage[1, "Health.hp"] < before)
    return hits


def _draws_below(permille: int, shots: int = 60) -> list[bool]:
    """Return which draws of agent 0 under seed 1 are below a chance."""
    words = [philox4x32((0, tick, HIT, 0), (1, 0))[0] for tick in range(shots)]
    return [word * 1000 >> 32 < permille for word in words]


@pytest.mark.parametrize(
    ("row", "accuracy", "morale", "permille"),
    [
        ("a..b", 500, 50, 500), ("a..b", 500, 100, 600), ("a..b", 500, 10, 420), ("a..b", 0, 10, 50),
        ("a..b", 1000, 100, 950),
    ],
)  # fmt: skip
def test_shots_hit_as_often_as_the_rule_says(row: str, accuracy: int, morale: int, permille: int) -> None:
    """Accuracy plus two per-mille a point of morale above 50, kept between 50 and 950."""
    with Stage(row, accuracy=accuracy, hp=10_000, rate=1000) as stage:
        stage[0, "Morale.value"] = morale
        assert _hits(stage) == _draws_below(permille)


@pytest.mark.parametrize(
    ("row", "accuracy", "permille"), [("a..b", 800, 500), ("a.b.", 800, 900), ("a..b", 1000, 700), ("a..b", 300, 50)]
)
def test_cover_protects_from_shots_from_more_than_two_cells_away(row: str, accuracy: int, permille: int) -> None:
    """A target in cover is hit less often by 400 per-mille before the bounds, unless at most two cells away."""
    with Stage(row, accuracy=accuracy, hp=10_000, rate=1000) as stage:
        stage.sim.run_context.game.grid.set_cells(row.index("b"), 0, 1, 1, Terrain.COVER)
        assert _hits(stage) == _draws_below(permille)


def test_attacking_lowers_the_guard() -> None:
    """Who attacks no longer blocks."""
    with Stage("ab") as stage:
        stage[0, "Guard.until"] = 500
        refused(stage, 0, "Attack", 1)
        assert stage[0, "Guard.until"] == 0


# Grenades.


def test_an_explosive_harms_everyone_near_friends_and_thrower_too() -> None:
    """Thirty within one cell, fifteen within two, nothing beyond; it costs one explosive."""
    with Stage("....b", ".....", "a.a.a", ".....") as stage:
        assert refused(stage, 0, "ThrowExplosive", 1, 2) is Refused.NO
        assert [stage[key, "Health.hp"] for key in range(4)] == [70, 70, 100, 100]
        assert stage[0, "Kit.explosives"] == 0
        assert stage.cooldowns(0) == {"throw": 80}
    with Stage("a.b.b..") as stage:
        refused(stage, 0, "ThrowExplosive", 2, 0)
        assert [stage[key, "Health.hp"] for key in range(3)] == [85, 70, 85]


def test_walls_shield_from_explosions() -> None:
    """Who stands within the blast without a clear line to its centre is not harmed."""
    with Stage("a....#b", "......b") as stage:
        assert refused(stage, 0, "ThrowExplosive", 4, 0) is Refused.NO
        assert [stage[key, "Health.hp"] for key in (1, 2)] == [100, 100]
    with Stage("a....b.") as stage:
        refused(stage, 0, "ThrowExplosive", 4, 0)
        assert stage[1, "Health.hp"] == 70


@covers(Refused.OUT_OF_RANGE, Refused.NO_SIGHT, Refused.NO_ITEM)
@pytest.mark.parametrize("kind", ["ThrowExplosive", "ThrowSmoke"])
def test_throws_are_refused_too_far_hidden_or_without_a_grenade(kind: str) -> None:
    """Eight cells in sight of the thrower, not into a wall, and with one in the pocket."""
    with Stage("a........." + "b") as stage:
        assert refused(stage, 0, kind, 8, 0) is Refused.NO
    with Stage("a........." + "b") as stage:
        assert refused(stage, 0, kind, 9, 0) is Refused.OUT_OF_RANGE
    with Stage("a#.b") as stage:
        assert refused(stage, 0, kind, 2, 0) is Refused.NO_SIGHT
    with Stage("a#.b") as stage:
        assert refused(stage, 0, kind, 1, 0) is Refused.NO_SIGHT
    with Stage("a..b", smokes=0, explosives=0) as stage:
        assert refused(stage, 0, kind, 2, 0) is Refused.NO_ITEM


def test_grenades_of_both_kinds_share_a_cooldown() -> None:
    """After smoke the explosive waits until throwing works again."""
    with Stage("a.......+") as stage:
        stage.plan(0, ("ThrowSmoke", 8, 0), ("ThrowExplosive", 4, 0))
        stage.tick(80)
        assert stage[0, "Kit.explosives"] == 1
        stage.tick()
        assert stage[0, "Kit.explosives"] == 0


def test_smoke_stands_from_the_next_tick_for_eight_seconds_but_not_on_walls() -> None:
    """A cloud of radius two hides from the tick after the throw, for eighty ticks at ten a second."""
    with Stage("a......b", "###.####") as stage:
        stage.plan(0, ("ThrowSmoke", 3, 0))
        stage.tick()
        grid, smoke = stage.sim.run_context.game.grid, stage.sim.run_context.game.smoke
        assert smoke.cell.tolist() == sorted(
            int(grid.cell_at(*cell)) for cell in [*((x, 0) for x in range(1, 6)), (3, 1)]
        )
        assert set(smoke.until.tolist()) == {81}
        stage.tick(79)
        assert len(smoke.cell) == 6
        stage.tick()
        assert len(smoke.cell) == 0


# Block, Heal, Reload, Scan, Wait.


def test_a_block_halves_harm_for_a_second() -> None:
    """From its first tick on harm is halved, rounded up, for ten ticks, and no longer."""
    with Stage("a.b", accuracy=SURE) as stage:
        stage.plan(0, ("Block",))
        stage.plan(1, ("QuickAttack", 0), ("Wait", 900), ("QuickAttack", 0))
        stage.tick()
        assert stage[0, "Health.hp"] == 97
        assert stage[0, "Guard.until"] == 10
        stage.tick(10)
        assert stage[0, "Health.hp"] == 92
        assert stage.cooldowns(0) == {"block": 19}


def test_healing_oneself_takes_a_second_and_a_medkit() -> None:
    """Twenty hit points back, at most to the maximum."""
    for hp, after in ((50, 70), (95, 100)):
        with Stage("a") as stage:
            stage[0, "Health.hp"] = hp
            stage.plan(0, ("Heal", None))
            stage.tick(9)
            assert stage[0, "Health.hp"] == hp
            stage.tick()
            assert stage[0, "Health.hp"] == after
            assert stage[0, "Kit.medkits"] == 0
            assert stage.cooldowns(0) == {"heal": 109}


def test_healing_reaches_a_friend_beside() -> None:
    """A friend on one of the eight cells around is healed; naming oneself is the same as naming nobody."""
    for target, place in ((1, 1), (0, 0)):
        with Stage("a.", ".a") as stage:
            stage[place, "Health.hp"] = 10
            stage.plan(0, ("Heal", target))
            stage.tick(10)
            assert stage[place, "Health.hp"] == 30


def test_healing_is_refused_where_it_makes_no_sense() -> None:
    """The gone, enemies, the distant, the unhurt, and who has no medkit."""
    with Stage("a..ab") as stage:
        for key in range(3):
            stage[key, "Health.hp"] = 10
        assert refused(stage, 0, "Heal", 1) is Refused.OUT_OF_RANGE
        assert refused(stage, 1, "Wait", 100) is Refused.NO
    with Stage("ab") as stage:
        stage[1, "Health.hp"] = 10
        assert refused(stage, 0, "Heal", 1) is Refused.NOT_HOSTILE
    with Stage("a") as stage:
        assert refused(stage, 0, "Heal", 9) is Refused.TARGET_GONE
    with Stage("a") as stage:
        assert refused(stage, 0, "Heal", None) is Refused.NOTHING_TO_DO
    with Stage("a", medkits=0) as stage:
        stage[0, "Health.hp"] = 10
        assert refused(stage, 0, "Heal", None) is Refused.NO_ITEM


@pytest.mark.parametrize(("rounds", "reserve", "after"), [(3, 90, (30, 63)), (3, 5, (8, 0))])
def test_reloading_moves_rounds_after_two_seconds(rounds: int, reserve: int, after: tuple[int, int]) -> None:
    """The magazine is filled from what is carried, as far as that goes."""
    with Stage("a") as stage:
        stage[0, "Ammo.rounds"], stage[0, "Ammo.reserve"] = rounds, reserve
        stage.plan(0, ("Reload",))
        stage.tick(19)
        assert stage[0, "Ammo.rounds"] == rounds
        stage.tick()
        assert (stage[0, "Ammo.rounds"], stage[0, "Ammo.reserve"]) == after


@covers(Refused.NOTHING_TO_DO, Refused.NO_AMMO)
def test_reloading_is_refused_when_full_or_with_empty_pockets() -> None:
    """A full magazine has nothing to do; without a reserve there is nothing to load."""
    with Stage("a") as stage:
        assert refused(stage, 0, "Reload") is Refused.NOTHING_TO_DO
    with Stage("a", reserve=0) as stage:
        stage[0, "Ammo.rounds"] = 1
        assert refused(stage, 0, "Reload") is Refused.NO_AMMO


@pytest.mark.parametrize(("step", "ticks"), [(("Wait", 100), 1), (("Wait", 1250), 13), (("Scan", 5), 10)])
def test_waiting_and_scanning_take_their_time_and_nothing_else(step: tuple[Any, ...], ticks: int) -> None:
    """The step ends after its time, rounded up to ticks, and changes nothing of the agent."""
    with Stage("a") as stage:
        stage.plan(0, step)
        stage.tick(ticks - 1)
        if ticks > 1:
            assert stage.status(0) is Status.RUNNING
        stage.tick()
        assert stage.status(0) is Status.FINISHED


# Walking.


@pytest.mark.parametrize(("speed", "period"), [(None, 2), (0, 5), (1, 2), (2, 1)])
def test_paces_are_two_five_and_ten_cells_a_second(speed: int | None, period: int) -> None:
    """Walk, run (also when nothing is said) and sprint step every five, two and one ticks at ten a second."""
    with Stage("a.........") as stage:
        stage.plan(0, ("MoveTo", 9, 0, speed))
        stage.tick(period - 1)
        assert stage.at(0) == (0, 0)
        stage.tick()
        assert stage.at(0) == (1, 0)
        stage.tick(2 * period)
        assert stage.at(0) == (3, 0)


def test_walks_go_around_walls_by_the_shortest_way() -> None:
    """MoveTo takes the walking distance, ties in the order north, west, east, south."""
    with Stage(".....", ".###.", "a.#..", ".....") as stage:
        stage.plan(0, ("MoveTo", 3, 2, 2))
        path = []
        for _ in range(6):
            stage.tick()
            path.append(stage.at(0))
        assert path[:5] == [(1, 2), (1, 3), (2, 3), (3, 3), (3, 2)]
        assert stage.status(0) is Status.FINISHED


@pytest.mark.parametrize(
    ("rows", "goal", "first"),
    [
        (("...", ".a.", "..."), (2, 0), (1, 0)),
        (("...", ".a.", "..."), (0, 0), (1, 0)),
        (("...", ".a.", "..."), (0, 2), (0, 1)),
        (("...", ".a.", "..."), (2, 2), (2, 1)),
    ],
)
def test_ties_go_north_west_east_south(rows: tuple[str, ...], goal: tuple[int, int], first: tuple[int, int]) -> None:
    """Of two neighbours equally near on foot the first in that order is taken."""
    with Stage(*rows) as stage:
        stage.plan(0, ("MoveTo", *goal, 2))
        stage.tick()
        assert stage.at(0) == first


@covers(Refused.UNREACHABLE)
def test_a_cell_that_cannot_be_reached_is_refused() -> None:
    """Walls, and places behind them, by MoveTo and by TakeCover with a cell."""
    for kind in ("MoveTo", "TakeCover"):
        for goal in ((1, 0), (2, 0)):
            with Stage("a#.") as stage:
                assert refused(stage, 0, kind, *goal) is Refused.UNREACHABLE


def test_a_walk_to_the_own_cell_is_over_at_once() -> None:
    """Who stands where it wants to be has arrived in the tick the step starts."""
    with Stage("a.") as stage:
        stage.plan(0, ("MoveTo", 0, 0))
        stage.tick()
        assert stage.status(0) is Status.FINISHED


def test_approaching_stops_at_the_distance() -> None:
    """The agent goes straight on until it is so near, and has arrived the tick after."""
    with Stage("a.......b", sight=16) as stage:
        stage.plan(0, ("Approach", 1, 3))
        assert ended(stage, 0, 30) is Status.FINISHED
        assert stage.at(0) == (5, 0)


def test_approaching_is_refused_without_a_visible_enemy() -> None:
    """The gone, friends, those beyond sight and those behind walls."""
    with Stage("aab") as stage:
        assert refused(stage, 0, "Approach", 9, 2) is Refused.TARGET_GONE
    with Stage("aab") as stage:
        assert refused(stage, 0, "Approach", 1, 2) is Refused.NOT_HOSTILE
    with Stage("a....b", sight=3) as stage:
        assert refused(stage, 0, "Approach", 1, 2) is Refused.OUT_OF_RANGE
    with Stage("a#b") as stage:
        assert refused(stage, 0, "Approach", 1, 1) is Refused.NO_SIGHT


def test_approaching_ends_when_the_target_is_lost() -> None:
    """A target that is gone on the way ends the step; that is not a refusal."""
    with Stage("a.......b", sight=16) as stage:
        stage.plan(0, ("Approach", 1, 1))
        stage.tick(4)
        stage.give(Remove(agent=1))
        assert stage.status(0) is Status.FINISHED


def test_retreating_goes_away_until_far_enough() -> None:
    """The agent goes straight away; a target that is gone at the start is refused, one lost later ends the step."""
    with Stage("ba........") as stage:
        stage.plan(1, ("Retreat", 0, 4))
        stage.plan(0, ("Retreat", 1, 4))
        assert ended(stage, 0, 20) is Status.FINISHED
        assert stage.at(0) == (4, 0)
    with Stage("a") as stage:
        assert refused(stage, 0, "Retreat", 5, 4) is Refused.TARGET_GONE
    with Stage("b....a....") as stage:
        stage.plan(0, ("Retreat", 1, 64))
        stage.tick(3)
        stage.give(Remove(agent=1))
        assert stage.status(0) is Status.FINISHED


def test_cover_is_the_nearest_cell_that_shelters_and_is_written_into_the_plan() -> None:
    """Cover cells shelter, and so do cells the nearest enemy cannot see; the choice does not change on the way."""
    with Stage("a...+....b", sight=16) as stage:
        stage.plan(0, ("TakeCover", None, None))
        stage.tick()
        assert [str(step) for step in stage.sim.world.entity(0).steps] == ["TakeCover(position=4,0)"]
        assert ended(stage, 0, 20) is Status.FINISHED
        assert stage.at(0) == (4, 0)
    with Stage("a.b", ".#.", "...", sight=16) as stage:
        stage.plan(0, ("TakeCover", None, None))
        stage.tick()
        assert stage.sim.world.entity(0).steps[0].position.model_dump() == {"x": 0, "y": 1}


@covers(Refused.NO_COVER)
def test_nobody_takes_cover_where_there_is_none() -> None:
    """Without a sheltering cell within five cells, the step is refused."""
    with Stage("a......+", "........") as stage:
        assert refused(stage, 0, "TakeCover", None, None) is Refused.NO_COVER


# Discovery and time.


@pytest.mark.parametrize(("ms", "rate", "ticks"), [(0, 10, 1), (1, 10, 1), (100, 10, 1), (101, 10, 2), (1500, 3, 5)])
def test_milliseconds_become_whole_ticks_rounded_up(ms: int, rate: int, ticks: int) -> None:
    """At least one tick, and never less time than asked for."""
    assert ticks_of_ms(np.array([ms], np.int32), rate).tolist() == [ticks]
    assert ticks_of_s(ms / 1000, rate) == ticks


@pytest.mark.parametrize(("pace", "rate", "period"), [(5, 10, 2), (2, 10, 5), (10, 10, 1), (5, 1, 1), (5, 12, 3)])
def test_paces_become_whole_ticks_rounded_up(pace: int, rate: int, period: int) -> None:
    """Nobody is faster than a cell a tick."""
    assert period_of(pace, rate) == period


def test_every_kind_is_discovered_once() -> None:
    """The registry has the kinds of this folder, each an action, none twice."""
    found = actions.discover()
    assert len(found) == len({kind.__name__ for kind in found}) == len(actions.default_registry().specs)
    assert all(issubclass(kind, Action) for kind in found)


def test_a_malformed_module_of_actions_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A module without a tuple of actions is an error with its name, never a skip."""
    monkeypatch.delattr("scenarios.tactics.actions.utility.KINDS")
    with pytest.raises(ContractError, match=r"scenarios\.tactics\.actions\.utility must offer"):
        actions.discover()
    monkeypatch.setattr("scenarios.tactics.actions.utility.KINDS", (int,), raising=False)
    with pytest.raises(ContractError, match=r"scenarios\.tactics\.actions\.utility.*int"):
        actions.discover()
