"""The base of action kinds in the simulation: their steps, legality and effects, for many agents at once.

A kind subclasses `Action` (it takes a fixed time and then has its effect) or `Walk` (it continues until it arrives).
The executor calls, for all agents whose current step is of that kind:

    refusals   read only: the reason why each agent may not act now (`Refused`); called when a step starts and again
               before its effect
    start      when the step starts: writes to the actor's own row only
    apply      when its time is over: writes to the actor's own row, or through the turn (`harm`, `mend`, smoke, and
               `turn.afflictions`)

All of them read the state at the start of the execution phase and leave conflicts to the turn, which resolves all of
them at the end of the phase. So the order in which kinds and agents are visited cannot matter. For the same reason, no
kind may read values of other agents that kinds write in this phase: rounds, kit, stamina, morale, guard, cooldowns,
progress.

Rows are agents, ascending; `args` is `[ARGS_MAX, m] int32`, one column per agent.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ai.actions import NONE, on
from scenarios.tactics.components import (
    COOLDOWN_GROUPS,
    Ammo,
    Condition,
    Cooldowns,
    Kit,
    Morale,
    Position,
    Stamina,
    Team,
)
from scenarios.tactics.conditions import Afflictions
from scenarios.tactics.grid import LINE_MAX, Cells, Grid, Occupancy
from scenarios.tactics.terrain_edits import Reshaping
from sim.engine.rng import Rng
from sim.run import actions
from sim.run.actions import Args, Codes, Rows
from sim.space import UNREACHABLE

if TYPE_CHECKING:
    from scenarios.tactics.game import Game

NEVER: Final = np.int32(2**31 - 1)
"""The score of a step that cannot be taken."""
NEIGHBOURS: Final = np.arange(4, dtype=np.int32)[:, None]
"""The positions of neighbours, in the order N, W, E, S."""
UNKNOWN: Final = -2
"""A note that has not been computed yet in a turn."""


class Refused(IntEnum):
    """The reasons why a step may not run now; stored in `Progress.refusal`."""

    NO = 0
    TARGET_GONE = 1
    NOT_HOSTILE = 2
    OUT_OF_RANGE = 3
    NO_SIGHT = 4
    NO_AMMO = 5
    NO_ITEM = 6
    NO_STAMINA = 7
    NOTHING_TO_DO = 8
    UNREACHABLE = 9
    NO_COVER = 10
    BLOCKED = 11
    DOWN = 12
    NO_RESERVES = 13
    UNUSABLE = 14
    FULL = 15
    NO_BUDGET = 16


def ticks_of_ms(ms: NDArray[np.int32], ticks_per_second: int) -> NDArray[np.int64]:
    """Return the ticks that some milliseconds take, rounded up, at least one."""
    return np.maximum(-(-ms.astype(np.int64) * ticks_per_second // 1000), 1)


def ticks_of_s(seconds: float, ticks_per_second: int) -> int:
    """Return the ticks that a constant number of seconds takes, rounded up from milliseconds, at least one."""
    return max(-(-round(seconds * 1000) * ticks_per_second // 1000), 1)


class Aims(NamedTuple):
    """The targets of agents' current steps, one entry per agent of the world; computed together for all of them.

    `key` is the target's key (`NONE`: the agent does not aim). `code` is a reason to refuse the target at any reach
    (gone, a friend, hidden).
    """

    key: NDArray[np.int32]
    code: Codes
    distance2: NDArray[np.int32]


@dataclass(slots=True)
class Turn(actions.Turn):
    """One execution phase: the state that actions read, and the effects that are resolved after all actions."""

    occupancy: Occupancy = field(kw_only=True)
    harmed: list[tuple[Rows, NDArray[np.int32]]] = field(default_factory=list)
    mended: list[tuple[Rows, NDArray[np.int32]]] = field(default_factory=list)
    walks: list[tuple[Rows, Cells]] = field(default_factory=list)
    clouds: list[Cells] = field(default_factory=list)
    laid: list[tuple[Rows, NDArray[np.int32], Cells]] = field(default_factory=list)
    reshaped: list[Reshaping] = field(default_factory=list)
    uses: list[tuple[Rows, NDArray[np.int32]]] = field(default_factory=list)
    rewritten: list[tuple[Rows, int, NDArray[np.int32]]] = field(default_factory=list)
    calls: list[tuple[Rows, NDArray[np.int32]]] = field(default_factory=list)
    aims: Aims | None = None
    afflictions: Afflictions = field(init=False)
    stored: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    stage: Game = field(init=False)
    grid: Grid = field(init=False)
    rng: Rng = field(init=False)
    ticks_per_second: int = field(init=False)
    position: Position = field(init=False)
    team: NDArray[np.int8] = field(init=False)

    def __post_init__(self) -> None:
        """Prepare the data that nearly every verb reads."""
        actions.Turn.__post_init__(self)  # `super()` does not work in a class with slots
        self.stage = self.run.game
        self.grid, self.rng, self.ticks_per_second = self.stage.grid, self.stage.rng, self.stage.ticks_per_second
        self.position, self.team = self.world[Position], self.world[Team].id
        self.afflictions = Afflictions(self.world, self.tick)

    def cells(self, rows: Rows) -> Cells:
        """Return the cells of agents."""
        return self.occupancy.cells[rows]

    def note(self, name: str) -> NDArray[np.int64]:
        """Return the notes of a kind under a name of its own, one number per row, `UNKNOWN` at first.

        A kind uses notes for values that `refusals` and `start` both need, so that it computes them only once.
        """
        if name not in self.stored:
            self.stored[name] = np.full(self.world.n, UNKNOWN, np.int64)
        return self.stored[name]

    def distance2(self, rows: Rows, others: Rows) -> NDArray[np.int32]:
        """Return squared distances between agents, pair by pair; those on the largest map still fit 32 bits."""
        x, y = self.position.x, self.position.y
        dx, dy = x[rows] - x[others], y[rows] - y[others]
        return dx * dx + dy * dy

    def ready_at(self, group: str) -> NDArray[np.int32]:
        """Return the tick from which each agent may use a cooldown group again. Reads only; `cool` writes."""
        ready: NDArray[np.int32] = self.world[Cooldowns].ready_at[COOLDOWN_GROUPS.index(group)]
        return ready

    def cool(self, rows: Rows, group: str, ticks: Any) -> None:
        """Start a group's cooldown for some agents, for a number of ticks: one for all, or one per agent."""
        cooldowns, place = self.world[Cooldowns], COOLDOWN_GROUPS.index(group)
        cooldowns.groups[rows] = np.maximum(cooldowns.groups[rows], np.int8(place + 1))
        cooldowns.ready_at[place][rows] = self.tick + ticks

    def harm(self, rows: Rows, amounts: NDArray[np.int32]) -> None:
        """Take hit points from agents when the phase is resolved; harm from several sources adds up."""
        self.harmed.append((rows, amounts))

    def mend(self, rows: Rows, amounts: NDArray[np.int32]) -> None:
        """Give hit points to agents when the phase is resolved, up to their maximum."""
        self.mended.append((rows, amounts))

    def rewrite(self, rows: Rows, place: int, values: NDArray[np.int32]) -> None:
        """Write an argument of agents' current steps at the end of the phase, and count their tries from 0 again."""
        self.rewritten.append((rows, place, values))

    def deliver(self, rows: Rows, units: NDArray[np.int64]) -> None:
        """Count units as delivered by the agents' teams."""
        objectives = self.stage.objectives
        np.add.at(objectives.delivered, self.team[rows], units.astype(np.int32))
        objectives.stamp += 1

    def call(self, rows: Rows, counts: NDArray[np.int32]) -> None:
        """Ask for agents from the pools of the callers' teams."""
        self.calls.append((rows, counts))

    def walk(self, rows: Rows, cells: Cells) -> None:
        """Ask for a step onto neighbouring cells; -1 means that the agent found no free cell to step on."""
        self.walks.append((rows, cells))

    def around(self, rows: Rows) -> Cells:
        """Return the cells around agents, `[4, m]` in the order N, W, E, S."""
        return self.cells(rows) + self.grid.neighbours[:, None]

    def descend(self, around: Cells, scores: NDArray[np.int32], now: NDArray[np.int32] | int) -> Cells:
        """Return each agent's free neighbouring cell with the lowest score below `now`; -1 if there is none.

        `around` and `scores` are `[4, m]` in the order N, W, E, S, which breaks ties. Scores below `now` must be below
        `2**29`, and the method overwrites the arrays. A cell is free if it is not a wall and was empty at the start of
        the phase.
        """
        shut = scores >= now
        shut |= self.occupancy.closed[around]
        scores <<= 2
        scores += NEIGHBOURS
        scores[shut] = NEVER
        best = np.minimum.reduce(scores, axis=0)
        wanted: Cells = around[0] + self.grid.from_north[best & 3]
        stuck = best == NEVER
        if np.count_nonzero(stuck):
            wanted[stuck] = -1
        return wanted

    def toward(self, rows: Rows, x: NDArray[np.int32], y: NDArray[np.int32], *, away: bool = False) -> Cells:
        """Return the free neighbour nearest to a cell (or farthest, `away`) by squared distance; -1 if none."""
        dx, dy = self.position.x[rows] - x, self.position.y[rows] - y
        # One more cell along d increases its square by 2 * d + 1: nearer if d < 0, farther if d >= 0.
        along = np.concatenate([dy, dx, -dx, -dy] if away else [-dy, -dx, dx, dy]).reshape(4, -1)
        return self.descend(self.around(rows), along, 1 if away else 0)

    def along(self, rows: Rows, goals: Cells) -> Cells:
        """Return the free neighbour that is nearest to each agent's goal on foot; -1 if none is nearer."""
        around, here = self.around(rows), self.cells(rows)
        if _all_same(goals):
            distance = self.grid.field(int(goals[0]))
            return self.descend(around, distance[around], distance[here])
        found = np.full(len(rows), -1, np.int64)
        for goal in np.unique(goals).tolist():
            members, distance = (goals == goal).nonzero()[0], self.grid.field(goal)
            beside = around[:, members]
            found[members] = self.descend(beside, distance[beside], distance[here[members]])
        return found

    def steps_to(self, rows: Rows, goals: Cells) -> NDArray[np.int32]:
        """Return the walking distance from agents to their goals; `UNREACHABLE` if there is no path."""
        here = self.cells(rows)
        if _all_same(goals):
            return self.grid.field(int(goals[0]))[here]
        found = np.full(len(rows), UNREACHABLE, np.int32)
        for goal in np.unique(goals).tolist():
            members = (goals == goal).nonzero()[0]
            found[members] = self.grid.field(goal)[here[members]]
        return found


