"""Action kinds and the one registry behind prompt, parser, validation and executor.

An action kind is a subclass of `ActionStep`: a frozen pydantic model whose fields are what a planner writes. Its
docstring is the sentence the prompt shows. A `ToolRegistry` holds kinds in name order and is the only place that knows
how a step is parsed, checked, described and turned into integers. Names of weapons, items and abilities are text in a
step; a registry knows them once `with_names` has bound its tables.

What an author of a kind writes is in `fields` and `step`; what the registry makes of it is in `spec`, `names`,
`integers` and `schema`. Everything public is imported from here.
"""

from ai.actions.fields import (
    CELLS_MAX,
    KEY_MAX,
    NAME_CHARS_MAX,
    NAME_ROLES,
    NAMES_MAX,
    SECONDS_MAX,
    TARGET_ROLES,
    AbilityName,
    AllyId,
    Arg,
    BriefSeconds,
    Cell,
    CellX,
    CellY,
    Count,
    Distance,
    EnemyId,
    ItemName,
    ObjectId,
    Payload,
    Radius,
    Role,
    Seconds,
    Share,
    Slot,
    Text,
    WeaponName,
    cells_in,
)
from ai.actions.integers import NONE, PAYLOAD_BYTES_MAX, EncodedStep
from ai.actions.registry import ToolRegistry
from ai.actions.spec import (
    ARGS_MAX,
    SENTENCE_CHARS_MAX,
    ArgSpec,
    ListShape,
    PayloadField,
    RecordShape,
    Shape,
    TextShape,
    ToolSpec,
)
from ai.actions.step import COMMON_KINDS, STEPS_MAX, ActionStep, Scan, Wait

__all__ = [
    "ARGS_MAX",
    "CELLS_MAX",
    "COMMON_KINDS",
    "KEY_MAX",
    "NAMES_MAX",
    "NAME_CHARS_MAX",
    "NAME_ROLES",
    "NONE",
    "PAYLOAD_BYTES_MAX",
    "SECONDS_MAX",
    "SENTENCE_CHARS_MAX",
    "STEPS_MAX",
    "TARGET_ROLES",
    "AbilityName",
    "ActionStep",
    "AllyId",
    "Arg",
    "ArgSpec",
    "BriefSeconds",
    "Cell",
    "CellX",
    "CellY",
    "Count",
    "Distance",
    "EncodedStep",
    "EnemyId",
    "ItemName",
    "ListShape",
    "ObjectId",
    "Payload",
    "PayloadField",
    "Radius",
    "RecordShape",
    "Role",
    "Scan",
    "Seconds",
    "Shape",
    "Share",
    "Slot",
    "Text",
    "TextShape",
    "ToolRegistry",
    "ToolSpec",
    "Wait",
    "WeaponName",
    "cells_in",
]
