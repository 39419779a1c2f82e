"""What agents do to each other besides shooting: conditions, attention, marks, reserves, being down and getting up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from scenarios.tactics.actions.base import Refused
from scenarios.tactics.components import Condition, Health, Morale, Status
from scenarios.tactics.draws import HIT
from scenarios.tactics.grid import Terrain
from scenarios.tactics.inputs import Move, Order
from scenarios.tactics.reinforcements import reserves_of
from scenarios.tactics.snapshot import Condition as Shown
from scenarios.tactics.snapshot import WorldSnapshot
from sim import Simulation, load
from sim.engine.rng import philox4x32
from tests.reference.stage import Stage
from tests.support.marks import covers


def refused(stage: Stage, key: int, *step: Any) -> Refused:
    """Let an agent plan one step, tick once, and return why it was refused (NO if it was not)."""
    stage.plan(key, step)
    stage.tick()
    return stage.refusal(key)


def until(stage: Stage, key: int, condition: Condition) -> int:
    """Return the tick before which an agent is under a condition."""
    return int(stage[key, "Conditions.until"][condition])


def put(stage: Stage, key: int, condition: Condition, until: int = 10_000) -> None:
    """Put an agent under a condition."""
    held = stage[key, "Conditions.until"].copy()
    held[condition] = until
    stage[key, "Conditions.until"] = held


def known(stage: Stage, key: int) -> WorldSnapshot:
    """Let an agent's squad plan again, and return what the agent knew then."""
    squad = "abc"[stage[key, "Squad.id"]]
    stage.give(Order(squad=squad, text="look around"))
    batch = stage.sim.run_context.source.batch  # type: ignore[attr-defined]
    return batch.to_object(batch.keys.tolist().index(key))  # type: ignore[no-any-return]


def test_conditions_have_the_names_that_snapshots_show() -> None:
    """The bit of a condition in a snapshot is its row in the columns."""
    assert [condition.name.lower() for condition in Condition] == list(Shown)


# The chance to hit.


def _shots(stage: Stage, prepare: Callable[[Stage], None], shots: int = 40) -> list[bool]:
    """Shoot so often, once a tick, and return which shots hit."""
    hits = []
    for _ in range(shots):
        stage[0, "Cooldowns.ready_at"] = 0
        stage[0, "Ammo.rounds"] = 9
        prepare(stage)
        stage.plan(0, ("Attack", 1))
        before = stage[1, "Health.hp"]
        stage.tick()
        hits.append(stage[1, "Health.hp"] < before)
    return hits


def _marked(team: int) -> Callable[[Stage], None]:
    def prepare(stage: Stage) -> None:
        put(stage, 1, Condition.MARKED)
        stage[1, "Conditions.marked_by"] = team

    return prepare


def _focused(squad: int) -> Callable[[Stage], None]:
    def prepare(stage: Stage) -> None:
        put(stage, 1, Condition.FOCUS)
        stage[1, "Conditions.focused_by"] = squad

    return prepare


@pytest.mark.parametrize(
    ("prepare", "permille"),
    [
        (lambda stage: None, 500),
        (_marked(0), 650),
        (_marked(1), 500),
        (_focused(0), 650),
        (_focused(1), 500),
        (lambda stage: put(stage, 0, Condition.AMBUSH), 750),
        (lambda stage: put(stage, 0, Condition.SUPPRESSED), 200),
        (lambda stage: put(stage, 1, Condition.DODGE), 100),
        (lambda stage: put(stage, 1, Condition.DODGE, until=0), 500),
    ],
    ids=["plain", "marked", "their mark", "focus", "their focus", "ambush", "suppressed", "dodge", "dodge over"],
)
def test_conditions_change_the_chance_to_hit(prepare: Callable[[Stage], None], permille: int) -> None:
    """A mark of the own team, the own squad's focus and an ambush add; being suppressed and a dodge take away."""
    with Stage("a..b", accuracy=500, hp=10_000, morale=50, rate=1000) as stage:
        words = [philox4x32((0, tick, HIT, 0), (1, 0))[0] for tick in range(40)]
        assert _shots(stage, prepare) == [word * 1000 >> 32 < permille for word in words]


# Suppression.


