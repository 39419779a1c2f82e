"""The checks of direct writes of an action: only its own rows may change."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scenarios.tactics.actions.base import Refused, Walk
from scenarios.tactics.testing.actions.arena import Arena
from scenarios.tactics.testing.actions.looking import looked
from scenarios.tactics.testing.actions.traces import check_asked, check_foreign
from scenarios.tactics.testing.actions.verdict import fails_as, must
from sim.engine.digest import state_digest


def check_own_rows(arena: Arena) -> None:
    """Check that the agents that may act, one half after the other, write to no other row."""
    codes = looked(arena, arena.rows, arena.args, "refusals")
    legal = (codes == Refused.NO.value).nonzero()[0]
    for picked in (legal[::2], legal[1::2]):
        if len(picked):
            _check_half(arena, picked)


def _check_half(arena: Arena, picked: NDArray[np.intp]) -> None:
    kind, name, world, turn = arena.kind, arena.name, arena.world, arena.turn()
    rows, args, before = arena.rows[picked], arena.args[:, picked].copy(), world.snapshot()
    resources = {resource: state_digest(world).components[resource] for resource in world.resources}
    with fails_as(name, "begin"):
        kind.start(turn, rows, args)
    if issubclass(kind, Walk):
        there = np.asarray(kind.arrived(turn, rows, args), np.bool_)
        rows, args = rows[there], args[:, there]
    if len(rows):
        with fails_as(name, "effect"):
            kind.apply(turn, rows, args)
    must(not world.pending, name, "changes who exists by itself; go through the turn")
    check_foreign(arena, before, arena.rows[picked])
    digest = state_digest(world).components
    for resource, hashed in resources.items():
        must(digest[resource] == hashed, name, f"changes {resource} at once; go through the turn")
    world.restore(before)
    check_asked(arena, turn)
