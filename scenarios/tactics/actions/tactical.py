"""Tactics: verbs for a squad's teamwork. Cooldowns are AstraWeave's (`tool_vocabulary.rs`), durations ours."""

from __future__ import annotations

from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from ai.actions import known, number, on, seconds
from ai.observation import Cell
from scenarios.tactics.actions.base import (
    Action,
    Refused,
    Turn,
    Walk,
    first_of,
    target_refusals,
    ticks_of_ms,
)
from scenarios.tactics.actions.utility import PROVOKE_CELLS, minding
from scenarios.tactics.components import Condition, Health, Morale, Senses, Squad
from scenarios.tactics.grid import Cells
from scenarios.tactics.reinforcements import reserves_of
from sim.run.actions import Args, Codes, Rows
from sim.space import UNREACHABLE

MARK_S: Final = 10.0
"""The time that a mark lasts, seconds."""
FOCUS_S: Final = 8.0
"""The time that a squad's attack stays coordinated, seconds."""
AMBUSH_S: Final = 30.0
"""The time that an ambush lasts, seconds."""
DISTRACT_S: Final = 4.0
"""The time that a distraction draws attention, seconds."""
RALLY_CELLS: Final = 3
"""The greatest distance from the rally point at which agents count as gathered, cells along each axis."""
RALLY_S: Final = 10.0
"""The time that an agent waits there for the others, seconds."""
RALLY_MORALE: Final = 10
"""The morale that each agent gains when its squad has gathered."""


class _InSight(Action):
    """An action on a visible enemy, regardless of the weapon's reach."""

    target_id: int = known("enemies")
    category: ClassVar[str] = "tactical"
    group: ClassVar[str] = "command"

    @classmethod
    def refusals(cls, turn: Turn, rows: Rows, args: Args) -> Codes:
        """Refuse targets that are gone, friends, or out of sight."""
        return target_refusals(turn, rows, args[0], turn.world[Senses].sight[rows].astype(np.int64) ** 2)


class MarkTarget(_InSight):
    """Mark a visible enemy: for ten seconds your team within 16 cells knows its position and hits it more often."""

    keep: ClassVar[int] = 1
    cooldown_s: ClassVar[float] = 5.0

    @classmethod
    def apply(cls, turn: Turn, rows: Rows, args: Args) -> None:
        """Mark the target for the agent's team."""
        turn.afflictions.mark(rows, turn.target_rows(args[0]), turn.seconds(MARK_S))


class CoordinateAttack(_InSight):
    """Focus your squad's attack on a visible enemy: the squad hits it more often for eight seconds."""

    first_tier: ClassVar[bool] = False
    cooldown_s: ClassVar[float] = 15.0

    @classmethod
    def apply(cls, turn: Turn, rows: Rows, args: Args) -> None:
        """Make the target the squad's focus."""
        turn.afflictions.focus(rows, turn.target_rows(args[0]), turn.seconds(FOCUS_S))


class Distract(Action):
    """Make a noise: a visible enemy within eight cells plans again, and for 4 s heeds those near your cell first."""

    keep: ClassVar[int] = 1
    target_id: int = known("enemies")
    category: ClassVar[str] = "tactical"
    group: ClassVar[str] = "provoke"
    cooldown_s: ClassVar[float] = 8.0

    @classmethod
    def refusals(cls, turn: Turn, rows: Rows, args: Args) -> Codes:
        """Refuse targets that are gone, friends, too far away, hidden, or down."""
        return minding(turn, rows, args, PROVOKE_CELLS * PROVOKE_CELLS)

    @classmethod
    def apply(cls, turn: Turn, rows: Rows, args: Args) -> None:
        """Draw the target's attention to the agent's cell."""
        turn.afflictions.distract(rows, turn.target_rows(args[0]), turn.seconds(DISTRACT_S))


class RequestCover(Action):
    """Ask your squad for covering fire for some seconds; its members see the request."""

    first_tier: ClassVar[bool] = False
    duration: float = seconds(0.1, 10, default=5.0)
    category: ClassVar[str] = "tactical"
    group: ClassVar[str] = "command"
    cooldown_s: ClassVar[float] = 10.0

    @classmethod
    def refusals(cls, turn: Turn, rows: Rows, args: Args) -> Codes:
        """Refuse the last member of a squad."""
        squad = turn.world[Squad].id
        return first_of((np.bincount(squad)[squad[rows]] < 2, Refused.NOTHING_TO_DO))

    @classmethod
    def apply(cls, turn: Turn, rows: Rows, args: Args) -> None:
        """Ask from the next tick on."""
        turn.afflictions.impose(Condition.CALLING, rows, ticks_of_ms(args[0], turn.ticks_per_second))


