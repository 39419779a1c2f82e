"""The planning of a run: its tiers built from the scenario, and the live source of plans."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ai.actions import ToolRegistry
from ai.clients.resilience import RateLimit, ResilientClient, RetryPolicy
from ai.llm.budget import Budget, BudgetedClient
from ai.llm.encodings import encoding_of
from ai.llm.encodings.base import Encoding
from ai.llm.executor import BatchInferenceExecutor
from ai.llm.price import Price
from ai.llm.tiers import LlmTier
from ai.llm_types import LlmClient
from ai.observation import ObservationBatch
from ai.orchestrator import FallbackOrchestrator, drive
from ai.planners import discover
from ai.planners.base import Asking, Deadline, OnPlan, Planner
from ai.planners.heuristic import Heuristic
from ai.plans import BatchPlans, Walk
from ai.telemetry import round_span, traced
from sim.errors import ScenarioError
from sim.messages import one_line, quoted, suggestion
from sim.run.listeners import Listeners, RoundBegun
from sim.run.planning import check_rules, groups_of_tiers, tier_order

if TYPE_CHECKING:
    from sim.run.scenario_file import Scenario

logger = logging.getLogger(f"tickweave.{__name__}")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """How a run calls its model. None: no deadline, sizes that follow the server, the usual retries, no limit.

    `deadline_s` is the time for one tick's planning, seconds. `shard_size` and `in_flight` pin agents in a call and
    calls at once. `encoding` names how replies write plans, None leaves it to what the endpoint takes. `tokens_max` and
    `cost_max` (US dollars, at `price`) are what the model may use before rules plan alone.
    """

    deadline_s: float | None = None
    shard_size: int | None = None
    in_flight: int | None = None
    retries: int | None = None
    requests_a_minute: float | None = None
    tokens_a_minute: float | None = None
    encoding: str | None = None
    tokens_max: int | None = None
    cost_max: float | None = None
    price: Price | None = None


def build_tiers(
    scenario: Scenario,
    more: Sequence[Planner | type[Planner]] = (),
    executor: BatchInferenceExecutor | None = None,
    encoding: Encoding | None = None,
) -> tuple[Planner, ...]:
    """Return the scenario's tiers in order, from the known planners and `more`.

    Planners that take a playbook get the scenario's; model tiers share executor and encoding.

    Raises:
        ScenarioError: a tier has no planner of that name.
    """
    known: dict[str, Planner | type[Planner]] = {**discover(), **{planner.name: planner for planner in more}}
    tiers: list[Planner] = []
    playbook = scenario.playbook()
    for name in tier_order(scenario.planning, scenario.domain.group_names):
        kind = known.get(name)
        if kind is None:
            hint = suggestion(name, list(known), "planners")
            raise ScenarioError(one_line(f"{scenario.name}: planning.tiers: no planner {quoted(name)}; {hint}"))
        if not isinstance(kind, type):
            tiers.append(kind)
        elif issubclass(kind, LlmTier):
            tiers.append(kind(executor, encoding=encoding, rules=Heuristic.of(playbook)))
        else:
            made = getattr(kind, "of", None)
            tiers.append(kind() if made is None else made(playbook))
    return tuple(tiers)


def model_tiers(scenario: Scenario, planners: Sequence[Planner | type[Planner]] = ()) -> tuple[str, ...]:
    """Return the names of the model tiers that a run of the scenario asks where it has a model.

    Raises:
        ScenarioError: a tier has no planner of that name.
    """
    return FallbackOrchestrator(build_tiers(scenario, planners), start=scenario.planning.start).models


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
        future = self.start(coroutine)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def start(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Let a coroutine run, without waiting for it."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._loop.run_forever, name="tickweave-llm", daemon=True)
            self._thread.start()
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def soon(self, call: Callable[[], object]) -> None:
        """Call something in the loop's thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(call)

    def close(self) -> None:
        """End the thread, and cancel what did not come to its own end before."""
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


@dataclass(slots=True)
class _OpenRound:
    """A round whose plans have not all been taken in: its call, how it asks, and the client's retries before it."""

    call: Future[BatchPlans]
    asking: Asking
    retries: int
    settled: bool = False


def part_of(whole: BatchPlans, keys: NDArray[np.int64]) -> BatchPlans:
    """Return what a batch's plans are for some of its agents, ascending; usage and calls stay those of the batch."""
    rows = np.searchsorted(whole.plans.keys, keys)
    place = np.full(len(whole.plans), -1)
    place[rows] = np.arange(len(rows))
    attempts = []
    for each in whole.attempts:
        kept = place[each.rows] >= 0
        errors = {key: error for key, error in each.errors.items() if key in keys}
        attempts.append(replace(each, rows=place[each.rows[kept]], outcome=each.outcome[kept], errors=errors))
    plans = whole.plans.take(rows)
    texts = {key: text for key, text in whole.texts.items() if key in keys}
    return replace(whole, plans=plans, attempts=attempts, texts=texts)


