"""Against a real llama-server with a real model; `make test-llm` installs both and says where they are."""

import asyncio
import json
import os
from collections.abc import Iterator

import pytest

from ai import FallbackOrchestrator, Observation, ToolRegistry, default_tiers
from ai.clients.llama_server import LlamaServerClient
from ai.llm.probe import probe
from ai.samples import sample_observations
from ai.testing import check_client
from scenarios.tactics.actions import default_registry
from scenarios.tactics.snapshot import WorldSnapshot
from tests.ai.llm.village import MARKET, Villager

MODEL = os.environ.get("TICKWEAVE_TEST_MODEL", "")
pytestmark = [
    pytest.mark.llm,
    pytest.mark.skipif(not MODEL, reason="TICKWEAVE_TEST_MODEL names no GGUF file; run make test-llm"),
]


@pytest.fixture
def client() -> Iterator[LlamaServerClient]:
    started = LlamaServerClient(MODEL, slots=2, context=4096, threads=1)
    yield started
    started.stop()


def test_the_probe_finds_a_real_server_out(client: LlamaServerClient) -> None:
    """Slots, context, schema and grammar of a llama-server that was started with them."""
    found = asyncio.run(probe(client))
    assert found is not None
    assert (found.slots, found.context, found.schema, found.grammar) == (2, 4096, "enforced", True)
    assert found.flavour == "llama-server"


def test_a_real_server_keeps_the_rules_of_clients(client: LlamaServerClient) -> None:
    """The checker of clients finds nothing."""
    check_client(client)


@pytest.mark.parametrize(
    ("known", "registry"), [(WorldSnapshot, default_registry()), (Villager, MARKET)], ids=["the game", "a market"]
)
def test_a_real_model_plans_for_every_agent(
    client: LlamaServerClient, known: type[Observation], registry: ToolRegistry
) -> None:
    """Every agent gets a legal plan, most of them from the model, whatever world it lives in."""

    async def run() -> dict[str, str]:
        agents = sample_observations(known, registry.tables)[:4]
        results = await FallbackOrchestrator(default_tiers()).plan_batch_with_fallback(client, agents, registry)
        await client.aclose()
        return {str(agent): result.tier for agent, result in results.items()}

    tiers = asyncio.run(run())
    print(json.dumps(tiers))
    assert sum(tier.endswith("_llm") for tier in tiers.values()) >= 3
