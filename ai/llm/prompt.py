"""The prompt of one call: system message, agent rows, and the schema or grammar of the reply.

The functions are pure: the same batch, registry and options give the same bytes in any process. The system message
depends only on the registry and the options, so that servers can cache it over ticks and shards; it has no tick, time
or seed. Agents appear as slots `a1` to `ak` in key order; `ai.llm.prompt_rows` words their knowledge.

A domain brings its own words: role, rules and examples come with the registry (`PromptText`), and facts with the
observation. The text here mentions only plans, steps and verbs.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from functools import cached_property, lru_cache
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from ai.actions import (
    Action,
    ArgSpec,
    Kind,
    ListShape,
    PayloadField,
    RecordShape,
    Shape,
    TextShape,
    ToolRegistry,
    ToolSpec,
    nested,
)
from ai.errors import ParseError
from ai.llm.encodings import NAMED
from ai.llm.encodings.base import PLAN_STEPS_MAX, Encoding
from ai.llm.encodings.offers import Offers
from ai.llm.prompt_rows import PromptRows
from ai.observation import ObservationBatch

PROMPT_VERSION: Final = "7"
"""The version of the prompt; it changes whenever the text for the same batch and declarations changes."""
REGISTRIES_MAX: Final = 64
"""The number of registries whose system messages are kept."""
REPLY_TOKENS: Final = 32
"""Reply tokens reserved for the text around the plans."""
REASON_CHARS_MAX: Final = 160
"""The most characters of the reason in a prompt that asks for a plan again."""
EXAMPLE_STEPS: Final = 3
"""The number of steps of an example made from the registry."""


class Detail(IntEnum):
    """The detail of a prompt about verbs, and its number of examples."""

    COMPACT = 1
    """One example."""
    FULL = 3
    """Three examples; the cost and cooldown of verbs."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """One call's request as text: two messages, the schema or grammar of the reply, and the tokens a reply needs."""

    system: str
    user: str
    schema: Mapping[str, Any] | None
    grammar: str | None
    tokens: int


@dataclass(frozen=True, eq=False)
class PromptRequest:
    """The request of one call: the agents and their knowledge, the verbs, the detail and the encoding.

    Attributes:
        whole: the batch that the agents belong to.
        registry: the verbs offered.
        encoding: the form of plans in the reply.
        detail: the detail about verbs.
        reasons: by agent, the reason why its last plan was not taken, if it is asked again.
        rows: the agents' rows in `whole`, ascending; None for all.
        left_out: the number of verbs that were dropped because the prompt was too long.
    """

    whole: ObservationBatch[Any]
    registry: ToolRegistry
    encoding: Encoding = NAMED
    detail: Detail = Detail.COMPACT
    reasons: Mapping[int, str] = field(default_factory=dict)
    rows: NDArray[np.intp] | slice | None = None
    left_out: int = 0

    @cached_property
    def batch(self) -> ObservationBatch[Any]:
        """The batch of these agents; few calls need more of it than keys, rows and offers."""
        return self.whole if self.rows is None else self.whole.take(self.rows)

    @cached_property
    def keys(self) -> list[int]:
        """The agents' ids, ascending."""
        keys: list[int] = (self.whole.keys if self.rows is None else self.whole.keys[self.rows]).tolist()
        return keys

    @property
    def system(self) -> str:
        """The first message."""
        return system_message(self.registry, encoding=self.encoding, detail=self.detail)

    @property
    def version(self) -> str:
        """The recorded version of the prompt: `PROMPT_VERSION`, and a digest of the domain's wording and the verbs."""
        return _version(self.system, self.whole.layout.wording)

    @cached_property
    def knowledge(self) -> PromptRows:
        """The knowledge of the agents as text."""
        return PromptRows.of(self.batch)

    @cached_property
    def offers(self) -> Offers:
        """The offers of the agents."""
        return Offers.of(self.batch, self.registry)

    @cached_property
    def user(self) -> str:
        """The second message."""
        text = f"{self.knowledge.message()}\n{self.encoding.closing(len(self.keys))}"
        return text + asked_again({slot: self.reasons.get(agent, "") for slot, agent in slots_of(self.keys).items()})

    def take(self, rows: NDArray[np.intp] | slice) -> Self:
        """Return the request for some of the agents; `rows` ascending. Texts and offers are made once for all."""
        part = replace(self, whole=self.batch, rows=rows)
        vars(part).update(knowledge=self.knowledge.take(rows), offers=self.offers.take(rows))
        return part

    def offering(self, verbs: Iterable[str]) -> Self:
        """Return the request with fewer verbs."""
        registry = fewer(self.registry, tuple(verbs))
        part = replace(self, registry=registry, left_out=self.left_out + len(self.registry) - len(registry))
        vars(part).update(knowledge=self.knowledge)
        return part

    def prompt(self) -> Prompt:
        """Return the whole prompt, with the schema or grammar."""
        return Prompt(
            system=self.system,
            user=self.user,
            schema=self.encoding.schema(self.offers),
            grammar=self.encoding.grammar(self.offers),
            tokens=reply_tokens(self.encoding, len(self.keys)),
        )


