"""What the planning path itself costs: the orchestrator with no model, and with a client that answers at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from statistics import median
from time import perf_counter, process_time
from typing import Any

import numpy as np
import pytest
from scaled import scaled

from ai import default_tiers
from ai.actions import Action, EncodedStep, ToolRegistry
from ai.legality import refusals
from ai.llm.encodings import ENCODINGS
from ai.llm.encodings.base import Encoding
from ai.llm.prompt import PromptRequest, slots_of
from ai.llm.tiers import SimplifiedLlm
from ai.llm_types import LlmChunk, LlmRequest
from ai.observation import ObservationBatch
from ai.orchestrator import FallbackOrchestrator, drive
from ai.planners.emergency import Emergency
from ai.plans import BatchPlans
from sim.replay.format import canonical, plain
from sim.replay.record import planning_of
from sim.run.simulation import Simulation


def everyone(agents: int) -> tuple[ObservationBatch[Any], Simulation]:
    """Return what all agents of the scaled battle know after some ticks."""
    simulation = Simulation(scaled(agents))
    list(simulation.reports(20))
    return simulation.domain.observe(simulation.world, np.arange(simulation.world.n)), simulation


@pytest.mark.parametrize("agents", [10, 100, 1_000, 10_000])
def test_heuristic_tier(benchmark, agents: int) -> None:
    """Everybody is planned by rules in one batch call without a model."""
    batch, simulation = everyone(agents)
    with simulation:
        orchestrator = FallbackOrchestrator(default_tiers(simulation.domain.playbook()))
        result = benchmark(lambda: drive(orchestrator.plan_batch_with_fallback(None, batch, simulation.registry)))
        assert len(result.plans) == len(batch)
        benchmark.extra_info.update(us_an_agent=benchmark.stats.stats.median / len(batch) * 1e6)


class Instant:
    """A model that answers at once, in three pieces, with texts written beforehand."""

    label = "instant"

    def __init__(self, keys: list[int], encoding: Encoding, registry: ToolRegistry) -> None:
        self.encoding = encoding
        self.texts = {key: encoding.write(self.plan(key, registry), registry) for key in keys}

    @staticmethod
    def plan(key: int, registry: ToolRegistry) -> list[Action]:
        """Return an agent's two steps."""
        return [registry.make("Scan", radius=1 + key % 64), registry.make("Wait", duration=1 + key % 60)]

    async def stream(self, request: LlmRequest) -> AsyncIterator[LlmChunk]:
        """Yield the reply."""
        reply = self.encoding.frame({slot: self.texts[agent] for slot, agent in request.slots.items()})
        size = -(-len(reply) // 3)
        for start in range(0, len(reply), size):
            yield LlmChunk(reply[start : start + size])
        yield LlmChunk(finish="stop", usage={"prompt_tokens": 1, "completion_tokens": 1})


@pytest.mark.parametrize("encoding", ENCODINGS, ids=lambda encoding: encoding.name)
@pytest.mark.parametrize("agents", [10, 100, 1_000])
def test_model_tier_with_instant_client(benchmark, agents: int, encoding: Encoding) -> None:
    """Everybody is planned by a model that answers at once, and recorded; beside it what each phase costs alone."""
    batch, simulation = everyone(agents)
    with simulation:
        registry, keys = simulation.registry, batch.keys.tolist()
        orchestrator = FallbackOrchestrator([SimplifiedLlm(encoding=encoding), Emergency()])
        client = Instant(keys, encoding, registry)
        loop = asyncio.new_event_loop()
        prompt = PromptRequest(batch, registry, encoding=encoding).prompt()
        slots = slots_of(batch.keys)
        reply = encoding.frame({slot: client.texts[agent] for slot, agent in slots.items()})

        def plan() -> BatchPlans:
            return loop.run_until_complete(orchestrator.plan_batch_with_fallback(client, batch, registry))

        def plan_and_record() -> bytes:
            return canonical(plain(planning_of(plan())))

        def parse() -> list[tuple[EncodedStep, ...]]:
            return [encoding.encode(slot.text, registry) for slot in encoding.scanner(slots).feed(reply)]

        plans = plan()
        phases = {
            "prompt": lambda: PromptRequest(batch, registry, encoding=encoding).prompt(),
            "parse": parse,
            "legality": lambda: refusals(batch, plans.plans, registry),
            "record": lambda: canonical(plain(planning_of(plans))),
        }
        benchmark.pedantic(plan_and_record, rounds=9, warmup_rounds=2)
        computed = _median(plan_and_record, clock=process_time) / len(batch) * 1e6
        benchmark.extra_info.update(
            us_an_agent=benchmark.stats.stats.median / len(batch) * 1e6,
            cpu_us_an_agent=computed,
            prompt_chars=len(prompt.system) + len(prompt.user),
            record_bytes_an_agent=len(phases["record"]()) / len(batch),
            **{f"{name}_us_an_agent": _median(phase) / len(batch) * 1e6 for name, phase in phases.items()},
        )
        loop.close()
        # By the processor's time, since other work on the machine is none of this path's.
        assert agents != 100 or computed <= 120


def _median(phase: Callable[[], object], rounds: int = 9, clock: Callable[[], float] = perf_counter) -> float:
    times = []
    for _ in range(rounds):
        begun = clock()
        phase()
        times.append(clock() - begun)
    return median(times)
