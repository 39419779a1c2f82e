"""What a run would ask of a model: the dry run makes the calls that a run makes, and asks nobody."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai.fake.model import Plans
from ai.fake.server import FakeSettings, serving
from ai.llm.price import price_of
from sim.bench.estimate import Server, estimate
from sim.cli import invoke
from sim.run.planning_service import ModelOptions
from sim.run.scenario_file import load

SERVER = Server(slots=4, latency_s=0.1, tokens_per_s=50.0, grammar=True)


def test_an_estimate_counts_the_calls_of_a_run(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A run against a server that answers as the stand-in does makes as many calls for as many agents."""
    found = estimate(load("market"), "openai:m", SERVER, ticks=8, options=ModelOptions(shard_size=3, in_flight=4))
    with serving(FakeSettings(slots=4, plans=Plans.RULES)) as server:
        spec = f"openai:fake@{server.openai_url}"
        more = ["--shard-size", "3", "--in-flight", "4", "--json", "--out", str(tmp_path / "a.replay.jsonl")]
        assert invoke(["run", "market", "--ticks", "8", "--llm", spec, *more]) == 0
    run = json.loads(capsys.readouterr().out)["llm"]
    assert (found.calls, found.agents) == (run["calls"], run["agents"])
    assert found.ticks == 8
    assert 0 < found.rounds <= found.calls
    assert found.prompt_tokens == pytest.approx(run["prompt_tokens"], rel=0.35)
    assert found.cost is None


def test_money_follows_the_tokens() -> None:
    """The cost is that of the tokens at the price that was given."""
    price = price_of("openai:gpt-4o-mini")
    assert price is not None
    found = estimate(load("market"), "openai:gpt-4o-mini", SERVER, ticks=3, price=price)
    assert found.cost == price.of(found.prompt_tokens, found.completion_tokens)
    assert found.price == "openai/gpt-4o-mini"


@given(st.lists(st.integers(1, 100), max_size=20), st.integers(1, 8))
def test_calls_share_the_slots(replies: list[int], slots: int) -> None:
    """A round takes no less than its longest call and its share of all, and no more than one call after another."""
    server = Server(slots, 0.5, 10.0)
    each = [0.5 + tokens / 10 for tokens in replies]
    took = server.seconds(replies)
    assert took >= max([*each, sum(each) / slots]) - 1e-9
    assert took <= sum(each) + 1e-9


def test_the_command_tells_it_to_people_and_programs(capsys: pytest.CaptureFixture[str]) -> None:
    """Rounds, calls, tokens, money and time; a model is not asked, so it need not be there."""
    asked = ["estimate", "market", "--ticks", "3", "--llm", "openai:gpt-4o-mini"]
    assert invoke(asked) == 0
    told = capsys.readouterr().out
    for words in ("rounds", "agents a call", "US dollars at the price of openai/gpt-4o-mini", "s on 8 slots"):
        assert words in told
    assert invoke([*asked, "--json", "--slots", "2", "--prefer", "cost", "--every", "3"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {"calls", "rounds", "prompt_tokens", "completion_tokens", "cost", "model_s"} <= found.keys()
    assert (found["rounds"], found["calls"]) == (1, 1)
    assert invoke(["estimate", "market", "--llm", "openai:mine", "--ticks", "1"]) == 0
    assert "no known price" in capsys.readouterr().out
    assert invoke(["estimate", "market", "--llm", "none"]) == 64
    assert invoke(["estimate", "market", "--llm", "telepathy:x"]) == 64


def test_a_domain_in_which_nobody_plans_asks_nothing() -> None:
    """No round, no call, no time."""
    found = estimate(load("ecology"), "openai:m", SERVER, ticks=2)
    assert (found.rounds, found.calls, found.agents_per_call, found.model_s) == (0, 0, 0.0, 0)