@lru_cache(maxsize=REGISTRIES_MAX)
def _version(system: str, wording: str) -> str:
    digest = hashlib.blake2b(f"{wording}\n{system}".encode(), digest_size=4, person=b"tickweave-prompt")
    return f"{PROMPT_VERSION}-{digest.hexdigest()}"


def reply_tokens(encoding: Encoding, agents: int) -> int:
    """Return the tokens reserved for a reply with the plans of a number of agents."""
    return encoding.plan_tokens * agents + REPLY_TOKENS


def slots_of(keys: Iterable[int]) -> dict[str, int]:
    """Return the agent of each slot: `a1` to `ak` in the order of the keys."""
    return {f"a{number}": int(key) for number, key in enumerate(keys, 1)}


@lru_cache(maxsize=REGISTRIES_MAX)
def fewer(registry: ToolRegistry, verbs: tuple[str, ...]) -> ToolRegistry:
    """Return the registry with some of its verbs; made once, as schemas are kept by registry."""
    return registry.offering(verbs)


def asked_again(reasons: Mapping[str, str]) -> str:
    """Return the addition to the user message if agents are asked again: the reason for each slot's last plan."""
    told = [
        f"{slot}: {json.dumps(reason[:REASON_CHARS_MAX], ensure_ascii=False)}"
        for slot, reason in reasons.items()
        if reason
    ]
    return "\n".join(["", "Your last plans for these slots were not taken:", *told]) if told else ""


# -- the system message ------------------------------------------------------------------------------------------------


@lru_cache(maxsize=REGISTRIES_MAX)
def system_message(registry: ToolRegistry, *, encoding: Encoding = NAMED, detail: Detail = Detail.COMPACT) -> str:
    """Return role, rules, verbs and examples; the same for every tick, batch and agent."""
    kinds = {arg.kind for spec in registry for arg in spec.shapes()}
    rules = list(registry.prompt.rules)
    if Kind.TARGET in kinds:
        rules.append("Use only ids that the agent's own row names.")
    if kinds & {Kind.CELL, Kind.CELL_X, Kind.CELL_Y}:
        rules.append("Use only cells that exist.")
    rules += [
        f"A plan has 1 to {PLAN_STEPS_MAX} steps; only the verbs below exist; arguments marked ? are optional.",
        encoding.instructions(),
    ]
    tables = _tables_of_several(registry)
    lines = [
        registry.prompt.role,
        "Rules:",
        *(f"{number}. {rule}" for number, rule in enumerate(rules, 1)),
        *(f"Names of {table}: {'|'.join(registry.tables[table])}" for table in tables),
        "Verbs:",
        *(_verb_line(spec, registry, tables, costs=detail is Detail.FULL) for spec in registry),
    ]
    plans = example_plans(registry)[:detail]
    if plans:
        lines += ["Example:", encoding.frame({f"a{n}": encoding.write(p, registry) for n, p in enumerate(plans, 1)})]
    return "\n".join(lines)


def example_plans(registry: ToolRegistry) -> list[Sequence[Action]]:
    """Return the domain's example plans of offered verbs; if it has none, plans of verbs that need no target."""
    given = [plan for plan in registry.prompt.examples if all(step.act in registry for step in plan)]
    if given:
        return list(given)
    steps = [step for spec in registry if (step := _sample(registry, spec)) is not None]
    longest = min(EXAMPLE_STEPS, len(steps))
    return [[steps[(start + n) % len(steps)] for n in range(longest)] for start in range(min(Detail.FULL, len(steps)))]


