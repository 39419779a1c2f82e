"""Objectives: each kind is done or fails as its data says, is state like all else, and decides the run."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from ai.observation import Cell
from scenarios.tactics.inputs import Remove, Spawn
from scenarios.tactics.scoring import Result, TeamStanding
from scenarios.tactics.testing.flat import flat, flattened
from sim.errors import ScenarioError
from sim.run.scenario_file import Scenario
from sim.run.simulation import Simulation, TickReport
from tests.reference.lockstep import Scripted
from tests.reference.slow_tick import Step

CORRIDOR = "........."
WEST, MIDDLE, EAST = Cell(0, 0), Cell(4, 0), Cell(8, 0)


def scenario(*objectives: dict[str, Any], foe: tuple[dict[str, Any], ...] = (), **changes: Any) -> Scenario:
    """Return a corridor: two of `red` in the west (squads `one` and `two`), one of `blue` in the east."""

    def squad(name: str, x: int) -> dict[str, Any]:
        return {"name": name, "archetype": "any", "count": 1, "area": {"x": x, "y": 0, "width": 1, "height": 1}}

    places = [{"name": "west", "x": 0, "y": 0}, {"name": "middle", "x": 4, "y": 0}, {"name": "east", "x": 8, "y": 0}]
    return flat(
        {
            "name": "corridor",
            "description": "Nine cells",
            "map": {"rows": [CORRIDOR], "places": places},
            "archetypes": {"any": {"sight": 1, "accuracy": 1000, "hp": 10}},
            "teams": [
                {"name": "red", "squads": [squad("one", 0), squad("two", 1)], "objectives": objectives},
                {"name": "blue", "squads": [squad("foe", 8)], "objectives": foe},
            ],
            "planning": {"ttl_s": 3600, "alert_every": 1000},
            "ends": "objectives",
            **changes,
        }
    )


class Moment(NamedTuple):
    """What a tick came to, and how the teams stand after it."""

    report: TickReport
    teams: tuple[TeamStanding, ...]

    @property
    def outcome(self) -> str | None:
        """How the run ended."""
        return self.report.outcome


def tick(simulation: Simulation) -> Moment:
    """Advance a simulation by one tick."""
    report = simulation.tick()
    return Moment(report, simulation.domain.standings(simulation.world))  # type: ignore[attr-defined] # a `Tactics`


def run(plan: Scenario, walks: dict[int, int] | None = None, ticks: int = 60, **at: Any) -> list[Moment]:
    """Run with agents that walk to a cell each (`walks`) or wait; inputs come at ticks (`t3=...`)."""
    where = walks or {}

    def choose(key: int, tick: int) -> list[Step]:
        return [Step("MoveTo", [where[key], 0]), Step("Wait", [600_000])] if key in where else [Step("Wait", [600_000])]

    reports = []
    with Simulation(plan, source=Scripted(choose)) as simulation:
        for number in range(ticks):
            for item in at.get(f"t{number}", ()):
                simulation.inject(item)
            reports.append(tick(simulation))
            if reports[-1].outcome is not None:
                break
    return reports


def first(moment: Moment, team: int = 0) -> tuple[str, int, int]:
    """Return state, progress and target of a team's first objective."""
    objective = moment.teams[team].objectives[0]
    return objective.state, objective.progress, objective.target


def test_eliminating_all_others_wins() -> None:
    """The tick in which the last enemy is gone decides."""
    reports = run(scenario({"kind": "eliminate"}), t3=[Remove(agent=2)])
    assert [report.outcome for report in reports] == [None, None, None, "red wins"]
    assert [team.result for team in reports[-1].teams] == [Result.VICTORY, Result.DEFEAT]
    assert first(reports[-1]) == ("done", 1, 1)


def test_eliminating_one_team_leaves_the_others_alone() -> None:
    """Only the team that is named counts."""
    plan = scenario(foe=({"kind": "eliminate", "team": "red"},))
    reports = run(plan, t1=[Remove(agent=0)], t2=[Remove(agent=1)])
    assert [report.outcome for report in reports] == [None, None, "blue wins"]


def test_reaching_takes_as_many_as_are_asked_for() -> None:
    """One is not enough for two; the radius counts."""
    objective = {"kind": "reach", "place": "middle", "radius": 1, "count": 2}
    assert run(scenario(objective), {1: 4}, 20)[-1].outcome is None
    reports = run(scenario(objective), {0: 3, 1: 4})
    assert reports[-1].outcome == "red wins"
    assert first(reports[-1]) == ("done", 2, 2)