class LivePlans:
    """Makes plans: one `plan_batch_with_fallback` a tick, on the background loop if there is a client.

    Keeps over ticks what was learnt about the client: its breaker, its rate limit and the sizes of its shards.
    """

    def __init__(
        self,
        scenario: Scenario,
        registry: ToolRegistry,
        client: LlmClient | None,
        clock: Callable[[], float],
        planners: Sequence[Planner | type[Planner]] = (),
        options: ModelOptions | None = None,
        listeners: Listeners | None = None,
    ) -> None:
        self._listeners = Listeners() if listeners is None else listeners
        self.registry = registry
        check_rules(scenario, registry)
        self._options = options = options or ModelOptions()
        self.budget: Budget | None = None
        if client is not None and (options.tokens_max is not None or options.cost_max is not None):
            self.budget = Budget(options.tokens_max, options.cost_max, options.price)
            client = BudgetedClient(client, self.budget)
        self.client = None if client is None else _resilient(client, options, clock)
        self._clock = clock
        self._executor = BatchInferenceExecutor(
            self._options.shard_size, self._options.in_flight, prefer=scenario.planning.prefer
        )
        name = self._options.encoding
        encoding = None if name is None else encoding_of(name)
        tiers = build_tiers(scenario, planners, self._executor, encoding)
        self.orchestrator = FallbackOrchestrator(
            tiers,
            start=scenario.planning.start,
            only=groups_of_tiers(scenario.planning, scenario.domain.group_names),
            clock=clock,
        )
        self._background = Background()
        self._told: dict[str, Any] = {}
        self._open: dict[int, _OpenRound] = {}

    @property
    def tiers(self) -> tuple[str, ...]:
        """The tiers' names, in order."""
        return self.orchestrator.tiers

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the model tiers that are in play."""
        return () if self.client is None else self.orchestrator.models

    def plan(self, batch: ObservationBatch[Any], walks: NDArray[np.int8] | None = None) -> BatchPlans:
        """Return one legal plan for every agent of the batch; `walks` says by `Walk` which tiers each may use."""
        if self.client is None or (walks is not None and not np.count_nonzero(walks != Walk.BRIDGE.value)):
            asking = Asking(walks)
            return drive(self.orchestrator.plan_batch_with_fallback(None, batch, self.registry, asking=asking))
        deadline = None if self._options.deadline_s is None else self._clock() + self._options.deadline_s
        retries = self.client.retries
        asking = Asking(walks, Deadline(deadline))
        plans = self._background.run(self._ask(self.client, batch, asking))
        plans.usage.retries = self.client.retries - retries
        plans.model = self._changes(self.client)
        return plans

    def ask(self, batch: ObservationBatch[Any]) -> None:
        """Ask the model tiers for the agents of a batch, without waiting; `arrive` has what came of it."""
        if self.client is None:
            return
        asking = Asking(np.full(len(batch), Walk.MODEL.value, np.int8), signals=[])
        call = self._background.start(self._ask(self.client, batch, asking))
        self._open[batch.tick] = _OpenRound(call, asking, self.client.retries)

    def arrive(self, asked_at: int, batch: ObservationBatch[Any]) -> BatchPlans | None:
        """Return what the round of a tick has for these agents; None where this source made no such call.

        The deadline counts from now, when the world begins to wait. Sizes of later calls follow only here, so that they
        are a function of the replies and not of the time at which these came.
        """
        found = self._open.get(asked_at)
        if found is None or self.client is None:
            return None
        # Earlier rounds have been taken in; this one is kept in case that the tick is made again.
        self._open = {tick: each for tick, each in self._open.items() if tick >= asked_at}
        began = self._clock()
        if self._options.deadline_s is not None:
            self._background.soon(partial(found.asking.deadline.set, began + self._options.deadline_s))
        whole = found.call.result()
        if not found.settled:
            found.settled = True
            self._background.run(self._settle(found.asking.signals or []))
            whole.usage.retries = self.client.retries - found.retries
            whole.model = self._changes(self.client)
        plans = part_of(whole, batch.keys)
        plans.duration_s = self._clock() - began
        return plans

    async def _settle(self, signals: Sequence[Any]) -> None:
        self._executor.settle(signals)

    def forget(self) -> None:
        """Drop the calls that are open; those that a server works on end when they are next read."""
        for each in self._open.values():
            each.call.cancel()
        self._open = {}

    async def _ask(self, client: ResilientClient, batch: ObservationBatch[Any], asking: Asking) -> BatchPlans:
        """Ask for a batch, and tell the listeners."""
        on_plan: OnPlan | None = None
        logger.info("tick %d: %d agents are planned for, a model is asked", batch.tick, len(batch))
        if self._listeners:
            tick, tell = batch.tick, self._listeners.tell
            asked = slice(None) if asking.walks is None else asking.walks != Walk.BRIDGE.value
            tell("on_round", RoundBegun(tick, tuple(batch.keys[asked].tolist())))
            asking.on_call = partial(tell, "on_call", tick)
            on_plan = partial(tell, "on_plan", tick)
        with round_span(batch.tick, len(batch)):
            return await self.orchestrator.plan_batch_with_fallback(
                client, batch, self.registry, on_plan=on_plan, asking=asking
            )

    def _changes(self, client: ResilientClient) -> dict[str, Any]:
        """Return what changed in how the model is called since the last tick."""
        sizes = self._executor.sizes.as_dict()
        changes = {name: value for name, value in sizes.items() if value and value != self._told.get(name)}
        self._told = sizes
        entered = [state.value for state in client.breaker.take_changes()]
        return {**changes, **({"breaker": entered} if entered else {})}

    def close(self) -> None:
        """Let calls that were left behind end, close the client on its own loop, then the loop."""
        self.forget()
        if self.client is not None:
            self._background.run(self._aclose(self.client))
        self._background.close()

    async def _aclose(self, client: ResilientClient) -> None:
        await self.orchestrator.aclose()
        await client.aclose()


def _resilient(client: LlmClient, options: ModelOptions, clock: Callable[[], float]) -> ResilientClient:
    policy = RetryPolicy() if options.retries is None else RetryPolicy(retries=options.retries)
    limit = RateLimit(options.requests_a_minute, options.tokens_a_minute)
    return ResilientClient(traced(client), policy=policy, limit=limit, clock=clock)
