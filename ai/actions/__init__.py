"""Actions, and the one registry that prompt, parser, validation and executor share.

An action is a class: its name is the verb, its fields are the arguments that a planner writes, and its docstring is the
sentence that prompts show. A `ToolRegistry` holds actions in name order. Only the registry parses, checks and describes
steps and turns them into integers. `check` compares it with an observation.

Authors use `action` and `arguments`; `spec`, `integers`, `schema` and `registry` process their declarations. Import
every public name from here.
"""

from ai.actions.action import STEPS_MAX, Action, Record
from ai.actions.arguments import (
    CELLS_MAX,
    ENTRIES_MAX,
    KEY_MAX,
    NAME_CHARS_MAX,
    NAMES_MAX,
    SECONDS_MAX,
    WORDS_MAX,
    Argument,
    Kind,
    Pick,
    known,
    name,
    nested,
    number,
    on,
    pick,
    seconds,
    several,
    words,
)
from ai.actions.integers import NONE, PAYLOAD_BYTES_MAX, EncodedStep
from ai.actions.prompt_text import PromptText
from ai.actions.references import check
from ai.actions.registry import Place, ToolRegistry, picks_in
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
    values_in,
)

__all__ = [
    "ARGS_MAX",
    "CELLS_MAX",
    "ENTRIES_MAX",
    "KEY_MAX",
    "NAMES_MAX",
    "NAME_CHARS_MAX",
    "NONE",
    "PAYLOAD_BYTES_MAX",
    "SECONDS_MAX",
    "SENTENCE_CHARS_MAX",
    "STEPS_MAX",
    "WORDS_MAX",
    "Action",
    "ArgSpec",
    "Argument",
    "EncodedStep",
    "Kind",
    "ListShape",
    "PayloadField",
    "Pick",
    "Place",
    "PromptText",
    "Record",
    "RecordShape",
    "Shape",
    "TextShape",
    "ToolRegistry",
    "ToolSpec",
    "check",
    "known",
    "name",
    "nested",
    "number",
    "on",
    "pick",
    "picks_in",
    "seconds",
    "several",
    "values_in",
    "words",
]
