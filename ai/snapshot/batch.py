"""What many agents know, as arrays: what the simulation builds and every tier reads.

Shapes: `n` agents in ascending key order, `E = ENEMIES_MAX`, `A = ALLIES_MAX`. Unused places hold key -1 and zeros, so
equal knowledge means equal bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from ai.canonical import little_endian
from ai.errors import ContractError
from ai.snapshot.rows import read_row, write_row
from ai.snapshot.shared import SharedMap, shared_map
from ai.snapshot.world import ALLIES_MAX, ENEMIES_MAX, OBJECTS_MAX, AgentId, WorldSnapshot

T = TypeVar("T")
Ints = NDArray[np.int32]
"""A column of numbers: cells, hit points, ticks, positions in a table."""
Keys = NDArray[np.int64]
"""A column of agent keys."""

GROUPS_WIDTH: Final = -1
"""Declares a column with a place for each cooldown group."""
NO_WIDTH: Final = -2
"""Declares a column that has no places unless it is given."""


def _column(width: int = 0, dtype: type[np.generic] = np.int32) -> Any:
    return field(default=None, metadata={"width": width, "dtype": dtype})


def picked(items: Sequence[T], rows: NDArray[np.intp] | slice) -> list[T]:
    """Return the items of some rows, as `SnapshotBatch.take` picks them."""
    return list(items[rows]) if isinstance(rows, slice) else [items[row] for row in rows.tolist()]


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
        originals = None if self.originals is None else tuple(picked(self.originals, rows))
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
            map=shared_map(snapshots),
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
            write_row(batch, row, snapshot)
        return batch

    def snapshot(self, row: int) -> WorldSnapshot:
        """Return one agent's knowledge as an object; made on demand, for prompts and people."""
        return read_row(self, row) if self.originals is None else self.originals[row]


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
