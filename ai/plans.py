"""Plans and how they came about: `PlanIntent` and `FallbackResult` for one agent, `PlanBatch` for many as arrays.

Shapes: `n` agents in ascending key order, `S` steps stored (the longest plan of the batch), step-major.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny

from ai.actions import ARGS_MAX, NONE, STEPS_MAX, Action, EncodedStep, ToolRegistry
from ai.canonical import array_digest, little_endian
from ai.errors import ContractError
from ai.observation import AgentId, Keys, largest

NO_TIER: Final = -1
"""Stored tier of an agent that has no plan."""


class FallbackTier(StrEnum):
    """The four tiers of the default list. A tier is named by its text; a list may also hold planners of other names."""

    SIMPLIFIED_LLM = "simplified_llm"
    FULL_LLM = "full_llm"
    HEURISTIC = "heuristic"
    EMERGENCY = "emergency"


class Outcome(IntEnum):
    """How one tier's attempt for one agent ended; `FAULT` is an exception in a planner's or a domain's code."""

    OK = 0
    REFUSED = 1
    MISSING = 2
    INVALID = 3
    TIMEOUT = 4
    TRANSPORT = 5
    RATE_LIMITED = 6
    BREAKER_OPEN = 7
    CUT = 8
    UNAVAILABLE = 9
    FAULT = 10

    @property
    def label(self) -> str:
        """The name that records, metrics and messages use."""
        return self.name.lower()

    @classmethod
    def of(cls, label: str) -> Outcome:
        """Return the outcome of a label.

        Raises:
            ContractError: no such outcome.
        """
        try:
            return cls[label.upper()]
        except KeyError:
            raise ContractError(f"unknown outcome {label!r}; known: {', '.join(o.label for o in cls)}") from None


class Walk(IntEnum):
    """Which tiers may plan for an agent of a batch: `WHOLE` all, `BRIDGE` all but the model tiers, `MODEL` those alone.

    With `MODEL` an agent may end without a plan; it keeps what it does.
    """

    WHOLE = 0
    BRIDGE = 1
    MODEL = 2


class Refusal(IntEnum):
    """Why a plan is not accepted; data, not an exception."""

    ACCEPTED = 0
    EMPTY = 1
    UNKNOWN_VERB = 2
    OUT_OF_RANGE = 3
    OUTSIDE = 4
    UNKNOWN_TARGET = 5

    @property
    def sentence(self) -> str:
        """Return the sentence for a model or a person."""
        return _REFUSAL_SENTENCES[self]


_REFUSAL_SENTENCES: Final = {
    Refusal.ACCEPTED: "accepted",
    Refusal.EMPTY: "the plan has no steps",
    Refusal.UNKNOWN_VERB: "a step uses a verb this tier does not offer",
    Refusal.OUT_OF_RANGE: "an argument is missing or out of its range",
    Refusal.OUTSIDE: "a cell lies outside its space",
    Refusal.UNKNOWN_TARGET: "a target is not known to this agent",
}


class PlanIntent(BaseModel):
    """One agent's plan: an id that says where it came from, and its steps in order."""

    model_config = ConfigDict(frozen=True)

    plan_id: str = Field(max_length=200)
    steps: tuple[SerializeAsAny[Action], ...] = Field((), max_length=STEPS_MAX)

    def __str__(self) -> str:
        """Show the plan as its id and steps."""
        return f"{self.plan_id}: {', '.join(map(str, self.steps)) or 'no steps'}"


@dataclass(frozen=True, slots=True)
class FallbackAttempt:
    """One tier's try for one agent. Durations are measured and never take part in comparisons."""

    tier: str
    outcome: Outcome
    error: str | None = None
    duration_s: float = field(default=0.0, compare=False)

    @property
    def success(self) -> bool:
        """Whether this attempt gave the plan."""
        return self.outcome is Outcome.OK


@dataclass(frozen=True, slots=True)
class FallbackResult:
    """The plan of one agent, the tier that gave it, and every attempt up to it, in order.

    `total_duration_s` is the duration of the batch in which it was asked, seconds; it never takes part in comparisons.
    """

    plan: PlanIntent
    tier: str
    attempts: tuple[FallbackAttempt, ...]
    total_duration_s: float = field(default=0.0, compare=False)


