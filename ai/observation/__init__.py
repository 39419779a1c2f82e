"""The knowledge of agents: `Observation` for one agent, `ObservationBatch` for many as arrays.

`facts` declares, `leaves` stores, `layout` derives columns and more from a declaration, `batch` holds the arrays,
`objects` and `given` make them. Everything public is imported from here.
"""

from ai.observation.batch import SELF, Groups, Keys, ObservationBatch, Rows, View, sources_of, space_of
from ai.observation.counting import any_place, largest, places_held
from ai.observation.facts import AGENTS, REQUIRED, AgentId, Cell, Entry, Fact, Id, fact
from ai.observation.layout import LIST_MAX, Group, Layout, Saying, first_difference
from ai.observation.leaves import (
    TEXT_CHARS_MAX,
    Array,
    Bools,
    Choice,
    Column,
    Counts,
    Flags,
    Key,
    Leaf,
    Name,
    Number,
    Place,
    Shared,
    Text,
)
from ai.observation.lists import Flat, listed
from ai.observation.observation import Observation, observed_by

__all__ = [
    "AGENTS",
    "LIST_MAX",
    "REQUIRED",
    "SELF",
    "TEXT_CHARS_MAX",
    "AgentId",
    "Array",
    "Bools",
    "Cell",
    "Choice",
    "Column",
    "Counts",
    "Entry",
    "Fact",
    "Flags",
    "Flat",
    "Group",
    "Groups",
    "Id",
    "Key",
    "Keys",
    "Layout",
    "Leaf",
    "Name",
    "Number",
    "Observation",
    "ObservationBatch",
    "Place",
    "Rows",
    "Saying",
    "Shared",
    "Text",
    "View",
    "any_place",
    "fact",
    "first_difference",
    "largest",
    "listed",
    "observed_by",
    "places_held",
    "sources_of",
    "space_of",
]