def test_reaching_by_share_counts_the_living() -> None:
    """Half of two is one; all of those alive is one when the other is gone."""
    half = {"kind": "reach", "place": "middle", "radius": 0, "share_percent": 50}
    assert run(scenario(half), {1: 4})[-1].outcome == "red wins"
    whole = half | {"share_percent": 100}
    assert first(run(scenario(whole), {1: 4}, 20)[-1]) == ("open", 50, 100)
    assert run(scenario(whole), {1: 4}, t12=[Remove(agent=0)])[-1].outcome == "red wins"


def test_reaching_by_a_squad_counts_nobody_else() -> None:
    """Another squad's agent at the place is not enough."""
    objective = {"kind": "reach", "place": "middle", "radius": 0, "squad": "two"}
    assert run(scenario(objective), {0: 4}, 20)[-1].outcome is None
    assert run(scenario(objective), {1: 4})[-1].outcome == "red wins"


def test_holding_counts_ticks_without_enemies_and_keeps_them() -> None:
    """Ticks in which an enemy is there do not count, and what was counted is not lost."""
    objective = {"kind": "hold", "place": "west", "radius": 2, "ticks": 12}
    reports = run(scenario(objective), t2=[Spawn(squad="foe", count=1, x=2, y=0)], t6=[Remove(agent=3)])
    assert [first(report)[1] for report in reports[:8]] == [1, 2, 2, 2, 2, 2, 3, 4]
    assert (len(reports), reports[-1].outcome) == (16, "red wins")


def test_holding_against_enemies_counts_where_it_is_contested() -> None:
    """With `contested` enemies at the place do not stop the count."""
    objective = {"kind": "hold", "place": "west", "radius": 2, "ticks": 5, "contested": True}
    assert len(run(scenario(objective), t2=[Spawn(squad="foe", count=1, x=2, y=0)])) == 5


def test_an_escort_succeeds_when_its_charge_arrives() -> None:
    """The charge must be there itself."""
    objective = {"kind": "escort", "squad": "two", "place": "middle", "radius": 0}
    assert run(scenario(objective), {0: 4}, 20)[-1].outcome is None
    assert run(scenario(objective), {1: 4})[-1].outcome == "red wins"


def test_an_escort_fails_when_its_charge_is_lost() -> None:
    """A failed objective loses the game to whoever is left."""
    reports = run(scenario({"kind": "escort", "squad": "two", "place": "east"}), t4=[Remove(agent=1)])
    assert reports[-1].outcome == "blue wins"
    assert first(reports[-1])[0] == "failed"
    assert [team.result for team in reports[-1].teams] == [Result.DEFEAT, Result.VICTORY]


def test_the_extracted_leave_the_map_and_are_not_dead() -> None:
    """Who stands at the place goes with an event of its own; its squad is led by who remains."""
    objective = {"kind": "extract", "place": "middle", "radius": 0, "count": 2, "points_each": 5}
    reports = run(scenario(objective), {1: 4}, 20)
    events = [(e.name, e.columns["key"].tolist()) for moment in reports for e in moment.report.events]
    assert events == [("extracted", [1])]
    assert reports[-1].report.agents == 2
    assert first(reports[-1]) == ("open", 1, 2)
    assert [team.score for team in reports[-1].teams] == [5, 0]
    whole = run(scenario(objective), {0: 4, 1: 4})
    assert (whole[-1].outcome, whole[-1].teams[0].alive, whole[-1].teams[0].score) == ("red wins", 0, 20)


def test_an_extraction_fails_when_too_few_are_left() -> None:
    """Those who are gone already count, the dead do not."""
    objective = {"kind": "extract", "place": "middle", "radius": 0, "count": 2}
    assert run(scenario(objective), t2=[Remove(agent=0)])[-1].outcome == "blue wins"
    late = run(scenario(objective), {1: 4}, t15=[Remove(agent=0)])
    assert (late[-1].outcome, first(late[-1])) == ("blue wins", ("failed", 1, 2))


def test_extracting_the_last_agent_wins_although_nobody_is_left() -> None:
    """Victory by objectives comes before the rule of the last team."""
    plan = scenario({"kind": "extract", "place": "west", "count": 2}, ends="last_team")
    assert run(plan)[-1].outcome == "red wins"