def test_cover_fire_suppresses_for_its_time_costs_rounds_and_may_hit() -> None:
    """Three rounds at the start, suppressed to its end, ten hit points after two seconds, then four to cool."""
    with Stage("a..b", accuracy=1000) as stage:
        stage.plan(0, ("CoverFire", 1, 2000))
        stage.tick()
        assert stage[0, "Ammo.rounds"] == 27
        assert until(stage, 1, Condition.SUPPRESSED) == 21
        assert "suppressed" in known(stage, 1).me.conditions
        stage.tick(17)
        assert stage[1, "Health.hp"] == 100
        stage.tick()
        assert stage[1, "Health.hp"] == 90
        assert stage[0, "Ammo.rounds"] == 27
        assert stage.cooldowns(0) == {"weapon": 59}


def test_the_suppressed_walk_at_half_their_pace() -> None:
    """Five cells a second become two and a half."""
    with Stage("a.........") as stage:
        put(stage, 0, Condition.SUPPRESSED)
        stage.plan(0, ("MoveTo", 9, 0, None))
        stage.tick(12)
        assert stage.at(0) == (3, 0)


def test_cover_fire_is_refused_without_three_rounds_or_a_target() -> None:
    """It needs three rounds in the weapon, and an enemy in reach and sight."""
    with Stage("a..b", magazine=2) as stage:
        assert refused(stage, 0, "CoverFire", 1, 500) is Refused.NO_AMMO
    with Stage("a#.b") as stage:
        assert refused(stage, 0, "CoverFire", 1, 500) is Refused.NO_SIGHT
    with Stage("a.........b", reach=9, sight=16) as stage:
        assert refused(stage, 0, "CoverFire", 1, 500) is Refused.OUT_OF_RANGE


def test_the_last_three_rounds_are_enough_to_finish() -> None:
    """Rounds are counted before they are fired, not again at the end."""
    with Stage("a..b", magazine=3, accuracy=1000) as stage:
        stage.plan(0, ("CoverFire", 1, 1000))
        stage.tick(10)
        assert stage.status(0) is Status.FINISHED
        assert stage[0, "Ammo.rounds"] == 0


# Area fire and charges.


def test_area_fire_harms_all_in_the_circle_but_the_shooter() -> None:
    """Eight hit points in the open and four in cover, friends too; five rounds; who is behind a wall is spared."""
    with Stage("...b..", "aab..b", "...#b.") as stage:
        stage.sim.run_context.game.grid.set_cells(2, 1, 1, 1, Terrain.COVER)
        stage.plan(0, ("AoEAttack", 2, 1, 2))
        stage.tick(10)
        # Keys: a at (0, 1) and (1, 1); b at (3, 0), (2, 1), (5, 1), (4, 2).
        assert [stage[key, "Health.hp"] for key in range(6)] == [100, 92, 92, 96, 100, 100]
        assert stage[0, "Ammo.rounds"] == 25
        assert stage.cooldowns(0) == {"weapon": 59}


def test_area_fire_is_refused_without_rounds_reach_or_sight() -> None:
    """Five rounds, within the weapon's reach, at a cell that can be seen."""
    with Stage("a....", magazine=4) as stage:
        assert refused(stage, 0, "AoEAttack", 2, 0, 1) is Refused.NO_AMMO
    with Stage("a....", reach=3) as stage:
        assert refused(stage, 0, "AoEAttack", 4, 0, 1) is Refused.OUT_OF_RANGE
    with Stage("a#...") as stage:
        assert refused(stage, 0, "AoEAttack", 3, 0, 1) is Refused.NO_SIGHT


def test_a_charge_runs_up_and_strikes() -> None:
    """A cell a tick to the enemy's side, twenty hit points on arrival, thirty stamina at the start."""
    with Stage("a....b", accuracy=1000) as stage:
        stage.plan(0, ("Charge", 1))
        stage.tick()
        assert stage[0, "Stamina.value"] == 71
        stage.tick(3)
        assert stage.at(0) == (4, 0)
        assert stage[1, "Health.hp"] == 100
        stage.tick()
        assert stage[1, "Health.hp"] == 80
        assert stage.status(0) is Status.FINISHED
        assert stage.cooldowns(0) == {"weapon": 64}


