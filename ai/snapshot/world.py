"""What one agent knows when it plans, as an object: `WorldSnapshot` and its parts.

`WorldSnapshot.model_validate` takes the JSON shape of the source (AstraWeave's `schema.rs`) as it stands; everything
added here has a default. Morale is 0 to 100. The source mixed that with 0 to 1: validate with
`context={"morale": "unit"}` to scale such data by 100; it is never guessed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, NewType

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator

from ai.actions import CELLS_MAX, KEY_MAX
from ai.roles import RoleName

AgentId = NewType("AgentId", int)
"""Names an agent for its whole life; the simulation's agent key."""

ENEMIES_MAX: Final = 8
"""Enemies an agent reports, nearest first."""
ALLIES_MAX: Final = 4
"""Allies an agent reports, nearest first."""
OBJECTS_MAX: Final = 8
"""Objects an agent reports, nearest first."""
LIST_MAX: Final = 4096
"""Entries that any list of a snapshot from outside may have."""
COVER_NAMES: Final = ("none", "low")
"""What an enemy's stored cover value is called."""
STANCE_NAMES: Final = ("stand", "crouch", "prone")
"""How a leader holds itself: it crouches in cover or in ambush and lies prone when it is down; stored as a position."""
CONDITION_NAMES: Final = ("ambush", "calling", "dodge", "down", "focus", "marked", "parry", "suppressed")
"""What an agent can be under for a time; the position is the bit of a stored value. An agent in `ambush` lies in wait,
one that is `calling` asks for cover; `focus` is whom the squad attacks together, `marked` whom the team has marked."""


def _coordinate(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("must be a whole number")  # noqa: TRY004 - pydantic reports ValueError as invalid
    return value


Coordinate = Annotated[int, BeforeValidator(_coordinate), Field(ge=-(2**31) + 1, le=2**31 - 1)]


class _Known(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Point(_Known):
    """A cell, or a place outside the map that data from elsewhere may name."""

    x: Coordinate
    y: Coordinate


Conditions = Annotated[
    tuple[Annotated[str, Field(max_length=64)], ...], Field(max_length=len(CONDITION_NAMES) * 2)
]  # fmt: skip
"""Names of conditions; those that are no name of ours are passed over."""


class LeaderState(_Known):
    """The leader this agent follows; the source calls it the player.

    `stance` is a name of `STANCE_NAMES`; any other counts as standing.
    """

    id: int = Field(0, ge=0, le=KEY_MAX)
    hp: int = 100
    pos: Point
    stance: str = Field("stand", max_length=64)
    orders: tuple[str, ...] = Field((), max_length=LIST_MAX)


class SelfState(_Known):
    """The agent itself. Cooldowns are seconds left by name; morale is 0 to 100; `holdings` counts what else it has.

    `conditions` are names of `CONDITION_NAMES`; an enemy (`taunted_by`) or a cell (`distracted_to`) may draw its
    attention; `cover_wanted_by` is a squad mate that asks for covering fire, `reserves` how many its team may call in.
    `squad` is a number that squad mates share, `role` a name of `ai.roles.ROLES`; None is none of either.

    Data in the source's shape has neither reserve nor medkits, and says nothing against reloading or healing: the
    defaults leave both possible.
    """

    id: int = 0
    team: int = Field(0, ge=0, le=127)
    pos: Point
    hp: int = 100
    hp_max: int = 100
    ammo: int = 10
    reserve: int = 90
    morale: float = Field(100.0, ge=0, le=100)
    cooldowns: dict[str, float] = Field(default_factory=dict, max_length=LIST_MAX)
    cover: str = Field("none", max_length=64)
    smokes: int = 0
    explosives: int = 0
    medkits: int = 1
    conditions: Conditions = ()
    taunted_by: int | None = Field(None, ge=0, le=KEY_MAX)
    distracted_to: Point | None = None
    cover_wanted_by: int | None = Field(None, ge=0, le=KEY_MAX)
    reserves: int = 0
    holdings: dict[str, int] = Field(default_factory=dict, max_length=LIST_MAX)
    squad: int | None = Field(None, ge=0, le=2**31 - 1)
    role: RoleName | None = None

    @field_validator("morale", mode="before")
    @classmethod
    def _scale_morale(cls, value: object, info: ValidationInfo) -> object:
        unit = isinstance(info.context, dict) and info.context.get("morale") == "unit"
        return value * 100 if unit and isinstance(value, int | float) and not isinstance(value, bool) else value


class AllyState(_Known):
    """A team mate this agent can perceive."""

    id: int = Field(ge=0, le=KEY_MAX)
    pos: Point
    hp: int = 100
    conditions: Conditions = ()


class EnemyState(_Known):
    """An enemy this agent can see; `last_seen` is the time of the sighting, seconds."""

    id: int = Field(0, ge=0, le=KEY_MAX)
    pos: Point
    hp: int = 100
    cover: str = Field("none", max_length=64)
    last_seen: float = 0.0
    conditions: Conditions = ()


class ObjectState(_Known):
    """A thing that stands or lies somewhere, seen by this agent; `state` is how much is left in it, -1 without end."""

    id: int = Field(ge=0, le=KEY_MAX)
    kind: str = Field("object", max_length=64)
    pos: Point
    state: int = -1


class Poi(_Known):
    """A named place that everyone knows."""

    k: str = Field("poi", max_length=64)
    pos: Point


class Bounds(_Known):
    """Size of the map, cells."""

    width: int = Field(ge=1, le=CELLS_MAX)
    height: int = Field(ge=1, le=CELLS_MAX)


class WorldSnapshot(_Known):
    """What one agent knows when it plans: only what it can perceive, nearest first, in a fixed order.

    `t` is the time of the run, seconds. `enemies`, `allies` and `objects` are what it perceives, `pois` the places that
    everyone knows, `obstacles` blocked cells nearby. `player`, `objective` and `bounds` are None where it knows none.
    """

    t: float = 0.0
    me: SelfState
    player: LeaderState | None = None
    allies: tuple[AllyState, ...] = Field((), max_length=LIST_MAX)
    enemies: tuple[EnemyState, ...] = Field((), max_length=LIST_MAX)
    pois: tuple[Poi, ...] = Field((), max_length=LIST_MAX)
    objects: tuple[ObjectState, ...] = Field((), max_length=LIST_MAX)
    obstacles: tuple[Point, ...] = Field((), max_length=LIST_MAX)
    objective: str | None = Field(None, max_length=500)
    orders: tuple[str, ...] = Field((), max_length=LIST_MAX)
    bounds: Bounds | None = None


def condition_names(bits: int) -> tuple[str, ...]:
    """Return the names of stored conditions."""
    return tuple(name for place, name in enumerate(CONDITION_NAMES) if bits >> place & 1)


def condition_bits(names: Sequence[str]) -> int:
    """Return names of conditions as they are stored; those that are no name of ours are passed over."""
    return sum(1 << place for place, name in enumerate(CONDITION_NAMES) if name in names)
