"""One batch walked down the tiers until every agent has one legal plan.

A tier is a planner (`ai.planners.base`). The walk asks each tier for the agents that are still without a plan, checks
its answer (`ai.legality`), keeps the legal plans, and passes all other agents to the next tier. The last tier cannot
refuse. Every attempt is kept. The single-agent call is the same walk with one agent.
"""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Final, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from ai.actions import ARGS_MAX, STEPS_MAX, ToolRegistry, check
from ai.errors import ClientError, ContractError, FaultError, PlannerError
from ai.guard import NondeterminismError, active, is_ours, unwatched, watched
from ai.legality import explained, refusals
from ai.llm_types import LlmClient
from ai.metrics import FallbackMetrics
from ai.observation import AgentId, Keys, Observation, ObservationBatch, Rows, observed_by
from ai.planners.base import Asking, Deadline, OnPlan, PlanCall, Planner, TierPlans
from ai.planners.emergency import Emergency
from ai.plans import (
    Attempts,
    BatchPlans,
    FallbackResult,
    FallbackTier,
    LlmUsage,
    Outcome,
    PlanBatch,
    Refusal,
    Walk,
    codes_of,
)

logger = logging.getLogger(f"tickweave.{__name__}")

_T = TypeVar("_T")

# Plain integers: members of an enumeration are slow to compare with arrays.
_TYPES: Final = [np.dtype(np.int8), np.dtype(np.int8), np.dtype(np.int16), np.dtype(np.int32)]
_PARTS: Final = {"errors": dict, "texts": dict, "shards": list, "usage": LlmUsage, "payloads": dict}
_OK: Final = int(Outcome.OK)
_ACCEPTED: Final = int(Refusal.ACCEPTED)
_UNAVAILABLE: Final = int(Outcome.UNAVAILABLE)
_OUTCOMES: Final = len(Outcome)
_BRIDGE: Final = int(Walk.BRIDGE)
_MODEL: Final = int(Walk.MODEL)
ERROR_CHARS_MAX: Final = 300
"""Characters of an exception's text that an attempt keeps."""


def drive(coroutine: Coroutine[Any, Any, _T]) -> _T:
    """Run a coroutine that never waits, without an event loop, and return its result.

    Planning without a client is such a coroutine, as all tiers then only compute.

    Raises:
        ContractError: it waited for something.
    """
    try:
        coroutine.send(None)
    except StopIteration as done:
        value: _T = done.value
        return value
    finally:
        coroutine.close()
    raise ContractError(f"{coroutine} waited for something; without an event loop only tiers that never wait can plan")