@dataclass(slots=True)
class PlanBatch:
    """Plans of `n` agents as integers.

    `length [n] int8` steps (0: none), `kind [S, n] int16` registry codes, `args [S, ARGS_MAX, n] int32`, and
    `tier [n] int8`, the position in the orchestrator's tier list (`NO_TIER`: none). Places beyond `length` hold zeros.
    `payloads` has the lists and records of steps that carry some, as canonical bytes by (row, step); the argument that
    will hold their index is 0 here.
    """

    keys: Keys
    length: NDArray[np.int8]
    kind: NDArray[np.int16]
    args: NDArray[np.int32]
    tier: NDArray[np.int8]
    payloads: dict[tuple[int, int], bytes] = field(default_factory=dict)

    @classmethod
    def empty(cls, keys: Keys, steps: int = 1) -> PlanBatch:
        """Return a batch in which no agent has a plan yet.

        Raises:
            ContractError: more steps than a plan may have.
        """
        if not 0 <= steps <= STEPS_MAX:
            raise ContractError(f"a plan holds at most {STEPS_MAX} steps, not {steps}")
        n = len(keys)
        return cls(
            keys,
            np.zeros(n, np.int8),
            np.zeros((steps, n), np.int16),
            np.zeros((steps, ARGS_MAX, n), np.int32),
            codes_of(n, NO_TIER),
        )

    @classmethod
    def from_steps(cls, keys: Keys, plans: Sequence[Sequence[Action] | None], registry: ToolRegistry) -> PlanBatch:
        """Build a batch from step objects; None and an empty sequence mean no plan.

        Raises:
            ContractError: a plan is longer than `STEPS_MAX`, or a kind is unknown.
        """
        return cls.from_encoded(keys, [[registry.encode(step) for step in plan or ()] for plan in plans])

    @classmethod
    def from_encoded(cls, keys: Keys, plans: Sequence[Sequence[EncodedStep] | None]) -> PlanBatch:
        """Build a batch from steps as integers; None and an empty sequence mean no plan.

        Raises:
            ContractError: a plan is longer than `STEPS_MAX`.
        """
        longest = max((len(plan) for plan in plans if plan), default=1)
        batch = cls.empty(keys, longest)
        for position in range(longest):
            having = [(row, plan[position]) for row, plan in enumerate(plans) if plan and len(plan) > position]
            rows = [row for row, _ in having]
            batch.length[rows] = position + 1
            batch.kind[position, rows] = [step.kind for _, step in having]
            batch.args[position][:, rows] = (
                np.array([step.args for _, step in having], np.int32).reshape(-1, ARGS_MAX).T
            )
            batch.payloads |= {(row, position): step.payload for row, step in having if step.payload}
        return batch

    def set_step(self, row: int, position: int, step: EncodedStep) -> None:
        """Write one step of one plan and extend the plan to it where it is shorter."""
        self.kind[position, row] = step.kind
        self.args[position, :, row] = step.args
        self.length[row] = max(self.length[row], position + 1)
        if step.payload:
            self.payloads[row, position] = step.payload

    def set_all(self, rows: NDArray[np.intp], kind: int, *args: NDArray[np.int32] | int) -> None:
        """Give many agents the same one-step plan; each argument is one value, or one per agent."""
        self.length[rows] = 1
        self.kind[0, rows] = kind
        for position in range(ARGS_MAX):
            self.args[0, position, rows] = args[position] if position < len(args) else NONE

    def __len__(self) -> int:
        return len(self.keys)

    def take(self, rows: NDArray[np.intp]) -> PlanBatch:
        """Return the plans of some agents."""
        payloads: dict[tuple[int, int], bytes] = {}
        if self.payloads:
            places = {int(row): place for place, row in enumerate(rows)}
            payloads = {(places[row], step): content for (row, step), content in self.payloads.items() if row in places}
        columns = (self.keys[rows], self.length[rows], self.kind[:, rows], self.args[:, :, rows], self.tier[rows])
        return PlanBatch(*columns, payloads)

    def put(self, rows: NDArray[np.intp], source: PlanBatch, picked: NDArray[np.intp], tier: int) -> None:
        """Copy `source`'s plans at `picked` into `rows` and mark them as given by `tier`."""
        if source.kind.shape[0] > self.kind.shape[0]:
            extra = source.kind.shape[0] - self.kind.shape[0]
            self.kind = np.concatenate([self.kind, np.zeros((extra, len(self)), np.int16)])
            self.args = np.concatenate([self.args, np.zeros((extra, ARGS_MAX, len(self)), np.int32)])
        steps = source.kind.shape[0]
        self.length[rows] = source.length[picked]
        self.kind[:, rows] = 0
        self.args[:, :, rows] = 0
        self.kind[:steps, rows] = source.kind[:, picked]
        self.args[:steps, :, rows] = source.args[:, :, picked]
        self.tier[rows] = tier
        if self.payloads or source.payloads:
            target = dict(zip(picked.tolist(), rows.tolist(), strict=True))
            written = set(target.values())
            self.payloads = {place: content for place, content in self.payloads.items() if place[0] not in written}
            self.payloads |= {
                (target[row], step): content for (row, step), content in source.payloads.items() if row in target
            }

    def steps(self, row: int, registry: ToolRegistry) -> tuple[Action, ...]:
        """Return one agent's steps as objects."""
        return tuple(
            registry.decode(
                int(self.kind[position, row]),
                [int(value) for value in self.args[position, :, row]],
                self.payloads.get((row, position), b""),
            )
            for position in range(int(self.length[row]))
        )

    def digest(self, tiers: Sequence[str]) -> str:
        """Return sixteen hex digits over agents, tier names and steps, independent of the spare room of the arrays."""
        used = largest(self.length)
        columns = (self.keys, self.length, self.tier, self.kind[:used], self.args[:used])
        parts = [f"{len(self)},{used},{list(map(str, tiers))}".encode(), *(little_endian(column) for column in columns)]
        for (row, step), content in sorted(self.payloads.items()):
            parts += [f"{row},{step},{len(content)}:".encode(), content]
        return array_digest("tickweave-plan", parts)


