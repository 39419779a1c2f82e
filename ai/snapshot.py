"""What agents know when they plan: `WorldSnapshot` for one agent, `SnapshotBatch` for many as arrays.

`WorldSnapshot.model_validate` takes the JSON shape of the source (AstraWeave's `schema.rs`) as it stands; everything
added here has a default. Morale is 0 to 100. The source mixed that with 0 to 1: validate with
`context={"morale": "unit"}` to scale such data by 100; it is never guessed.

`SnapshotBatch` is what the simulation builds and what every tier reads. Shapes: `n` agents in ascending key order,
`E = ENEMIES_MAX`, `A = ALLIES_MAX`. Unused places hold key -1 and zeros, so equal knowledge means equal bytes.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Annotated, Any, Final, NewType, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator

from ai.actions import CELLS_MAX, KEY_MAX
from ai.canonical import little_endian
from ai.errors import ContractError
from ai.roles import RoleName, role_name, role_number

AgentId = NewType("AgentId", int)
"""Names an agent for its whole life; the simulation's agent key."""

Ints = NDArray[np.int32]
Keys = NDArray[np.int64]

ENEMIES_MAX: Final = 8
"""Enemies an agent reports, nearest first."""
ALLIES_MAX: Final = 4
"""Allies an agent reports, nearest first."""
OBJECTS_MAX: Final = 8
"""Objects an agent reports, nearest first."""
OBSTACLES_MAX: Final = 24
"""Blocked cells that a snapshot lists, nearest first."""
OBSTACLES_RADIUS: Final = 6
"""Distance within which blocked cells are listed, cells."""
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
    """What one agent knows when it plans: only what it can perceive, nearest first, in a fixed order."""

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


@dataclass(frozen=True, slots=True)
class SharedMap:
    """The part of the world that all agents of a batch know: size, walls, cover and named places.

    `blocked` and `cover` are `[height, width] bool`, or None where unknown (snapshots that came as objects).
    """

    width: int = CELLS_MAX
    height: int = CELLS_MAX
    blocked: NDArray[np.bool_] | None = None
    cover: NDArray[np.bool_] | None = None
    pois: tuple[Poi, ...] = ()
    head: bytes = field(init=False, repr=False, compare=False)
    """What a batch's digest takes from here; made once, as many batches share a map."""

    def __post_init__(self) -> None:
        """Write size and places down."""
        object.__setattr__(self, "head", f"{self.width},{self.height},{self.pois}".encode())


GROUPS_WIDTH: Final = -1
"""Declares a column with a place for each cooldown group."""
NO_WIDTH: Final = -2
"""Declares a column that has no places unless it is given."""


def _column(width: int = 0, dtype: type[np.generic] = np.int32) -> Any:
    return field(default=None, metadata={"width": width, "dtype": dtype})


