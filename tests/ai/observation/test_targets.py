"""Whom an agent may name: held against looking at each agent's objects one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai.errors import ContractError
from ai.observation import sources_of
from ai.strategies import batches
from tests.ai.llm.village import TABLES, Forager, Villager, forager, foragers, market, villager


@given(batches(Villager, TABLES).filter(bool), st.sets(st.sampled_from(["people", "debt_to", "self"]), min_size=1))
def test_targets_are_the_ids_of_the_sources(pairs: list[tuple[int, Villager]], sources: set[str]) -> None:
    """`targets` lists each agent's own ids once, ascending, and `knows` agrees with it about every id."""
    batch = Villager.from_objects(pairs, tables=TABLES)
    expected = []
    for key, one in sorted(pairs, key=lambda pair: pair[0]):
        ids = {each.id for each in one.people[:12]} if "people" in sources else set()
        ids |= {one.debt_to} - {None} if "debt_to" in sources else set()  # type: ignore[arg-type] # None goes
        ids |= {key} if "self" in sources else set()
        expected.append(tuple(sorted(ids)))
    asked = sorted(sources)
    assert batch.targets(*asked) == expected
    rows = np.arange(len(batch))
    for number in range(-1, 42):
        known = batch.knows(rows, np.full(len(rows), number), asked)
        assert known.tolist() == [number in ids for ids in expected]
        assert batch.knows(slice(None), np.full(len(rows), number), asked).tolist() == known.tolist()


def test_nobody_is_never_known() -> None:
    """Unused places hold -1, which no plan may name."""
    batch = market(villager(), villager(debt_to=1))
    assert not batch.knows(np.arange(2), np.array([-1, -1]), ("people", "debt_to")).any()


def test_sources_are_lists_entries_and_ids() -> None:
    """A list, an entry with an id, a single id and the agent itself are sources; anything else is told."""
    assert sources_of(Villager.layout) == ["self", "people", "debt_to"]
    assert sources_of(Forager.layout) == ["self", "guide", "bushes", "guide.id"]
    with pytest.raises(ContractError, match="Forager has no ids under 'others'; it has self, guide, bushes"):
        foragers(forager()).targets("others")