def _all_same(goals: Cells) -> bool:
    """Return whether all walk to one goal, which is the most common case."""
    return len(goals) > 0 and not np.count_nonzero(goals != goals[0])


class Action(actions.Action):
    """A verb of the game. It takes a fixed time and then has its effect, unless it is a `Walk`.

    `category` names its file, `group` the cooldown that it shares (`scenarios.tactics.components.COOLDOWN_GROUPS`).
    `cooldown_s` is the length of the cooldown, which starts at the effect. `duration_s` is the duration of the step;
    the effect comes at its end.
    """

    category: ClassVar[str] = "utility"
    reasons: ClassVar[tuple[str, ...]] = tuple(reason.name.lower() for reason in Refused if reason)

    @classmethod
    def named(cls, turn: Turn, raw: Args) -> Args:
        """Return the arguments by index: `args[0]` is the first one declared."""
        return raw

    @classmethod
    def duration_ticks(cls, turn: Turn, rows: Rows, args: Args) -> Any:
        """Return the number of ticks that the step takes."""
        return cls.ticks(turn, args)

    @classmethod
    def ticks(cls, turn: Turn, args: Args) -> Any:
        """Return the number of ticks that the step takes, one for all or one per agent, at least 1."""
        return turn.seconds(cls.duration_s)

    @classmethod
    def cooldown(cls, turn: Turn, args: Args) -> Any:
        """Return the ticks of its group's cooldown from the effect on, one number for all or one per agent."""
        return turn.seconds(cls.cooldown_s)

    @classmethod
    def refusals(cls, turn: Turn, rows: Rows, args: Args) -> Codes:
        """Return the reason why each agent may not do it now, `[m] int8` of `Refused`. This must only read."""
        return np.zeros(len(rows), np.int8)

    @classmethod
    def start(cls, turn: Turn, rows: Rows, args: Args) -> None:
        """Apply the start of the step; most kinds do nothing."""

    @classmethod
    def apply(cls, turn: Turn, rows: Rows, args: Args) -> None:
        """Apply the effect of the step."""
        raise NotImplementedError(cls.__name__)


