"""How a batch is cut and how much of it runs at once: k agents in a call (a shard), m calls in flight.

Plain state without a clock. The aim of the cut is a choice (`Prefer`): `speed` takes the size that m calls in flight
need for the whole batch, ceil(n / m) agents a call; `balanced` makes no more calls than leave each of them three
agents, since a prompt says much that is the same for all; `cost` puts as many agents into a call as context and reply
have room for. Both k and m follow what the server shows and stay over ticks, unless they are pinned:

- k is halved when replies were cut or too few of their plans were good, and grows by one after some clean batches;
- k shrinks where a call takes more than `TARGET_S`, unless calls are cut for cost, and grows by one while none does;
- m shrinks when calls spend their time in the server's queue and grows while they do not.

Shards are runs of agents in key order. Agents that share a part of what they know (a fact that is declared `by` a
label) rather stay in one shard, as a prompt then says that part once.

A change of k or m is an outcome of a run: it is recorded, and a replay never decides it again.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from ai.errors import ContractError
from ai.observation import ObservationBatch

logger = logging.getLogger(f"tickweave.{__name__}")
IN_FLIGHT: Final = 4
"""Calls at once where the server's slots are unknown."""
SHARD_SIZE_MIN: Final = 4
"""Agents in a call, at least, where the server's slots are unknown: below that the cost of calls outweighs the gain of
running them side by side (measured on a server whose slots share one core: none of it paid)."""
IN_FLIGHT_MAX: Final = 16
"""Most calls at once that measuring leads to where the server's slots are unknown."""
BALANCED_MIN: Final = 3
"""Agents in a call, at least, where calls are balanced: a third of the tokens that one agent a call costs."""
TARGET_S: Final = 5.0
"""Time that one call should take at most, seconds: a world should not wait longer for the last agent of a call."""
Prefer = Literal["balanced", "speed", "cost"]
"""The aim by which a batch is cut: the time of the whole, the tokens it costs, or some of both."""
VALID_SHARE: Final = 0.9
"""Share of good plans below which shards are too large."""
CLEAN_BATCHES: Final = 4
"""Clean batches after which a shard may hold one agent more."""
QUEUE_SHARE: Final = 0.1
"""Share of its time that a call may wait in the server's queue."""
LABEL_STRETCH: Final = 8
"""A shard may exceed its size by one agent in this many, to keep agents of one label together."""


@dataclass(frozen=True, slots=True)
class CallSignal:
    """The evidence of one call that came to its end: agents asked, good plans, whether it was cut, times in seconds.

    `queue_s` is None where the server does not report it.
    """

    asked: int
    good: int
    cut: bool
    queue_s: float | None = None
    total_s: float = 0.0


