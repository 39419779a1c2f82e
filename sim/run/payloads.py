"""Lists and records of running plans: a store of canonical bytes that steps refer to by an index.

Equal contents share one index. A new content gets the lowest index that is free, so the same plans in the same order
give the same indices on every machine and after every restore. Contents that no step refers to any more are
dropped at the end of each tick, so the store never holds more entries than there are steps.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ai.actions import ToolRegistry
from ai.observation import largest
from ai.plans import PlanBatch
from sim.engine.world import World
from sim.run.plan_columns import ActionSteps, NextPlan


class Payloads:
    """Holds the contents in use by index. A resource of the world."""

    name = "Payloads"

    def __init__(self) -> None:
        self._contents: dict[int, bytes] = {}
        self._indices: dict[bytes, int] = {}
        self._free: list[int] = []
        self.stamp = 0

    def __len__(self) -> int:
        return len(self._contents)

    def __getitem__(self, index: int) -> bytes:
        return self._contents[index]

    def columns(self) -> Mapping[str, NDArray[Any]]:
        """Return the indices in use, ascending, the end of each content, and all contents' bytes."""
        indices = sorted(self._contents)
        contents = [self._contents[index] for index in indices]
        return {
            "index": np.array(indices, np.int32),
            "ends": np.cumsum([len(content) for content in contents], dtype=np.int64).astype(np.int32),
            "bytes": np.frombuffer(b"".join(contents), np.uint8),
        }

    def restore(self, columns: Mapping[str, NDArray[Any]]) -> None:
        """Take over columns that `columns` gave."""
        data, start, contents = columns["bytes"].tobytes(), 0, {}
        for index, end in zip(columns["index"].tolist(), columns["ends"].tolist(), strict=True):
            contents[index] = data[start:end]
            start = end
        self._take(contents)

    def add(self, content: bytes) -> int:
        """Return the index of a content, which is stored if it is new."""
        index = self._indices.get(content)
        if index is None:
            index = heapq.heappop(self._free) if self._free else len(self._contents)
            self._contents[index] = content
            self._indices[content] = index
            self.stamp += 1
        return index

    def keep(self, indices: Iterable[int]) -> None:
        """Drop every content but these."""
        wanted = set(indices)
        if len(wanted) < len(self._contents):
            self._take({index: content for index, content in self._contents.items() if index in wanted})

    def _take(self, contents: dict[int, bytes]) -> None:
        self._contents = contents
        self._indices = {content: index for index, content in contents.items()}
        self._free = sorted(set(range(max(contents, default=-1) + 1)) - contents.keys())
        self.stamp += 1


def write_payloads(world: World, payloads: Payloads, plans: PlanBatch, rows: NDArray[np.intp],
                   registry: ToolRegistry) -> None:  # fmt: skip
    """Store the payloads of new plans, whose agents stand at `rows`, and write their indices into the steps."""
    args = world[ActionSteps].args
    for (row, step), content in sorted(plans.payloads.items()):
        place = registry.spec(int(plans.kind[step, row])).payload_place
        args[step, place, rows[row]] = payloads.add(content)


def drop_unused(world: World, payloads: Payloads, registry: ToolRegistry) -> None:
    """Forget every payload that no step refers to."""
    if not len(payloads):
        return
    wanted: list[int] = []
    stores: list[Any] = [world[kind] for kind in (ActionSteps, NextPlan) if kind in world.components]
    for steps in stores:
        used = largest(steps.length)
        there = np.arange(used)[:, None] < steps.length
        for code in registry.payload_codes.nonzero()[0].tolist():
            step, row = (there & (steps.kind[:used] == code)).nonzero()
            wanted += np.unique(steps.args[step, registry.spec(code).payload_place, row]).tolist()
    payloads.keep(wanted)
