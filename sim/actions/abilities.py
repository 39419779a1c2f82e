"""Abilities: what an archetype can do, as the scenario declares it (`sim.gear.AbilitySpec`)."""

from __future__ import annotations

from typing import Any, ClassVar, Final, Literal

import numpy as np
from numpy.typing import NDArray

from ai.actions import AbilityName
from sim.actions.base import Action, Args, Codes, Refused, Rows, Turn, first_of
from sim.actions.defensive import spread_smoke
from sim.components import MORALE_MAX, STAMINA_MAX, Condition, Guard, Morale, Squad, Stamina
from sim.gear import Effect
from sim.perception import Sightings, seen_within

DURATION_S: Final = 0.5
"""How long an ability takes before its effect, seconds."""


class _Ability(Action):
    """An action kind that uses an ability of the agent's archetype, which says what it costs and how long it rests."""

    duration_s: ClassVar[float] = DURATION_S
    defensive: ClassVar[bool] = False

    @classmethod
    def cooldown(cls, turn: Turn, args: Args) -> Any:
        """Return how long each agent's ability rests."""
        return turn.stage.gear.ability_rest[args[0]]

    @classmethod
    def refusals(cls, turn: Turn, rows: Rows, args: Args) -> Codes:
        """Refuse abilities that the agent has not, those of the other kind, and the exhausted."""
        gear, squad = turn.stage.gear, turn.world[Squad].id[rows]
        return first_of(
            (~gear.can[squad, args[0]], Refused.NO_ITEM),
            (gear.defensive[args[0]] != cls.defensive, Refused.UNUSABLE),
            (turn.world[Stamina].value[rows] < gear.ability_stamina[args[0]], Refused.NO_STAMINA),
        )

    @classmethod
    def effect(cls, turn: Turn, rows: Rows, args: Args) -> None:
        """Do what each agent's ability is for, at the cost of breath."""
        world, gear = turn.world, turn.stage.gear
        ability = args[0]
        stamina, morale = world[Stamina].value, world[Morale].value
        stamina[rows] -= gear.ability_stamina[ability].astype(np.int32)
        effect, ticks = gear.ability_effect[ability], gear.ability_ticks[ability]
        amount, cells = gear.ability_amount[ability].astype(np.int32), gear.ability_cells[ability].astype(np.int32)
        for kind in np.unique(effect).tolist():
            who = effect == kind
            users = rows[who]
            match Effect(kind):
                case Effect.SHIELD:
                    world[Guard].until[users] = np.maximum(world[Guard].until[users], turn.tick + 1 + ticks[who])
                case Effect.EVADE:
                    turn.afflictions.impose(Condition.DODGE, users, ticks[who])
                case Effect.STAMINA:
                    stamina[users] = np.minimum(stamina[users] + amount[who], STAMINA_MAX)
                case Effect.MORALE:
                    morale[users] = np.minimum(morale[users] + amount[who], MORALE_MAX)
                case Effect.SMOKE:
                    spread_smoke(turn, turn.cells(users))
                case Effect.MEND:
                    turn.mend(users, amount[who])
                    seen, place = cls._around(turn, users, cells[who], hostile=False)
                    turn.mend(seen.other, amount[who][place])
                case Effect.REVEAL:
                    seen, place = cls._around(turn, users, cells[who], hostile=True)
                    turn.afflictions.mark(seen.viewer, seen.other, ticks[who][place])

    @staticmethod
    def _around(
        turn: Turn, users: Rows, cells: NDArray[np.int32], *, hostile: bool
    ) -> tuple[Sightings, NDArray[np.intp]]:
        """Return the enemies or friends that users see so near, and for each pair the user's place."""
        seen = seen_within(turn.world, turn.grid, turn.occupancy, users, cells, hostile=hostile)
        return seen, np.searchsorted(users, seen.viewer)


class UseAbility(_Ability):
    """Use one of your abilities by its name."""

    act: Literal["UseAbility"] = "UseAbility"
    ability_name: AbilityName
    category: ClassVar[str] = "utility"
    group: ClassVar[str] = "ability"
    cooldown_s: ClassVar[float] = 10.0
    cost: ClassVar[str] = "what the ability costs"


class UseDefensiveAbility(_Ability):
    """Use one of your defensive abilities by its name."""

    act: Literal["UseDefensiveAbility"] = "UseDefensiveAbility"
    ability_name: AbilityName
    category: ClassVar[str] = "defensive"
    group: ClassVar[str] = "defence"
    cooldown_s: ClassVar[float] = 15.0
    cost: ClassVar[str] = "what the ability costs"
    defensive: ClassVar[bool] = True


KINDS: Final[tuple[type[Action], ...]] = (UseAbility, UseDefensiveAbility)