@pytest.mark.parametrize(
    ("charge", "lost"),
    [
        ({"place": "west", "radius": 1}, [Remove(agent=0), Remove(agent=1), Spawn(squad="foe", count=1, x=0, y=0)]),
        ({"squad": "one"}, [Remove(agent=0)]),
        ({}, [Remove(agent=0), Remove(agent=1)]),
    ],
    ids=["place", "squad", "team"],
)
def test_a_defence_lasts_its_ticks_or_fails(charge: dict[str, Any], lost: list[Any]) -> None:
    """What is kept until then wins; what is lost before loses, at once."""
    plan = scenario({"kind": "defend", "ticks": 8, **charge})
    kept = run(plan)
    assert (len(kept), kept[-1].outcome) == (8, "red wins")
    failed = run(plan, t5=lost)
    assert (len(failed), failed[-1].outcome, first(failed[-1])) == (6, "blue wins", ("failed", 5, 8))


def test_collecting_counts_what_was_delivered() -> None:
    """Deliveries of the team count, up to what was asked for."""
    plan = scenario({"kind": "collect", "count": 3, "points_each": 2, "points": 1})
    with Simulation(plan) as simulation:
        objectives = simulation.run_context.game.objectives
        seen = []
        for delivered in (0, 2, 9):
            objectives.delivered[:] = (delivered, 99)
            objectives.stamp += 1
            moment = tick(simulation)
            seen.append((first(moment), moment.teams[0].score, moment.outcome))
    assert seen == [
        (("open", 0, 3), 0, None),
        (("open", 2, 3), 4, None),
        (("done", 3, 3), 7, "red wins"),
    ]


def test_optional_objectives_score_and_decide_nothing() -> None:
    """Points come with them, victory and defeat do not."""
    bonus = {"kind": "hold", "place": "west", "ticks": 2, "required": False, "points": 7}
    lost = {"kind": "escort", "squad": "two", "place": "east", "required": False}
    reports = run(scenario(bonus, lost), ticks=6, t3=[Remove(agent=1)])
    assert [report.outcome for report in reports] == [None] * 6
    assert [report.teams[0].score for report in reports] == [0, 7, 7, 7, 7, 7]


def test_all_required_objectives_are_needed() -> None:
    """One of two is not enough."""
    plan = scenario({"kind": "hold", "place": "west", "ticks": 2}, {"kind": "defend", "ticks": 9})
    assert len(run(plan)) == 9


def test_two_teams_that_are_done_in_one_tick_draw() -> None:
    """Neither order of teams nor of objectives decides."""
    last = {"kind": "defend", "ticks": 3}
    reports = run(scenario(last, foe=(last,)))
    assert reports[-1].outcome == "draw"
    assert [team.result for team in reports[-1].teams] == [Result.DRAW, Result.DRAW]


def test_a_team_alone_wins_or_loses_by_its_objectives() -> None:
    """Without anyone to play against there is still victory and defeat."""
    data = flattened(scenario({"kind": "escort", "squad": "two", "place": "middle", "radius": 0}))
    data["teams"] = data["teams"][:1]
    plan = flat(data)
    assert run(plan, {1: 4})[-1].outcome == "red wins"
    lost = run(plan, t1=[Remove(agent=1)])[-1]
    assert (lost.outcome, lost.teams[0].result) == ("red loses", Result.DEFEAT)


@pytest.mark.parametrize(
    ("rule", "outcome"),
    [
        ({}, None),
        ({"rule": "draw"}, "draw"),
        ({"rule": "team", "team": "blue"}, "blue wins"),
        ({"rule": "score"}, "red wins"),
    ],
    ids=str,
)
def test_the_last_tick_decides_by_its_rule(rule: dict[str, Any], outcome: str | None) -> None:
    """What is open after the scenario's last tick is open, a draw, a named team's, or the higher score's."""
    hold = {"kind": "hold", "place": "west", "ticks": 99, "points_each": 1}
    reports = run(scenario(hold, at_limit=rule, ticks=4), ticks=6)
    assert [report.outcome for report in reports[:3]] == [None] * 3
    assert (reports[3].outcome, len(reports)) == (outcome, 4 if outcome else 6)


def test_equal_scores_at_the_last_tick_draw() -> None:
    """Nobody wins a tie."""
    assert run(scenario(at_limit={"rule": "score"}, ticks=2))[-1].outcome == "draw"


