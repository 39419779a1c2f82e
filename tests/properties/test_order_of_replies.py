"""Which reply of a model comes first, and how many calls run at once, changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from hypothesis import given, settings
from hypothesis import strategies as st

from ai.clients.scripted import ScriptedClient
from ai.llm_types import LlmChunk, LlmRequest
from sim.replay import read
from sim.run.planning_service import ModelOptions
from tests.sim.replay.recordings import SCRIPT, record, scenario

FEW = settings(max_examples=max(8, settings.default.max_examples // 10))


class Delayed:
    """A client whose calls wait for drawn turns of the event loop before each piece of their replies."""

    def __init__(self, turns: list[int]) -> None:
        self.client = ScriptedClient(SCRIPT)
        self.label = self.client.label
        self.turns = turns
        self.calls = 0

    async def stream(self, request: LlmRequest) -> AsyncIterator[LlmChunk]:
        wait = self.turns[self.calls % len(self.turns)]
        self.calls += 1
        async for chunk in self.client.stream(request):
            for _ in range(wait):
                await asyncio.sleep(0)
            yield chunk


def recorded(turns: list[int], size: int, at_once: int) -> bytes:
    """Record a run with its calls delayed."""
    model = ModelOptions(shard_size=size, in_flight=at_once)
    return record(scenario(), client=Delayed(turns), model=model, ticks=6)


TURNS = st.lists(st.integers(0, 9), min_size=1, max_size=8)


@FEW
@given(one=TURNS, other=TURNS, size=st.integers(1, 3), at_once=st.integers(2, 4))
def test_replies_in_any_order_give_the_same_file(one: list[int], other: list[int], size: int, at_once: int) -> None:
    """Any delays give the same replay to the byte; one call at a time gives the same plans, texts and states."""
    replay = recorded(one, size, at_once)
    assert recorded(other, size, at_once) == replay
    for tick, alone in zip(read(replay).ticks, read(recorded([0], size, 1)).ticks, strict=True):
        assert (tick.root, tick.plan, tick.texts) == (alone.root, alone.plan, alone.texts)