@dataclass(frozen=True, slots=True)
class SnapshotBatch:
    """What `n` agents know, as arrays `[n]` or `[n, E]`, rows in ascending key order.

    `team` is a number. Positions are cells, `morale` is 0 to 100, `ready` is ticks left for each cooldown group `[n,
    groups]`. `objective`, `order` and `leader_order` index `texts` (-1: none). `goal_x, goal_y` is where the objective
    points (-1: nowhere); the leader's key is -1 where there is none, `leader_stance` a position in `STANCE_NAMES`.
    Enemies and allies are nearest first, ties by key; who is taunted or distracted has the enemies in another order.
    Conditions are bits by the position in `CONDITION_NAMES`. The enemy that taunts, the squad mate that asks for cover
    (`caller`) and the cell that distracts (`drawn_x, drawn_y`) are -1 for none. `squad` is a number that squad mates
    share, `role` the position of a role in `ai.roles.ROLE_NAMES`; -1 is none of either.

    `object [n, O]` is the ids of things seen, nearest first; `object_kind` indexes `object_kinds`, `object_state` is
    how much is left (-1: without end). `holding [n, H]` counts what an agent has besides, named by `holding_names`. O
    and H are 0 where a world has no such things.
    """

    keys: Keys
    tick: int = 0
    ticks_per_second: int = 10
    team: Ints = _column()
    x: Ints = _column()
    y: Ints = _column()
    hp: Ints = _column()
    hp_max: Ints = _column()
    ammo: Ints = _column()
    reserve: Ints = _column()
    morale: Ints = _column()
    cover: Ints = _column()
    smokes: Ints = _column()
    explosives: Ints = _column()
    medkits: Ints = _column()
    conditions: Ints = _column()
    taunter: Keys = _column(dtype=np.int64)
    drawn_x: Ints = _column()
    drawn_y: Ints = _column()
    caller: Keys = _column(dtype=np.int64)
    reserves: Ints = _column()
    squad: Ints = _column()
    role: Ints = _column()
    leader: Keys = _column(dtype=np.int64)
    leader_x: Ints = _column()
    leader_y: Ints = _column()
    leader_hp: Ints = _column()
    leader_order: Ints = _column()
    leader_stance: Ints = _column()
    goal_x: Ints = _column()
    goal_y: Ints = _column()
    objective: Ints = _column()
    order: Ints = _column()
    ready: Ints = _column(width=GROUPS_WIDTH)
    enemy: Keys = _column(width=ENEMIES_MAX, dtype=np.int64)
    enemy_x: Ints = _column(width=ENEMIES_MAX)
    enemy_y: Ints = _column(width=ENEMIES_MAX)
    enemy_hp: Ints = _column(width=ENEMIES_MAX)
    enemy_cover: Ints = _column(width=ENEMIES_MAX)
    enemy_conditions: Ints = _column(width=ENEMIES_MAX)
    ally: Keys = _column(width=ALLIES_MAX, dtype=np.int64)
    ally_x: Ints = _column(width=ALLIES_MAX)
    ally_y: Ints = _column(width=ALLIES_MAX)
    ally_hp: Ints = _column(width=ALLIES_MAX)
    ally_conditions: Ints = _column(width=ALLIES_MAX)
    object: Ints = _column(width=NO_WIDTH)
    object_kind: Ints = _column(width=NO_WIDTH)
    object_x: Ints = _column(width=NO_WIDTH)
    object_y: Ints = _column(width=NO_WIDTH)
    object_state: Ints = _column(width=NO_WIDTH)
    holding: Ints = _column(width=NO_WIDTH)
    texts: tuple[str, ...] = ()
    cooldown_names: tuple[str, ...] = ()
    object_kinds: tuple[str, ...] = ()
    holding_names: tuple[str, ...] = ()
    map: SharedMap = SharedMap()
    originals: tuple[WorldSnapshot, ...] | None = None

    def __post_init__(self) -> None:
        """Fill columns that were not given: -1 for keys, goals and texts, zeros otherwise."""
        n = len(self.keys)
        for name, width, dtype, absent in _COLUMNS_DECLARED:
            if getattr(self, name) is None:
                places = len(self.cooldown_names) if width == GROUPS_WIDTH else max(width, 0)
                shape = (n, places) if width else n
                column = np.full(shape, -1, dtype) if absent else np.zeros(shape, dtype)
                object.__setattr__(self, name, column)

    def __len__(self) -> int:
        return len(self.keys)

    def take(self, rows: NDArray[np.intp] | slice) -> Self:
        """Return the batch of some agents; `rows` must be ascending."""
        columns = {name: getattr(self, name)[rows] for name in ("keys", *_COLUMNS)}
        originals = None
        if self.originals is not None:
            picked = np.arange(len(self))[rows]
            originals = tuple(self.originals[int(row)] for row in picked)
        return replace(self, **columns, originals=originals)

    def side_by_side(self) -> NDArray[np.int64]:
        """Return all columns as one array `[n, columns] int64`: a row is all the numbers that one agent has."""
        columns = [np.asarray(getattr(self, name), np.int64) for name in ("keys", *_COLUMNS)]
        return np.concatenate([column if column.ndim > 1 else column[:, None] for column in columns], axis=1)

    def digest(self) -> str:
        """Return sixteen hex digits over everything the agents know, the same on every machine.

        The number of enemy and ally places hashed follows the data, so a limit may grow without changing old digests.
        """
        head = f"{self.tick},{self.ticks_per_second},{len(self)},{self.texts},{self.cooldown_names},"
        parts = [head.encode(), self.map.head, little_endian(self.keys)]
        # Places are filled from the first on.
        used_enemies = np.count_nonzero((self.enemy >= 0).any(0))
        used_allies = np.count_nonzero((self.ally >= 0).any(0))
        used_objects = np.count_nonzero((self.object >= 0).any(0)) if self.object.shape[1] else 0
        parts += [little_endian(getattr(self, name)) for name in _OWN]
        parts += [little_endian(getattr(self, name)[:, :used_enemies]) for name in _OF_ENEMIES]
        parts += [little_endian(getattr(self, name)[:, :used_allies]) for name in _OF_ALLIES]
        if used_objects or self.holding_names:
            parts.append(f"{used_objects},{self.object_kinds},{self.holding_names},".encode())
            parts += [little_endian(getattr(self, name)[:, :used_objects]) for name in _OF_OBJECTS]
            parts.append(little_endian(self.holding))
        return hashlib.blake2b(b"".join(parts), digest_size=8, person=b"tickweave-snap").hexdigest()

    @classmethod
    def from_snapshots(cls, agents: Sequence[tuple[AgentId, WorldSnapshot]]) -> SnapshotBatch:
        """Build a batch from objects, in any order.

        Raises:
            ContractError: an agent was asked twice, or an id is not a whole number from 0 to 2**63 - 1.
        """
        for agent, _ in agents:
            if type(agent) is not int or not 0 <= agent < 2**63:
                raise ContractError(f"agent ids are whole numbers from 0 to 2**63 - 1, not {agent!r}")
        ordered = sorted(agents, key=lambda pair: pair[0])
        keys = np.array([agent for agent, _ in ordered], np.int64)
        if len(keys) > 1 and bool((keys[1:] == keys[:-1]).any()):
            twice = int(keys[1:][keys[1:] == keys[:-1]][0])
            raise ContractError(f"agent {twice} was asked for twice in one batch")
        snapshots = tuple(snapshot for _, snapshot in ordered)
        texts = tuple(sorted({text for s in snapshots for text in (s.objective, *s.orders) if text}))
        names = tuple(sorted({name for s in snapshots for name in s.me.cooldowns}))
        n, objects = len(keys), min(max((len(s.objects) for s in snapshots), default=0), OBJECTS_MAX)
        holding_names = tuple(sorted({name for s in snapshots for name in s.me.holdings}))
        batch = cls(
            keys=keys,
            texts=texts,
            originals=snapshots,
            map=_shared_map(snapshots),
            cooldown_names=names,
            object_kinds=tuple(sorted({seen.kind for s in snapshots for seen in s.objects})),
            holding_names=holding_names,
            holding=np.zeros((n, len(holding_names)), np.int32),
            object=np.full((n, objects), -1, np.int32),
            object_kind=np.zeros((n, objects), np.int32),
            object_x=np.zeros((n, objects), np.int32),
            object_y=np.zeros((n, objects), np.int32),
            object_state=np.zeros((n, objects), np.int32),
        )
        for row, snapshot in enumerate(snapshots):
            _fill_row(batch, row, snapshot)
        return batch

    def snapshot(self, row: int) -> WorldSnapshot:
        """Return one agent's knowledge as an object; made on demand, for prompts and people."""
        if self.originals is not None:
            return self.originals[row]
        seconds = round(self.tick / self.ticks_per_second, 4)
        x, y = int(self.x[row]), int(self.y[row])
        leader = None
        if self.leader[row] >= 0:
            leader = LeaderState(
                id=int(self.leader[row]),
                hp=int(self.leader_hp[row]),
                pos=Point(x=int(self.leader_x[row]), y=int(self.leader_y[row])),
                stance=STANCE_NAMES[int(self.leader_stance[row])],
                orders=(self.texts[int(self.leader_order[row])],) if self.leader_order[row] >= 0 else (),
            )
        near = sorted(self.map.pois, key=lambda p: (abs(p.pos.x - x) + abs(p.pos.y - y), p.k, p.pos.x, p.pos.y))
        goal = (int(self.goal_x[row]), int(self.goal_y[row]))
        near.sort(key=lambda poi: (poi.pos.x, poi.pos.y) != goal)
        return WorldSnapshot(
            t=seconds,
            me=SelfState(
                id=int(self.keys[row]),
                pos=Point(x=x, y=y),
                hp=int(self.hp[row]),
                team=int(self.team[row]),
                hp_max=int(self.hp_max[row]),
                ammo=int(self.ammo[row]),
                reserve=int(self.reserve[row]),
                morale=float(self.morale[row]),
                cooldowns={
                    name: round(int(left) / self.ticks_per_second, 4)
                    for name, left in zip(self.cooldown_names, self.ready[row], strict=True)
                    if left > 0
                },
                cover=COVER_NAMES[int(self.cover[row])],
                smokes=int(self.smokes[row]),
                explosives=int(self.explosives[row]),
                medkits=int(self.medkits[row]),
                conditions=condition_names(int(self.conditions[row])),
                taunted_by=_present(int(self.taunter[row])),
                distracted_to=(
                    Point(x=int(self.drawn_x[row]), y=int(self.drawn_y[row])) if self.drawn_x[row] >= 0 else None
                ),
                cover_wanted_by=_present(int(self.caller[row])),
                reserves=int(self.reserves[row]),
                holdings={
                    name: int(count) for name, count in zip(self.holding_names, self.holding[row], strict=True) if count
                },
                squad=_present(int(self.squad[row])),
                role=role_name(int(self.role[row])),
            ),
            player=leader,
            allies=tuple(
                AllyState(
                    id=int(key), pos=Point(x=int(ax), y=int(ay)), hp=int(hp), conditions=condition_names(int(bits))
                )
                for key, ax, ay, hp, bits in zip(
                    self.ally[row],
                    self.ally_x[row],
                    self.ally_y[row],
                    self.ally_hp[row],
                    self.ally_conditions[row],
                    strict=True,
                )
                if key >= 0
            ),
            enemies=tuple(
                EnemyState(
                    id=int(key),
                    pos=Point(x=int(ex), y=int(ey)),
                    hp=int(hp),
                    cover=COVER_NAMES[int(cover)],
                    last_seen=seconds,
                    conditions=condition_names(int(bits)),
                )
                for key, ex, ey, hp, cover, bits in zip(
                    self.enemy[row],
                    self.enemy_x[row],
                    self.enemy_y[row],
                    self.enemy_hp[row],
                    self.enemy_cover[row],
                    self.enemy_conditions[row],
                    strict=True,
                )
                if key >= 0
            ),
            pois=tuple(near),
            objects=tuple(
                ObjectState(id=int(key), kind=self.object_kinds[int(kind)], pos=Point(x=int(ox), y=int(oy)), state=left)
                for key, kind, ox, oy, left in zip(
                    self.object[row],
                    self.object_kind[row],
                    self.object_x[row],
                    self.object_y[row],
                    self.object_state[row].tolist(),
                    strict=True,
                )
                if key >= 0
            ),
            obstacles=self._obstacles(x, y),
            objective=self.texts[int(self.objective[row])] if self.objective[row] >= 0 else None,
            orders=(self.texts[int(self.order[row])],) if self.order[row] >= 0 else (),
            bounds=Bounds(width=self.map.width, height=self.map.height),
        )

    def _obstacles(self, x: int, y: int) -> tuple[Point, ...]:
        if self.map.blocked is None:
            return ()
        top, left = max(0, y - OBSTACLES_RADIUS), max(0, x - OBSTACLES_RADIUS)
        window = self.map.blocked[top : y + OBSTACLES_RADIUS + 1, left : x + OBSTACLES_RADIUS + 1]
        cells = [(int(cx) + left, int(cy) + top) for cy, cx in np.argwhere(window)]
        cells.sort(key=lambda cell: (abs(cell[0] - x) + abs(cell[1] - y), cell[1], cell[0]))
        return tuple(Point(x=cx, y=cy) for cx, cy in cells[:OBSTACLES_MAX])