def test_a_charge_is_refused_to_the_exhausted_and_at_what_is_far() -> None:
    """Thirty stamina, and an enemy in sight at most eight cells away."""
    with Stage("a..b") as stage:
        stage[0, "Stamina.value"] = 29
        assert refused(stage, 0, "Charge", 1) is Refused.NO_STAMINA
    for gap, refusal in ((7, Refused.NO), (8, Refused.OUT_OF_RANGE)):
        with Stage("a" + "." * gap + "b", sight=16) as stage:
            assert refused(stage, 0, "Charge", 1) is refusal


def test_a_charge_at_who_is_lost_ends_without_a_blow() -> None:
    """When the target goes behind a wall the run is over."""
    with Stage("a.....b.", "#######.", "........") as stage:
        stage.plan(0, ("Charge", 1))
        stage.plan(1, ("MoveTo", 0, 2, 2))
        stage.tick()
        while stage.status(0) is Status.RUNNING:
            stage.tick()
        assert stage.status(0) is Status.FINISHED
        assert stage.at(0) != (6, 0)
        assert stage[1, "Health.hp"] == 100


# Stepping aside.


@pytest.mark.parametrize(
    ("rows", "side", "cell"),
    [
        (("...", "a.b", "..."), 0, (0, 0)),
        (("...", "a.b", "..."), 1, (0, 2)),
        (("...", "b.a", "..."), 0, (2, 2)),
        ((".b.", "...", ".a."), 0, (0, 2)),
        ((".b.", "...", ".a."), 1, (2, 2)),
    ],
)
@pytest.mark.parametrize("kind", ["Strafe", "Dodge"])
def test_steps_aside_go_left_and_right_of_the_enemy(
    kind: str, rows: tuple[str, ...], side: int, cell: tuple[int, int]
) -> None:
    """Left and right are those of someone who faces the enemy; a step takes a fifth of a second at most."""
    with Stage(*rows) as stage:
        stage.plan(0, ("Strafe", 1, side) if kind == "Strafe" else ("Dodge", side))
        stage.tick(2)
        assert stage.at(0) == cell
        assert stage[0, "Stamina.value"] == (96 if kind == "Strafe" else 87)


@covers(Refused.BLOCKED, Refused.NO_STAMINA)
@pytest.mark.parametrize("kind", ["Strafe", "Dodge"])
def test_steps_aside_are_refused_where_no_cell_is_free_or_breath_is_short(kind: str) -> None:
    """A wall or somebody on the cell, or too little stamina."""
    left = ("Strafe", 2, 0) if kind == "Strafe" else ("Dodge", 0)
    with Stage("a..", "a.b") as stage:
        assert refused(stage, 1, *left) is Refused.BLOCKED
    with Stage("a..", "a.b") as stage:
        stage[1, "Stamina.value"] = 4
        assert refused(stage, 1, *left) is Refused.NO_STAMINA


def test_strafing_needs_an_enemy_in_sight_and_so_does_a_dodge_to_a_side() -> None:
    """A friend or a hidden enemy will not do; a dodge on the spot needs nobody."""
    with Stage("aa", "..") as stage:
        assert refused(stage, 0, "Strafe", 1, 0) is Refused.NOT_HOSTILE
    with Stage("a#b", "..#") as stage:
        assert refused(stage, 0, "Strafe", 1, 1) is Refused.NO_SIGHT
    with Stage("a#b", "..#") as stage:
        assert refused(stage, 0, "Dodge", 1) is Refused.NOTHING_TO_DO
    with Stage("a#b", "..#") as stage:
        assert refused(stage, 0, "Dodge", None) is Refused.NO
        assert until(stage, 0, Condition.DODGE) == 11
        assert stage.cooldowns(0) == {"block": 20}


# Parries.


@pytest.mark.parametrize("kind", ["HeavyAttack", "Charge"])
def test_a_parry_turns_the_next_blow_back(kind: str) -> None:
    """The striker takes the harm, the parry is used up, and a shot goes through it."""
    harm = {"HeavyAttack": 25, "Charge": 20}[kind]
    with Stage("ab", accuracy=1000) as stage:
        stage.plan(1, ("Parry",))
        stage.plan(0, ("Wait", 100), (kind, 1))
        stage.tick(6)
        assert [stage[key, "Health.hp"] for key in (0, 1)] == [100 - harm, 100]
        assert until(stage, 1, Condition.PARRY) == 0
    with Stage("ab", accuracy=1000) as stage:
        stage.plan(1, ("Parry",))
        stage.plan(0, ("Wait", 100), ("Attack", 1))
        stage.tick(2)
        assert [stage[key, "Health.hp"] for key in (0, 1)] == [100, 90]
        assert until(stage, 1, Condition.PARRY) == 11


