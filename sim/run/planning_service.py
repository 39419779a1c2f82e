"""The planning of runs: the service that calls a model for one or several, and the live source of plans of each.

A run by itself makes its own service. Runs that share one are advanced by `together`: their rounds fall on the same
ticks, so that their agents are asked in one go and fill the server's slots. A call never mixes agents of two runs, and
each run records its own share, so that it verifies alone.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from ai.actions import ToolRegistry
from ai.clients.resilience import RateLimit, ResilientClient, RetryPolicy
from ai.guard import unwatched
from ai.llm.budget import Budget, BudgetedClient
from ai.llm.encodings import encoding_of
from ai.llm.encodings.base import Encoding
from ai.llm.executor import BatchInferenceExecutor, CallBegun, Signals
from ai.llm.models import Models, kind_and_model
from ai.llm.price import Price
from ai.llm.probe import probe
from ai.llm.sharding import Prefer
from ai.llm.tiers import LlmTier
from ai.llm_types import Endpoint, LlmClient
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
    from sim.run.simulation import Simulation, TickReport

logger = logging.getLogger(f"tickweave.{__name__}")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """How a run calls its model. None: no deadline, sizes that follow the server, the usual retries, no limit.

    `deadline_s` is the time for one tick's planning, seconds. `shard_size` and `in_flight` pin agents in a call and
    calls at once. `encoding` names how replies write plans, None leaves it to what the endpoint takes. `tokens_max` and
    `cost_max` (US dollars, at the `prices` of the models by name) are what all models may use before rules plan alone.
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
    prices: Mapping[str, Price] = field(default_factory=dict)


def build_tiers(
    scenario: Scenario,
    more: Sequence[Planner | type[Planner]] = (),
    executors: Mapping[str, BatchInferenceExecutor] | None = None,
    encoding: Encoding | None = None,
) -> tuple[Planner, ...]:
    """Return the scenario's tiers in order, from the known planners and `more`.

    Planners that take a playbook get the scenario's. Model tiers share the encoding, and those of one model its
    executor: `executors` has them by the name of the model (`ai.llm.models`).

    Raises:
        ScenarioError: a tier has no planner of that name.
    """
    known: dict[str, Planner | type[Planner]] = {**discover(), **{planner.name: planner for planner in more}}
    tiers: list[Planner] = []
    playbook = scenario.playbook()
    for name in tier_order(scenario.planning, scenario.domain.group_names):
        base, model = kind_and_model(name)
        kind = known.get(name)
        if kind is None and model:
            kind = known.get(base)
            kind = kind if isinstance(kind, type) and issubclass(kind, LlmTier) else None
        if kind is None:
            hint = suggestion(name, list(known), "planners")
            raise ScenarioError(one_line(f"{scenario.name}: planning.tiers: no planner {quoted(name)}; {hint}"))
        if not isinstance(kind, type):
            tiers.append(kind)
        elif issubclass(kind, LlmTier):
            executor = (executors or {}).get(model, (executors or {}).get(""))
            tiers.append(kind(executor, encoding=encoding, rules=Heuristic.of(playbook), model=model))
        else:
            made = getattr(kind, "of", None)
            tiers.append(kind() if made is None else made(playbook))
    return tuple(tiers)


def model_tiers(
    scenario: Scenario, client: LlmClient | None, planners: Sequence[Planner | type[Planner]] = ()
) -> tuple[str, ...]:
    """Return the names of the model tiers that a run of the scenario with this model asks.

    Raises:
        ScenarioError: a tier has no planner of that name.
    """
    tiers = build_tiers(scenario, planners)
    return FallbackOrchestrator(tiers, start=scenario.planning.start, models=_with_model(tiers, client)).models


def _with_model(tiers: Sequence[Planner], client: LlmClient | None) -> list[str]:
    """Return the names of the tiers that need a model and have one."""
    of = client.of if isinstance(client, Models) else lambda _: client
    return [tier.name for tier in tiers if getattr(tier, "needs_client", False) and of(tier.name) is not None]