def test_agents_are_after_the_first_objective_that_is_open() -> None:
    """Words and goal are the objective's; the next one comes with a new plan, and whoever joins gets it too."""
    plan = scenario(
        {"kind": "hold", "place": "west", "ticks": 2},
        {"kind": "reach", "place": "east", "count": 3, "text": "go east"},
    )
    asked: list[tuple[int, int]] = []

    def choose(key: int, tick: int) -> list[Step]:
        asked.append((tick, key))
        return [Step("Wait", [600_000])]

    source = Scripted(choose)
    with Simulation(plan, source=source) as simulation:
        simulation.tick()
        assert source.batch is not None
        snapshot = source.batch.to_object(0)
        assert (snapshot.objective, snapshot.goal) == ("hold west", WEST)
        simulation.tick()
        simulation.inject(Spawn(squad="one", count=1, x=2, y=0))
        simulation.tick()
        assert [(s.objective, s.goal) for s in source.batch.to_objects()] == [("go east", EAST)] * 3
    assert asked == [(0, 0), (0, 1), (0, 2), (2, 0), (2, 1), (2, 3)]


def test_words_and_places_of_squad_and_team_come_first() -> None:
    """A squad's own words and goal stand, then the team's, then those of the objective."""
    data = flattened(scenario({"kind": "reach", "place": "middle"}))
    data["teams"][0]["squads"][0] |= {"objective": "scout ahead"}
    data["teams"][0]["squads"][1] |= {"goal": "east"}
    source = Scripted(lambda key, tick: [Step("Wait", [600_000])])
    with Simulation(flat(data), source=source) as simulation:
        simulation.tick()
        assert source.batch is not None
        found = [(known.objective, known.goal) for known in source.batch.to_objects()]
    assert found == [("scout ahead", MIDDLE), ("reach middle", EAST), (None, None)]


def test_half_done_objectives_are_state() -> None:
    """A snapshot holds them, a restore brings them back, and equal states have equal roots."""
    hold, extract = {"kind": "hold", "place": "west", "ticks": 9}, {"kind": "extract", "place": "middle", "count": 1}
    plan = scenario(hold, extract, ends="never")
    with Simulation(plan) as whole:
        states, roots = [], []
        for _ in range(12):
            states.append(whole.snapshot())
            roots.append(whole.tick().digest.root)
    with Simulation(plan) as again:
        for number, state in reversed(list(enumerate(states))):
            again.restore(state)
            assert again.tick().digest.root == roots[number]
        assert again.domain.standings(again.world)[0].objectives[0].progress == 1


BAD: list[tuple[dict[str, Any], str]] = [
    ({"kind": "reach", "place": "wets"}, "teams[0].objectives[0].place: no place 'wets'; did you mean 'west'?"),
    ({"kind": "escort", "squad": "foe", "place": "west"}, "objectives[0].squad: no squad of the team 'foe'"),
    ({"kind": "eliminate", "team": "red"}, "objectives[0].team: no other team 'red'"),
    ({"kind": "extract", "place": "west", "count": 3}, "objectives[0].count: is 3, but there are 2 agents"),
    ({"kind": "hold", "place": "west", "ticks": 0}, "objectives[0].ticks: should be greater than or equal to 1"),
    ({"kind": "defend", "ticks": 5, "place": "west", "squad": "one"}, "cannot stand beside 'place'"),
    ({"kind": "conquer"}, "objectives[0]"),
    ({"kind": "collect", "count": 5, "place": "west"}, "objectives[0].place: is not a known key"),
]


@pytest.mark.parametrize(("objective", "reason"), BAD, ids=[reason for _, reason in BAD])
def test_objectives_that_make_no_sense_are_refused_in_a_sentence(objective: dict[str, Any], reason: str) -> None:
    """The sentence names the place in the file and what is wrong."""
    with pytest.raises(ScenarioError) as refused:
        scenario(objective)
    assert reason in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("rule", [{"rule": "team"}, {"rule": "draw", "team": "red"}, {"rule": "team", "team": "x"}])
def test_a_rule_for_the_last_tick_names_a_team_where_it_needs_one(rule: dict[str, Any]) -> None:
    """A missing, needless or unknown team is refused."""
    with pytest.raises(ScenarioError, match=r"at_limit\.team"):
        scenario(at_limit=rule)
