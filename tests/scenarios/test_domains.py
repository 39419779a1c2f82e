"""Every shipped domain: commands at their defaults, the checkers, and the strategies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as example_settings
from hypothesis import strategies as st

from ai.actions import Action
from ai.fake.server import FakeSettings, serving
from sim.cli import invoke
from sim.cli.common import OK
from sim.run.domain import Domain
from sim.run.domains import available_domains, find_domain
from sim.run.scenario_file import load
from sim.run.simulation import Simulation
from sim.testing import check_action, check_domain, plans, scenarios, settings, steps

KINDS: Final = {name: find_domain(name).kind for name in available_domains()}
STARTS: Final = {"tactics": "skirmish"}
"""The scenario of a domain that has no defaults."""
VERBS: Final = [
    pytest.param(kind, action, id=f"{name}-{action.__name__}")
    for name, kind in KINDS.items()
    for action in kind.actions
]
"""Verbs that domains list; the game's are checked by a checker of its own."""
LIGHT: Final = example_settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("name", KINDS)
def test_commands_work_at_their_defaults(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A recording is verified, shown and forked; the run reports scores and every metric."""
    monkeypatch.chdir(tmp_path)

    def told(*command: str) -> Any:
        code = invoke([*command, "--json"])
        said = capsys.readouterr()
        assert code == OK, said.err
        return json.loads(said.out)

    run = told("run", STARTS.get(name, name), "--ticks", "12", "--out", "a.replay.jsonl")
    assert run["score"]
    assert set(run["metrics"]) == set(load(STARTS.get(name, name)).domain.metrics)
    assert told("verify", "a.replay.jsonl")["verdict"] == "match"
    assert told("show", "a.replay.jsonl", "--tick", "5")
    told("fork", "a.replay.jsonl", "--at", "4", "--out", "b.replay.jsonl")
    assert told("verify", "b.replay.jsonl")["verdict"] == "match"


@pytest.mark.parametrize("name", ["foraging", "market", "tactics"])
def test_a_model_plans_for_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A model behind a server plans for every domain whose agents plan; its recording is verified without it."""
    monkeypatch.chdir(tmp_path)
    with serving(FakeSettings(slots=4)) as server:
        spec = f"openai:fake@{server.openai_url}"
        command = ["run", STARTS.get(name, name), "--ticks", "12", "--llm", spec, "--out", "a.replay.jsonl", "--json"]
        assert invoke(command) == OK
        assert server.counts.calls > 0
    tiers = json.loads(capsys.readouterr().out)["tiers"]
    assert sum(count for tier, count in tiers.items() if tier.endswith("_llm")) > 0
    assert invoke(["verify", "a.replay.jsonl"]) == OK


@pytest.mark.parametrize("name", KINDS)
def test_the_domain_keeps_every_promise(name: str) -> None:
    """`check_domain` passes; other processes are for `tests/properties/test_domains.py`."""
    check_domain(KINDS[name], ticks=5, seeds=(3,), processes=False)


@pytest.mark.parametrize(("kind", "action"), VERBS)
def test_every_verb_keeps_the_rules(kind: type[Domain], action: Any) -> None:
    """`check_action` passes for what agents of a domain can do."""
    assert issubclass(action, Action)
    check_action(action, kind)


@pytest.mark.parametrize("name", KINDS)
def test_what_is_drawn_can_be_run(name: str) -> None:
    """Settings and scenarios that the strategies draw are valid, run, and keep the invariants."""
    kind = KINDS[name]

    @given(st.data())
    @LIGHT
    def runs(data: st.DataObject) -> None:
        assert isinstance(data.draw(settings(kind)), kind.settings)
        with Simulation(data.draw(scenarios(kind))) as simulation:
            simulation.run(3)
            simulation.domain.invariants(simulation.world)

    runs()


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind.actions])
def test_steps_and_plans_that_are_drawn_can_be_written(name: str) -> None:
    """A drawn step reads back from its plain form as itself, and so does every step of a plan."""
    registry = KINDS[name](next(iter(KINDS[name].examples()))).registry()
    assert registry is not None

    @given(st.data())
    @LIGHT
    def reads_back(data: st.DataObject) -> None:
        for step in (data.draw(steps(registry)), *data.draw(plans(registry)).steps):
            assert registry.parse_step(step.model_dump(mode="json")) == step

    reads_back()