_ABSENT: Final = frozenset(
    {
        "leader_order",
        "leader",
        "goal_x",
        "goal_y",
        "objective",
        "order",
        "enemy",
        "ally",
        "object",
        "taunter",
        "drawn_x",
        "drawn_y",
        "caller",
        "squad",
        "role",
    }
)
"""Columns in which -1 says that there is nothing."""
_COLUMNS_DECLARED: Final = tuple(
    (spec.name, int(spec.metadata["width"]), spec.metadata["dtype"], spec.name in _ABSENT)
    for spec in fields(SnapshotBatch)
    if "dtype" in spec.metadata
)
_COLUMNS: Final = tuple(name for name, *_ in _COLUMNS_DECLARED)
_OF_ENEMIES: Final = tuple(name for name in _COLUMNS if name.startswith("enemy"))
_OF_ALLIES: Final = tuple(name for name in _COLUMNS if name.startswith("ally"))
_OF_OBJECTS: Final = tuple(name for name in _COLUMNS if name.startswith("object_") or name == "object")
_OWN: Final = tuple(name for name in _COLUMNS if name not in (*_OF_ENEMIES, *_OF_ALLIES, *_OF_OBJECTS, "holding"))


def _shared_map(snapshots: Sequence[WorldSnapshot]) -> SharedMap:
    """Bounds that hold for every snapshot of a batch, and the places that all of them name.

    Each agent's own bounds bind its own plan in the prompt.
    """
    known = [s.bounds for s in snapshots if s.bounds is not None]
    common = set.intersection(*(set(s.pois) for s in snapshots)) if snapshots else set()
    pois = tuple(sorted(common, key=lambda poi: (poi.k, poi.pos.x, poi.pos.y)))
    if not known:
        return SharedMap(pois=pois)
    return SharedMap(width=min(b.width for b in known), height=min(b.height for b in known), pois=pois)