class FallbackOrchestrator:
    """Plans for many agents at once, and always returns one legal plan for each.

    Args:
        tiers: the planners, tried in order; None for `ai.default_tiers()`. An `emergency` tier is added where none is.
        start: the tier that is tried first.
        only: tiers that plan for some groups alone, by the names that a batch gives its groups; agents of other groups,
            or of none, go on to the next tier.
        models: the names of the model tiers that have a model; by default those that say `needs_client`.
        run: the beginning of every plan id.
        clock: gives seconds; deadlines are readings of it.
        metrics: where to count, a recorder of its own by default.

    Raises:
        ContractError: a tier does not have the interface of a planner, two share a name, one stands after the
            emergency tier, or `start` names none of them.
    """

    def __init__(
        self,
        tiers: Sequence[Planner] | None = None,
        *,
        start: str | None = None,
        only: Mapping[str, Collection[str]] | None = None,
        models: Collection[str] | None = None,
        run: str = "local",
        clock: Callable[[], float] = time.perf_counter,
        metrics: FallbackMetrics | None = None,
    ) -> None:
        if tiers is None:
            from ai import default_tiers

            tiers = default_tiers()
        chosen: list[Planner] = list(tiers)
        for tier in chosen:
            _check_face(tier)
        names = [str(tier.name) for tier in chosen]
        if FallbackTier.EMERGENCY not in names:
            chosen.append(Emergency())
            names.append(str(FallbackTier.EMERGENCY))
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ContractError(f"two tiers are named {twice[0]!r}; the tiers are {', '.join(names)}")
        if names[-1] != FallbackTier.EMERGENCY:
            raise ContractError(f"tiers after 'emergency' are never reached; the tiers are {', '.join(names)}")
        if start is not None and start not in names:
            raise ContractError(f"no tier is named {start!r}; the tiers are {', '.join(names)}")
        unknown = sorted(set(only or ()) - set(names))
        if unknown or FallbackTier.EMERGENCY in (only or ()):
            raise ContractError(f"`only` names {unknown or 'emergency'}; it may name: {', '.join(names[:-1])}")
        self._only = [None if name not in (only or {}) else frozenset((only or {})[name]) for name in names]
        if models is None:
            models = [name for name, tier in zip(names, chosen, strict=True) if getattr(tier, "needs_client", False)]
        self._is_model = [name in models for name in names]
        self.run = run
        self.metrics = FallbackMetrics() if metrics is None else metrics
        self._planners = tuple(chosen)
        self._names = tuple(names)
        self._start = 0 if start is None else names.index(start)
        self._lanes = self._beside()
        self.clock = clock
        self._clock = unwatched(clock)
        self._warned = False
        self._faulty: frozenset[str] = frozenset()

    @property
    def tiers(self) -> tuple[str, ...]:
        """Names of the tiers, in the order they are tried."""
        return self._names

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the model tiers among those that are tried."""
        places = range(self._start, len(self._names))
        return tuple(self._names[place] for place in places if self._is_model[place])

    @overload
    async def plan_batch_with_fallback(
        self,
        client: LlmClient | None,
        agents: ObservationBatch[Any],
        registry: ToolRegistry,
        *,
        on_plan: OnPlan | None = None,
        deadline: float | None = None,
        asking: Asking | None = None,
    ) -> BatchPlans: ...

    @overload
    async def plan_batch_with_fallback(
        self,
        client: LlmClient | None,
        agents: Sequence[tuple[AgentId, Observation]],
        registry: ToolRegistry,
        *,
        on_plan: OnPlan | None = None,
        deadline: float | None = None,
    ) -> dict[AgentId, FallbackResult]: ...

    async def plan_batch_with_fallback(
        self,
        client: LlmClient | None,
        agents: ObservationBatch[Any] | Sequence[tuple[AgentId, Observation]],
        registry: ToolRegistry,
        *,
        on_plan: OnPlan | None = None,
        deadline: float | None = None,
        asking: Asking | None = None,
    ) -> BatchPlans | dict[AgentId, FallbackResult]:
        """Return one legal plan for every agent asked, and for no other.

        Pairs of ids and observations give a dictionary in key order; an `ObservationBatch` gives the array form.
        Without a client the model tiers are passed over as unavailable. `deadline` is a reading of the clock after
        which no model is asked. An exception in a planner's code, or in a domain's, is the outcome of an attempt.
        `asking` goes with a batch and says how a run asks, its deadline included.

        Raises:
            ContractError: an agent was asked for twice, a verb refers to what the observation does not have, or one of
                our own tiers was set up wrongly.
        """
        if asking is None:
            asking = Asking(deadline=Deadline(deadline))
        if isinstance(agents, ObservationBatch):
            return await self._walk(client, agents, registry, on_plan, asking)
        if not agents:
            return {}
        batch = observed_by(agents).from_objects(agents, tables=registry.tables)
        result = await self._walk(client, batch, registry, on_plan, asking)
        return result.results(registry, run=self.run, tick=batch.tick)

    async def plan_with_fallback(
        self,
        client: LlmClient | None,
        observation: Observation,
        registry: ToolRegistry,
        *,
        agent_id: AgentId = 0,
        on_plan: OnPlan | None = None,
        deadline: float | None = None,
    ) -> FallbackResult:
        """Return one agent's legal plan: the batch call with one agent.

        Raises:
            ContractError: one of our own tiers was set up wrongly.
        """
        agents = [(agent_id, observation)]
        results = await self.plan_batch_with_fallback(client, agents, registry, on_plan=on_plan, deadline=deadline)
        return results[agent_id]

    async def aclose(self) -> None:
        """Close the tiers, which give back their resources: calls left behind at a deadline are waited for, briefly."""
        for planner in self._planners:
            closing = getattr(planner, "aclose", None)
            if closing is not None:
                await closing()

    async def _walk(
        self,
        client: LlmClient | None,
        batch: ObservationBatch[Any],
        registry: ToolRegistry,
        on_plan: OnPlan | None,
        asking: Asking,
    ) -> BatchPlans:
        result = BatchPlans(PlanBatch.empty(batch.keys), self._names, [])
        if not len(batch):
            return result
        check(registry, batch.of)
        began, walks = self._clock(), asking.walks
        walk = _Descent(batch, registry, PlanCall(client, self.clock, on_plan, began, asking=asking), result)
        logger.debug("planning %d agents from tier %s on", len(batch), self._names[self._start])
        remaining: Rows = np.arange(len(batch))
        lanes = [] if client is None else self._lanes
        if lanes:
            remaining = await self._side_by_side(lanes, walk)
        rest = range(self._start + sum(map(len, lanes)), len(self._names))
        remaining = await self._down(rest, remaining, walk)
        last = [each for each in result.attempts if each.tier == self._names[-1]]
        if walks is not None:
            remaining = remaining[walks[remaining] != _MODEL]
        if len(remaining):
            # A foreign emergency tier has failed.
            plans = _idle_plans(batch.keys[remaining], registry)
            result.plans.put(remaining, plans, np.arange(len(remaining)), len(self._names) - 1)
        if last:
            # Once is news; every tick of a broken configuration would only drown other messages.
            level = logging.DEBUG if self._warned else logging.WARNING
            self._warned = True
            logger.log(
                level,
                "%d agents got the emergency plan, agent %d first",
                len(last[0].rows),
                batch.keys[last[0].rows[0]],
            )
        result.duration_s = self._clock() - began
        self.metrics.record(result)
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug("planned %d agents in %.6f s: %s", len(batch), result.duration_s, result.counts())
        return result

    async def _down(self, places: Iterable[int], remaining: Rows, walk: _Descent) -> Rows:
        """Walk down some tiers, and return the rows that are still without a plan."""
        for index in places:
            if not len(remaining):
                break
            asked, others = self._split(index, walk.batch, remaining, walk.call.asking.walks)
            if not len(asked):
                continue
            remaining = await self._try_tier(index, asked, walk)
            if len(others):
                remaining = np.sort(np.concatenate([remaining, others]))
        return remaining

    async def _side_by_side(self, lanes: Sequence[Sequence[int]], walk: _Descent) -> Rows:
        """Walk down several lists of tiers at once, and return the rows that are still without a plan."""
        left = every = np.arange(len(walk.batch))
        ways = (self._down(lane, every, walk) for lane in lanes)
        for end in await asyncio.gather(*ways, return_exceptions=True):
            if isinstance(end, BaseException):
                raise end
            left = np.intersect1d(left, end)
        # Replies come in any order; the record must not depend on it.
        walk.result.attempts.sort(key=lambda attempt: self._names.index(attempt.tier))
        walk.result.shards.sort(key=lambda shard: self._names.index(shard["tier"]))
        return left

    def _beside(self) -> list[list[int]]:
        """Return the first tiers as lists, one for each model, where models serve different groups; else nothing."""
        ways: dict[frozenset[str], list[int]] = {}
        for index in range(self._start, len(self._names)):
            only = self._only[index]
            if only is None or not self._is_model[index] or any(only != way and only & way for way in ways):
                break
            ways.setdefault(only, []).append(index)
        return list(ways.values()) if len(ways) > 1 else []

    def _note_fault(
        self, attempt: Attempts, part: ObservationBatch[Any], planner: Planner, error: BaseException
    ) -> None:
        """Log that foreign code failed; the first time as a warning with the traceback."""
        said = _author(planner, error)
        attempt.outcome[:] = Outcome.FAULT
        attempt.errors = dict.fromkeys(part.keys.tolist(), said)
        known, self._faulty = attempt.tier in self._faulty, self._faulty | {attempt.tier}
        logger.log(
            logging.DEBUG if known else logging.WARNING, "tier %s failed: %s", attempt.tier, said, exc_info=error
        )

    def _split(
        self, index: int, batch: ObservationBatch[Any], rows: Rows, walks: NDArray[np.int8] | None
    ) -> tuple[Rows, Rows]:
        """Return the rows that a tier plans for, and those whose walk or group passes it over."""
        if walks is not None:
            passing = walks[rows] == (_BRIDGE if self._is_model[index] else _MODEL)
            if np.count_nonzero(passing):
                asked, others = self._served(index, batch, rows[~passing])
                return asked, np.concatenate([others, rows[passing]])
        return self._served(index, batch, rows)

    def _served(self, index: int, batch: ObservationBatch[Any], rows: Rows) -> tuple[Rows, Rows]:
        only, groups = self._only[index], batch.groups
        if only is None:
            return rows, rows[:0]
        if groups is None:
            return rows[:0], rows
        wanted = np.array([*(name in only for name in groups.names), False], np.bool_)
        served = wanted[groups.index[rows]]
        return rows[served], rows[~served]

    async def _try_tier(self, index: int, rows: Rows, walk: _Descent) -> Rows:
        """Ask one tier for the agents at `rows`, keep its answer, and return the rows still unplanned."""
        batch, registry, call, result = walk.batch, walk.registry, walk.call, walk.result
        planner, name = self._planners[index], self._names[index]
        attempt = Attempts(name, rows, codes_of(len(rows), _UNAVAILABLE))
        result.attempts.append(attempt)
        needs_client = getattr(planner, "needs_client", False)
        if needs_client and (call.client is None or not self._is_model[index]):
            return rows
        part = batch if len(rows) == len(batch) else batch.take(rows)
        began = self._clock()
        try:
            if needs_client and call.deadline is not None and began >= call.deadline:
                raise ClientError("the deadline had passed before this tier was asked", outcome="timeout")
            planned = planner.plan(part, registry, call)
            if active() and planner.deterministic:
                planned = watched(planned, f"tier {name!r}")
            answer = await planned
            _check_answer(answer, part, name)
            accepted = _judge(answer, part, registry, attempt)
        except FaultError as error:
            self._note_fault(attempt, part, planner, error)
            return rows
        except PlannerError as error:
            attempt.outcome[:] = _failure(error)
            attempt.errors = dict.fromkeys(part.keys.tolist(), str(error))
            return rows
        except NondeterminismError:
            raise
        except (Exception, SystemExit) as error:
            if _is_caller_fault(planner, error):
                raise
            self._note_fault(attempt, part, planner, error)
            return rows
        finally:
            attempt.duration_s = self._clock() - began
        _collect(result, answer, part, accepted, name)
        if np.count_nonzero(accepted) == len(accepted):
            if len(rows) == len(batch):
                result.plans = _whole(answer.plans, index)
            else:
                result.plans.put(rows, answer.plans, np.arange(len(rows)), index)
            return rows[:0]
        picked = np.flatnonzero(accepted)
        result.plans.put(rows[picked], answer.plans, picked, index)
        return rows[~accepted]


@dataclass(frozen=True, slots=True)
class _Descent:
    """One batch on its walk down the tiers: whom and how to ask, and the result so far."""

    batch: ObservationBatch[Any]
    registry: ToolRegistry
    call: PlanCall
    result: BatchPlans


def _check_face(tier: object) -> None:
    if isinstance(tier, type) or not isinstance(tier, Planner) or not tier.name:
        raise ContractError(f"{tier!r} is not a tier: a planner has `name`, `deterministic` and `async plan(...)`")


def _idle_plans(keys: Keys, registry: ToolRegistry) -> PlanBatch:
    return PlanBatch.from_encoded(keys, [[registry.idle_step]] * len(keys))


def _is_caller_fault(planner: Planner, error: BaseException) -> bool:
    """Return whether an error is for the caller: one of our own tiers reports that it was set up wrongly."""
    ours = is_ours(type(planner).__module__) and not getattr(planner, "needs_client", False)
    return ours and isinstance(error, ContractError)


def _author(planner: Planner, error: BaseException) -> str:
    """Return whose code failed, how, and where: the innermost frame that is not ours or a library's."""
    place = ""
    for frame, line in traceback.walk_tb(error.__traceback__):
        if not is_ours(str(frame.f_globals.get("__name__", ""))) and "site-packages" not in frame.f_code.co_filename:
            place = f" ({PurePath(frame.f_code.co_filename).name}:{line})"
    kind = type(planner)
    return f"{kind.__module__}.{kind.__qualname__}: {type(error).__name__}: {str(error)[:ERROR_CHARS_MAX]}{place}"


