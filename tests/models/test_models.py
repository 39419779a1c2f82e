"""Models as their authors write them, one file each: everything works on them at its defaults, and they make sense."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as example_settings

from ai.fake.server import FakeSettings, serving
from ai.testing import MockBatchLlm
from sim.cli import invoke
from sim.cli.common import OK
from sim.engine.codec import encode_state
from sim.engine.digest import state_digest
from sim.engine.rng import Rng, purpose
from sim.replay.verify import verify
from sim.replay.writer import Recorder, ReplayWriter
from sim.run.domains import domain_file
from sim.run.scenario_file import Scenario, load
from sim.run.simulation import Simulation
from sim.testing import check_action, check_domain, scenarios

FOLDER = Path(__file__).parent
MODELS: dict[str, Callable[[dict[str, Any]], bool]] = {
    "wealth": lambda numbers: numbers["richest"] > 3 and numbers["poor"] > 20,
    "wolfsheep": lambda numbers: 0 < numbers["sheep"] < 2000 and numbers["wolves"] >= 0 and numbers["grass"] > 0,
    "sir": lambda numbers: sum(numbers.values()) == 200 and numbers["resistant"] > 20,
    "schelling": lambda numbers: numbers["happy"] > 270,
    "choir": lambda numbers: numbers["applause"] > 9 and numbers["echoes"] == 4,
    "town": lambda numbers: numbers["mood"] > 10 and numbers["bread"] >= 1,
}
"""Each model, and what its numbers are like after a while."""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def told(capsys: pytest.CaptureFixture[str], *command: str) -> Any:
    """Run a command with `--json` in process; return its object."""
    code = invoke([*command, "--json"])
    said = capsys.readouterr()
    assert code == OK, said.out + said.err
    return json.loads(said.out)


@pytest.mark.parametrize("name", MODELS)
def test_every_command_works_on_it(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Run, verify, show, fork and doctor at their defaults; nothing is untested."""
    model = str(FOLDER / f"{name}.py")
    run = told(capsys, "run", model, "--ticks", "40", "--out", "a.replay.jsonl")
    assert MODELS[name](run["metrics"]), run["metrics"]
    assert set(run["score"]) <= set(run["metrics"])
    assert told(capsys, "verify", "a.replay.jsonl", "--plugin", model)["verdict"] == "match"
    told(capsys, "show", "a.replay.jsonl", "--tick", "5", "--plugin", model)
    told(capsys, "fork", "a.replay.jsonl", "--at", "10", "--out", "b.replay.jsonl", "--plugin", model)
    assert told(capsys, "verify", "b.replay.jsonl", "--plugin", model)["verdict"] == "match"
    found = told(capsys, "doctor", model)["checks"]
    assert {each["result"] for each in found} <= {"same", "not applicable"}, found