def condition_names(bits: int) -> tuple[str, ...]:
    """Return the names of stored conditions."""
    return tuple(name for place, name in enumerate(CONDITION_NAMES) if bits >> place & 1)


def _bits(names: Sequence[str]) -> int:
    return sum(1 << place for place, name in enumerate(CONDITION_NAMES) if name in names)


def _present(key: int) -> int | None:
    return key if key >= 0 else None


def _clip(value: float) -> int:
    return int(min(max(value, -(2**31) + 1), 2**31 - 1))


def _fill_row(batch: SnapshotBatch, row: int, snapshot: WorldSnapshot) -> None:
    me = snapshot.me
    for column, value in (
        (batch.team, me.team), (batch.x, me.pos.x), (batch.y, me.pos.y), (batch.hp, me.hp), (batch.hp_max, me.hp_max),
        (batch.ammo, me.ammo), (batch.reserve, me.reserve), (batch.morale, int(me.morale + 0.5)),
        (batch.cover, COVER_NAMES.index(me.cover) if me.cover in COVER_NAMES else 0),
        (batch.smokes, me.smokes), (batch.explosives, me.explosives), (batch.medkits, me.medkits),
        (batch.reserves, me.reserves), (batch.conditions, _bits(me.conditions)),
    ):  # fmt: skip
        column[row] = _clip(value)
    for name, seconds in me.cooldowns.items():
        left = math.ceil(min(max(seconds, 0.0), 2**31 / batch.ticks_per_second) * batch.ticks_per_second)
        batch.ready[row, batch.cooldown_names.index(name)] = _clip(left)
    if me.taunted_by is not None:
        batch.taunter[row] = me.taunted_by
    if me.distracted_to is not None:
        batch.drawn_x[row], batch.drawn_y[row] = me.distracted_to.x, me.distracted_to.y
    if me.cover_wanted_by is not None:
        batch.caller[row] = me.cover_wanted_by
    if me.squad is not None:
        batch.squad[row] = me.squad
    batch.role[row] = role_number(me.role)
    if snapshot.player is not None:
        batch.leader[row] = snapshot.player.id
        batch.leader_x[row], batch.leader_y[row] = snapshot.player.pos.x, snapshot.player.pos.y
        batch.leader_hp[row] = _clip(snapshot.player.hp)
        stance = snapshot.player.stance
        batch.leader_stance[row] = STANCE_NAMES.index(stance) if stance in STANCE_NAMES else 0
    if snapshot.pois:
        batch.goal_x[row], batch.goal_y[row] = snapshot.pois[0].pos.x, snapshot.pois[0].pos.y
    if snapshot.objective:
        batch.objective[row] = batch.texts.index(snapshot.objective)
    if snapshot.orders:
        batch.order[row] = batch.texts.index(snapshot.orders[0]) if snapshot.orders[0] else -1

    def distance(pos: Point) -> int:
        return (pos.x - me.pos.x) ** 2 + (pos.y - me.pos.y) ** 2

    enemies = sorted(snapshot.enemies, key=lambda e: (distance(e.pos), e.id))[:ENEMIES_MAX]
    for place, enemy in enumerate(enemies):
        batch.enemy[row, place] = enemy.id
        batch.enemy_x[row, place], batch.enemy_y[row, place] = enemy.pos.x, enemy.pos.y
        batch.enemy_hp[row, place] = _clip(enemy.hp)
        batch.enemy_cover[row, place] = COVER_NAMES.index(enemy.cover) if enemy.cover in COVER_NAMES else 0
        batch.enemy_conditions[row, place] = _bits(enemy.conditions)
    allies = sorted(snapshot.allies, key=lambda a: (distance(a.pos), a.id))[:ALLIES_MAX]
    for place, ally in enumerate(allies):
        batch.ally[row, place] = ally.id
        batch.ally_x[row, place], batch.ally_y[row, place] = ally.pos.x, ally.pos.y
        batch.ally_hp[row, place] = _clip(ally.hp)
        batch.ally_conditions[row, place] = _bits(ally.conditions)
    objects = sorted(snapshot.objects, key=lambda o: (distance(o.pos), o.id))[: batch.object.shape[1]]
    for place, seen in enumerate(objects):
        batch.object[row, place] = seen.id
        batch.object_kind[row, place] = batch.object_kinds.index(seen.kind)
        batch.object_x[row, place], batch.object_y[row, place] = seen.pos.x, seen.pos.y
        batch.object_state[row, place] = _clip(seen.state)
    for name, count in me.holdings.items():
        batch.holding[row, batch.holding_names.index(name)] = _clip(count)
