"""Facts as bits: the knowledge of agents as yes or no, so that agents with the same knowledge are planned for once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ai.errors import ContractError
from ai.observation import Layout, ObservationBatch
from ai.rules import Facts, Test, fact_test

FACTS_MAX: Final = 62
"""The number of facts that fit the bits of one number."""


class FactBits:
    """Gives each fact a bit, and computes the facts that hold for each agent.

    Args:
        names: the facts; a name that is not in `facts` holds for no agent and can only be part of a goal.
        facts: the condition of each name.
        layout: the layout of the observation that the conditions refer to.

    Raises:
        ContractError: there are too many facts, or a condition does not fit the observation.
    """

    def __init__(self, names: Iterable[str], facts: Facts, layout: Layout) -> None:
        known = sorted({name.removeprefix("!") for name in names})
        if len(known) > FACTS_MAX:
            raise ContractError(f"a planner takes at most {FACTS_MAX} facts, not {len(known)}")
        self._bit = {name: 1 << place for place, name in enumerate(known)}
        self._tests: list[tuple[int, Test]] = []
        for name in known:
            if name in facts:
                self._tests.append((self._bit[name], fact_test(name, facts, layout)))

    def of(self, batch: ObservationBatch[Any]) -> NDArray[np.int64]:
        """Return the facts that hold for each agent, `[n] int64`."""
        found = np.zeros(len(batch), np.int64)
        for bit, test in self._tests:
            found |= np.where(test(batch), bit, 0)
        return found

    def bits(self, names: Iterable[str]) -> tuple[int, int]:
        """Return the facts that the names require, and the facts that they exclude (`!`)."""
        on = off = 0
        for name in names:
            bit = self._bit[name.removeprefix("!")]
            on, off = (on, off | bit) if name.startswith("!") else (on | bit, off)
        return on, off
