"""The planning of a run: its tiers built from the scenario, and the live source of plans."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from ai.actions import ToolRegistry
from ai.clients.base import LlmClient
from ai.fallback import FallbackOrchestrator, drive
from ai.plan import BatchPlans
from ai.planners import discover
from ai.planners.base import Planner
from ai.planners.heuristic import Heuristic
from ai.snapshot import SnapshotBatch
from sim.errors import ScenarioError
from sim.scenario import Scenario

T = TypeVar("T")


def build_tiers(scenario: Scenario, more: Sequence[type[Planner]] = ()) -> tuple[Planner, ...]:
    """Return the scenario's tiers in order, from the known planners and `more`; heuristics get the scenario's rules.

    Raises:
        ScenarioError: a tier has no planner of that name.
    """
    known = discover()
    known.update((planner.name, planner) for planner in more)
    tiers: list[Planner] = []
    for name in scenario.planning.tiers:
        kind = known.get(name)
        if kind is None:
            raise ScenarioError(f"{scenario.name}: planning.tiers: no planner {name!r}; known: {', '.join(known)}")
        tiers.append(Heuristic(scenario.heuristics) if kind is Heuristic else kind())
    return tuple(tiers)


class Background:
    """One event loop in a thread of its own, for clients; it starts with the first call and never touches the world."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end and return what it returns; the caller waits.

        Raises:
            BaseException: whatever the coroutine raises; an interrupt of the caller cancels it.
        """
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._loop.run_forever, name="tickweave-llm", daemon=True)
            self._thread.start()
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        """End every task that is left, and the thread."""
        if self._loop is None or self._thread is None:
            return
        asyncio.run_coroutine_threadsafe(_cancel_all(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._loop = self._thread = None


async def _cancel_all() -> None:
    left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


class LivePlans:
    """Makes plans: one `plan_batch_with_fallback` a tick, on the background loop if there is a client."""

    def __init__(
        self,
        scenario: Scenario,
        registry: ToolRegistry,
        client: LlmClient | None,
        clock: Callable[[], float],
        planners: Sequence[type[Planner]] = (),
    ) -> None:
        tiers = build_tiers(scenario, planners)
        self.orchestrator = FallbackOrchestrator(tiers, start=scenario.planning.start, clock=clock)
        self.registry = registry
        self.client = client
        self._background = Background()

    @property
    def tiers(self) -> tuple[str, ...]:
        """The tiers' names, in order."""
        return self.orchestrator.tiers

    def plan(self, batch: SnapshotBatch) -> BatchPlans:
        """Return exactly one legal plan for every agent of the batch."""
        call = self.orchestrator.plan_batch_with_fallback(self.client, batch, self.registry)
        return drive(call) if self.client is None else self._background.run(call)

    def close(self) -> None:
        """Close the client on its own loop, then the loop."""
        closing = getattr(self.client, "aclose", None)
        if closing is not None:
            self._background.run(closing())
        self._background.close()
