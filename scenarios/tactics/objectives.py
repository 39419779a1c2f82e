"""The objectives of teams, as data, and their progress: one class for each kind, judged on whole columns.

An objective is open until it is done or has failed; both are final. It is judged once per tick, after combat and before
the dead leave, by the agents alive at that moment. Its `progress` counts towards its `target`: agents, ticks or units.
A new kind needs a class, and its name in `Objective`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, Any, ClassVar, Final, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from scenarios.tactics.components import Health, Position, Squad, Team
from scenarios.tactics.inputs import Name
from sim.messages import problem
from sim.run.world import World

OBJECTIVES_MAX: Final = 16
"""The most objectives of one team."""
RADIUS_MAX: Final = 64
"""The largest radius of a place, cells."""
COUNT_MAX: Final = 1_000_000
"""The most agents, ticks, units or points that an objective may name."""

Text = Annotated[str, Field(min_length=1, max_length=300)]
Count = Annotated[int, Field(ge=1, le=COUNT_MAX)]
Points = Annotated[int, Field(ge=0, le=COUNT_MAX)]
Radius = Annotated[int, Field(ge=0, le=RADIUS_MAX)]
Cell = tuple[int, int]
NOWHERE: Final[Cell] = (-1, -1)
"""The goal of agents without a goal."""


class State(IntEnum):
    """The state of an objective."""

    OPEN = 0
    DONE = 1
    FAILED = 2


@dataclass(frozen=True, slots=True)
class Muster:
    """The living agents and their cells, for objectives: columns `[n]`, and the numbers of names that objectives use.

    `delivered` are the units that each team has delivered so far, `[teams]`.
    """

    x: NDArray[np.int32]
    y: NDArray[np.int32]
    team: NDArray[np.int8]
    squad: NDArray[np.int16]
    alive: NDArray[np.bool_]
    delivered: NDArray[np.int32]
    places: Mapping[str, Cell]
    teams: Mapping[str, int]
    squads: Mapping[str, int]

    def ours(self, team: int, squad: str | None = None) -> NDArray[np.bool_]:
        """Return which agents of a team, or of one squad, are alive."""
        members: NDArray[np.bool_] = self.team == team if squad is None else self.squad == self.squads[squad]
        return self.alive & members

    def at(self, place: str, radius: int) -> NDArray[np.bool_]:
        """Return which living agents are within `radius` cells of a place."""
        x, y = self.places[place]
        dx, dy = self.x - x, self.y - y
        return self.alive & (dx * dx + dy * dy <= radius * radius)


class Judged(NamedTuple):
    """The result of one tick for an objective; `leaving` are the agents that leave the map through it, `[n]`."""

    progress: int
    state: State = State.OPEN
    leaving: NDArray[np.bool_] | None = None


class _Objective(BaseModel):
    """The keys of every objective: a text for agents, whether victory needs it, and its points.

    Agents read `text`; without it they read a short sentence made from the other keys. A team wins when all its
    required objectives are done, and loses when one of them fails. `points` are for completing it, `points_each` for
    each unit of progress.

    Class variables: `says` is the short sentence, with keys in braces; `counts` is the key that holds the progress at
    which it is done (none: 1).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    says: ClassVar[str]
    counts: ClassVar[str | None] = None

    text: Text | None = Field(
        None, description="The text that agents read; without it, a short sentence made from the other keys."
    )
    required: bool = Field(True, description="Whether victory needs it; the team loses when a required one fails.")
    points: Points = Field(10, description="Points when it is done.")
    points_each: Points = Field(0, description="Points for each unit of progress: an agent, a tick, a unit.")

    @property
    def target(self) -> int:
        """The progress at which the objective is done: agents, ticks or units."""
        return 1 if self.counts is None else int(getattr(self, self.counts))

    @property
    def sentence(self) -> str:
        """The words for agents where none are given."""
        return self.says.format(**dict(self))

    @abstractmethod
    def judge(self, muster: Muster, team: int, progress: int) -> Judged:
        """Return the progress after this tick; called only while the objective is open."""


class Eliminate(_Objective):
    """No agent of another team, or of all other teams, is left."""

    kind: Literal["eliminate"] = "eliminate"
    team: Name | None = Field(None, description="Name of the team; without it, all others.")

    @property
    def sentence(self) -> str:
        """The words for agents where none are given."""
        return f"eliminate {self.team or 'the enemy'}"

    def judge(self, muster: Muster, team: int, progress: int) -> Judged:
        """Judge it done when none of them is alive."""
        hostile = muster.team != team if self.team is None else muster.team == muster.teams[self.team]
        left = bool((muster.alive & hostile).any())
        return Judged(0) if left else Judged(1, State.DONE)


