"""Plans that a model gave, kept for agents that know exactly the same again.

Nothing here is approximate. The key is a hash of every byte that an agent knows but the time, and of all else that the
plan depended on: verbs, prompt, encoding, model, parameters. Positions that differ by one digit are different keys.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

import numpy as np

from ai.actions import ToolRegistry
from ai.canonical import little_endian
from ai.errors import ContractError
from ai.prompt import PROMPT_VERSION
from ai.snapshot import SnapshotBatch

PLANS_MAX: Final = 1_000_000
"""Plans that one cache may be asked to keep."""


@dataclass(frozen=True, slots=True)
class AskedFor:
    """What a plan depends on besides what its agent knows: the tier's verbs, the encoding, the model, the parameters.

    `model` is the client's label; `parameters` are whatever else changes a reply (detail, seed, temperature).
    """

    registry: ToolRegistry
    encoding: str
    model: str
    parameters: tuple[object, ...] = ()

    def digest(self) -> bytes:
        """Return sixteen bytes over all of it and the prompt's version."""
        parts = (self.registry.digest, PROMPT_VERSION, self.encoding, self.model, self.parameters)
        return hashlib.blake2b(repr(parts).encode(), digest_size=16, person=b"tickweave-asked").digest()


class PlanCache:
    """The raw texts of at most `plans_max` plans; the one used longest ago gives way.

    `hits` and `misses` count look-ups.

    Raises:
        ContractError: the bound is not between 1 and `PLANS_MAX`.
    """

    def __init__(self, plans_max: int) -> None:
        if not 1 <= plans_max <= PLANS_MAX:
            raise ContractError(f"a plan cache keeps 1 to {PLANS_MAX} plans, not {plans_max}")
        self.plans_max = plans_max
        self.hits = self.misses = 0
        self._texts: OrderedDict[bytes, str] = OrderedDict()

    def __len__(self) -> int:
        return len(self._texts)

    def get(self, key: bytes) -> str | None:
        """Return the text of a plan, None where there is none."""
        text = self._texts.get(key)
        if text is None:
            self.misses += 1
        else:
            self.hits += 1
            self._texts.move_to_end(key)
        return text

    def put(self, key: bytes, text: str) -> None:
        """Keep the text of a plan."""
        self._texts[key] = text
        self._texts.move_to_end(key)
        if len(self._texts) > self.plans_max:
            self._texts.popitem(last=False)


def keys_of(batch: SnapshotBatch, asked: AskedFor) -> list[bytes]:
    """Return the key of each agent's plan, 16 bytes: over all it knows but the time, and what it was asked for.

    Texts count as texts, not by their place in the batch's list, and seconds left of cooldowns as ticks.
    """
    shared = hashlib.blake2b(digest_size=16, person=b"tickweave-known")
    shared.update(asked.digest())
    shared.update(repr((batch.ticks_per_second, batch.cooldown_names)).encode())
    shared.update(batch.map.head)
    for layer in (batch.map.blocked, batch.map.cover):
        shared.update(b"-" if layer is None else little_endian(np.ascontiguousarray(layer)))
    known = batch.side_by_side()
    shared.update(repr((batch.object_kinds, batch.holding_names, batch.object.shape[1], known.shape[1])).encode())
    keys = []
    for row, own in enumerate(known):
        state = shared.copy()
        state.update(little_endian(own))
        state.update(repr((_text(batch, batch.objective[row]), _text(batch, batch.order[row]))).encode())
        if batch.originals is not None:
            state.update(batch.originals[row].model_dump_json(exclude={"t"}).encode())
        keys.append(state.digest())
    return keys


def _text(batch: SnapshotBatch, index: int) -> str | None:
    return batch.texts[int(index)] if index >= 0 else None
