"""The checker for action kinds: small arenas full of agents, played in several ways that must not differ."""

from __future__ import annotations

from typing import Final

from scenarios.tactics.actions import discover, registry_of
from scenarios.tactics.actions.base import Action
from scenarios.tactics.testing.actions.arena import Prepare, open_arena
from scenarios.tactics.testing.actions.doing import check_own_rows
from scenarios.tactics.testing.actions.looking import check_looking
from scenarios.tactics.testing.actions.playing import play
from scenarios.tactics.testing.actions.verdict import must

ARENAS: Final = 8
"""Arenas that a kind is checked in, unless told otherwise."""


def check_action(kind: type[Action], *, arenas: int = ARENAS, prepare: Prepare | None = None) -> None:
    """Check that an action kind keeps the rules of `scenarios.tactics.actions.base`.

    That is: it is legal for someone and does not fail where it says it is; it refuses with a reason; `refusals` and
    what else only looks reads only, judges every agent alone, and reads nothing of others that their actions may write
    in the same phase; times are no shorter than they may be; `begin` and `effect` write to their own rows only and do
    nothing to the gone; nobody goes farther than one cell at once; the same moment always comes to the same; the order
    in which kinds, agents and births come does not matter; and nothing comes out of nowhere: rounds, things, agents,
    hit points beyond the maximum.

    Args:
        kind: what to check; it takes the place of a shipped kind of the same name.
        arenas: how many arenas to try.
        prepare: called with each arena before it is played.

    Raises:
        AssertionError: a rule is broken; one sentence that says which.
        ContractError: the kind is malformed.
    """
    name = kind.__name__
    registry = registry_of([*(other for other in discover() if other.__name__ != name), kind])
    legal = 0
    for number in range(arenas):
        with open_arena(registry, name, number, prepare) as arena:
            legal += check_looking(arena)
            check_own_rows(arena)
            roots = play(arena)
            must(roots == play(arena), name, "comes out differently when the same moment is played again")
            must(
                roots == play(arena, one_by_one=True),
                name,
                "depends on the order in which kinds and agents are visited; read only what no action writes",
            )
        with open_arena(registry, name, number, prepare, births_reversed=True) as arena:
            must(roots == play(arena), name, "depends on the order in which agents were created; use keys")
    must(legal > 0, name, f"was refused to everyone in {arenas} arenas; `prepare` can bring in what it needs")