class CallReinforcements(Action):
    """Call a number of agents from your team's reserves; they join your squad at the team's edge of the map."""

    first_tier: ClassVar[bool] = False
    count: int = number(1, 100)
    category: ClassVar[str] = "tactical"
    group: ClassVar[str] = "reinforce"
    cooldown_s: ClassVar[float] = 60.0
    cost: ClassVar[str] = "the team's reserves"

    @classmethod
    def refusals(cls, turn: Turn, rows: Rows, args: Args) -> Codes:
        """Refuse agents of teams without reserves."""
        return first_of((reserves_of(turn.world).left[turn.team[rows]] <= 0, Refused.NO_RESERVES))

    @classmethod
    def apply(cls, turn: Turn, rows: Rows, args: Args) -> None:
        """Call agents; the number that comes is limited by the reserves and by free cells."""
        turn.call(rows, args[0])


class SetAmbush(Walk):
    """Go to a cell of cover and lie in wait: until you move, your next attack is more accurate and 50 % stronger."""

    first_tier: ClassVar[bool] = False
    position: Cell = on("bounds")
    category: ClassVar[str] = "tactical"
    group: ClassVar[str] = "ambush"
    cooldown_s: ClassVar[float] = 20.0

    @classmethod
    def refusals(cls, turn: Turn, rows: Rows, args: Args) -> Codes:
        """Refuse cells that are not cover or cannot be reached on foot."""
        goals = turn.grid.cell(args[0], args[1])
        far = turn.steps_to(rows, goals) == UNREACHABLE
        return first_of((far, Refused.UNREACHABLE), (~turn.grid.cover[goals], Refused.NO_COVER))

    @classmethod
    def arrived(cls, turn: Turn, rows: Rows, args: Args) -> NDArray[np.bool_]:
        """Return which agents stand on the cell."""
        there: NDArray[np.bool_] = turn.cells(rows) == turn.grid.cell(args[0], args[1])
        return there

    @classmethod
    def onward(cls, turn: Turn, rows: Rows, args: Args) -> Cells:
        """Return the free neighbour nearest to the cell on foot."""
        return turn.along(rows, turn.grid.cell(args[0], args[1]))

    @classmethod
    def apply(cls, turn: Turn, rows: Rows, args: Args) -> None:
        """Lie in wait."""
        turn.afflictions.impose(Condition.AMBUSH, rows, turn.seconds(AMBUSH_S))


class Regroup(Walk):
    """Go to a rally point until your squad is together there, for ten seconds at most: 10 morale."""

    first_tier: ClassVar[bool] = False
    rally_point: Cell = on("bounds")
    category: ClassVar[str] = "tactical"
    group: ClassVar[str] = "command"
    cooldown_s: ClassVar[float] = 10.0

    @classmethod
    def refusals(cls, turn: Turn, rows: Rows, args: Args) -> Codes:
        """Refuse points that cannot be reached on foot."""
        far = turn.steps_to(rows, turn.grid.cell(args[0], args[1])) == UNREACHABLE
        return first_of((far, Refused.UNREACHABLE))

    @classmethod
    def arrived(cls, turn: Turn, rows: Rows, args: Args) -> NDArray[np.bool_]:
        """Return which agents have their squad together, or have waited too long."""
        patience = turn.progress.started_at[rows] + turn.seconds(RALLY_S) <= turn.tick
        return cls._together(turn, rows, args) | patience

    @classmethod
    def onward(cls, turn: Turn, rows: Rows, args: Args) -> Cells:
        """Return the free neighbour nearest to the point on foot; agents near the point stay."""
        near = (np.abs(turn.position.x[rows] - args[0]) <= RALLY_CELLS) & (
            np.abs(turn.position.y[rows] - args[1]) <= RALLY_CELLS
        )
        return np.where(near, turn.cells(rows), turn.along(rows, turn.grid.cell(args[0], args[1])))

    @classmethod
    def apply(cls, turn: Turn, rows: Rows, args: Args) -> None:
        """Raise morale if the squad is together."""
        heartened = rows[cls._together(turn, rows, args)]
        morale = turn.world[Morale].value
        morale[heartened] = np.minimum(morale[heartened] + RALLY_MORALE, 100)

    @classmethod
    def _together(cls, turn: Turn, rows: Rows, args: Args) -> NDArray[np.bool_]:
        """Return which agents have all squad members near the point, except those that are down."""
        squad, up = turn.world[Squad].id, (turn.world[Health].hp > 0).nonzero()[0]
        together = np.ones(len(rows), np.bool_)
        for axis, point in ((turn.position.x, args[0]), (turn.position.y, args[1])):
            for bound, farthest in ((np.maximum, -(2**30)), (np.minimum, 2**30)):
                end: NDArray[Any] = np.full(int(squad.max()) + 1, farthest, np.int64)
                bound.at(end, squad[up], axis[up])
                together &= np.abs(end[squad[rows]] - point) <= RALLY_CELLS
        return together


KINDS: Final[tuple[type[Action], ...]] = (
    CallReinforcements, CoordinateAttack, Distract, MarkTarget, Regroup, RequestCover, SetAmbush,
)  # fmt: skip