class Walk(Action):
    """An action kind that moves its agent cell by cell until it arrives and then has its effect, if any.

    `cells_per_second` sets the pace. If an agent finds no free cell `TRIES_MAX` times in a row, it is refused as
    blocked.
    """

    category: ClassVar[str] = "movement"
    cells_per_second: ClassVar[int] = 5
    timed: ClassVar[bool] = False

    @classmethod
    def advance(cls, turn: Turn, rows: Rows, args: Args) -> NDArray[np.bool_]:
        """Ask for the next cell for each agent that is due; return which agents have arrived."""
        there = cls.arrived(turn, rows, args)
        period = cls.period(turn, rows, args)
        slow = _slow(turn, rows)
        if np.count_nonzero(slow):
            period = period * (1 + slow)
        since = turn.tick - turn.progress.started_at[rows]
        since %= period
        due = since == period - 1
        due &= ~there
        on = due.nonzero()[0]
        if len(on):
            walkers = rows[on]
            turn.walk(walkers, cls.onward(turn, walkers, args.take(on, axis=1)))
        return there

    @classmethod
    def period(cls, turn: Turn, rows: Rows, args: Args) -> Any:
        """Return the ticks between two cells, one number for all or one per agent."""
        return period_of(cls.cells_per_second, turn.ticks_per_second)

    @classmethod
    def arrived(cls, turn: Turn, rows: Rows, args: Args) -> NDArray[np.bool_]:
        """Return which agents have arrived (or have lost their target), `[m]`.

        This must only read, except that a kind may record the progress of its agents in their own steps.
        """
        raise NotImplementedError(cls.__name__)

    @classmethod
    def onward(cls, turn: Turn, rows: Rows, args: Args) -> Cells:
        """Return the cell that each agent wants next: its own to stay, -1 if it finds none. Must only read."""
        raise NotImplementedError(cls.__name__)

    @classmethod
    def apply(cls, turn: Turn, rows: Rows, args: Args) -> None:
        """Apply the effect of arriving; most walks have none."""