class Reach(_Objective):
    """A number of agents of the team (or of one squad), or a share of those alive, are at a place at one moment."""

    says: ClassVar[str] = "reach {place}"
    kind: Literal["reach"] = "reach"
    place: Name = Field(description="Name of the place.")
    radius: Radius = Field(2, description="Distance from the place that counts as there, cells.")
    squad: Name | None = Field(None, description="Name of the squad that counts; without it, the whole team.")
    count: Count = Field(1, description="Number of agents, or of units delivered.")
    share_percent: int | None = Field(None, ge=1, le=100, description="Percent of those alive, in place of `count`.")

    @property
    def target(self) -> int:
        """The number of agents, or their share in percent."""
        return self.count if self.share_percent is None else self.share_percent

    def judge(self, muster: Muster, team: int, progress: int) -> Judged:
        """Judge it done when enough agents are there."""
        ours = muster.ours(team, self.squad)
        there = int((ours & muster.at(self.place, self.radius)).sum())
        if self.share_percent is not None:
            there = there * 100 // max(int(ours.sum()), 1)
        return Judged(there, State.DONE if there >= self.target else State.OPEN)


class Hold(_Objective):
    """An agent of the team is at a place for a number of ticks in total.

    Ticks with an enemy there count only if `contested`.
    """

    says: ClassVar[str] = "hold {place}"
    counts: ClassVar[str | None] = "ticks"
    kind: Literal["hold"] = "hold"
    place: Name = Field(description="Name of the place.")
    radius: Radius = Field(3, description="Distance from the place that counts as there, cells.")
    ticks: Count = Field(description="Ticks in total.")
    contested: bool = Field(False, description="Whether ticks with an enemy there count.")

    def judge(self, muster: Muster, team: int, progress: int) -> Judged:
        """Count one more tick if the place is held."""
        there = muster.at(self.place, self.radius)
        mine = muster.team == team
        held = bool((there & mine).any()) and (self.contested or not (there & ~mine).any())
        progress += held
        return Judged(progress, State.DONE if progress >= self.ticks else State.OPEN)


class Escort(_Objective):
    """A number of agents of a squad are at a place alive; it fails when fewer are left."""

    says: ClassVar[str] = "escort {squad} to {place}"
    counts: ClassVar[str | None] = "count"
    kind: Literal["escort"] = "escort"
    squad: Name = Field(description="Name of the squad.")
    place: Name = Field(description="Name of the place.")
    radius: Radius = Field(2, description="Distance from the place that counts as there, cells.")
    count: Count = Field(1, description="Number of agents, or of units delivered.")

    def judge(self, muster: Muster, team: int, progress: int) -> Judged:
        """Judge it done when enough agents are there, and failed when too few are alive."""
        charges = muster.ours(team, self.squad)
        there = int((charges & muster.at(self.place, self.radius)).sum())
        if there >= self.count:
            return Judged(there, State.DONE)
        return Judged(there, State.FAILED if int(charges.sum()) < self.count else State.OPEN)


class Extract(_Objective):
    """A number of agents of the team (or of one squad) leave the map at a place; it fails when too few are left.

    Every agent that stands there while it is open leaves the map: it is extracted, not dead.
    """

    says: ClassVar[str] = "extract at {place}"
    counts: ClassVar[str | None] = "count"
    kind: Literal["extract"] = "extract"
    place: Name = Field(description="Name of the place.")
    radius: Radius = Field(2, description="Distance from the place that counts as there, cells.")
    squad: Name | None = Field(None, description="Name of the squad that counts; without it, the whole team.")
    count: Count = Field(1, description="Number of agents, or of units delivered.")

    def judge(self, muster: Muster, team: int, progress: int) -> Judged:
        """Count the agents that leave."""
        ours = muster.ours(team, self.squad)
        leaving = ours & muster.at(self.place, self.radius)
        progress += int(leaving.sum())
        if progress >= self.count:
            return Judged(progress, State.DONE, leaving)
        left = int(ours.sum()) - int(leaving.sum())
        return Judged(progress, State.FAILED if progress + left < self.count else State.OPEN, leaving)


class Defend(_Objective):
    """A place, a squad or the team itself is kept until a number of ticks of the run have passed.

    A place is lost when an enemy but no agent of the team is there; a squad is lost when none of its agents is alive;
    without either, the team must survive.
    """

    counts: ClassVar[str | None] = "ticks"
    kind: Literal["defend"] = "defend"
    ticks: Count = Field(description="The tick until which it must be kept.")
    place: Name | None = Field(None, description="Name of the place.")
    radius: Radius = Field(3, description="Distance from the place that counts as there, cells.")
    squad: Name | None = Field(None, description="Name of the squad that counts; without it, the whole team.")

    @model_validator(mode="after")
    def _one_charge(self) -> Self:
        if self.place is not None and self.squad is not None:
            raise problem("squad", "cannot stand beside 'place'; defend each with an objective of its own")
        return self

    @property
    def sentence(self) -> str:
        """The words for agents where none are given."""
        what = self.place or self.squad
        return f"defend {what}" if what else "survive"

    def judge(self, muster: Muster, team: int, progress: int) -> Judged:
        """Judge it failed when it is lost, else count one more tick."""
        if self.place is None:
            lost = not muster.ours(team, self.squad).any()
        else:
            there, mine = muster.at(self.place, self.radius), muster.team == team
            lost = bool((there & ~mine).any()) and not (there & mine).any()
        if lost:
            return Judged(progress, State.FAILED)
        return Judged(progress + 1, State.DONE if progress + 1 >= self.ticks else State.OPEN)


