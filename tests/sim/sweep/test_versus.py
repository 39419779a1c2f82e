"""Planners against each other: fair games, honest intervals, and what the command says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai.fake.server import FakeSettings, serving
from scenarios.tactics.testing.flat import flat, flattened
from sim.cli import invoke
from sim.cli.common import OK, USAGE
from sim.errors import ScenarioError
from sim.run.planning import groups_of_tiers, tier_order
from sim.run.scenario_file import load
from sim.run.simulation import Simulation
from sim.sweep.statistics import wilson
from sim.sweep.versus import Game, Player, Score, score, score_by_value, sides, tournament

DUEL = """
domain = "tactics"
name = "duel"
description = "Two against two in the open"
ticks = 300

[settings.map]
rows = ["..........", "..........", "..........", ".........."]
places = [{ name = "middle", x = 5, y = 2 }]

[settings.archetypes.fighter]
hp = 30

[[settings.teams]]
name = "red"
objective = "reach the middle"
goal = "middle"
squads = [{ name = "one", archetype = "fighter", count = 2, area = { x = 0, y = 1, width = 1, height = 2 } }]

[[settings.teams]]
name = "blue"
objective = "reach the middle"
goal = "middle"
squads = [{ name = "two", archetype = "fighter", count = 2, area = { x = 9, y = 1, width = 1, height = 2 } }]
"""


@pytest.fixture
def duel(tmp_path: object) -> str:
    """A small scenario's file."""
    path = tmp_path / "duel.toml"  # type: ignore[operator]
    path.write_text(DUEL)
    return str(path)


@given(won=st.integers(0, 200), lost=st.integers(0, 200))
def test_an_interval_holds_the_share_and_is_symmetric(won: int, lost: int) -> None:
    """The share lies inside, the loser's interval is the winner's turned around, and more games never widen it."""
    low, high = wilson(won, won + lost)
    assert 0.0 <= low <= high <= 1.0
    if won + lost:
        assert low - 1e-12 <= won / (won + lost) <= high + 1e-12
    assert wilson(lost, won + lost) == pytest.approx((1 - high, 1 - low))
    if won + lost:
        wide = high - low
        low, high = wilson(won * 2, (won + lost) * 2)
        assert high - low <= wide + 1e-12


def test_games_are_counted_by_planner_not_by_side() -> None:
    """Draws count for nobody, and nothing is told apart by nothing."""
    games = [Game(0, False, "a", 9), Game(0, True, "a", 9), Game(1, False, None, 9), Game(1, True, "b", 9)]
    assert score(games) == Score(2, 1, 1)
    assert score([]).share is None
    assert score([]).stronger is None
    assert Score(20, 2, 0).stronger == "a"
    assert Score(2, 20, 0).stronger == "b"


def test_a_planner_that_only_waits_loses(duel: str) -> None:
    """Two planners of different strength are told apart, whichever side they play."""
    scenario = load(duel)
    games = tournament(scenario, Player.of("behaviour"), Player.of("emergency"), range(4))
    assert [(game.seed, game.swapped) for game in games] == [(s, w) for s in range(4) for w in (False, True)]
    assert score(games).stronger == "a"
    assert score(tournament(scenario, Player.of("emergency"), Player.of("behaviour"), range(4))).stronger == "b"


@pytest.mark.usefixtures("processes_pay")
def test_more_processes_play_the_same_games(duel: str) -> None:
    """The number of processes changes nothing but the time."""
    arguments = (load(duel), Player.of("goap"), Player.of("utility"), range(2))
    assert tournament(*arguments, jobs=2) == tournament(*arguments)