def _sample(registry: ToolRegistry, spec: ToolSpec) -> Action | None:
    """Return one step of an action with its required arguments only, or None if it needs a target."""
    step: dict[str, Any] = {"act": spec.name}
    for arg in spec.args:
        if not arg.required:
            continue
        if arg.kind is Kind.TARGET:
            return None
        step[arg.name] = _sample_value(registry, arg)
    step |= {field.name: _sample_value(registry, field.shape) for field in spec.payload if field.required}
    try:
        return registry.parse_step(nested(step))
    except ParseError:
        return None  # the sample values do not meet the action's own rule, or a list needs a target


def _sample_value(registry: ToolRegistry, shape: Shape) -> Any:
    match shape:
        case TextShape():
            return "why".ljust(shape.chars_min)[: shape.chars_max]
        case ListShape():
            return [_sample_value(registry, shape.item)] * shape.low
        case RecordShape():
            return {field.name: _sample_value(registry, field.shape) for field in shape.fields}
        case ArgSpec():
            return _sample_argument(registry, shape)


def _sample_argument(registry: ToolRegistry, arg: ArgSpec) -> Any:
    if arg.kind is Kind.NAME:
        return registry.tables[arg.sources[0]][0]
    if arg.choices:
        return arg.choices[0]
    if arg.kind is Kind.CELL:
        return {"x": 0, "y": 0}
    if arg.kind in (Kind.CELL_X, Kind.CELL_Y):
        return 0
    return None if arg.kind is Kind.TARGET else _unit(min(max(arg.low, 3 * arg.scale), arg.high), arg)


def _tables_of_several(registry: ToolRegistry) -> list[str]:
    """Return the tables whose names several arguments take; the prompt lists these names once."""
    uses = Counter(arg.sources[0] for spec in registry for arg in spec.shapes() if arg.kind is Kind.NAME)
    return sorted(table for table, count in uses.items() if count > 1)


def _verb_line(spec: ToolSpec, registry: ToolRegistry, tables: Sequence[str], *, costs: bool) -> str:
    arguments = ArgumentWords(registry, tables)
    line = f"{spec.name}({', '.join(arguments.of(spec))}): {spec.sentence}"
    if costs and spec.action.cooldown_s:
        line += f" Cooldown {_plain(spec.action.cooldown_s)} s."
    if costs and spec.action.cost:
        line += f" Costs {spec.action.cost}."
    return line


@dataclass(frozen=True, slots=True)
class ArgumentWords:
    """Words the arguments of verbs; the prompt lists names of `tables` elsewhere."""

    registry: ToolRegistry
    tables: Sequence[str]

    def of(self, spec: ToolSpec) -> list[str]:
        """Return the arguments of a verb as a reply names them; those of a cell are in braces."""
        owners: dict[str, list[ArgSpec]] = {}
        for arg in spec.args:
            owners.setdefault(arg.name.partition(".")[0], []).append(arg)
        shown = []
        for name, args in owners.items():
            inner = [f"{arg.name.partition('.')[2]} {self._value(arg)}" for arg in args if "." in arg.name]
            value = f"{{{', '.join(inner)}}}" if inner else self._value(args[0])
            shown.append(f"{name}{'' if args[0].required else '?'} {value}")
        return shown + [self._field(field) for field in spec.payload]

    def _field(self, field: PayloadField) -> str:
        return f"{field.name}{'' if field.required else '?'} {self._shape(field.shape)}"

    def _shape(self, shape: Shape) -> str:
        match shape:
            case TextShape():
                return f"text of at most {shape.chars_max} characters"
            case ListShape():
                return f"[{shape.low} to {shape.high} of {self._shape(shape.item)}]"
            case RecordShape():
                return f"{{{', '.join(self._field(field) for field in shape.fields)}}}"
            case ArgSpec():
                return self._value(shape)

    def _value(self, arg: ArgSpec) -> str:
        match arg.kind:
            case Kind.NAME if arg.sources[0] in self.tables:
                return f"name of {arg.sources[0]}"
            case Kind.NAME:
                return "|".join(self.registry.tables[arg.sources[0]])
            case Kind.CHOICE:
                return "|".join(arg.choices)
            case Kind.CELL:
                return "{x cell, y cell}"
            case Kind.CELL_X | Kind.CELL_Y:
                return "cell"
            case Kind.TARGET:
                return f"id in {' or '.join(source.rpartition('.')[2] for source in arg.sources)}"
        return f"{_unit(arg.low, arg)}..{_unit(arg.high, arg)}"


def _unit(stored: int, arg: ArgSpec) -> int | float:
    return _plain(stored / arg.scale) if arg.scale != 1 else stored


def _plain(value: float) -> int | float:
    return int(value) if float(value).is_integer() else value
