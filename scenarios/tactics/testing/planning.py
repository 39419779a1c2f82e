"""Hypothesis strategies for planning in the game: the knowledge of agents.

Values shrink to small ids, the first cell and short texts, so that a failure reads like an example.
"""

from __future__ import annotations

from typing import Any, Final

from hypothesis import strategies as st

from ai.actions import ToolRegistry, nested
from ai.strategies import KEYS, inside, plans, steps
from scenarios.tactics.snapshot import Role, WorldSnapshot

__all__ = ["MAP_HEIGHT", "MAP_WIDTH", "batches", "inside", "nested", "plans", "snapshots", "steps"]

MAP_WIDTH: Final = 16
MAP_HEIGHT: Final = 12
"""The size of the map of drawn snapshots, cells."""
ITEMS: Final = ("rope", "ore")
GROUPS: Final = ("attack", "throw")
"""Holdings and cooldowns of agents, independent of the registry."""


def places() -> st.SearchStrategy[dict[str, int]]:
    """Draw a cell of the small map."""
    return st.fixed_dictionaries({"x": st.integers(0, MAP_WIDTH - 1), "y": st.integers(0, MAP_HEIGHT - 1)})


def _others(upto: int) -> st.SearchStrategy[list[dict[str, Any]]]:
    other = st.fixed_dictionaries({"id": KEYS, "pos": places(), "hp": st.integers(0, 100)})
    return st.lists(other, max_size=upto, unique_by=lambda o: o["id"])


def snapshots(registry: ToolRegistry | None = None) -> st.SearchStrategy[WorldSnapshot]:
    """Draw the knowledge of one agent: few others, small numbers; the simplest is an agent alone at cell 0,0.

    With a registry, agents also hold the items that its kinds name and wait for the cooldowns that they share.
    """
    specs = () if registry is None else registry.specs
    named = {name for spec in specs for arg in spec.args if arg.sources == ("items",) for name in arg.choices}
    groups = {group for spec in specs if (group := getattr(spec.action, "group", ""))}
    items, waits = sorted({*ITEMS, *named}), sorted({*GROUPS, *groups})
    me: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
        {"pos": places()},
        optional={
            "hp": st.integers(0, 100),
            "ammo": st.integers(0, 3),
            "reserve": st.integers(0, 3),
            "morale": st.integers(0, 100),
            "medkits": st.integers(0, 1),
            "smokes": st.integers(0, 1),
            "explosives": st.integers(0, 1),
            "squad": st.integers(0, 2),
            "role": st.sampled_from(list(map(str, Role))),
            "holdings": st.dictionaries(st.sampled_from(items), st.integers(1, 3)),
            "cooldowns": st.dictionaries(st.sampled_from(waits), st.sampled_from([0, 0.5, 3])),
        },
    )  # fmt: skip
    poi = st.fixed_dictionaries({"k": st.just("gate"), "pos": places()})
    thing = st.fixed_dictionaries({"id": KEYS, "kind": st.sampled_from(["door", "crate"]), "pos": places()})
    leader = st.fixed_dictionaries({"id": KEYS, "pos": places()})
    fields: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
        {"me": me, "bounds": st.just({"width": MAP_WIDTH, "height": MAP_HEIGHT})},
        optional={
            "enemies": _others(3),
            "allies": _others(2),
            "pois": st.lists(poi, max_size=1),
            "objects": st.lists(thing, max_size=2, unique_by=lambda o: o["id"]),
            "player": leader,
            "objective": st.sampled_from(["", "hold", "Extract the crate", "reach the gate"]),
            "orders": st.lists(st.sampled_from(["hold", "follow"]), max_size=1),
        },
    )
    return fields.map(WorldSnapshot.model_validate)


def batches(
    registry: ToolRegistry | None = None, *, upto: int = 5
) -> st.SearchStrategy[list[tuple[int, WorldSnapshot]]]:
    """Draw some different agents with their knowledge, in any order, in the form for `plan_batch_with_fallback`."""
    pair = st.tuples(KEYS, snapshots(registry))
    return st.lists(pair, max_size=upto, unique_by=lambda p: p[0])