def _slow(turn: Turn, rows: Rows) -> NDArray[np.bool_]:
    """Return which agents walk at half the pace, `[m]`: the suppressed, and the unbroken with low morale."""
    morale = turn.world[Morale]
    slow: NDArray[np.bool_] = morale.value[rows] < turn.stage.parameters.morale.slow_below
    if np.count_nonzero(slow):
        slow &= ~morale.broken[rows]
    if turn.afflictions.holds(Condition.SUPPRESSED):
        slow |= turn.afflictions.under(Condition.SUPPRESSED, rows)
    return slow


class Lob(Action):
    """An action that throws an item of `Kit` at a cell in reach and sight; `item` names it."""

    x: int = on("bounds", axis="x")
    y: int = on("bounds", axis="y")
    group: ClassVar[str] = "throw"
    cooldown_s: ClassVar[float] = 8.0
    item: ClassVar[str] = ""

    @classmethod
    def refusals(cls, turn: Turn, rows: Rows, args: Args) -> Codes:
        """Refuse agents without the item, and cells too far away or out of sight."""
        far, hidden = aimed_at(turn, rows, args, THROW_CELLS * THROW_CELLS)
        return first_of(
            (lacks(turn, rows, cls.item), Refused.NO_ITEM), (far, Refused.OUT_OF_RANGE), (hidden, Refused.NO_SIGHT)
        )


THROW_CELLS: Final = 8
"""The distance that a thing can be thrown, cells."""
TRIES_MAX: Final = 8
"""Steps in a row that a walking agent may fail to take before its plan is refused as blocked."""