def _failure(error: PlannerError) -> Outcome:
    """Return how a tier says that it failed; a word that says nothing of the kind is a fault of its code."""
    try:
        outcome = Outcome.of(error.outcome)
    except (ContractError, AttributeError):
        return Outcome.FAULT
    return Outcome.FAULT if outcome is Outcome.OK else outcome


def _check_answer(answer: TierPlans, part: ObservationBatch[Any], tier: str) -> None:
    """Refuse an answer whose rows are not the rows asked; a wrong row would be another agent's plan."""
    if not isinstance(answer, TierPlans):
        raise ContractError(f"tier {tier!r} answered with {type(answer).__name__}, not TierPlans")
    parts = (answer.errors, answer.texts, answer.shards, answer.usage, answer.plans.payloads)
    if tuple(map(type, parts)) != tuple(_PARTS.values()):
        for (what, kind), given in zip(_PARTS.items(), parts, strict=True):
            if not isinstance(given, kind):
                raise ContractError(f"tier {tier!r} answered with {what} of type {type(given).__name__}")
    texts = [*answer.errors.values(), *answer.texts.values()]
    if texts and not all(isinstance(text, str) for text in texts):
        raise ContractError(f"tier {tier!r} answered with an error or a reply that is not a text")
    if answer.shards and not all(isinstance(shard, dict) for shard in answer.shards):
        raise ContractError(f"tier {tier!r} answered with a call that is not a table")
    n, plans = len(part), answer.plans
    steps = plans.kind.shape[0]
    shapes = (plans.keys.shape, plans.length.shape, answer.outcome.shape, plans.kind.shape, plans.args.shape)
    if shapes != ((n,), (n,), (n,), (steps, n), (steps, ARGS_MAX, n)):
        raise ContractError(f"tier {tier!r} was asked for {n} agents and answered with arrays of shapes {shapes}")
    if plans.keys is not part.keys and not np.array_equal(plans.keys, part.keys):
        raise ContractError(f"tier {tier!r} changed the agents: asked for {part.keys}, answered for {plans.keys}")
    types = [array.dtype for array in (plans.length, answer.outcome, plans.kind, plans.args)]
    if types != _TYPES:
        raise ContractError(f"tier {tier!r} answered with lengths, outcomes, kinds and arguments of types {types}")
    # Seen without their signs, negative numbers are too large as well.
    if np.count_nonzero(plans.length.view(np.uint8) > min(steps, STEPS_MAX)):
        raise ContractError(f"tier {tier!r} gave a plan of a length outside 0 to {min(steps, STEPS_MAX)}")
    if np.count_nonzero(answer.outcome.view(np.uint8) >= _OUTCOMES):
        raise ContractError(f"tier {tier!r} gave an outcome code that `Outcome` does not have")


