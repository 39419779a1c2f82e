"""What agents know when they plan: `WorldSnapshot` for one agent, `SnapshotBatch` for many as arrays.

`world` has the objects, `batch` the arrays, `rows` turns one into the other, `shared` is what all agents of a batch
know alike. Everything public is imported from here.
"""

from ai.snapshot.batch import Ints, Keys, SnapshotBatch, picked
from ai.snapshot.shared import SharedMap
from ai.snapshot.world import (
    ALLIES_MAX,
    CONDITION_NAMES,
    COVER_NAMES,
    ENEMIES_MAX,
    OBJECTS_MAX,
    STANCE_NAMES,
    AgentId,
    AllyState,
    Bounds,
    EnemyState,
    LeaderState,
    ObjectState,
    Poi,
    Point,
    SelfState,
    WorldSnapshot,
    condition_names,
)

__all__ = [
    "ALLIES_MAX",
    "CONDITION_NAMES",
    "COVER_NAMES",
    "ENEMIES_MAX",
    "OBJECTS_MAX",
    "STANCE_NAMES",
    "AgentId",
    "AllyState",
    "Bounds",
    "EnemyState",
    "Ints",
    "Keys",
    "LeaderState",
    "ObjectState",
    "Poi",
    "Point",
    "SelfState",
    "SharedMap",
    "SnapshotBatch",
    "WorldSnapshot",
    "condition_names",
    "picked",
]