def codes_of(count: int, code: int) -> NDArray[np.int8]:
    """Return some codes that are all the same, `[count] int8`, in a third of the time of `np.full`."""
    made = np.empty(count, np.int8)
    made.fill(code)
    return made


def shared_by_all(codes: NDArray[np.int8]) -> int | None:
    """Return the number that all codes are, None where they differ or there are none."""
    raw = codes.tobytes()  # bytes are compared in a fraction of the time of NumPy's calls
    return int(codes[0]) if raw and raw == raw[:1] * len(raw) else None


@dataclass(slots=True)
class Attempts:
    """One tier's attempts for the agents it was asked about.

    `rows [m]` are rows of the batch asked, `outcome [m] int8` is an `Outcome` for each, `errors` holds the text of
    those that have one, by agent key.
    """

    tier: str
    rows: NDArray[np.intp]
    outcome: NDArray[np.int8]
    errors: dict[int, str] = field(default_factory=dict)
    duration_s: float = 0.0

    @property
    def shared(self) -> int | None:
        """The outcome of all attempts, None where they differ or there are none."""
        return shared_by_all(self.outcome)


@dataclass(slots=True)
class LlmUsage:
    """The usage of the model tiers. Tokens are None while no server has reported any; unknown is not zero.

    `calls` and `agents` count calls made and agents asked in them; `retries` counts calls made again after a fault.
    """

    calls: int = 0
    agents: int = 0
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    errors: dict[str, int] = field(default_factory=dict)
    retries: int = 0

    def add(self, other: LlmUsage) -> None:
        """Add another's counts to these."""
        self.calls += other.calls
        self.retries += other.retries
        self.agents += other.agents
        if other.prompt_tokens is not None:
            self.prompt_tokens = (self.prompt_tokens or 0) + other.prompt_tokens
        if other.completion_tokens is not None:
            self.completion_tokens = (self.completion_tokens or 0) + other.completion_tokens
        for outcome, count in other.errors.items():
            self.errors[outcome] = self.errors.get(outcome, 0) + count


@dataclass(slots=True)
class BatchPlans:
    """The array form of a planning result: one legal plan for every agent, but for those of `Walk.MODEL` alone.

    `tiers` names the tier list that `plans.tier` points into; `texts` holds the raw reply text of every agent whose
    plan came from a model tier, by agent key; `shards` says how each model call was cut (recorded as it was). `model`
    has the changes in how the model is called, by the part that keeps them: `in_flight`, `shard_size_max` by tier, and
    `breaker`, the states it entered. `first_plan_s` is when the first plan of a model was read, seconds after the start
    (`ai.llm.executor.BatchResponse`).
    """

    plans: PlanBatch
    tiers: tuple[str, ...]
    attempts: list[Attempts]
    texts: dict[int, str] = field(default_factory=dict)
    shards: list[dict[str, Any]] = field(default_factory=list)
    usage: LlmUsage = field(default_factory=LlmUsage)
    model: dict[str, Any] = field(default_factory=dict)
    first_plan_s: float | None = None
    duration_s: float = 0.0

    def __repr__(self) -> str:
        return f"BatchPlans({self.counts()}, {self.usage.calls:,} calls)"

    def counts(self) -> dict[str, int]:
        """Return the number of plans by tier name, for the tiers that gave any."""
        tier = self.plans.tier
        shared = shared_by_all(tier)
        if shared is not None and shared != NO_TIER:
            return {self.tiers[shared]: len(tier)}
        # Counted from one below, so that `NO_TIER` has the first place.
        _, *numbers = np.bincount(tier - NO_TIER, minlength=len(self.tiers) + 1).tolist()
        return {name: count for name, count in zip(self.tiers, numbers, strict=True) if count}

    def results(self, registry: ToolRegistry, *, run: str, tick: int) -> dict[AgentId, FallbackResult]:
        """Return the same as objects, one for each agent, in key order; plan ids name run, tick, agent and tier."""
        tried: list[list[FallbackAttempt]] = [[] for _ in range(len(self.plans))]
        for attempt in self.attempts:
            for row, code in zip(attempt.rows, attempt.outcome, strict=True):
                key = int(self.plans.keys[row])
                tried[int(row)].append(
                    FallbackAttempt(attempt.tier, Outcome(int(code)), attempt.errors.get(key), attempt.duration_s)
                )
        results: dict[AgentId, FallbackResult] = {}
        for row, key in enumerate(self.plans.keys):
            tier = self.tiers[int(self.plans.tier[row])]
            plan = PlanIntent(plan_id=f"{run}-{tick}-{key}-{tier}", steps=self.plans.steps(row, registry))
            results[int(key)] = FallbackResult(plan, tier, tuple(tried[row]), self.duration_s)
        return results