def test_the_command_tells_who_is_stronger(duel: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Wins, draws, share and interval, as text and as one object."""
    arguments = ["versus", duel, "--a", "behaviour", "--b", "emergency", "--seeds", "0:4"]
    assert invoke(arguments) == OK
    assert "behaviour is stronger" in capsys.readouterr().out
    assert invoke([*arguments, "--json"]) == OK
    value = json.loads(capsys.readouterr().out)
    assert value["stronger"] == "behaviour"
    assert value["games"] == 8
    assert value["a"]["tiers"] == ["behaviour", "emergency"]
    assert 0.5 < value["interval"][0] <= value["share_a"] <= value["interval"][1]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--a", "heuristic", "--b", "gaop"], "no planner 'gaop'"),
        (["--a", "heuristic", "--b", "goap", "--seeds", "x"], "--seeds: 'x' are no seeds; write 5, 1,2,3 or 0:50"),
        (["--a", "heuristic", "--b", "goap", "--seeds", "5:5"], "1 to 100000 seeds are possible"),
        (["--a", "heuristic,heuristic", "--b", "goap"], "listed twice"),
        (["--a", "goap,utility", "--b", "utility,goap"], "in orders that contradict each other"),
        (["--a", "goap"], "--b"),
        (["--a", "goap", "--b", "utility", "--lower"], "--lower: needs --metric"),
        (["--a", "goap", "--b", "utility", "--whole"], "--whole: needs --metric"),
        (["--a", "llm:gpt", "--b", "utility"], "gpt"),
        (["--a", "goap", "--b", "utility", "--set", "tams=3"], "--set: no key 'tams'"),
        (["--a", "goap", "--b", "utility", "--plot", "a.gif"], ".png"),
        (["--a", "goap", "--b", "utility", "--metric", "rad"], "no metric 'rad'; did you mean 'red'?"),
    ],
)
def test_wrong_usage_gets_one_sentence(
    duel: str, arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is wrong is named, with exit code 64."""
    assert invoke(["versus", duel, *arguments]) == USAGE
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1


def test_one_group_has_nobody_to_play(capsys: pytest.CaptureFixture[str]) -> None:
    """Without two groups no outcome can name a winner, so the command asks for a metric."""
    for name in ("market", "segregation"):
        assert invoke(["versus", name, "--a", "heuristic", "--b", "emergency"]) == USAGE
        assert "does not have two groups that could win; name a metric with --metric" in capsys.readouterr().err


def test_a_domain_that_plans_for_nobody_has_no_planners_to_compare() -> None:
    """The sentence names the scenario."""
    with pytest.raises(ScenarioError, match="scenario 'segregation' has no planning"):
        sides(load("segregation"), ["emergency"], ["heuristic"], swapped=False)


def test_a_metric_compares_whole_runs_where_there_are_no_groups(capsys: pytest.CaptureFixture[str]) -> None:
    """Villagers that follow rules are in a better mood than villagers that only rest, and the score says so."""
    arguments = [
        "versus",
        "market",
        "--a",
        "heuristic",
        "--b",
        "emergency",
        "--seeds",
        "0:6",
        "--ticks",
        "30",
        "--json",
    ]
    assert invoke([*arguments, "--metric", "bread_price"]) == OK
    value = json.loads(capsys.readouterr().out)
    assert value["games"] == 6
    assert value["stronger"] == "heuristic"
    runs = value["runs"]
    assert [run["seed"] for run in runs] == [seed for seed in range(6) for _ in "ab"]
    assert all(rules["value"] > rest["value"] for rules, rest in zip(runs[::2], runs[1::2], strict=True))
    assert invoke([*arguments, "--metric", "bread_price", "--lower"]) == OK
    assert json.loads(capsys.readouterr().out)["stronger"] == "emergency"


def test_a_metric_compares_sides_where_there_are_groups() -> None:
    """The planner whose first group ends with the greater score wins the seed."""
    games = tournament(
        load("foraging"), Player.of("heuristic"), Player.of("emergency"), range(3), ticks=40, metric="Ash"
    )
    assert [game.swapped for game in games] == [False, True] * 3
    assert score_by_value(games) == Score(3, 0, 0)
    assert score_by_value(games, lower=True) == Score(0, 3, 0)


def test_teams_plan_by_their_own_tiers_and_rules(duel: str) -> None:
    """One call serves both: each team's agents get their plans from its own list, with its own rules."""
    data = flattened(load(duel))
    data["teams"][0]["tiers"] = ["goap", "emergency"]
    data["teams"][1]["rules"] = [{"when": "always", "then": {"act": "Block"}}]
    scenario = flat(data)
    groups = scenario.domain.group_names
    tried = ("goap", "simplified_llm", "full_llm", "heuristic", "emergency")
    assert tier_order(scenario.planning, groups) == tried
    assert groups_of_tiers(scenario.planning, groups)["goap"] == frozenset({"red"})
    tiers: dict[int, set[str]] = {0: set(), 1: set()}
    with Simulation(scenario) as simulation:
        for report in simulation.reports(6):
            if report.plans is not None:
                for row, key in enumerate(report.plans.plans.keys.tolist()):
                    tiers[key // 2].add(report.plans.tiers[int(report.plans.plans.tier[row])])
        blocked = [step.act for step in simulation.world.entity(2).steps]
    assert tiers == {0: {"goap"}, 1: {"heuristic"}}
    assert blocked == ["Block"]


@pytest.fixture(scope="module")
def model() -> Iterator[str]:
    """Return the spec of a model that a stand-in for a server has."""
    with serving(FakeSettings(slots=2)) as fake:
        yield f"llm:openai:fake@{fake.openai_url}"


def test_a_model_is_compared_with_rules(model: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A model plans for whole runs; calls and tokens stand beside the score, with difference, interval and effect."""
    picture = tmp_path / "a.png"
    words = ["versus", "market", "--a", model, "--b", "emergency", "--seeds", "1,2,5", "--ticks", "6"]
    words += ["--set", "agents=4", "--metric", "coins", "--plot", str(picture)]
    assert invoke([*words, "--json"]) == OK
    value = json.loads(capsys.readouterr().out)
    assert [run["seed"] for run in value["runs"]] == [1, 1, 2, 2, 5, 5]
    assert value["a"]["model"] == model.removeprefix("llm:")
    assert value["a"]["calls"] > 0
    assert value["a"]["prompt_tokens"] > value["a"]["completion_tokens"] > 0
    assert "model" not in value["b"]
    gains = [one["value"] - two["value"] for one, two in zip(value["runs"][::2], value["runs"][1::2], strict=True)]
    assert value["difference"]["mean"] == pytest.approx(sum(gains) / 3)
    low, high = value["difference"]["interval"]
    assert min(gains) <= low <= high <= max(gains)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert invoke([*words, "--force"]) == OK
    said = capsys.readouterr().out
    assert "prompt tokens" in said
    assert "coins: " in said


def test_models_play_groups(duel: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A model plans for one group and rules, or another model, for the other; each has its own calls and tokens."""
    with serving(FakeSettings(slots=2)) as one, serving(FakeSettings(slots=2)) as two:
        first, second = (f"llm:openai:fake@{fake.openai_url}" for fake in (one, two))
        words = ["versus", duel, "--a", first, "--seeds", "1", "--ticks", "6"]
        assert invoke([*words, "--b", "behaviour", "--json"]) == OK
        value = json.loads(capsys.readouterr().out)
        assert value["games"] == 2
        assert value["a"]["calls"] > 0
        assert "model" not in value["b"]
        assert two.counts.calls == 0
        assert invoke([*words, "--b", second, "--json"]) == OK
        value = json.loads(capsys.readouterr().out)
        assert value["games"] == 2
        assert value["a"]["calls"] > 0
        assert 0 < value["b"]["calls"] <= two.counts.calls  # the probe calls too
        assert value["b"]["prompt_tokens"] > value["b"]["completion_tokens"] > 0
        assert invoke([*words, "--b", second, "--whole", "--metric", "red", "--json"]) == OK
        assert json.loads(capsys.readouterr().out)["games"] == 1
        assert invoke([*words, "--b", second]) == OK
        assert capsys.readouterr().out.count("prompt tokens") == 2


def test_a_local_model_is_compared_in_processes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A model in a file of one's own, with a metric of one's own, gives the same games in any number of processes."""
    (tmp_path / "town.py").write_text((Path(__file__).parents[2] / "models" / "town.py").read_text())
    (tmp_path / "more.py").write_text("def richest(world):\n    return max(world[world.components[0]].money)\n")
    words = [
        "versus",
        str(tmp_path / "town.py"),
        "--a",
        "heuristic",
        "--b",
        "emergency",
        "--seeds",
        "2",
        "--ticks",
        "8",
    ]
    words += ["--metric", f"{tmp_path / 'more.py'}:richest", "--json"]
    found = []
    for jobs in ("1", "2"):
        assert invoke([*words, "--jobs", jobs]) == OK
        found.append(json.loads(capsys.readouterr().out))
    assert found[0] == found[1]
    assert all(run["value"] > 0 for run in found[0]["runs"])