class ShardSizes:
    """k and m for one endpoint and model; k by tier, as replies of different verbs differ in length.

    `k_max` has the bound of each tier that cut replies or bad plans have bounded, `k_time` that of each tier whose
    calls took too long. `slots` and `context` (tokens of prompt and reply) are the known limits of the server, None
    where they are not known.

    Raises:
        ContractError: a pinned size is not positive.
    """

    def __init__(
        self, shard_size: int | None = None, in_flight: int | None = None, prefer: Prefer = "balanced"
    ) -> None:
        if min(shard_size or 1, in_flight or 1) < 1 or 0 in (shard_size, in_flight):
            raise ContractError(f"shard_size and in_flight must be at least 1, not {shard_size} and {in_flight}")
        self.prefer = prefer
        self.k_pinned = shard_size
        self.m_pinned = in_flight
        self.m = IN_FLIGHT if in_flight is None else in_flight
        self.k_max: dict[str, int] = {}
        self.k_time: dict[str, int] = {}
        self.slots: int | None = None
        self.context: int | None = None
        self._clean: dict[str, int] = {}

    def learn(self, *, slots: int | None = None, context: int | None = None) -> None:
        """Take over the known limits of the server."""
        if slots is not None and slots > 0 and slots != self.slots:
            self.slots = slots
            logger.info("the server runs %d calls at once", slots)
            if self.m_pinned is None:
                self.m = slots
        if context is not None and context > 0:
            self.context = context

    def k(self, tier: str, n: int, room: int, free: int | None = None) -> int:
        """Return the agents in one call of a batch of `n`, of which a call has room for `room`.

        `free` are the calls that can begin at once, all m where it is None.
        """
        wanted = self._wanted(tier, n, max(1, self.m if free is None else free))
        return max(1, min(wanted, room, self.k_max.get(tier, wanted)))

    def _wanted(self, tier: str, n: int, free: int) -> int:
        if self.k_pinned is not None:
            return self.k_pinned
        if self.prefer == "cost":
            return n
        even = -(-n // free)
        least = 1 if self.slots or self.m_pinned else SHARD_SIZE_MIN
        if self.prefer == "balanced":
            least = max(least, BALANCED_MIN)
            even = max(even, -(-n // max(1, n // least)))
        wanted = max(even, least)
        return max(min(wanted, self.k_time.get(tier, wanted)), least if self.prefer == "balanced" else 1)

    def cut(
        self, tier: str, batch: ObservationBatch[Any], room: int, *, together: int = 0, free: int | None = None
    ) -> list[slice]:
        """Return the shards of a batch: ceil(n / k) runs of rows, which rather end where a label does.

        `together` are the agents that are asked at the same time, in this batch and others; k is right for them all.
        """
        n = len(batch)
        k = self.k(tier, max(n, together), room, free)
        calls = -(-n // k)
        labels = labels_of(batch)
        if labels is None:
            return [slice(-(-n * part // calls), -(-n * (part + 1) // calls)) for part in range(calls)]
        longest = k
        if self.k_pinned is None:
            longest = max(k, min(k + k // LABEL_STRETCH, room, self.k_max.get(tier, room)))
        return cut_between_labels(labels, calls, longest)

    def observe(self, tier: str, calls: Sequence[CallSignal]) -> None:
        """Adapt to the calls of one batch that came to their end."""
        if not calls:
            return
        before = self.as_dict()
        if self.k_pinned is None:
            self._observe_quality(tier, calls)
            self._observe_time(tier, calls)
        if self.m_pinned is None:
            self._observe_queue(calls)
        if (now := self.as_dict()) != before:
            logger.info("calls are cut otherwise now: %s", now)

    def _observe_quality(self, tier: str, calls: Sequence[CallSignal]) -> None:
        largest = max(call.asked for call in calls)
        share = sum(call.good for call in calls) / sum(call.asked for call in calls)
        if any(call.cut for call in calls) or share < VALID_SHARE:
            self.k_max[tier] = max(1, largest // 2)
            self._clean[tier] = 0
        elif tier in self.k_max:
            self._clean[tier] += 1
            if self._clean[tier] >= CLEAN_BATCHES:
                self.k_max[tier] += 1
                self._clean[tier] = 0

    def _observe_time(self, tier: str, calls: Sequence[CallSignal]) -> None:
        slowest = max(calls, key=lambda call: call.total_s - (call.queue_s or 0.0))
        took_s = slowest.total_s - (slowest.queue_s or 0.0)
        if took_s > TARGET_S:
            self.k_time[tier] = max(1, int(slowest.asked * TARGET_S / took_s))
        elif tier in self.k_time and took_s <= TARGET_S / 2:
            self.k_time[tier] += 1

    def _observe_queue(self, calls: Sequence[CallSignal]) -> None:
        told = [(call.queue_s, call.total_s) for call in calls if call.queue_s is not None]
        total = sum(total for _, total in told)
        if not total:
            return
        if sum(queued for queued, _ in told) > QUEUE_SHARE * total:
            self.m = max(1, self.m * 7 // 10)
        elif len(calls) >= self.m:
            self.m = min(self.m + 1, self.slots or IN_FLIGHT_MAX)

    def as_dict(self) -> dict[str, Any]:
        """Return m, and the bounds on k of each tier that has one, as plain data."""
        return {
            "in_flight": self.m,
            "shard_size_max": dict(sorted(self.k_max.items())),
            "shard_size_in_time": dict(sorted(self.k_time.items())),
        }


def labels_of(batch: ObservationBatch[Any]) -> NDArray[np.int64] | None:
    """Return a number for each agent that those of one label share; None where nothing is declared `by` a label."""
    layout = batch.layout
    facts = [one.fact for one in layout.groups.values()] + [one.fact for one in layout.leaves.values()]
    path = next((fact.by for fact in facts if fact.by), None)
    leaf = None if path is None else layout.leaves[path]
    if leaf is None or len(leaf.columns) != 1:
        return None
    labels = batch.column(leaf.path).astype(np.int64)
    there = leaf.there([labels])
    alone = -1 - np.arange(len(labels))  # agents without a label share none
    return labels if there is None else np.where(there, labels, alone)


def cut_between_labels(labels: NDArray[np.int64], calls: int, longest: int) -> list[slice]:
    """Cut rows into `calls` runs of at most `longest`, as even as they can be when each ends where a label does.

    Where no label ends within reach, its agents are cut apart. `calls * longest` must reach the number of rows.

    >>> cut_between_labels(np.array([1, 1, 1, 2, 2, 2, 2]), 2, 4)
    [slice(0, 3, None), slice(3, 7, None)]
    """
    n = len(labels)
    ends = np.flatnonzero(labels[1:] != labels[:-1]) + 1
    shards: list[slice] = []
    start = 0
    for left in range(calls, 0, -1):
        even = start - (-(n - start) // left)
        low, high = max(start + 1, n - (left - 1) * longest), min(start + longest, n - left + 1)
        within = ends[np.searchsorted(ends, low) : np.searchsorted(ends, high, "right")] if left > 1 else ends[:0]
        stop = even if not len(within) else int(within[np.abs(within - even).argmin()])
        shards.append(slice(start, min(max(stop, low), high)))
        start = shards[-1].stop
    return shards


class Gate:
    """Limits how many calls run at once; the number may change at any time, and calls of several batches share it.

    Like a semaphore, but resizable and not bound to one event loop.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._held = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def free(self) -> int:
        """How many calls may begin at once: those that run, and those that wait already, come first."""
        return max(0, self.size - self._held - len(self._waiting))

    def resize(self, size: int) -> None:
        """Change how many calls may run; those that run go on."""
        self.size = size
        self._wake()

    async def __aenter__(self) -> None:
        if self._held < self.size and not self._waiting:
            self._held += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn  # the call that wakes it has taken the place for it
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._leave()
            elif turn in self._waiting:
                self._waiting.remove(turn)
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()

    def _leave(self) -> None:
        self._held -= 1
        self._wake()

    def _wake(self) -> None:
        while self._waiting and self._held < self.size:
            turn = self._waiting.popleft()
            if not turn.done():
                self._held += 1
                turn.set_result(None)