class Collect(_Objective):
    """The team has delivered a number of units."""

    says: ClassVar[str] = "collect {count}"
    counts: ClassVar[str | None] = "count"
    kind: Literal["collect"] = "collect"
    count: Count = Field(description="Number of agents, or of units delivered.")

    def judge(self, muster: Muster, team: int, progress: int) -> Judged:
        """Judge it done when enough units have been delivered."""
        delivered = min(int(muster.delivered[team]), self.count)
        return Judged(delivered, State.DONE if delivered >= self.count else State.OPEN)


Objective = Annotated[Eliminate | Reach | Hold | Escort | Extract | Defend | Collect, Field(discriminator="kind")]
"""Any objective; `kind` selects the class."""


class Objectives:
    """The objectives of a run and their progress. A resource of the world.

    Args:
        teams: each team's objectives, in the order of teams.
        team_names: the teams' names, in the same order.
        squads: squad numbers by name.
        places: cells by name.

    Attributes:
        listed: every objective with its team's number, team by team.
        progress: `[len(listed)] int32`.
        state: `[len(listed)] int8`, a `State`.
        delivered: the units that each team has delivered, `[teams] int32`; code that writes it must change `stamp`.
    """

    name = "Objectives"

    def __init__(
        self,
        teams: Sequence[Sequence[Objective]],
        team_names: Sequence[str],
        squads: Mapping[str, int],
        places: Mapping[str, Cell],
    ) -> None:
        self.listed = tuple((number, each) for number, objectives in enumerate(teams) for each in objectives)
        self.progress = np.zeros(len(self.listed), np.int32)
        self.state = np.zeros(len(self.listed), np.int8)
        self.delivered = np.zeros(len(teams), np.int32)
        self.stamp = 0
        self._teams = {name: number for number, name in enumerate(team_names)}
        self._squads = squads
        self._places = places

    def columns(self) -> Mapping[str, NDArray[Any]]:
        """Return progress and state of every objective, and the units that each team has delivered."""
        return {"progress": self.progress, "state": self.state, "delivered": self.delivered}

    def restore(self, columns: Mapping[str, NDArray[Any]]) -> None:
        """Take over columns that `columns` returned."""
        self.progress, self.state = columns["progress"].copy(), columns["state"].copy()
        self.delivered = columns["delivered"].copy()
        self.stamp += 1

    def advance(self, world: World) -> tuple[NDArray[np.intp], list[int]]:
        """Judge every open objective; return the rows that leave the map, and the teams that have a new aim."""
        position, nobody = world[Position], np.zeros(world.n, np.bool_)
        muster = Muster(
            position.x, position.y, world[Team].id, world[Squad].id, world[Health].hp > 0, self.delivered,
            self._places, self._teams, self._squads,
        )  # fmt: skip
        aims = {team: self.aim(team) for team, _ in self.listed}
        leaving = nobody
        for place in (self.state == State.OPEN.value).nonzero()[0].tolist():
            team, objective = self.listed[place]
            judged = objective.judge(muster, team, int(self.progress[place]))
            if judged.progress != self.progress[place] or judged.state:
                self.progress[place], self.state[place] = judged.progress, judged.state
                self.stamp += 1
            if judged.leaving is not None:
                leaving = leaving | judged.leaving
        return leaving.nonzero()[0], [team for team, aim in aims.items() if self.aim(team) is not aim]

    def aim(self, team: int) -> Objective | None:
        """Return a team's current aim: its first open objective, or the last one if none is open."""
        mine = [place for place, (owner, _) in enumerate(self.listed) if owner == team]
        chosen = next((place for place in mine if self.state[place] == State.OPEN.value), mine[-1] if mine else None)
        return None if chosen is None else self.listed[chosen][1]

    def goal(self, team: int) -> tuple[str | None, Cell]:
        """Return the text and the cell of a team's aim."""
        aim = self.aim(team)
        if aim is None:
            return None, NOWHERE
        place: str | None = getattr(aim, "place", None)
        return words(aim), NOWHERE if place is None else self._places[place]

    def score(self, team: int) -> int:
        """Return a team's points: those of completed objectives, and those for each unit of progress."""
        total = 0
        for (owner, objective), progress, state in zip(self.listed, self.progress, self.state, strict=True):
            if owner == team:
                total += objective.points_each * int(progress)
                total += objective.points if state == State.DONE.value else 0
        return total


def words(objective: Objective) -> str:
    """Return the text of an objective for agents."""
    return objective.text or objective.sentence