def test_a_parry_is_over_after_a_second() -> None:
    """A blow that comes later lands, and the next parry has to wait."""
    with Stage("ab", accuracy=1000) as stage:
        stage.plan(1, ("Parry",))
        stage.plan(0, ("Wait", 900), ("HeavyAttack", 1))
        stage.tick(14)
        assert stage[1, "Health.hp"] == 75
        assert stage.cooldowns(1) == {"block": 39}


# Marks and focus.


def test_a_mark_is_known_to_the_team_beyond_sight() -> None:
    """Friends within sixteen cells know where a marked enemy is, behind walls too, as long as the mark lasts."""
    with Stage("a..b", "###.", "a...", sight=5) as stage:
        stage.sim.run_context.game.grid.set_cells(0, 1, 4, 1, Terrain.WALL)
        assert refused(stage, 0, "MarkTarget", 2) is Refused.NO
        assert until(stage, 2, Condition.MARKED) == 101
        assert stage.cooldowns(0) == {"command": 50}
        (enemy,) = known(stage, 1).enemies
        assert (enemy.id, enemy.pos.x, enemy.conditions) == (2, 3, ("marked",))
        assert "marked" in known(stage, 2).me.conditions
        stage.tick(110)
        assert known(stage, 1).enemies == ()


def test_only_the_nearest_sixteen_cells_hear_of_a_mark() -> None:
    """Whoever is farther from a marked enemy does not know of it."""
    with Stage("a...b" + "." * 12 + "a" + "a", sight=4) as stage:
        put(stage, 3, Condition.MARKED)
        stage[3, "Conditions.marked_by"] = 0
        assert [enemy.id for enemy in known(stage, 1).enemies] == [3]
    with Stage("a...b" + "." * 16 + "a", sight=4) as stage:
        put(stage, 2, Condition.MARKED)
        stage[2, "Conditions.marked_by"] = 0
        assert known(stage, 1).enemies == ()


def test_of_two_marks_in_one_tick_the_lowest_key_counts() -> None:
    """A target marked by two teams at once belongs to the one whose marker has the lower key."""
    with Stage("a.b.c") as stage:
        stage.plan(0, ("MarkTarget", 1))
        stage.plan(2, ("MarkTarget", 1))
        stage.tick()
        assert stage[1, "Conditions.marked_by"] == 0
        assert [e.conditions for e in known(stage, 2).enemies] == [(), ()]


def test_a_focus_is_the_squads() -> None:
    """The squad knows whom it attacks together, for eight seconds."""
    with Stage("aa..b") as stage:
        assert refused(stage, 0, "CoordinateAttack", 2) is Refused.NO
        assert until(stage, 2, Condition.FOCUS) == 81
        assert stage.cooldowns(0) == {"command": 150}
        assert known(stage, 1).enemies[0].conditions == ("focus",)


@pytest.mark.parametrize("kind", ["MarkTarget", "CoordinateAttack"])
def test_marks_and_focus_need_an_enemy_in_sight(kind: str) -> None:
    """Not a friend, not who is hidden, not who is gone."""
    with Stage("aa#b") as stage:
        assert refused(stage, 0, kind, 1) is Refused.NOT_HOSTILE
    with Stage("aa#b") as stage:
        assert refused(stage, 1, kind, 2) is Refused.NO_SIGHT
    with Stage("aa#b") as stage:
        assert refused(stage, 0, kind, 9) is Refused.TARGET_GONE


# Ambushes.


def test_an_ambush_is_laid_in_cover_and_given_away_by_the_first_attack() -> None:
    """Who has arrived lies in wait for thirty seconds; the first hit harms half as much again, the second does not."""
    with Stage("a..+....b", accuracy=1000, sight=16) as stage:
        stage.plan(0, ("SetAmbush", 3, 0), ("Attack", 1), ("Attack", 1))
        stage.tick(7)
        assert stage.at(0) == (3, 0)
        assert until(stage, 0, Condition.AMBUSH) == 307
        assert stage.cooldowns(0) == {"ambush": 206}
        stage.tick()
        assert stage[1, "Health.hp"] == 85
        assert until(stage, 0, Condition.AMBUSH) == 0
        stage.tick(10)
        assert stage[1, "Health.hp"] == 75


