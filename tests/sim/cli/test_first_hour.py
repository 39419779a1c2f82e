"""The first hour of somebody new: typical mistakes get an answer that helps, and what is printed can be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from scenarios.market.domain import Market, Villager
from sim import Component, Domain, Resource, Simulation, System, column, i32
from sim.cli import invoke
from sim.cli.common import INTERRUPTED, OK, USAGE
from sim.errors import ScenarioError

BANK = """
from sim import Component, Domain, System, i32

class Saver(Component):
    coins: i32

class Save(System):
    def process(self, world, run):
        {line}
        world[Saver].coins += 2000

class Bank(Domain):
    components, systems = (Saver,), (Save,)
    metrics = {{"coins": lambda world: float(world[Saver].coins.sum())}}
    def setup(self, world, run):
        world.spawn({{Saver: {{}}}}, count=3)
"""


class Saver(Component):
    coins: i32 = column(default=5)


class Till(Resource):
    cash: i32 = column(default=7)


class Rest(System):
    def process(self, world, run):
        """Do nothing."""


class Bank(Domain):
    components, resources, systems = (Saver,), (Till,), (Rest,)

    def setup(self, world, run):
        world.spawn({Saver: {}}, count=40)


@pytest.fixture
def bank(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model of somebody new, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "bank.py").write_text(BANK.format(line="pass"))
    return tmp_path


def test_agents_columns_and_resources_print_their_values() -> None:
    """A debugger shows one agent, all columns of a component and a resource as values, and an agent's plan."""
    with Simulation(Bank(), seed=1) as simulation:
        world = simulation.world
        assert repr(world.entity(3)) == "entity 3: Saver(coins=5)"
        assert repr(world.entity(3)[Saver]) == "Saver(coins=5)"
        view = world[Saver]
        assert repr(view) == "Saver(coins=[5 5 5 ... 5 5 5])"
        assert repr(world[Till]) == "Till(cash=7)"
        world.kill([0])
        world.flush()
        assert repr(view) == "Saver, from before the last flush"
    with Simulation(Market(agents=5), seed=1) as simulation:
        simulation.tick()
        assert repr(simulation.run_context).startswith("Run(Market(MarketSettings(agents=5, ")
        agent = simulation.world.entity(2)
        assert repr(agent[Villager]) in repr(agent)
        assert repr(agent).endswith(f"; plan {agent.steps[0]}")
        assert "ActionSteps" not in repr(agent)


@pytest.mark.parametrize(
    ("start", "hint"),
    [(Bank, "make one with Bank()"), ("market", "read it with load('market')"), (Path("a.py"), "load(")],
)
def test_a_simulation_of_something_else_says_how_to_make_one(start: object, hint: str) -> None:
    """A class, a name or a path in place of a domain is refused with the call that gives one."""
    with pytest.raises(ScenarioError) as caught:
        Simulation(start)  # type: ignore[arg-type]
    assert hint in str(caught.value)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("run", "bank"), "did you mean bank.py?"),
        (("run", "bnak.py"), "No such file or directory; did you mean bank.py?"),
        (("verify", "bnak.py"), "No such file or directory; did you mean bank.py?"),
        (("run", "bank.py", "--llm", "ollama:some"), "do not plan, so a run asks no model"),
        (("estimate", "bank.py", "--llm", "ollama:some"), "do not plan, so a run asks no model"),
        (("run", "bank.py", "--set", "agents=5"), "the domain declares no settings"),
        (("run", "market", "--tiers", "goap"), "'market' has no goals"),
        (("new", "numpy"), "there is a Python module numpy already"),
        (("new", "json"), "there is a Python module json already"),
        (("new", "sim"), "there is a Python module sim already"),
    ],
)
def test_a_typical_mistake_gets_the_sentence_that_helps(
    command: tuple[str, ...], said: str, bank: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each is wrong usage, and the sentence names the remedy."""
    assert invoke(command) == USAGE
    assert said in capsys.readouterr().err
    assert not list(bank.glob("*.jsonl"))


def test_a_domain_below_a_table_is_sent_above_it(bank: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In TOML a key below `[settings]` is a setting; the sentence says where the key belongs."""
    (bank / "town.toml").write_text('[settings]\nagents = 3\ndomain = "market"\n')
    assert invoke(["run", "town.toml"]) == USAGE
    assert "domain: is below [settings]; write it above the first table" in capsys.readouterr().err


def test_a_planner_without_data_is_probably_a_mistake(bank: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`check` names the planner of a scenario file that the domain gives nothing to plan with."""
    (bank / "town.toml").write_text('domain = "market"\nname = "town"\n[planning]\ntiers = ["goap", "emergency"]\n')
    assert invoke(["check", "town.toml"]) == OK
    assert "probably a mistake: planner 'goap' makes no plans here" in capsys.readouterr().out


def test_a_summary_says_only_what_the_model_has(bank: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A model without planners has no row of tiers, a run to its last tick no outcome, and large numbers are whole."""
    assert invoke(["run", "bank.py", "--ticks", "9"]) == OK
    out = capsys.readouterr().out
    assert "tiers" not in out
    assert "none (tick limit)" in out
    assert "54,000" in out


def test_leaving_the_debugger_is_an_interruption(
    bank: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`q` at a breakpoint ends the run with one sentence, and the recording can be resumed."""
    (bank / "bank.py").write_text(BANK.format(line="import bdb\n        if world.tick == 2: raise bdb.BdbQuit"))
    assert invoke(["run", "bank.py", "--ticks", "4", "--out", "a.replay.jsonl"]) == INTERRUPTED
    assert capsys.readouterr().err == "tickweave: the debugger was left; a recording has the ticks before\n"
    assert invoke(["show", "a.replay.jsonl"]) == OK
    assert "2 of 4" in capsys.readouterr().out


def test_the_prompt_of_an_agent_is_shown_whole(bank: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`show --agent` prints the observation, and every line of the prompt that a model was sent."""
    (bank / "replies.jsonl").write_text('{"agent": "*", "steps": [{"act": "Sleep", "hours": 1}]}\n')
    model = "scripted:replies.jsonl"
    assert invoke(["run", "market", "--ticks", "2", "--llm", model, "--out", "a.replay.jsonl", "--quiet"]) == OK
    assert invoke(["show", "a.replay.jsonl", "--tick", "0", "--agent", "3"]) == OK
    out = capsys.readouterr().out
    assert "observation  {" in out
    lines = [line.strip() for line in out.splitlines()]
    assert "Rules:" in lines
    assert any(line.startswith("Reply with") for line in lines)
