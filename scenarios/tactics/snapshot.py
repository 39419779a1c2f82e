"""The knowledge of an agent of the game: `WorldSnapshot`, in the JSON shape of the source (AstraWeave's `schema.rs`).

`WorldSnapshot.model_validate` accepts that shape unchanged; every field added here has a default. Morale is 0 to 100.
The source also used 0 to 1: validate with `context={"morale": "unit"}` to scale such data by 100; the scale is never
guessed.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, ClassVar, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from ai.observation import AgentId, Cell, Entry, Id, Observation, fact

ENEMIES_MAX: Final = 8
"""The most enemies in a snapshot, nearest first."""
ALLIES_MAX: Final = 4
"""The most allies in a snapshot, nearest first."""
OBJECTS_MAX: Final = 8
"""The most objects in a snapshot, nearest first."""
OBSTACLES_MAX: Final = 24
"""The most blocked cells that data in the source's shape may list."""
ROLES: Final = {
    "exploration": "See what nobody has seen yet: look into unknown ground and at places and things, report, and avoid "
    "fights that you need not have.",
    "stealth": "Stay unseen: keep to cover and out of lines of sight, use smoke, wait for the moment, and leave before "
    "you are cornered.",
    "support": "Keep the others going: heal, revive and cover your squad before you attack, and stay close behind it.",
    "tactical": "Win the fight with few losses: take cover and flanks, fire together at one target, and save "
    "explosives for groups.",
}
"""The priorities of an agent of each role, in addition to its objective."""

Cover = StrEnum("Cover", ["none", "low"])
Stance = StrEnum("Stance", ["stand", "crouch", "prone"])
"""The stance of a leader: it crouches in cover or in ambush, and is prone when it is down."""
Condition = StrEnum("Condition", ["ambush", "calling", "dodge", "down", "focus", "marked", "parry", "suppressed"])
"""The temporary conditions of an agent. In `ambush` it lies in wait, `calling` it asks for cover; `focus` is the target
of the squad's attack, `marked` a target of the team."""
Role = StrEnum("Role", ["exploration", "stealth", "support", "tactical"])
ObjectId = Annotated[int, Id("objects")]


def known_only(kind: type[StrEnum]) -> Any:
    """Ignore names that the game does not have: a list drops them; a single one becomes the first member."""
    names = {str(member) for member in kind}

    def read(value: Any) -> Any:
        if isinstance(value, str):
            return value if value in names else next(iter(kind))
        return tuple(name for name in value if name in names) if isinstance(value, list | tuple) else value

    return BeforeValidator(read)


Conditions = Annotated[tuple[Condition, ...], known_only(Condition)]


class SelfState(Entry):
    """The agent itself. Cooldowns are the seconds left by name; `holdings` counts its other gear.

    An enemy (`taunted_by`) or a cell (`distracted_to`) may draw its attention; `cover_wanted_by` is a squad member that
    asks for covering fire, `reserves` the number of agents that its team may call. Data in the source's shape does not
    rule out reloading or healing: the defaults leave both possible.
    """

    id: AgentId = fact(default=0, say="")
    team: int = fact(default=0, say="", low=0, high=127)
    pos: Cell = fact(say="")
    hp: int = fact(default=100, say="hp {}/{hp_max}")
    hp_max: int = fact(default=100, say="")
    ammo: int = fact(default=10, say="ammo {}+{reserve}")
    reserve: int = fact(default=90, say="")
    morale: float = fact(default=100.0, scale=1, low=0, high=100)
    cover: Annotated[Cover, known_only(Cover)] = fact(default=Cover.none)
    smokes: int = fact(default=0, quiet=0)
    explosives: int = fact(default=0, quiet=0)
    medkits: int = fact(default=1, quiet=0)
    holdings: dict[str, int] = fact(default={}, table="holdings", quiet=0, say="{name} {}")
    cooldowns: dict[str, float] = fact(
        default={}, table="cooldowns", ticks=True, unit="s", quiet=0, say="cooldown {name} {}s"
    )
    conditions: Conditions = fact(default=())
    taunted_by: AgentId | None = fact(default=None)
    distracted_to: Cell | None = fact(default=None)
    cover_wanted_by: AgentId | None = fact(default=None)
    reserves: int = fact(default=0, quiet=0)
    role: Role | None = fact(default=None, meaning=ROLES)
    squad: int | None = fact(default=None, low=0)

    @field_validator("morale", mode="before")
    @classmethod
    def _scale_morale(cls, value: object, info: ValidationInfo) -> object:
        unit = isinstance(info.context, dict) and info.context.get("morale") == "unit"
        return value * 100 if unit and isinstance(value, int | float) and not isinstance(value, bool) else value


