"""Inputs from outside: each takes effect whole before anyone looks, or is refused with one sentence and no effect."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.tactics.components import Health, Position, Squad, Status, Team, Weapon
from scenarios.tactics.director import line
from scenarios.tactics.inputs import (
    Act,
    Collapse,
    Control,
    Fortify,
    Input,
    Move,
    Order,
    Rect,
    Remove,
    SetCells,
    SetParameter,
    Spawn,
    SpawnWave,
    Spot,
)
from scenarios.tactics.parameters import NAMES
from scenarios.tactics.shared_knowledge import TEXTS_MAX
from scenarios.tactics.testing.flat import INPUTS_OF_TACTICS, flat, flattened
from sim.errors import ScenarioError
from sim.run.scenario_file import load
from sim.run.settings import AGENTS_MAX
from sim.run.simulation import Simulation
from tests.reference.stage import Stage
from tests.support.marks import covers


def test_a_move_drops_the_plan_for_a_walk() -> None:
    """The player's agent walks, from this tick on, and its old plan is gone."""
    with Stage("a....") as stage:
        stage.plan(0, ("Wait", 600_000), ("Block",))
        stage.tick(3)
        report = stage.give(Move(agent=0, x=4, y=0))
        assert report.inputs == (Move(agent=0, x=4, y=0),)
        assert [str(step) for step in stage.sim.world.entity(0).steps] == ["MoveTo(x=4, y=0)"]
        assert (stage[0, "Progress.tier"], stage[0, "Progress.planned_at"]) == (-1, 3)
        stage.tick(8)
        assert stage.at(0) == (4, 0)


def test_an_order_reaches_the_whole_squad_and_nobody_else() -> None:
    """Members get the words and the place and plan again in the same tick."""
    with Stage("aab") as stage:
        stage.tick(3)
        stage.give(Order(squad="a", text="go east", x=2, y=0))
        assert stage.asked == [(0, 0), (0, 1), (0, 2), (3, 0), (3, 1)]
        texts = stage.sim.run_context.game.lore.texts.all
        assert [texts[stage[key, "Goal.order"]] for key in (0, 1)] == ["go east", "go east"]
        assert [(stage[key, "Goal.x"], stage[key, "Goal.y"]) for key in (0, 1)] == [(2, 0), (2, 0)]
        assert stage[2, "Goal.order"] == -1


def test_followers_read_what_their_leader_was_ordered() -> None:
    """The leader's order stands with what a follower knows of its leader; the leader itself follows nobody."""
    with Stage("aa") as stage:
        stage.give(Order(squad="a", text="go east"))
        batch = stage.sim.run_context.source.batch  # type: ignore[attr-defined]
        leaders = [batch.to_object(row).player for row in (0, 1)]
        assert (leaders[0], leaders[1].id, leaders[1].order) == (None, 0, "go east")


def test_an_order_without_a_place_keeps_the_goal() -> None:
    """Words alone change the words alone; words said before are not kept twice."""
    with Stage("aa") as stage:
        stage.give(Order(squad="a", text="one", x=1, y=0))
        stage.give(Order(squad="a", text="two"))
        stage.give(Order(squad="a", text="one"))
        assert stage.sim.run_context.game.lore.texts.all == ("one", "two")
        assert (stage[0, "Goal.x"], stage[0, "Goal.order"]) == (1, 0)


def test_cells_change_before_anyone_looks() -> None:
    """A wall that falls lets agents see each other in the same tick."""
    with Stage("a#b") as stage:
        stage.give(SetCells(cell="floor", x=1, y=0))
        assert stage.sim.run_context.source.batch.enemies.id[:, 0].tolist() == [1, 0]  # type: ignore[attr-defined]


def test_newcomers_take_the_nearest_free_cells_in_order() -> None:
    """They join the squad with new keys, by distance, then y, then x, and plan at once."""
    with Stage("....", ".a#.", "....") as stage:
        stage.tick(4)
        stage.give(Spawn(squad="a", count=4, x=1, y=1))
        assert [stage.at(key) for key in range(1, 5)] == [(1, 0), (0, 1), (1, 2), (0, 0)]
        assert [stage[key, "Squad.leader"] for key in range(5)] == [0] * 5
        stage.tick(2)
        assert stage.asked[1:] == [(4, 1), (4, 2), (4, 3), (4, 4)]


