"""The ways of asking, against the fake server: what they send, how often, and what comes back."""

import asyncio

import pytest

from ai.clients import client_from_spec
from ai.fake.server import FakeServer, FakeSettings, serving
from ai.llm.encodings import NAMED
from ai.llm.probe import probe
from ai.llm.prompt import system_message
from sim.bench.known import common_verbs, what_agents_know
from sim.bench.singles import careful_messages, naive_messages
from sim.bench.strategies import Kind, Sample, Strategy, measure
from sim.errors import ScenarioError
from sim.run.scenario_file import load

SCENARIO = load("skirmish")
KNOWN = what_agents_know(SCENARIO, 6, seed=1)
REGISTRY = common_verbs(SCENARIO)


def asked(server: FakeServer, strategy: Strategy) -> Sample:
    async def run() -> Sample:
        client = client_from_spec(f"openai:fake@{server.openai_url}")
        await probe(client)
        return await measure(client, strategy, KNOWN, REGISTRY, number=1)

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("strategy", "calls"),
    [
        (Strategy(Kind.NAIVE, "named"), 6),
        (Strategy(Kind.BASELINE, "named"), 6),
        (Strategy(Kind.SINGLES, "tuple"), 6),
        (Strategy(Kind.GIANT, "line"), 1),
        (Strategy(Kind.SHARDS, "named"), 2),
        (Strategy(Kind.LOW_LATENCY, "line"), 3),
    ],
)
def test_every_way_gets_a_legal_plan_for_every_agent(strategy: Strategy, calls: int) -> None:
    """With the calls that it is about; tokens are the server's count, the first plan comes before the end."""
    with serving(FakeSettings(slots=3)) as server:
        found = asked(server, strategy)
    assert (found.agents, found.valid, found.calls) == (6, 6, calls)
    assert found.first_s is not None
    assert 0 < found.first_s <= found.total_s
    assert found.steps >= 6
    assert found.prompt_tokens is not None
    assert found.completion_tokens is not None


def test_only_naive_prompts_miss_the_cache() -> None:
    """Of other singles the fixed part is cached before the first timed call already."""
    with serving(FakeSettings(slots=2)) as server:
        naive, *others = (asked(server, Strategy(kind, "named")) for kind in (Kind.NAIVE, Kind.BASELINE, Kind.SINGLES))
    fixed = len(system_message(REGISTRY, encoding=NAMED)) / 4
    assert naive.cached_tokens is not None
    assert naive.cached_tokens < 0.05 * (naive.prompt_tokens or 0)
    for other in others:
        assert (other.cached_tokens or 0) > 0.9 * fixed * other.calls


def test_the_baselines_tell_what_the_agent_knows() -> None:
    """A careful prompt names every enemy and shows an example; a naive one is longer and shows none."""
    one = KNOWN.take(slice(0, 1))
    careful = "\n".join(message.content for message in careful_messages(one, REGISTRY))
    naive = "\n".join(message.content for message in naive_messages(one, REGISTRY, "1.0"))
    assert (one.enemies.id >= 0).any()
    for enemy in one.enemies.id[one.enemies.id >= 0].tolist():
        assert f'"id":{enemy}' in careful
        assert f'"id": {enemy}' in naive
    assert "Example:" in careful
    assert "Example:" not in naive
    assert naive.count("\n") > 3 * careful.count("\n")


def test_a_scenario_that_is_too_small_is_told() -> None:
    """More agents than there are is an error that says what to do."""
    with pytest.raises(ScenarioError, match="name a larger scenario"):
        what_agents_know(SCENARIO, 21, seed=1)
