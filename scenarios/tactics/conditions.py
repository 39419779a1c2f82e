"""The effects of agents on each other except harm: conditions, marks, focus and attention, settled once per phase.

Actions read the conditions at the start of the execution phase and ask for changes. `Afflictions.settle` makes all of
them at its end, so the order in which kinds and agents are visited cannot matter. A condition lasts until the latest
tick that any agent asked for. The lowest key of the tick decides a mark, a focus or an attention, because an agent can
have only one of each. Lifting a condition takes precedence over all requests.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenarios.tactics.components import (
    Attention,
    Condition,
    Conditions,
    Control,
    Health,
    Position,
    Progress,
    Squad,
    Status,
    Team,
)
from sim.run.world import World

Rows = NDArray[np.intp]
Bools = NDArray[np.bool_]

_Asked = tuple[NDArray[Any], ...]
"""The rows that ask, the rows concerned, the tick at which the change ends, and further columns."""


class Afflictions:
    """The conditions of one execution phase: those that hold, and the requested changes."""

    def __init__(self, world: World, tick: int) -> None:
        self.world = world
        self.tick = tick
        self._holds: dict[Condition, bool] = {}
        self._imposed: list[tuple[Condition, Rows, NDArray[np.int64]]] = []
        self._lifted: list[tuple[Condition, Rows]] = []
        self._marks: list[_Asked] = []
        self._focuses: list[_Asked] = []
        self._draws: list[_Asked] = []

    def holds(self, condition: Condition) -> bool:
        """Return whether any agent is under a condition now."""
        if condition not in self._holds:
            until = self.world[Conditions].until[condition.value]
            self._holds[condition] = bool(np.count_nonzero(until > self.tick))
        return self._holds[condition]

    def under(self, condition: Condition, rows: Rows) -> Bools:
        """Return which agents are under a condition now, `[m]`."""
        if not self.holds(condition):
            return np.zeros(len(rows), np.bool_)
        held: Bools = self.world[Conditions].until[condition.value][rows] > self.tick
        return held

    def marked(self, rows: Rows, others: Rows) -> Bools:
        """Return which agents have a target that their own team has marked, `[m]`."""
        held = self.under(Condition.MARKED, others)
        if held.any():
            held &= self.world[Conditions].marked_by[others] == self.world[Team].id[rows]
        return held

    def focused(self, rows: Rows, others: Rows) -> Bools:
        """Return which agents have a target that is the focus of their own squad, `[m]`."""
        held = self.under(Condition.FOCUS, others)
        if held.any():
            held &= self.world[Conditions].focused_by[others] == self.world[Squad].id[rows]
        return held

    def impose(self, condition: Condition, rows: Rows, ticks: Any) -> None:
        """Put agents under a condition for some ticks after this one, one number for all or one per agent."""
        self._imposed.append((condition, rows, self._until(rows, ticks)))

    def lift(self, condition: Condition, rows: Rows) -> None:
        """Free agents from a condition at the end of the phase."""
        self._lifted.append((condition, rows))

    def mark(self, rows: Rows, others: Rows, ticks: Any) -> None:
        """Mark others for the agents' teams."""
        self._marks.append((rows, others, self._until(rows, ticks)))

    def focus(self, rows: Rows, others: Rows, ticks: Any) -> None:
        """Make others the focus of the agents' squads."""
        self._focuses.append((rows, others, self._until(rows, ticks)))

    def taunt(self, rows: Rows, others: Rows, ticks: Any) -> None:
        """Draw the attention of others to the agents themselves; they plan again."""
        none = np.full(len(rows), -1, np.int64)
        self._draw(rows, others, ticks, self.world.keys[rows], none, none)

    def distract(self, rows: Rows, others: Rows, ticks: Any) -> None:
        """Draw the attention of others to the current cells of the agents; they plan again."""
        position, none = self.world[Position], np.full(len(rows), -1, np.int64)
        self._draw(rows, others, ticks, none, position.x[rows].copy(), position.y[rows].copy())

    def _draw(self, rows: Rows, others: Rows, ticks: Any, *what: NDArray[Any]) -> None:
        self._draws.append((rows, others, self._until(rows, ticks), *what))

    def _until(self, rows: Rows, ticks: Any) -> NDArray[np.int64]:
        return np.broadcast_to(self.tick + 1 + np.asarray(ticks, np.int64), rows.shape)

    @property
    def touched(self) -> Rows:
        """The rows of all agents that asked for a change or are concerned by one."""
        imposed = [rows for _, rows, _ in self._imposed]
        lifted = [rows for _, rows in self._lifted]
        drawn = [rows for asked in (*self._marks, *self._focuses, *self._draws) for rows in asked[:2]]
        return np.concatenate([np.zeros(0, np.intp), *imposed, *lifted, *drawn])

    def settle(self) -> None:
        """Make all requested changes."""
        if self._imposed or self._marks or self._focuses or self._lifted:
            self._settle_conditions()
        if self._draws:
            self._settle_attention()

    def _settle_conditions(self) -> None:
        conditions = self.world[Conditions]
        for condition, rows, until in self._imposed:
            np.maximum.at(conditions.until[condition.value], rows, until.astype(np.int32))
        for condition, asked, by, owner in (
            (Condition.MARKED, self._marks, conditions.marked_by, self.world[Team].id),
            (Condition.FOCUS, self._focuses, conditions.focused_by, self.world[Squad].id),
        ):
            if asked:
                rows, others, until = _first(asked)
                conditions.until[condition.value, others] = until
                by[others] = owner[rows]
        for condition, rows in self._lifted:
            conditions.until[condition.value, rows] = 0

    def _settle_attention(self) -> None:
        attention, progress = self.world[Attention], self.world[Progress]
        _, others, until, key, x, y = _first(self._draws)
        attention.until[others], attention.key[others] = until, key
        attention.x[others], attention.y[others] = x, y
        awake = (progress.status[others] != Status.NONE.value) & (self.world[Health].hp[others] > 0)
        awake = others[awake & ~self.world[Control].taken[others]]
        self.world.invalidate(awake, "drawn")


def _first(asked: list[_Asked]) -> tuple[NDArray[Any], ...]:
    """Return the request of the lowest row for each agent concerned (the second column), column by column."""
    columns = [np.concatenate(parts) for parts in zip(*asked, strict=True)]
    order = np.lexsort((columns[0], columns[1]))
    _, first = np.unique(columns[1][order], return_index=True)
    return tuple(column[order[first]] for column in columns)