def test_newcomers_may_refound_a_squad() -> None:
    """A squad of which nobody is left gets a new leader from those who join."""
    with Stage("a.b.") as stage:
        stage.give(Remove(agent=0))
        stage.give(Spawn(squad="a", count=2, x=0, y=0))
        assert [stage[key, "Squad.leader"] for key in (2, 3)] == [2, 2]


def test_a_removed_agent_is_gone_before_anyone_looks() -> None:
    """It is not seen, does not act, and its key is not given again."""
    with Stage("a.b") as stage:
        stage.give(Remove(agent=1))
        assert stage.sim.run_context.source.batch.enemies.id[0, 0] == -1  # type: ignore[attr-defined]
        assert stage.sim.world.keys.tolist() == [0]


def test_inputs_are_applied_in_order_each_on_what_the_last_one_left() -> None:
    """A move of an agent that an input before it removed is refused; a spawn may take a cell that was freed."""
    with Stage("a.#") as stage:
        report = stage.give(Remove(agent=0), Move(agent=0, x=1, y=0), Spawn(squad="a", count=1, x=0, y=0))
        assert [type(item) for item in report.inputs] == [Remove, Move, Spawn]
        assert list(report.refused) == [1]
        assert stage.at(1) == (0, 0)


BAD: list[tuple[Input, str]] = [
    (Move(agent=9, x=0, y=0), "agent 9 is not in the world"),
    (Move(agent=0, x=99, y=0), "(99, 0) is outside the 4 by 2 map"),
    (Move(agent=0, x=2, y=0), "agent 0 cannot walk to (2, 0)"),
    (Move(agent=0, x=3, y=0), "agent 0 cannot walk to (3, 0)"),
    (Order(squad="zz", text="go"), "there is no squad 'zz'; known: a, b"),
    (Order(squad="a", text="go", x=1), "an order's place needs both x and y"),
    (Order(squad="a", text="go", x=1, y=7), "(1, 7) is outside the 4 by 2 map"),
    (SetCells(cell="wall", x=0, y=0), "agent 0 stands where the wall would be"),
    (SetCells(cell="wall", x=0, y=0, width=2, height=2), "agent 0 stands where the wall would be"),
    (SetCells(cell="floor", x=3, y=0, width=2), "the rectangle reaches outside the 4 by 2 map"),
    (Spawn(squad="zz", count=1, x=0, y=0), "there is no squad 'zz'; known: a, b"),
    (Spawn(squad="a", count=1, x=4, y=0), "(4, 0) is outside the 4 by 2 map"),
    (Spawn(squad="a", count=5, x=0, y=0), "only 4 cells are free for 5 agents"),
    (Remove(agent=2), "agent 2 is not in the world"),
    (Control(agent=9), "agent 9 is not in the world"),
    (Control(agent=0, on=False), "agent 0 is not taken over"),
    (Act(agent=9, step={"act": "Wait"}), "agent 9 is not in the world"),
    (Act(agent=0, step={"act": "Wait"}), "agent 0 is not taken over; send a control input first"),
    (Fortify(rect=Rect(x=3, y=0, width=2, height=1)), "the rectangle reaches outside the 4 by 2 map"),
    (Fortify(rect=Rect(x=2, y=0, width=1, height=2)), "there is no floor in the rectangle to make cover of"),
    (SpawnWave(archetype="nobody", count=1, origin=Spot(x=0, y=0)), "there is no archetype 'nobody'; known: kit"),
    (SpawnWave(archetype="kit", count=1, origin=Spot(x=0, y=0), squad="a"), "the director has no squad 'a'; known: b"),
    (
        SpawnWave(archetype="kit", count=1, origin=Spot(x=0, y=0), squad="zz"),
        "the director has no squad 'zz'; known: b",
    ),
    (SpawnWave(archetype="kit", count=1, origin=Spot(x=4, y=0)), "(4, 0) is outside the 4 by 2 map"),
    (SpawnWave(archetype="kit", count=9, origin=Spot(x=0, y=0)), "only 4 cells are free for 9 agents"),
    (Collapse(a=Spot(x=1, y=0), b=Spot(x=9, y=0)), "(9, 0) is outside the 4 by 2 map"),
    (Collapse(a=Spot(x=3, y=0), b=Spot(x=0, y=1)), "agent 1 stands where the wall would be"),
    (Collapse(a=Spot(x=2, y=0), b=Spot(x=2, y=1)), "there is nothing but wall on the line"),
    (SetParameter(name="planning.tl_s", value=3), "no parameter 'planning.tl_s'; did you mean 'planning.ttl_s'?"),
    (
        SetParameter(name="planning.ttl_s", value=0),
        "parameter planning.ttl_s: should be greater than or equal to 1, not 0",
    ),
    (
        SetParameter(name="morale.rally_at", value=101),
        "parameter morale.rally_at: should be less than or equal to 100, not 101",
    ),
]
DIRECTOR = {"squad": "b", "budget": {"traps": 1, "terrain_edits": 1, "spawns": 1}}