def test_an_ambush_does_not_show_to_enemies_and_ends_with_a_step() -> None:
    """The agent itself and friends know of it; a step ends it."""
    with Stage("aa..b") as stage:
        put(stage, 1, Condition.AMBUSH)
        assert known(stage, 1).me.conditions == ("ambush",)
        assert [enemy.conditions for enemy in known(stage, 2).enemies] == [(), ()]
        assert known(stage, 0).allies[0].conditions == ("ambush",)
        stage.give(Move(agent=1, x=3, y=0))
        stage.tick(2)
        assert stage.at(1) == (2, 0)
        assert until(stage, 1, Condition.AMBUSH) == 0


@covers(Refused.NO_COVER, Refused.UNREACHABLE)
def test_an_ambush_needs_cover_that_can_be_reached() -> None:
    """Open floor will not do, nor what lies behind a wall."""
    with Stage("a..#+") as stage:
        assert refused(stage, 0, "SetAmbush", 2, 0) is Refused.NO_COVER
    with Stage("a..#+") as stage:
        assert refused(stage, 0, "SetAmbush", 4, 0) is Refused.UNREACHABLE


# Attention.


def test_a_taunt_makes_the_enemy_plan_anew_and_mind_the_taunter_first() -> None:
    """For five seconds the taunter stands first among the enemies, though another one is nearer."""
    with Stage("a.b...a") as stage:
        stage.tick()
        assert [enemy.id for enemy in known(stage, 2).enemies] == [0, 1]
        before = len([key for _, key in stage.asked if key == 2])
        stage.plan(1, ("Taunt", 2))
        stage.give(Order(squad="a", text="now"))
        assert stage.status(2) is Status.STALE
        stage.tick()
        assert len([key for _, key in stage.asked if key == 2]) == before + 1
        snapshot = known(stage, 2)
        assert [enemy.id for enemy in snapshot.enemies] == [1, 0]
        assert snapshot.me.taunted_by == 1
        assert snapshot.me.distracted_to is None
        stage.tick(60)
        assert [enemy.id for enemy in known(stage, 2).enemies] == [0, 1]
        assert known(stage, 2).me.taunted_by is None


def test_a_distraction_turns_attention_to_the_cell_where_it_was_made() -> None:
    """Enemies are minded by their distance from that cell, wherever who made the noise has gone since."""
    with Stage("a.b.a..") as stage:
        stage.plan(1, ("Distract", 2), ("MoveTo", 6, 0, 2))
        stage.tick()
        assert stage.status(2) is Status.STALE
        assert stage.cooldowns(1) == {"provoke": 80}
        snapshot = known(stage, 2)
        assert (snapshot.me.distracted_to.x, snapshot.me.distracted_to.y) == (4, 0)  # type: ignore[union-attr]
        assert [enemy.id for enemy in snapshot.enemies] == [1, 0]
        stage.tick(50)
        assert known(stage, 2).me.distracted_to is None


@covers(Refused.DOWN, Refused.NOT_HOSTILE, Refused.OUT_OF_RANGE)
@pytest.mark.parametrize("kind", ["Taunt", "Distract"])
def test_provoking_carries_eight_cells_to_an_enemy_on_its_feet(kind: str) -> None:
    """Not farther, not to friends, not to who is down."""
    for gap, refusal in ((7, Refused.NO), (8, Refused.OUT_OF_RANGE)):
        with Stage("a" + "." * gap + "b", sight=16) as stage:
            assert refused(stage, 0, kind, 1) is refusal
    with Stage("aa") as stage:
        assert refused(stage, 0, kind, 1) is Refused.NOT_HOSTILE
    with Stage("a.b", downed_s=5) as stage:
        stage[1, "Health.hp"] = 0
        stage.tick()
        stage.give(Order(squad="a", text="again"))
        stage.plan(0, (kind, 1))
        stage.give(Order(squad="a", text="and again"))
        assert stage.refusal(0) is Refused.DOWN


# Asking for cover, coming together.


