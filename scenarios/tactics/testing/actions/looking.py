"""The checks of read-only methods: they must not write, and must judge agents independently of others' changes."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from scenarios.tactics.actions.base import (
    Refused,
    Walk,
)
from scenarios.tactics.components import Ammo, Arsenal, Cooldowns, Guard, Inventory, Kit, Morale, Progress, Stamina
from scenarios.tactics.testing.actions.arena import Arena
from scenarios.tactics.testing.actions.traces import asking, check_foreign, check_steps
from scenarios.tactics.testing.actions.verdict import fails_as, must
from sim.engine.columns import schema_of
from sim.engine.digest import state_digest
from sim.run.actions import Args, Rows

LEAST_TICKS: Final = {"ticks": 1, "period": 1, "cooldown": 0}
"""The methods that return times, and the least value of each."""
PRIVATE: Final = (Ammo, Arsenal, Cooldowns, Guard, Inventory, Kit, Morale, Progress, Stamina)
"""The columns that actions write for their own agents directly; so no action may read them of others."""


def check_looking(arena: Arena) -> int:
    """Check all read-only methods; return the number of agents for which the kind is legal."""
    kind, name, rows, args = arena.kind, arena.name, arena.rows, arena.args
    codes = looked(arena, rows, args, "refusals")
    known = {code.value for code in Refused}
    odd = sorted(set(codes.tolist()) - known)
    must(not odd, name, f"refuses with {odd[:1]}, which is not a reason of `Refused`")
    must(codes.tolist() == looked(arena, rows, args, "refusals").tolist(), name, "refuses differently when asked again")
    legal = (codes == Refused.NO.value).nonzero()[0]
    looks = ("period", "arrived", "onward") if issubclass(kind, Walk) else ("ticks",)
    for look in ("refusals", *looks, *(("cooldown",) if kind.group else ())):
        asked = np.arange(len(rows)) if look == "refusals" else legal
        if not len(asked):
            continue
        together = looked(arena, rows[asked], args[:, asked], look)
        alone = [looked(arena, rows[[at]], args[:, [at]], look)[0] for at in asked]
        must(together.tolist() == alone, name, f"judges an agent by who else is asked, in `{look}`")
        if look in LEAST_TICKS:
            must(together.min() >= LEAST_TICKS[look], name, f"comes to {together.min()} ticks, in `{look}`")
        if look == "onward":
            check_steps(arena, rows[asked], together)
        _check_private(arena, asked, together, look)
    return len(legal)


def _check_private(arena: Arena, asked: NDArray[np.intp], answers: NDArray[Any], look: str) -> None:
    """Check that the judgement of agents does not depend on columns that other agents' actions may write in the phase.

    Half of the agents are judged again with these columns of all others reversed, then the other half.
    """
    world, before = arena.world, arena.world.snapshot()
    for half in (slice(0, None, 2), slice(1, None, 2)):
        rows, args = arena.rows[asked[half]], arena.args[:, asked[half]]
        others = np.setdiff1d(np.arange(world.n), rows)
        for component in PRIVATE:
            for spec in schema_of(component).columns:
                column = getattr(world[component], spec.name)
                column[..., others] = column[..., others[::-1]]
        if len(rows):
            again = looked(arena, rows, args, look)
            must(
                again.tolist() == answers[half].tolist(),
                arena.name,
                f"reads of another agent what its actions may write in the same phase, in `{look}`",
            )
        world.restore(before)


def looked(arena: Arena, rows: Rows, args: Args, look: str) -> NDArray[Any]:
    """Call a read-only method in a new turn, and check that nothing was written.

    If a method returns one number for all agents, the result has that number for each.
    """
    kind, name, world, turn = arena.kind, arena.name, arena.world, arena.turn()
    before, state, draws = state_digest(world), world.snapshot(), dict(arena.simulation.run_context.game.rng.counts)
    given = args.copy()
    with fails_as(name, look):
        found = np.asarray(getattr(kind, look)(turn, *((args,) if look in ("ticks", "cooldown") else (rows, args))))
    if look in LEAST_TICKS:
        found = np.broadcast_to(found, rows.shape)
    must(found.shape == rows.shape, name, f"answers {found.shape} to {rows.shape} agents in `{look}`")
    if look == "arrived" and not world.pending:
        # A walk may record its progress in its own step.
        check_foreign(arena, state, rows)
        world.restore(state)
        args[:] = given
        turn.rewritten.clear()
    unwritten = state_digest(world) == before and np.array_equal(args, given) and not world.pending
    unasked = not (asking(turn) or turn.clouds or turn.reshaped or len(turn.afflictions.touched))
    must(unwritten and unasked, name, f"writes where it may only look, in `{look}`")
    must(
        arena.simulation.run_context.game.rng.counts == draws,
        name,
        f"draws random numbers where it may only look, in `{look}`",
    )
    return found