@pytest.mark.parametrize(
    ("item", "sentence"),
    [
        pytest.param(item, sentence, marks=covers(sentence), id=f"{item.kind}-{place}")
        for place, (item, sentence) in enumerate(BAD)
    ],
)
def test_what_cannot_be_done_is_refused_with_a_sentence_and_no_effect(item: Input, sentence: str) -> None:
    """The tick is the one that would have been without the input."""
    with Stage("a.#.", "b.#.", director=DIRECTOR) as stage, Stage("a.#.", "b.#.", director=DIRECTOR) as other:
        stage.tick()
        other.tick()
        report, expected = stage.give(item), other.tick()
        assert expected is not None
        assert (report.inputs, report.refused) == ((item,), {0: sentence})
        assert report.digest.root == expected.digest.root


@covers("nobody is left of squad 'a'")
def test_an_order_to_a_squad_of_which_nobody_is_left_is_refused() -> None:
    """There is nobody to hear it, and its words are not kept."""
    with Stage("ab") as stage:
        report = stage.give(Remove(agent=0), Order(squad="a", text="come back"))
        assert report.refused[1] == "nobody is left of squad 'a'"
        assert stage.sim.run_context.game.lore.texts.all == ()


@covers(f"a run holds at most {TEXTS_MAX} different texts")
def test_a_run_holds_a_bounded_number_of_texts() -> None:
    """An order with a text too many is refused; one with a known text is not."""
    with Stage("a") as stage:
        stage.sim.run_context.game.lore.texts.all = tuple(map(str, range(TEXTS_MAX)))
        report = stage.give(Order(squad="a", text="new"), Order(squad="a", text="7"))
        assert "at most" in report.refused[0]
        assert stage[0, "Goal.order"] == 7


def test_what_was_injected_waits_for_the_next_tick_after_the_timeline() -> None:
    """Timed inputs come first, injected ones after them in the order they came, once each."""
    with Stage("aaa") as stage:
        data: dict[str, Any] = flattened(stage.scenario)
        data["inputs"] = [{"tick": 1, "input": {"kind": "remove", "agent": 0}}]
        scenario = flat(data)
    for timeline in (True, False):
        with Simulation(scenario, timeline=timeline) as simulation:
            assert simulation.tick().inputs == ()
            simulation.inject(Remove(agent=2))
            simulation.inject(Remove(agent=1))
            expected = [0] * timeline + [2, 1]
            assert [item.agent for item in simulation.tick().inputs] == expected  # type: ignore[union-attr]
            assert simulation.tick().inputs == ()


@pytest.mark.parametrize(
    "data",
    [
        {"kind": "move", "agent": 3, "x": 1, "y": 2},
        {"kind": "order", "squad": "a", "text": "go", "x": None, "y": None},
        {"kind": "set_cells", "cell": "wall", "x": 0, "y": 1, "width": 2, "height": 3},
        {"kind": "spawn", "squad": "a b", "count": 2, "x": 0, "y": 0},
        {"kind": "remove", "agent": 0},
        {"kind": "control", "agent": 0, "on": False},
        {"kind": "act", "agent": 0, "step": {"act": "Wait", "duration": 0.25, "more": [None, True, {"a": 1}]}},
        {"kind": "fortify", "rect": {"x": 0, "y": 1, "width": 2, "height": 3}},
        {"kind": "spawn_wave", "archetype": "a b", "count": 2, "origin": {"x": 0, "y": 0}, "squad": None},
        {"kind": "collapse", "a": {"x": 0, "y": 1}, "b": {"x": 5, "y": 1}},
        {"kind": "set", "name": "planning.ttl_s", "value": 9},
    ],
)
def test_inputs_are_data(data: dict[str, Any]) -> None:
    """Each kind is read from plain data and written as it was."""
    assert INPUTS_OF_TACTICS.read(data).model_dump() == data