def _judge(
    answer: TierPlans, part: ObservationBatch[Any], registry: ToolRegistry, attempt: Attempts
) -> NDArray[np.bool_]:
    """Write into `attempt` how each agent's try ended and return which agents have a legal plan, `[m] bool`."""
    if attempt.tier == FallbackTier.EMERGENCY:
        # Its verbs need not be offered.
        registry = registry.whole
    verdict = refusals(part, answer.plans, registry)
    offered: NDArray[np.bool_] = answer.outcome == _OK
    accepted: NDArray[np.bool_] = offered & (verdict == _ACCEPTED)
    if np.count_nonzero(accepted) == len(accepted):
        attempt.outcome[:] = _OK
        return accepted
    attempt.outcome[:] = np.where(offered & ~accepted, Outcome.REFUSED, answer.outcome)
    for row in np.flatnonzero(~accepted):
        key = int(part.keys[row])
        if offered[row]:
            attempt.errors[key] = explained(part, answer.plans, int(row), registry)
        elif key in answer.errors:
            attempt.errors[key] = answer.errors[key]
    return accepted


def _collect(
    result: BatchPlans, answer: TierPlans, part: ObservationBatch[Any], accepted: NDArray[np.bool_], tier: str
) -> None:
    """Add the usage of a model tier, and the reply texts behind the plans that were accepted."""
    if answer.texts:
        for key in part.keys[accepted].tolist():
            if key in answer.texts:
                result.texts[key] = answer.texts[key]
    result.shards += [{**shard, "tier": tier} for shard in answer.shards]
    result.usage.add(answer.usage)
    if result.first_plan_s is None:
        result.first_plan_s = answer.first_plan_s


def _whole(plans: PlanBatch, tier: int) -> PlanBatch:
    """Copy a tier's plans for all agents; the planner may keep its arrays."""
    columns = (plans.keys, plans.length.copy(), plans.kind.copy(), plans.args.copy())
    return PlanBatch(*columns, codes_of(len(plans), tier), dict(plans.payloads))