def test_who_asks_for_cover_is_known_to_the_squad() -> None:
    """Squad mates know who asks, out of sight too, and friends in sight see it; it ends with its time."""
    with Stage("aa#a") as stage:
        assert refused(stage, 0, "RequestCover", 3000) is Refused.NO
        assert stage.cooldowns(0) == {"command": 100}
        assert known(stage, 2).me.cover_wanted_by == 0
        snapshot = known(stage, 1)
        assert (snapshot.me.cover_wanted_by, snapshot.allies[0].conditions) == (0, ("calling",))
        assert known(stage, 0).me.cover_wanted_by is None
        stage.tick(30)
        assert known(stage, 1).me.cover_wanted_by is None


def test_the_last_of_a_squad_has_nobody_to_ask() -> None:
    """Asking for cover alone is refused."""
    with Stage("ab") as stage:
        assert refused(stage, 0, "RequestCover", 1000) is Refused.NOTHING_TO_DO


def test_regrouping_waits_for_the_squad_and_gives_heart() -> None:
    """Whoever is there stays until the last one is; each gets ten morale."""
    with Stage("a" + "." * 18 + "a", morale=50) as stage:
        for key in (0, 1):
            stage.plan(key, ("Regroup", 4, 0))
        stage.tick(8)
        assert stage.at(0)[0] <= 4
        assert stage.status(0) is Status.RUNNING
        while stage.status(0) is Status.RUNNING:
            stage.tick()
        assert [stage.status(key) for key in (0, 1)] == [Status.FINISHED] * 2
        assert stage.at(1) == (7, 0)
        assert stage[0, "Morale.value"] >= 60
        assert set(stage.cooldowns(0)) == {"command"}


def test_regrouping_alone_ends_after_ten_seconds_without_heart() -> None:
    """Who waits in vain gives up; a point that cannot be reached is refused."""
    with Stage("a..." + "." * 12 + "a", morale=50) as stage:
        stage.plan(0, ("Regroup", 2, 0))
        stage.tick(100)
        assert stage.status(0) is Status.RUNNING
        stage[0, "Morale.value"] = 50
        stage.tick()
        assert stage.status(0) is Status.FINISHED
        assert stage[0, "Morale.value"] == 50
    with Stage("a#.") as stage:
        assert refused(stage, 0, "Regroup", 2, 0) is Refused.UNREACHABLE


# Reinforcements.


def test_reinforcements_come_out_of_the_pool_and_join_the_callers_squad() -> None:
    """As many as are left, on the free cells of the team's area in row order, with keys after all others."""
    with Stage("a.b...", "......", reserves=3) as stage:
        assert known(stage, 0).me.reserves == 3
        stage.plan(0, ("CallReinforcements", 2))
        stage.give(Order(squad="a", text="call"))
        assert stage.sim.world.keys.tolist() == [0, 1, 2, 3]
        assert [stage.at(key) for key in (2, 3)] == [(1, 0), (3, 0)]
        assert [stage[key, "Squad.id"] for key in (2, 3)] == [0, 0]
        assert [stage[key, "Squad.leader"] for key in (2, 3)] == [0, 0]
        assert reserves_of(stage.sim.world).left.tolist() == [1, 3]
        assert set(stage.cooldowns(0)) == {"reinforce"}


@covers(Refused.NO_RESERVES)
def test_of_two_callers_the_lowest_key_is_served_first() -> None:
    """A pool is given out once, whoever asks for it; an empty one refuses."""
    with Stage("a.", ".a", "..", "..", reserves=3) as stage:
        for key in (0, 1):
            stage.plan(key, ("CallReinforcements", 2))
        stage.tick()
        assert stage.sim.world.keys.tolist() == [0, 1, 2, 3, 4]
        assert reserves_of(stage.sim.world).left.tolist() == [0]
        stage[0, "Cooldowns.ready_at"] = 0
        stage.plan(0, ("CallReinforcements", 1))
        stage.give(Order(squad="a", text="more"))
        assert stage.refusal(0) is Refused.NO_RESERVES
    with Stage("a.") as stage:
        assert refused(stage, 0, "CallReinforcements", 1) is Refused.NO_RESERVES


def test_no_more_come_than_find_a_cell() -> None:
    """Who finds no free cell stays in the pool."""
    with Stage("a.#", reserves=5) as stage:
        stage.plan(0, ("CallReinforcements", 4))
        stage.tick()
        assert stage.sim.world.n == 2
        assert reserves_of(stage.sim.world).left.tolist() == [4]