def test_orders_wake_agents_that_pause_after_a_refusal() -> None:
    """Who was refused and pauses plans again at once when an order comes."""
    with Stage("a") as stage:
        stage.plan(0, ("Attack", 5))
        stage.tick()
        assert stage.status(0) is Status.REFUSED
        stage.give(Order(squad="a", text="go"))
        assert stage.asked == [(0, 0), (1, 0)]


@covers("agent 0 is taken over already")
def test_nobody_is_taken_over_twice() -> None:
    """The second time is refused and does not stop what the agent was told to do."""
    with Stage("a..") as stage:
        stage.give(Control(agent=0), Act(agent=0, step={"act": "MoveTo", "x": 2, "y": 0}))
        assert stage.give(Control(agent=0)).refused == {0: "agent 0 is taken over already"}
        assert stage.status(0) is Status.RUNNING


@covers("agent 0 is down")
def test_who_is_down_is_neither_moved_nor_told_what_to_do() -> None:
    """A move and a step are refused until it is up again."""
    with Stage("ab", downed_s=9) as stage:
        stage.give(Control(agent=0))
        stage[0, "Health.hp"] = 0
        report = stage.give(Move(agent=0, x=0, y=0), Act(agent=0, step={"act": "Wait"}))
        assert report.refused == dict.fromkeys(range(2), "agent 0 is down")