@pytest.mark.parametrize("name", ["choir", "town"])
def test_a_model_behind_a_server_plans_for_it(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What it plans is carried out, recorded, and verified without it."""
    model = str(FOLDER / f"{name}.py")
    with serving(FakeSettings(slots=4)) as server:
        spec = f"openai:fake@{server.openai_url}"
        run = told(capsys, "run", model, "--ticks", "20", "--llm", spec, "--out", "a.replay.jsonl")
    assert sum(count for tier, count in run["tiers"].items() if tier.endswith("_llm")) > 0
    assert told(capsys, "verify", "a.replay.jsonl", "--plugin", model)["verdict"] == "match"


@pytest.mark.parametrize("name", MODELS)
def test_it_keeps_every_promise(name: str) -> None:
    """`check_domain` passes, and `check_action` for each of its verbs."""
    kind = domain_file(FOLDER / f"{name}.py").kind
    check_domain(kind, ticks=8, processes=False)
    for action in kind.actions:
        check_action(action, kind)


@pytest.mark.parametrize("name", MODELS)
def test_what_is_drawn_can_be_run(name: str) -> None:
    """Every scenario that the strategies draw for it runs, and keeps its invariants."""
    kind = domain_file(FOLDER / f"{name}.py").kind

    @given(scenarios(kind))
    @example_settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
    def runs(scenario: Scenario) -> None:
        with Simulation(scenario) as simulation:
            simulation.run(3)
            simulation.domain.invariants(simulation.world)

    runs()


def test_a_scenario_beside_the_model_is_the_same_model() -> None:
    """`wealth.toml` names `wealth.py`: the same settings come to the same state as the file alone."""
    with Simulation(load(FOLDER / "wealth.toml")) as one, Simulation(load(FOLDER / "wealth.py")) as two:
        assert state_digest(one.run(20).world).root == state_digest(two.run(20).world).root


def test_the_first_model_is_short() -> None:
    """Boltzmann wealth takes at most 25 lines that are not blank."""
    assert sum(bool(line.strip()) for line in (FOLDER / "wealth.py").read_text().splitlines()) <= 25


def test_a_model_plans_for_the_town_without_a_word_of_anything_else(capsys: pytest.CaptureFixture[str]) -> None:
    """A client is asked for everybody in one call, in words of the town, and its plans are carried out."""
    scenario = load(FOLDER / "town.py")
    registry = scenario.domain.registry()
    assert registry is not None

    class Listening(MockBatchLlm):
        heard = ""

        def stream(self, request: Any) -> Any:
            self.heard += "".join(message.content for message in request.messages)
            return super().stream(request)

    client = Listening(6, registry)
    with Simulation(scenario, client=client) as simulation:
        report = simulation.tick()
        simulation.run(10)
    assert report.plans is not None
    assert sum(count for tier, count in report.plans.counts().items() if tier.endswith("_llm")) == 6
    assert client.calls >= 1
    assert "people of a town" in client.heard
    assert "bread" in client.heard
    assert not {"enemy", "cover", "squad", "weapon"} & set(client.heard.lower().replace(",", " ").split())


def test_a_tick_can_be_made_again() -> None:
    """A world that is ticked by hand and taken back to before each tick comes out like one that is not."""
    kind = domain_file(FOLDER / "wolfsheep.py").kind
    with Simulation(kind(), seed=7) as one, Simulation(kind(), seed=7) as two:
        for _ in range(15):
            state = one.snapshot()
            root = one.tick().digest.root
            one.restore(state)
            assert one.tick().digest.root == root == two.tick().digest.root
        assert encode_state(one.snapshot()) == encode_state(two.snapshot())


def test_draws_of_a_model_depend_on_keys_alone() -> None:
    """What an agent draws depends on seed, key, tick and purpose, and not on who else draws."""
    rng, give = Rng(3), purpose("give")
    everyone = rng.below(np.arange(100), 5, give, 100)
    assert rng.below(np.array([7, 50]), 5, give, 100).tolist() == everyone[[7, 50]].tolist()


def test_a_resource_that_python_adds_is_named_where_the_replay_cannot_have_it(tmp_path: Path) -> None:
    """A resource in no declaration is recorded, and `verify`, which cannot make it, names it and proves nothing."""

    class Snow:
        name, stamp = "Snow", 0

        def columns(self) -> dict[str, Any]:
            return {"depth": np.zeros(4, np.int32)}

        def restore(self, columns: Any) -> None:
            """Nothing changes."""

    path = tmp_path / "snow.replay.jsonl"
    with Simulation(load(FOLDER / "wealth.py")) as simulation, path.open("wb") as file:
        simulation.world.add_resource(Snow())
        recorder = Recorder(simulation, ReplayWriter(file), ticks=5)
        recorder.header()
        for report in simulation.reports(5):
            recorder.tick(report)
        recorder.end()
    verdict = verify(path, plugin_files=[FOLDER / "wealth.py"])
    assert verdict.verdict == "inconclusive"
    assert "Snow" in str(verdict)
