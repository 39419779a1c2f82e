"""Plug-ins: what a Python file beside a scenario adds to a run, and what is said when it cannot."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ai.errors import ContractError
from scenarios.tactics.domain import Tactics
from sim.cli import invoke
from sim.cli.common import FAILED, INCONCLUSIVE, OK, USAGE
from sim.engine.system import System
from sim.errors import ScenarioError
from sim.replay import read, verify
from sim.run.plugins import from_file, load_plugins
from sim.run.scenario_file import load
from sim.run.schedule import schedule
from sim.run.simulation import Simulation

RULES = '''
"""Thirst: agents dry out, and drink."""

from typing import Any, ClassVar, Literal

import numpy as np

from ai.plans import Outcome, PlanBatch
from ai.planners.base import TierPlans
from scenarios.tactics.actions.base import Action, Refused, first_of
from sim.engine.columns import Component, column, i16
from sim.engine.system import System
from sim.engine.world import World


class Water(Component):
    """Water in the body, sips."""

    sips: i16 = column(default=5)


class Dry(System):
    """Everyone loses a sip every second tick."""

    after: ClassVar[str] = "upkeep"

    def process(self, world: World, run: Any) -> None:
        if world.tick % 2:
            water = world[Water].sips
            np.maximum(water - 1, 0, out=water)


class Drink(Action):
    """Drink five sips."""

    act: Literal["Drink"] = "Drink"
    category: ClassVar[str] = "utility"

    @classmethod
    def refusals(cls, turn, rows, args):
        return first_of((turn.world[Water].sips[rows] > 2, Refused.NOTHING_TO_DO))

    @classmethod
    def apply(cls, turn, rows, args):
        turn.world[Water].sips[rows] += 5


class Thirsty:
    """Lets everyone drink."""

    name = "thirsty"
    deterministic = True

    async def plan(self, batch, registry, call):
        plans = PlanBatch.empty(batch.keys)
        plans.set_all(np.arange(len(batch)), registry.code("Drink"))
        return TierPlans(plans, np.full(len(batch), Outcome.OK, np.int8))


ACTIONS, COMPONENTS, SYSTEMS, PLANNERS = (Drink,), (Water,), (Dry,), (Thirsty,)
METRICS = {"sips": lambda world: int(world[Water].sips.sum())}
'''
SCENARIO = """
domain = "tactics"
name = "oasis"
description = "Two walkers and their water"
ticks = 30
plugins = ["rules.py"]

[planning]
tiers = ["thirsty", "heuristic", "emergency"]

[settings]
ends = "never"

[settings.map]
rows = ["....", "...."]

[settings.archetypes.walker]

[[settings.teams]]
name = "walkers"
squads = [{ name = "one", archetype = "walker", count = 2, area = { x = 0, y = 0, width = 2, height = 2 } }]
"""


@pytest.fixture
def oasis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a scenario and its plug-in, and a current folder elsewhere."""
    folder = tmp_path / "oasis"
    folder.mkdir()
    (folder / "oasis.toml").write_text(SCENARIO)
    (folder / "rules.py").write_text(RULES)
    monkeypatch.chdir(tmp_path)
    return folder


def test_a_file_adds_verb_component_system_planner_and_metric(oasis: Path) -> None:
    """What the file offers takes part in the run, and is hashed with it."""
    scenario = load(oasis / "oasis.toml")
    plugins = load_plugins(scenario)
    (water,) = plugins[0].components
    with Simulation(scenario, plugins=plugins) as simulation:
        reports = list(simulation.reports(12))
        names = [system.name for system in simulation.world.systems]
        assert names[names.index("upkeep") + 1] == "dry"
        sips = simulation.world.entity(0)[water].sips
        assert simulation.metrics()["sips"] == simulation.world[water].sips.sum() > 0
    assert reports[0].plans is not None
    assert reports[0].plans.counts()["thirsty"] > 0
    assert "Water" in reports[0].digest.components
    assert sips > 2


