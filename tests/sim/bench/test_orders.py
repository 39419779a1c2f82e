"""The same agents named in drawn orders: what is compared, and how it is told."""

import asyncio
from dataclasses import replace

from ai.clients import client_from_spec
from ai.clients.scripted import ScriptedClient
from ai.fake.server import FakeSettings, serving
from sim.bench.known import common_verbs, what_agents_know
from sim.bench.orders import RUNS, Orders, in_drawn_orders
from sim.run.scenario_file import load

MARKET = load("market")
BATCH = what_agents_know(MARKET, 6, seed=1, tick=3)
VERBS = common_verbs(MARKET)


def sleeping(hours: int) -> dict[str, object]:
    return {"agent": "*", "steps": [{"act": "Sleep", "hours": hours}]}


def test_a_server_that_repeats_itself_gives_the_same_whatever_the_order() -> None:
    """Order, tiers and plans are those of the first batch, and each batch has its time to the first plan."""
    with serving(FakeSettings(slots=2)) as server:
        client = client_from_spec(f"openai:fake@{server.openai_url}")
        found = asyncio.run(in_drawn_orders(client, BATCH, VERBS, seed=1))
    assert (found.agents, found.order, found.tiers, found.plans) == (6, True, True, True)
    assert found.by_model == (6,) * RUNS
    assert all(first_s is not None for first_s in found.first_s)
    assert "gave the same order, tiers and plans." in found.sentence()


def test_what_differs_is_told() -> None:
    """A model that answers otherwise every time changes plans; one that answers not every time changes tiers too."""
    turns = asyncio.run(in_drawn_orders(ScriptedClient([sleeping(1), sleeping(2)]), BATCH, VERBS, seed=1))
    assert (turns.order, turns.tiers, turns.plans) == (True, True, False)
    assert "gave the same order and tiers and different plans." in turns.sentence()
    mixed = ScriptedClient([sleeping(1), {"agent": "*", "error": "timeout"}])
    failing = asyncio.run(in_drawn_orders(mixed, BATCH, VERBS, seed=1))
    assert (failing.order, failing.tiers, failing.plans) == (True, False, False)
    assert failing.first_s[1] is None
    assert "different tiers and plans. Plans of the model: 6, 0, 6; " in failing.sentence()


def test_an_order_that_is_not_kept_is_told() -> None:
    """The sentence names what was the same and what was not."""
    found = Orders(2, order=True, tiers=True, plans=True, by_model=(2, 2), first_s=(0.5, None))
    assert found.sentence().endswith("Plans of the model: 2, 2; the first was complete after 0.50 s, none.")
    assert "different order" in replace(found, order=False).sentence()