# Being down.


def test_who_falls_lies_down_and_dies_when_the_time_is_over() -> None:
    """For the scenario's seconds it is there, without a plan, and seen as down; then it leaves."""
    with Stage("a.b", downed_s=2) as stage:
        stage[1, "Health.hp"] = -7
        stage.tick()
        assert (stage[1, "Health.hp"], until(stage, 1, Condition.DOWN)) == (0, 21)
        assert known(stage, 0).enemies[0].conditions == ("down",)
        asked = len([key for _, key in stage.asked if key == 1])
        stage.give(Order(squad="b", text="get up"))
        stage.give(Move(agent=1, x=1, y=0))
        stage.tick(16)
        assert stage.at(1) == (2, 0)
        assert len([key for _, key in stage.asked if key == 1]) == asked
        report = stage.tick()
        assert report is not None
        assert [event.name for event in report.events] == ["died"]
        assert stage.sim.world.keys.tolist() == [0]


def test_where_nobody_lies_down_who_falls_is_gone() -> None:
    """Without `downed_s` an agent without hit points leaves in the same tick."""
    with Stage("ab") as stage:
        stage[1, "Health.hp"] = 0
        stage.tick()
        assert stage.sim.world.keys.tolist() == [0]


def test_harm_ends_who_is_down() -> None:
    """A hit on someone who is down is the last one."""
    with Stage("ab", downed_s=60, accuracy=1000) as stage:
        stage[1, "Health.hp"] = 0
        stage.plan(0, ("Wait", 100), ("Attack", 1))
        stage.tick(2)
        assert stage.sim.world.keys.tolist() == [0]


def test_reviving_gets_a_friend_up_again() -> None:
    """After three seconds beside it the friend has twenty hit points and plans again."""
    with Stage("a.", ".a", downed_s=10) as stage:
        stage[1, "Health.hp"] = 0
        stage.plan(0, ("Wait", 100), ("Revive", 1))
        stage.tick(30)
        assert stage[1, "Health.hp"] == 0
        asked = len(stage.asked)
        stage.tick()
        assert (stage[1, "Health.hp"], until(stage, 1, Condition.DOWN)) == (20, 0)
        stage.tick(150)
        assert stage.sim.world.n == 2
        assert [key for _, key in stage.asked[asked:]].count(1) == 1


@covers(Refused.NOTHING_TO_DO, Refused.NOT_HOSTILE, Refused.OUT_OF_RANGE, Refused.TARGET_GONE)
def test_reviving_is_refused_where_nobody_beside_is_down() -> None:
    """Friends on their feet, enemies, the distant and the gone cannot be helped up."""
    with Stage("aab") as stage:
        assert refused(stage, 0, "Revive", 1) is Refused.NOTHING_TO_DO
    with Stage("aab") as stage:
        assert refused(stage, 1, "Revive", 2) is Refused.NOT_HOSTILE
    with Stage("a..a") as stage:
        assert refused(stage, 0, "Revive", 1) is Refused.OUT_OF_RANGE
    with Stage("aa") as stage:
        assert refused(stage, 0, "Revive", 7) is Refused.TARGET_GONE


@covers(Refused.DOWN)
def test_a_medkit_does_not_get_anyone_up() -> None:
    """Healing a friend who is down is refused: it takes Revive."""
    with Stage("aa", downed_s=10) as stage:
        stage[1, "Health.hp"] = 0
        stage.plan(0, ("Wait", 100), ("Heal", 1))
        stage.tick(2)
        assert stage.refusal(0) is Refused.DOWN
        assert stage[0, "Kit.medkits"] == 1


def test_metrics_count_each_team() -> None:
    """Agents alive and hit points of the teams add up to those of the world, and rounds only become fewer."""
    with Simulation(load("skirmish"), seed=2) as simulation:
        before = simulation.metrics()
        simulation.run(120)
        found = simulation.metrics()
        assert list(found) == ["alive_red", "hp_red", "alive_blue", "hp_blue", "broken", "rounds"]
        assert found["alive_red"] + found["alive_blue"] == simulation.world.n < 20
        assert found["hp_red"] + found["hp_blue"] == simulation.world[Health].hp.sum()
        assert found["broken"] == simulation.world[Morale].broken.sum()
        assert found["rounds"] < before["rounds"]