def test_a_replay_needs_to_be_told_where_the_file_is(oasis: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Verifying runs no file on a replay's word: without `--plugin` it is inconclusive and says what to do."""
    assert invoke(["run", str(oasis / "oasis.toml"), "--out", "oasis.replay.jsonl", "--quiet"]) == OK
    header = read(Path("oasis.replay.jsonl")).header
    assert header is not None
    assert header.plugins == {"rules.py": from_file(oasis / "rules.py").digest}
    capsys.readouterr()
    assert invoke(["verify", "oasis.replay.jsonl"]) == INCONCLUSIVE
    assert "say where it is with --plugin rules.py" in capsys.readouterr().out
    assert invoke(["verify", "oasis.replay.jsonl", "--plugin", str(oasis / "rules.py")]) == OK


def test_a_changed_plug_in_is_named_as_the_cause(oasis: Path) -> None:
    """A replay whose plug-in has changed since is compared with the new one, and the reason says that it changed."""
    assert invoke(["run", str(oasis / "oasis.toml"), "--out", "oasis.replay.jsonl", "--quiet"]) == OK
    (oasis / "rules.py").write_text(RULES.replace("+= 5", "+= 4"))
    verdict = verify(Path("oasis.replay.jsonl"), plugin_files=[oasis / "rules.py"])
    assert verdict.verdict == "diverged"
    assert verdict.reason.endswith("; the code of 'rules.py' has changed since the recording")


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_escape_from_the_guard_is_shown_by_verify(
    oasis: Path, jobs: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who went past the guard while the run was made again, and why, stands in the verdict once."""
    escaping = """        with escape("a progress bar"):
            time.perf_counter()
        return first_of("""
    imports = "import time\nfrom ai.guard import escape\nfrom typing import"
    rules = RULES.replace("from typing import", imports, 1).replace("        return first_of(", escaping)
    (oasis / "rules.py").write_text(rules)
    run = ["run", str(oasis / "oasis.toml"), "--out", "oasis.replay.jsonl", "--quiet", "--keyframes", "5"]
    assert invoke(run) == OK
    capsys.readouterr()
    asked = ["verify", "oasis.replay.jsonl", "--plugin", str(oasis / "rules.py"), "--jobs", str(jobs)]
    assert invoke([*asked, "--json"]) == OK
    assert json.loads(capsys.readouterr().out)["escapes"] == ["Drink.refusals: a progress bar"]
    assert invoke(asked) == OK
    said = capsys.readouterr().out.splitlines()
    assert said[1:] == ["oasis.replay.jsonl: went past the guard: Drink.refusals: a progress bar"]


@pytest.mark.parametrize(
    ("text", "error", "sentence"),
    [
        ("\nraise OSError('no')", ContractError, r"plug-in .*rules.py cannot be loaded: line 2: OSError: no$"),
        ("x = ", ContractError, r"plug-in .*rules.py cannot be loaded: line 1: SyntaxError: invalid syntax$"),
        ("", ContractError, r"rules.py: offers nothing; define one of ACTIONS, .*METRICS"),
        ("ACTIONS = int", ContractError, r"rules.py: ACTIONS is int; write a tuple"),
        ("ACTION = (int,)", ContractError, r"rules.py: ACTION is not a part of a plug-in; did you mean ACTIONS\?"),
        ("PLANNERS = 5", ContractError, r"rules.py: PLANNERS is 5; write a tuple of planners"),
        ("METRICS = (len,)", ContractError, r"rules.py: METRICS is .*; write {'name': function of the world}"),
        ("METRICS = {'x': 5}", ContractError, r"rules.py: METRICS\['x'\] is 5; give a function of the world"),
        ("SYSTEMS = (int,)", ContractError, r"rules.py: SYSTEMS holds int; list classes that extend sim.System"),
        (
            "from sim import System\nclass Wind(System):\n    def process(self):\n        pass\nSYSTEMS = (Wind,)",
            ContractError,
            r"rules.py: Wind.process is called as process\(self, world, run\) and takes other arguments",
        ),
    ],
)
def test_a_malformed_file_is_told_in_one_sentence(
    oasis: Path, text: str, error: type[Exception], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message names the file and what is wrong with it, and the command line shows no traceback."""
    (oasis / "rules.py").write_text(text)
    with pytest.raises(error, match=sentence):
        load_plugins(load(oasis / "oasis.toml"))
    assert invoke(["run", str(oasis / "oasis.toml"), "--quiet"]) not in {OK, None}
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "from scenarios.market.domain import Buy\nACTIONS = (Buy,)",
            "p.py: ACTIONS lists Buy, a name of domain 'market'",
        ),
        (
            "from sim import Component, i8\nclass Villager(Component):\n    age: i8\nCOMPONENTS = (Villager,)",
            "p.py: COMPONENTS lists Villager, a name of domain 'market'",
        ),
        ("METRICS = {'mood': len}", "p.py: METRICS has 'mood', a name of domain 'market'"),
    ],
)
def test_a_name_of_the_domain_is_taken(
    text: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A plug-in adds parts and replaces none."""
    monkeypatch.chdir(tmp_path)
    Path("p.py").write_text(text)
    assert invoke(["run", "market", "--ticks", "2", "--plugin", "p.py", "--quiet"]) == FAILED
    assert capsys.readouterr().err == f"tickweave: {sentence}\n"


@pytest.mark.parametrize("name", ["../rules.py", "/tmp/rules.py", "rules.txt", "a//b.py", "", "no such.py"])
def test_only_names_beside_the_scenario_are_taken(oasis: Path, name: str) -> None:
    """A scenario cannot name files elsewhere."""
    (oasis / "oasis.toml").write_text(SCENARIO.replace('"rules.py"', json.dumps(name)))
    with pytest.raises(ScenarioError, match=r"oasis.toml: plugins\[0\]"):
        load(oasis / "oasis.toml")


def test_a_missing_file_is_told_in_one_sentence(oasis: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The sentence names the file that is not there."""
    (oasis / "rules.py").unlink()
    assert invoke(["run", str(oasis / "oasis.toml")]) == USAGE
    assert "rules.py: cannot be read: No such file or directory" in capsys.readouterr().err


def test_a_run_is_given_the_plug_ins_its_scenario_names(oasis: Path) -> None:
    """A simulation made without them says how to load them."""
    with pytest.raises(ScenarioError, match=r"pass plugins=load_plugins\(scenario\)"):
        Simulation(load(oasis / "oasis.toml"))


def test_an_uninstalled_plug_in_is_told() -> None:
    """A name without `.py` is an installed plug-in's."""
    scenario = load("skirmish").replaced(plugins=["weather"])
    with pytest.raises(ScenarioError, match="no plug-in 'weather' is installed"):
        load_plugins(scenario)


class First(System):
    """Follows upkeep."""

    after = "upkeep"

    def process(self, world: object, run: object) -> None:
        """Do nothing."""


class Second(First):
    """Follows upkeep as well."""


class Last(First):
    """Follows everything."""

    after = None


class Misplaced(First):
    """Follows nothing that there is."""

    after = "lunch"


class Upkeep(First):
    """Has a name that is taken."""


def test_systems_stand_behind_the_one_they_name() -> None:
    """Several behind one keep their order, one without `after` is the last, and the domain's order stays."""
    domain = load("skirmish").domain
    shipped = [system.name for system in Tactics.systems]
    assert [system.name for system in schedule(domain)] == shipped
    behind = shipped.index("upkeep") + 1
    names = [system.name for system in schedule(domain, [First, Last, Second])]
    assert names == [*shipped[:behind], "first", "second", *shipped[behind:], "last"]
    with pytest.raises(ContractError, match="system 'misplaced' runs after 'lunch'; known: inputs"):
        schedule(domain, [Misplaced])
    with pytest.raises(ContractError, match=r"system 'upkeep' .* has a name that is taken"):
        schedule(domain, [Upkeep])


def test_two_files_of_one_name_never_meet(tmp_path: Path) -> None:
    """Each load is a module of its own, and its digest is that of the bytes that were executed."""
    loaded = []
    for value in ("1", "2"):
        (tmp_path / value).mkdir()
        (tmp_path / value / "rules.py").write_text(f'METRICS = {{"value": lambda world: {value}}}')
        loaded.append(from_file(tmp_path / value / "rules.py"))
    one, two = loaded
    assert (one.metrics["value"](None), two.metrics["value"](None)) == (1, 2)
    assert (one.name, one.digest == two.digest) == (two.name, False)
    assert from_file(tmp_path / "1" / "rules.py").digest == one.digest


def test_a_module_beside_a_file_is_not_found_and_the_sentence_says_what_to_do(tmp_path: Path) -> None:
    """A local file is loaded alone, so that its digest covers all that it is."""
    (tmp_path / "helper.py").write_text("STEP = 1\n")
    (tmp_path / "rules.py").write_text("from helper import STEP\nMETRICS = {'step': lambda world: STEP}\n")
    with pytest.raises(ContractError, match=r"line 1.*loaded alone.*helper\.py"):
        from_file(tmp_path / "rules.py")


def test_a_helper_that_is_found_counts_for_the_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a person has put a module on the path for imports, another source of it is another plug-in."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "rules.py").write_text(
        "import helper_of_rules\nMETRICS = {'step': lambda world: helper_of_rules.STEP}\n"
    )
    digests = set()
    for step in (1, 2):
        (tmp_path / "helper_of_rules.py").write_text(f"STEP = {step}\n")
        digests.add(from_file(tmp_path / "rules.py").digest)
    assert len(digests) == 2