class LoopThread:
    """One event loop in a thread of its own, for clients; it starts with the first call and never touches the world."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end and return what it returns; the caller waits.

        Raises:
            BaseException: any error that the coroutine raises; an interrupt of the caller cancels it.
        """
        future = self.start(coroutine)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def start(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Start a coroutine, without waiting for it."""
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
    await asyncio.get_running_loop().shutdown_asyncgens()  # the clients of a loop end with it


@contextmanager
def probed(client: LlmClient) -> Iterator[Endpoint | None]:
    """Probe a model and give what is known of it; a server that the client has started is stopped at the end."""
    try:
        background = LoopThread()  # a notebook has a running loop already
        try:
            endpoint = background.run(probe(client))
        finally:
            background.close()
        yield endpoint
    finally:
        stop = getattr(client, "stop", None)
        if stop is not None:
            stop()


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


class PlanningService:
    """Calls a model for one run or several, and keeps what was learnt about it: breaker, limits, sizes of calls.

    Args:
        client: the model.
        options: how it is called.
        prefer: the aim by which calls are cut.
        clock: seconds, for deadlines and durations.

    Attributes:
        client: the model, or several by name, each behind retries, breaker and limits of its own, and one budget.
        executors: run the calls of all runs; by the name of the model.
        background: the event loop of the client.
        budget: the limit of the model's usage, None without a limit.

    >>> from ai.testing import MockBatchLlm
    >>> from sim.run.scenario_file import load
    >>> from sim.run.simulation import Simulation
    >>> scenario = load("market")
    >>> model = MockBatchLlm.for_agents(100, scenario.domain.registry())
    >>> with PlanningService(model) as service:
    ...     runs = [Simulation(scenario, seed=seed, service=service) for seed in (1, 2, 3)]
    ...     for reports in service.together(runs, 5):
    ...         assert {report.tick for report in reports} == {reports[0].tick}
    ...     for run in runs:
    ...         run.close()
    """

    def __init__(
        self,
        client: LlmClient,
        options: ModelOptions | None = None,
        *,
        prefer: Prefer = "balanced",
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.options = options = options or ModelOptions()
        self.budget: Budget | None = None
        if options.tokens_max is not None or options.cost_max is not None:
            self.budget = Budget(options.tokens_max, options.cost_max, options.prices)
        self.clock = clock
        models = client.clients if isinstance(client, Models) else {"": client}
        self._clients = {name: _resilient(name, each, options, self.budget, clock) for name, each in models.items()}
        self.client = Models(self._clients) if isinstance(client, Models) else self._clients[""]
        self.executors = {
            name: BatchInferenceExecutor(options.shard_size, options.in_flight, prefer=prefer) for name in models
        }
        self.background = LoopThread()
        self.gathers = False
        self.gathered: list[_Waiting] = []

    def together(self, runs: Sequence[Simulation], ticks: int | None = None) -> Iterator[list[TickReport]]:
        """Advance runs side by side; yield the reports of each tick, in the order of the runs, until all have ended.

        A run ends with its outcome, or after `ticks` ticks in all (default: its scenario's). Each tick is made twice
        where it asks: the first time says whom it would ask and leaves the world as it was.

        Raises:
            ScenarioError: a run has another service, or none.
            Exception: any error that a system raises.
        """
        sources = {}
        for run in runs:
            source = run.run_context.source
            if not isinstance(source, LivePlanner) or source.service is not self:
                raise ScenarioError(f"{run.scenario.name}: only runs of one service are advanced together")
            sources[id(run)] = source
        ends = {id(run): run.scenario.ticks if ticks is None else ticks for run in runs}
        while True:
            going = [run for run in runs if run.world.tick < ends[id(run)] and run.outcome is None]
            if not going:
                return
            reports = self._gather(going)
            self._ask()
            yield [report if report is not None else run.tick() for run, report in zip(going, reports, strict=True)]

    def _gather(self, runs: Sequence[Simulation]) -> list[TickReport | None]:
        """Make a tick of every run that asks no model; None stands for one that waits for a reply."""
        self.gathers, self.gathered = True, []
        reports: list[TickReport | None] = []
        try:
            for run in runs:
                try:
                    reports.append(run.tick())
                except GatheringError:
                    reports.append(None)
        finally:
            self.gathers = False
        return reports

    def _ask(self) -> None:
        """Ask for all that was gathered at once; wait for the plans that the runs wait for."""
        total = sum(each.asked for each in self.gathered)
        for each in self.gathered:
            each.asking.together = total
        for each, call in [(each, self.background.start(each.ask())) for each in self.gathered]:
            each.begun(call)

    @property
    def retries(self) -> int:
        """Second tries of calls so far."""
        return sum(client.retries for client in self._clients.values())

    def sizes(self) -> dict[str, Any]:
        """Return how calls are cut now, as plain data: calls at once over all models, and sizes by tier."""
        each = [executor.sizes.as_dict() for executor in self.executors.values()]
        by_tier = {
            name: {tier: size for sizes in each for tier, size in sizes[name].items()}
            for name in ("shard_size_max", "shard_size_in_time")
        }
        return {"in_flight": sum(sizes["in_flight"] for sizes in each), **by_tier}

    def breaker_changes(self) -> list[str]:
        """Return the states that breakers have entered since the last call of this."""
        return [state.value for client in self._clients.values() for state in client.breaker.take_changes()]

    async def settle(self, signals: Sequence[Signals]) -> None:
        """Adapt the sizes of later calls to the evidence of those that ended."""
        for each in signals:
            model = kind_and_model(each.tier)[1]
            self.executors[model if model in self.executors else ""].settle([each])

    def close(self) -> None:
        """Wait for calls that were left behind, close the client on its own loop, then the loop."""
        self.background.run(self._aclose())
        self.background.close()

    async def _aclose(self) -> None:
        for executor in self.executors.values():
            await executor.aclose()
        await self.client.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class GatheringError(BaseException):
    """Ends the first making of a tick: its agents are asked with those of other runs, then it is made again."""


@dataclass(slots=True)
class _Waiting:
    """The request of one run in a tick that several runs make together."""

    ask: Callable[[], Coroutine[Any, Any, BatchPlans]]
    asking: Asking
    asked: int
    begun: Callable[[Future[BatchPlans]], None]


class LivePlanner:
    """Makes a run's plans: one `plan_batch_with_fallback` a tick, in the service's loop where a model is asked.

    Args:
        scenario: the scenario to run.
        registry: the verbs.
        client: the model of this run alone; None for none, or with a service.
        clock: seconds.
        planners: tiers beyond the known ones.
        options: how the client is called.
        listeners: objects that hear of rounds, calls and plans.
        service: asks a model for this run and others; its maker closes it.
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
        service: PlanningService | None = None,
    ) -> None:
        self._listeners = Listeners() if listeners is None else listeners
        self.registry = registry
        check_rules(scenario, registry)
        self._owns = service is None
        if service is None and client is not None:
            service = PlanningService(client, options, prefer=scenario.planning.prefer, clock=clock)
        self.service = service
        self.client = None if service is None else service.client
        self.budget = None if service is None else service.budget
        self._clock = unwatched(clock)
        name = None if service is None else service.options.encoding
        encoding = None if name is None else encoding_of(name)
        tiers = build_tiers(scenario, planners, None if service is None else service.executors, encoding)
        self.orchestrator = FallbackOrchestrator(
            tiers,
            start=scenario.planning.start,
            only=groups_of_tiers(scenario.planning, scenario.domain.group_names),
            models=None if self.client is None else _with_model(tiers, self.client),
            clock=clock,
        )
        self._told: dict[str, Any] = {}
        self._ready: tuple[int, str, Future[BatchPlans]] | None = None
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
        service = self.service
        if service is None or (walks is not None and not np.count_nonzero(walks != Walk.BRIDGE.value)):
            asking = Asking(walks)
            return drive(self.orchestrator.plan_batch_with_fallback(None, batch, self.registry, asking=asking))
        retries = service.retries
        began, ready = self._clock(), self._ready
        if ready is not None and ready[:2] == (batch.tick, batch.digest()):
            plans = ready[2].result()
        else:
            deadline = None if service.options.deadline_s is None else began + service.options.deadline_s
            asking = Asking(walks, Deadline(deadline))
            asked = len(batch) if walks is None else int(np.count_nonzero(walks != Walk.BRIDGE.value))
            if service.gathers:
                self._wait_for_others(service, batch, asking, asked)
            plans = service.background.run(self._ask(service.client, batch, asking))
        plans.duration_s = self._clock() - began
        plans.usage.retries = service.retries - retries
        plans.model = self._changes(service)
        return plans

    def _wait_for_others(
        self, service: PlanningService, batch: ObservationBatch[Any], asking: Asking, asked: int
    ) -> NoReturn:
        def begun(call: Future[BatchPlans]) -> None:
            self._ready = (batch.tick, batch.digest(), call)

        ask = partial(self._ask, service.client, batch, asking)
        service.gathered.append(_Waiting(ask, asking, asked, begun))
        raise GatheringError

    def ask(self, batch: ObservationBatch[Any]) -> None:
        """Ask the model tiers for the agents of a batch, without waiting; `arrive` returns the result."""
        service = self.service
        if service is None:
            return
        asking = Asking(np.full(len(batch), Walk.MODEL.value, np.int8), signals=[])
        ask = partial(self._ask, service.client, batch, asking)
        retries = service.retries

        def begun(call: Future[BatchPlans]) -> None:
            self._open[batch.tick] = _OpenRound(call, asking, retries)

        if service.gathers:
            service.gathered.append(_Waiting(ask, asking, len(batch), begun))
        else:
            begun(service.background.start(ask()))

    def arrive(self, asked_at: int, batch: ObservationBatch[Any]) -> BatchPlans | None:
        """Return what the round of a tick has for these agents; None where this source made no such call.

        The deadline counts from now, when the world begins to wait. Sizes of later calls follow only here, so that they
        are a function of the replies and not of the time at which these came.
        """
        found, service = self._open.get(asked_at), self.service
        if found is None or service is None:
            return None
        # Earlier rounds have been taken in; this one is kept in case that the tick is made again.
        self._open = {tick: each for tick, each in self._open.items() if tick >= asked_at}
        began = self._clock()
        if service.options.deadline_s is not None:
            service.background.soon(partial(found.asking.deadline.set, began + service.options.deadline_s))
        whole = found.call.result()
        if not found.settled:
            found.settled = True
            service.background.run(service.settle(found.asking.signals or []))
            whole.usage.retries = service.retries - found.retries
            whole.model = self._changes(service)
        plans = part_of(whole, batch.keys)
        plans.duration_s = self._clock() - began
        return plans

    def forget(self) -> None:
        """Drop the calls that are open; those that a server works on end when they are next read."""
        for each in self._open.values():
            each.call.cancel()
        self._open = {}
        self._ready = None

    async def _ask(self, client: LlmClient, batch: ObservationBatch[Any], asking: Asking) -> BatchPlans:
        """Ask for a batch, and tell the listeners."""
        on_plan: OnPlan | None = None
        logger.info("tick %d: %d agents are planned for, a model is asked", batch.tick, len(batch))
        if self._listeners:
            tick, tell = batch.tick, self._listeners.tell
            asked = slice(None) if asking.walks is None else asking.walks != Walk.BRIDGE.value
            tell("on_round", RoundBegun(tick, tuple(batch.keys[asked].tolist())))
            asking.on_call = lambda call: tell(
                "on_call_begun" if isinstance(call, CallBegun) else "on_call", tick, call
            )
            on_plan = partial(tell, "on_plan", tick)
        with round_span(batch.tick, len(batch)):
            return await self.orchestrator.plan_batch_with_fallback(
                client, batch, self.registry, on_plan=on_plan, asking=asking
            )

    def _changes(self, service: PlanningService) -> dict[str, Any]:
        """Return what changed in how the model is called since the last tick."""
        sizes = service.sizes()
        changes = {name: value for name, value in sizes.items() if value and value != self._told.get(name)}
        self._told = sizes
        entered = service.breaker_changes()
        return {**changes, **({"breaker": entered} if entered else {})}

    def close(self) -> None:
        """Drop open calls; close the service where it is this run's own."""
        self.forget()
        if self.service is not None and self._owns:
            self.service.background.run(self.orchestrator.aclose())
            self.service.close()


def _resilient(
    name: str, client: LlmClient, options: ModelOptions, budget: Budget | None, clock: Callable[[], float]
) -> ResilientClient:
    if budget is not None:
        client = BudgetedClient(client, budget, name)
    policy = RetryPolicy() if options.retries is None else RetryPolicy(retries=options.retries)
    limit = RateLimit(options.requests_a_minute, options.tokens_a_minute)
    return ResilientClient(traced(client), policy=policy, limit=limit, clock=clock)