def period_of(cells_per_second: int, ticks_per_second: int) -> int:
    """Return the ticks between two cells at a pace, rounded up, at least 1."""
    return max(-(-ticks_per_second // cells_per_second), 1)


def first_of(*checks: tuple[NDArray[np.bool_], Refused]) -> Codes:
    """Return the code of the first check that fails for each agent, `Refused.NO` if none does."""
    found = np.zeros(len(checks[0][0]), np.int8)
    for failed, code in reversed(checks):
        if np.count_nonzero(failed):
            found[failed] = code.value
    return found


def target_refusals(turn: Turn, rows: Rows, keys: NDArray[np.int32], reach2: Any, *, hostile: bool = True) -> Codes:
    """Judge a target: is it alive, an enemy (or a friend), near enough and in sight?"""
    return judged_targets(turn, rows, keys, reach2, hostile=hostile)[0]


def judged_targets(
    turn: Turn, rows: Rows, keys: NDArray[np.int32], reach2: Any, *, hostile: bool = True
) -> tuple[Codes, NDArray[np.int32]]:
    """Judge targets as `target_refusals` does; return the codes and squared distances (undefined for the gone)."""
    aims = turn.aims
    if aims is None or not hostile or np.count_nonzero(aims.key[rows] != keys):
        return _judged(turn, rows, keys, reach2, hostile=hostile)
    codes, distance2 = aims.code[rows], aims.distance2[rows]
    far = distance2 > reach2
    if np.count_nonzero(far):
        far &= (codes == Refused.NO.value) | (codes == Refused.NO_SIGHT.value)
        codes[far] = Refused.OUT_OF_RANGE.value
    return codes, distance2


def aims_of(turn: Turn, rows: Rows, keys: NDArray[np.int32]) -> Aims:
    """Judge the enemies that agents aim at, as far as sight lines reach."""
    n = turn.world.n
    aims = Aims(np.full(n, NONE, np.int32), np.zeros(n, np.int8), np.zeros(n, np.int32))
    aims.key[rows] = keys
    aims.code[rows], aims.distance2[rows] = _judged(turn, rows, keys, LINE_MAX * LINE_MAX, hostile=True)
    return aims


def _judged(
    turn: Turn, rows: Rows, keys: NDArray[np.int32], reach2: Any, *, hostile: bool
) -> tuple[Codes, NDArray[np.int32]]:
    others = turn.target_rows(keys)
    # The row of a target that is gone is -1 and reads another agent's columns; those values are ignored.
    gone = others < 0
    mine, theirs = turn.team[rows], turn.team[others]
    wrong_side = mine == theirs if hostile else mine != theirs
    distance2 = turn.distance2(rows, others)
    far = distance2 > reach2
    if np.count_nonzero(gone | far):
        hidden = np.zeros(len(rows), np.bool_)
        look = (~(gone | far)).nonzero()[0]
        hidden[look] = ~turn.grid.sees(turn.cells(rows[look]), turn.cells(others[look]))
    else:
        hidden = ~turn.grid.sees(turn.cells(rows), turn.cells(others))
    codes = first_of(
        (gone, Refused.TARGET_GONE),
        (wrong_side, Refused.NOT_HOSTILE),
        (far, Refused.OUT_OF_RANGE),
        (hidden, Refused.NO_SIGHT),
    )
    return codes, distance2


def aimed_at(turn: Turn, rows: Rows, args: Args, reach2: Any) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Judge a cell (the first two arguments): is it too far away, and is it a wall or out of sight?"""
    dx = args[0].astype(np.int64) - turn.position.x[rows]
    dy = args[1].astype(np.int64) - turn.position.y[rows]
    far: NDArray[np.bool_] = dx * dx + dy * dy > reach2
    target = turn.grid.cell(args[0], args[1])
    hidden = np.zeros(len(rows), np.bool_)
    look = (~far).nonzero()[0]
    hidden[look] = turn.grid.wall[target[look]] | ~turn.grid.sees(turn.cells(rows[look]), target[look])
    return far, hidden


def lacks(turn: Turn, rows: Rows, item: str) -> NDArray[np.bool_]:
    """Return which agents have none of an item of `Kit`."""
    held: NDArray[np.int16] = getattr(turn.world[Kit], item)
    return held[rows] <= 0


def no_rounds(turn: Turn, rows: Rows, rounds: int) -> NDArray[np.bool_]:
    """Return which agents have too few rounds in the weapon."""
    return turn.world[Ammo].rounds[rows] < rounds


def tired(turn: Turn, rows: Rows, stamina: int) -> NDArray[np.bool_]:
    """Return which agents have too little stamina for something."""
    return turn.world[Stamina].value[rows] < stamina