class LeaderState(Entry):
    """The leader that this agent follows; the source calls it the player."""

    id: AgentId = fact(default=0)
    pos: Cell
    hp: int = 100
    stance: Annotated[Stance, known_only(Stance)] = fact(
        default=Stance.stand, say={"crouch": "crouch", "prone": "prone"}
    )
    order: str | None = fact(default=None, say="")


class AllyState(Entry):
    """A team member that this agent can perceive."""

    id: AgentId
    pos: Cell
    hp: int = 100
    conditions: Conditions = fact(default=())


class EnemyState(Entry):
    """An enemy that this agent can see; `last_seen` is the time of the sighting, seconds."""

    id: AgentId = fact(default=0)
    pos: Cell
    hp: int = 100
    cover: Annotated[Cover, known_only(Cover)] = fact(default=Cover.none, say={"low": "in cover"})
    last_seen: float = fact(default=0.0, say="", ticks=True)
    conditions: Conditions = fact(default=())


class ObjectState(Entry):
    """An object that this agent sees; `state` is the amount left in it, -1 if it never runs out."""

    head: ClassVar[str] = "{id} {kind}@{pos}"

    id: ObjectId
    kind: str = fact(default="object", table="kinds")
    pos: Cell
    state: int = fact(default=-1, quiet=-1, say="left {}")


class Poi(BaseModel):
    """A named place that all agents know."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    k: str = Field("poi", max_length=64)
    pos: Cell

    def __str__(self) -> str:
        return f'"{self.k}"@{self.pos}'


class Bounds(BaseModel):
    """The size of the map, cells."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int = Field(ge=1, le=4096)
    height: int = Field(ge=1, le=4096)

    def __str__(self) -> str:
        return f"{self.width}x{self.height} cells, x 0..{self.width - 1}, y 0..{self.height - 1}"


class WorldSnapshot(Observation):
    """The knowledge of one agent when it plans: only things that it can perceive, nearest first, in a fixed order."""

    me: SelfState
    goal: Cell | None = fact(default=None)
    objective: str | None = fact(default=None)
    order: str | None = fact(default=None)
    player: LeaderState | None = fact(default=None, say="leader {}", by="me.squad")
    enemies: tuple[EnemyState, ...] = fact(default=(), limit=ENEMIES_MAX, nearest=True)
    allies: tuple[AllyState, ...] = fact(default=(), limit=ALLIES_MAX, nearest=True)
    objects: tuple[ObjectState, ...] = fact(default=(), limit=OBJECTS_MAX, nearest=True, quiet=())
    obstacles: tuple[Cell, ...] = fact(default=(), limit=OBSTACLES_MAX, say="")
    bounds: Bounds | None = fact(default=None, shared=True, say="Map")
    pois: tuple[Poi, ...] = fact(default=(), shared=True, say="Places")

    @model_validator(mode="before")
    @classmethod
    def _of_the_source(cls, data: Any) -> Any:
        """Convert the shape of the source: the goal is its first place, and the order is the first of several."""
        if not isinstance(data, dict):
            return data
        data = {name: value for name, value in data.items() if name != "t"}
        if orders := data.pop("orders", None):
            data.setdefault("order", orders[0])
        player = data.get("player")
        if isinstance(player, dict) and "orders" in player:
            rest = {name: value for name, value in player.items() if name != "orders"}
            data["player"] = rest | {"order": next(iter(player["orders"]), None)}
        places = data.get("pois")
        if isinstance(places, list | tuple) and places and isinstance(places[0], dict):
            data.setdefault("goal", places[0].get("pos"))
        return data
