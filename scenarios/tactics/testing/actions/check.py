"""The checker for action kinds: it runs small arenas full of agents in several ways that must not differ."""

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
"""The default number of arenas in which a kind is checked."""


def check_action(kind: type[Action], *, arenas: int = ARENAS, prepare: Prepare | None = None) -> None:
    """Check that an action kind keeps the rules of `scenarios.tactics.actions.base`.

    The kind must be legal for some agent, must not fail if it is legal, and must refuse with a reason. `refusals` and
    other methods that should only read must not write, must judge every agent independently, and must not read values
    of others that their actions may write in the same phase. Times must not be shorter than allowed. `begin` and
    `effect` must write only to their own rows and must not affect agents that are gone. No agent may go farther than
    one cell at once. The same moment must always give the same result. The order of kinds, agents and births must not
    matter. A kind must not create rounds, objects, agents, or hit points beyond the maximum.

    Args:
        kind: the kind to check; it replaces a shipped kind of the same name.
        arenas: the number of arenas to try.
        prepare: called with each arena before it is run.

    Raises:
        AssertionError: the kind breaks a rule; the message is a sentence that names it.
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