@covers(f"a world holds at most {AGENTS_MAX} agents")
def test_a_world_does_not_grow_beyond_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spawns and waves that would fill it beyond are refused whole."""
    monkeypatch.setattr("scenarios.tactics.systems.inputs.AGENTS_MAX", 3)
    with Stage("a...b", director=DIRECTOR) as stage:
        report = stage.give(
            Spawn(squad="a", count=2, x=0, y=0),
            SpawnWave(archetype="kit", count=2, origin=Spot(x=0, y=0)),
            Spawn(squad="a", count=1, x=0, y=0),
        )
        assert report.refused == dict.fromkeys(range(2), "a world holds at most 3 agents")
        assert stage.sim.world.n == 3


def test_planners_leave_a_taken_agent_alone() -> None:
    """It stops, does not plan, not even when it is hit or sees an enemy, and plans again when it is given back."""
    with Stage("a...b", planning={"alert_every": 1}) as stage:
        stage[1, "Senses.sight"] = 1
        stage.plan(1, ("Attack", 0))
        stage.give(Control(agent=0))
        stage.tick(30)
        assert [key for _, key in stage.asked] == [1] * len(stage.asked)
        assert (stage[0, "Control.taken"], len(stage.sim.world.entity(0).steps)) == (True, 0)
        assert stage[0, "Health.hp"] < 100
        stage.give(Control(agent=0, on=False))
        assert stage.asked[-1] == (31, 0)


def test_a_taken_agent_does_what_the_player_says() -> None:
    """Any step that a planner could give, from this tick on; a new one replaces it; plans do not grow old."""
    with Stage("a...b", planning={"ttl_s": 1}) as stage:
        stage.give(Control(agent=0), Act(agent=0, step={"act": "MoveTo", "x": 1, "y": 0}))
        stage.tick(3)
        assert stage.at(0) == (1, 0)
        stage.give(Act(agent=0, step={"act": "Wait", "duration": 5}))
        stage.tick(20)
        assert stage.status(0) is Status.RUNNING
        stage.give(Act(agent=0, step={"act": "Attack", "target_id": 1}))
        assert (stage[0, "Ammo.rounds"], stage.status(0)) == (29, Status.FINISHED)
        stage.give(Move(agent=0, x=3, y=0))
        stage.tick(8)
        assert stage.at(0) == (3, 0)


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        pytest.param({}, "the step of agent 0: unknown verb", marks=covers("the step of agent 0: unknown verb 'None'")),
        ({"act": "Dance"}, "unknown verb 'Dance'"),
        ({"act": "Attack"}, "Attack.target_id"),
        ({"act": "Wait", "duration": -1}, "Wait.duration"),
        pytest.param(
            {"act": "MoveTo", "x": 5, "y": 0},
            "x 5 is outside the 5 by 1 map",
            marks=covers("the step of agent 0: x 5 is outside the 5 by 1 map"),
        ),
        pytest.param(
            {"act": "Patrol", "waypoints": [{"x": 0, "y": 0}, {"x": 4, "y": 1}]},
            "(4, 1) is outside the 5 by 1 map",
            marks=covers("the step of agent 0: (4, 1) is outside the 5 by 1 map"),
        ),
        ({"act": "MoveTo", "x": 1, "y": 1}, "y 1 is outside the 5 by 1 map"),
        ({"act": "TakeCover", "position": {"x": 9, "y": 0}}, "position.x 9 is outside the 5 by 1 map"),
    ],
)
def test_a_step_that_the_registry_refuses_has_no_effect(step: dict[str, Any], reason: str) -> None:
    """The sentence says what is wrong with it, and the agent goes on as it was."""
    with Stage("a...b") as stage, Stage("a...b") as other:
        for each in (stage, other):
            each.give(Control(agent=0), Act(agent=0, step={"act": "MoveTo", "x": 3, "y": 0}))
        report, expected = stage.give(Act(agent=0, step=step)), other.tick()
        assert expected is not None
        assert reason in report.refused[0]
        assert report.digest.root == expected.digest.root


def test_a_step_of_an_input_has_a_bounded_length() -> None:
    """What is longer than a thousand characters, or has no JSON form, is not an input."""
    for value in ("x" * 1000, float("nan"), float("inf")):
        with pytest.raises(ScenarioError, match=r"^input(\.step: has 1027|[a-z.]*: holds a value)"):
            INPUTS_OF_TACTICS.read({"kind": "act", "agent": 0, "step": {"act": "Wait", "more": value}})


def test_fortifying_makes_cover_of_floor_alone() -> None:
    """Walls stay walls, agents stay where they are, and the budget pays once."""
    with Stage("a.#.", "b...", director=DIRECTOR) as stage:
        stage.give(Fortify(rect=Rect(x=0, y=0, width=3, height=2)))
        assert stage.sim.run_context.game.grid.terrain.tolist() == [[1, 1, 2, 0], [1, 1, 1, 0]]
        report = stage.give(Fortify(rect=Rect(x=3, y=0, width=1, height=1)))
        assert report.refused == {0: "the director has no terrain edits left"}


def test_a_wave_brings_agents_of_its_archetype() -> None:
    """They join the director's squad near the origin, with the archetype's values, and plan like everyone else."""
    data: dict[str, Any]
    with Stage("a....b", director=DIRECTOR) as stage:
        data = flattened(stage.scenario)
    data["archetypes"]["brute"] = {"hp": 250, "sight": 3}
    data["archetypes"]["kit"]["hp"] = 20
    with Simulation(flat(data)) as simulation:
        simulation.inject(SpawnWave(archetype="brute", count=2, origin=Spot(x=3, y=0)))
        report = simulation.tick()
        agents = [simulation.world.entity(key) for key in (2, 3)]
        assert [(agent[Position].x, agent[Health].hp, agent[Team].id, agent[Squad].leader) for agent in agents] == [
            (3, 250, 1, 1), (2, 250, 1, 1),
        ]  # fmt: skip
        assert report.plans is not None
        assert {2, 3} <= set(report.plans.plans.keys.tolist())
        simulation.inject(SpawnWave(archetype="brute", count=1, origin=Spot(x=3, y=0)))
        assert simulation.tick().refused == {0: "the director has no spawns left"}


@covers("the director has no traps left")
def test_a_collapse_walls_its_line_off() -> None:
    """Diagonal first, then straight; cover falls too; the budget pays once."""
    with Stage("a.....", "......", "b.....", director=DIRECTOR) as stage:
        stage.give(Collapse(a=Spot(x=5, y=0), b=Spot(x=2, y=1)))
        assert stage.sim.run_context.game.grid.terrain.tolist() == [[0, 0, 0, 0, 0, 2], [0, 0, 2, 2, 2, 0], [0] * 6]
        report = stage.give(Collapse(a=Spot(x=1, y=0), b=Spot(x=1, y=0)))
        assert report.refused == {0: "the director has no traps left"}


@covers("the scenario has no director")
def test_without_a_director_its_operations_are_refused() -> None:
    """The scenario says who may do what; the sentence says what is missing."""
    with Stage("a..b") as stage:
        report = stage.give(
            Fortify(rect=Rect(x=0, y=0, width=1, height=1)),
            SpawnWave(archetype="kit", count=1, origin=Spot(x=0, y=0)),
            Collapse(a=Spot(x=1, y=0), b=Spot(x=1, y=0)),
        )
        assert report.refused == dict.fromkeys(range(3), "the scenario has no director")


@given(st.tuples(*[st.integers(-20, 20)] * 4))
def test_a_line_joins_its_ends_in_as_few_steps_as_there_can_be(ends: tuple[int, int, int, int]) -> None:
    """It holds both ends and goes from neighbour to neighbour, diagonals included."""
    a, b = ends[:2], ends[2:]
    cells = list(line(a, b))
    assert (cells[0], cells[-1]) == (a, b)
    assert len(cells) == 1 + max(abs(a[0] - b[0]), abs(a[1] - b[1]))
    assert all(max(abs(x - u), abs(y - v)) == 1 for (x, y), (u, v) in pairwise(cells))


def test_a_parameter_that_is_set_holds_from_this_tick_on() -> None:
    """What plans live for changes at once, and a restore brings the old value back."""
    with Stage("a", planning={"ttl_s": 60}) as stage:
        before = stage.sim.snapshot()
        stage.give(SetParameter(name="planning.ttl_s", value=1))
        stage.tick(25)
        assert stage.asked == [(0, 0), (11, 0), (22, 0)]
        stage.sim.restore(before)
        assert stage.sim.run_context.game.parameters.planning.ttl_s == 60


def test_every_parameter_can_be_set_within_the_bounds_of_its_key() -> None:
    """The names are keys of the scenario, which says what they may be."""
    with Stage("a") as stage:
        for name in NAMES:
            value = stage.sim.run_context.game.parameters[name]
            assert stage.give(SetParameter(name=name, value=value)).refused == {}
            assert list(stage.give(SetParameter(name=name, value=-(2**31))).refused) == [0]
            assert stage.sim.run_context.game.parameters[name] == value


def test_a_bonus_on_hits_changes_them() -> None:
    """A duel in which nobody can hit anybody goes on until the odds are raised."""
    with Stage("ab", accuracy=0, hp=1000, seed=3) as stage:
        stage.plan(0, *[("Attack", 1)] * 8)
        stage.give(SetParameter(name="combat.hit_bonus", value=-1000))
        stage.tick(40)
        missed = 1000 - stage[1, "Health.hp"]
        stage.give(SetParameter(name="combat.hit_bonus", value=1000))
        stage.tick(40)
        assert 3 * missed < 1000 - stage[1, "Health.hp"]


def test_a_wave_is_armed_as_its_own_archetype() -> None:
    """Agents of a wave shoot as their archetype does, not as the squad that they join."""
    data = flattened(load("skirmish"))
    data["archetypes"]["raw"] = {"accuracy": 100}
    data["director"] = {"squad": "blue one", "budget": {"spawns": 1}}
    wave = {"kind": "spawn_wave", "archetype": "raw", "count": 1, "origin": {"x": 30, "y": 12}}
    data["inputs"] = [{"tick": 0, "input": wave}]
    with Simulation(flat(data)) as simulation:
        simulation.tick()
        assert simulation.world[Weapon].accuracy.tolist() == [700] * 20 + [100]


@covers("agents of 'bowman' carry bow, their squad no weapon by name; send them to a squad armed alike")
def test_a_wave_joins_a_squad_that_is_armed_alike() -> None:
    """The weapons in an agent's slots are its squad's; a wave that carries others is refused, and costs nothing."""
    data = flattened(load("skirmish"))
    data["weapons"] = {"bow": {"reach": 9}}
    data["archetypes"]["bowman"] = {"weapons": ["bow"]}
    data["director"] = {"squad": "blue one", "budget": {"spawns": 1}}
    wave = {"kind": "spawn_wave", "archetype": "bowman", "count": 1, "origin": {"x": 30, "y": 12}}
    data["inputs"] = [{"tick": 0, "input": wave}]
    with Simulation(flat(data)) as simulation:
        report = simulation.tick()
        assert report.refused == {
            0: "agents of 'bowman' carry bow, their squad no weapon by name; send them to a squad armed alike"
        }
        assert simulation.world.n == 20
        assert simulation.run_context.game.budgets.left.tolist()[-1] == 1
