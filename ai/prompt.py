"""What agents know, as text for a language model: system message, agent rows, and the schema of the reply.

Pure and byte-stable: the same batch, registry and options give the same bytes, in any process. The system message
depends on the registry and the options alone, so servers can keep it cached over ticks and shards; tick, time and seed
stand nowhere. Agents appear as slots `a1` to `ak` in key order; what they know is `ai.knowledge`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from functools import cached_property, lru_cache
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from ai.actions import (
    TARGET_ROLES,
    ActionStep,
    ArgSpec,
    ListShape,
    PayloadField,
    RecordShape,
    Role,
    Shape,
    TextShape,
    ToolRegistry,
    ToolSpec,
)
from ai.encodings import NAMED
from ai.encodings.base import PLAN_STEPS_MAX, Encoding, Offers
from ai.errors import ParseError
from ai.knowledge import Knowledge
from ai.snapshot import SnapshotBatch

PROMPT_VERSION: Final = "6"
"""Changes whenever the text made from the same batch changes; recorded with every shard."""
REGISTRIES_MAX: Final = 64
"""Registries whose system messages are kept."""
REPLY_TOKENS: Final = 32
"""Reply tokens reserved for what stands around the plans."""
REASON_CHARS_MAX: Final = 160
"""Characters of the reason that a prompt gives when it asks for a plan again."""

_EXAMPLE_FIRST: Final = ("TakeCover", "MoveTo", "Scan", "Wait")
_EXAMPLE_STEPS: Final = 3


class Detail(IntEnum):
    """How much a prompt tells of verbs, and by how many examples."""

    BARE = 0
    """The verbs and no example."""
    COMPACT = 1
    """One example."""
    FULL = 2
    """Three examples; what verbs cost, and how long they then cannot be used."""


_EXAMPLE_PLANS: Final = (0, 1, 3)
"""Example plans by detail."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """One shard's request as text: two messages, the schema or grammar of the reply, and the tokens a reply needs."""

    system: str
    user: str
    schema: Mapping[str, Any] | None
    grammar: str | None
    tokens: int


@dataclass(frozen=True, eq=False)
class Asking:
    """What one call asks with: the agents and what they know, the verbs offered, in how much detail, written how.

    The agents are those of `whole` in `rows`, ascending, None for all. `reasons` says, by agent, why its last plan was
    not taken, where it is asked again.
    """

    whole: SnapshotBatch
    registry: ToolRegistry
    encoding: Encoding = NAMED
    detail: Detail = Detail.COMPACT
    reasons: Mapping[int, str] = field(default_factory=dict)
    rows: NDArray[np.intp] | slice | None = None

    @cached_property
    def batch(self) -> SnapshotBatch:
        """The agents alone; taken out of the whole when it is asked for, as few calls need more than their keys."""
        return self.whole if self.rows is None else self.whole.take(self.rows)

    @cached_property
    def keys(self) -> list[int]:
        """The agents' keys, ascending."""
        keys: list[int] = (self.whole.keys if self.rows is None else self.whole.keys[self.rows]).tolist()
        return keys

    @property
    def system(self) -> str:
        """The first message."""
        return system_message(self.registry, encoding=self.encoding, detail=self.detail)

    @cached_property
    def knowledge(self) -> Knowledge:
        """What the agents know, as text."""
        return Knowledge.of(self.batch)

    @cached_property
    def offers(self) -> Offers:
        """What the agents may do."""
        return Offers.of(self.batch, self.registry)

    @cached_property
    def user(self) -> str:
        """The second message; made once, as it is looked at before it is sent."""
        text = f"{self.knowledge.message()}\n{self.encoding.closing(len(self.keys))}"
        if self.reasons:
            text += asked_again({slot: self.reasons.get(agent, "") for slot, agent in slots_of(self.keys).items()})
        return text

    def take(self, rows: NDArray[np.intp] | slice) -> Self:
        """Return what some of the agents are asked with; `rows` must be ascending."""
        part = replace(self, whole=self.batch, rows=rows)
        # What is known of all is made once.
        vars(part).update(knowledge=self.knowledge.take(rows), offers=self.offers.take(rows))
        return part

    def prompt(self) -> Prompt:
        """Return all of it, with the schema or grammar."""
        return Prompt(
            system=self.system,
            user=self.user,
            schema=self.encoding.schema(self.offers),
            grammar=self.encoding.grammar(self.offers),
            tokens=reply_tokens(self.encoding, len(self.keys)),
        )


def reply_tokens(encoding: Encoding, agents: int) -> int:
    """Return the tokens reserved for a reply with the plans of so many agents."""
    return encoding.plan_tokens * agents + REPLY_TOKENS


def slots_of(keys: Iterable[int]) -> dict[str, int]:
    """Return the agent of each slot: `a1` to `ak` in the order of the keys."""
    return {f"a{number}": int(key) for number, key in enumerate(keys, 1)}


# -- the system message ------------------------------------------------------------------------------------------------


@lru_cache(maxsize=REGISTRIES_MAX)
def system_message(registry: ToolRegistry, *, encoding: Encoding = NAMED, detail: Detail = Detail.COMPACT) -> str:
    """Return rules, verbs and examples; the same for every tick, batch and agent."""
    lines = [
        "You plan for agents on a grid map. Reach the objective, remove threats, keep risk low.",
        "Rules:",
        "1. Take cover before you engage; smoke blocks sight.",
        "2. Reload when ammo is 0; heal or retreat when hp is low; retreat when morale is below 30.",
        "3. Name only enemies and allies listed in that agent's own row, by id; name only cells on the map.",
        f"4. A plan has 1 to {PLAN_STEPS_MAX} steps; only the verbs below exist; arguments marked ? may be left out.",
        f"5. {encoding.instructions()}",
        "Verbs:",
        *(_verb_line(spec, costs=detail is Detail.FULL) for spec in registry),
    ]
    plans = example_plans(registry)[: _EXAMPLE_PLANS[detail]]
    if plans:
        lines += ["Example:", encoding.frame({f"a{n}": encoding.write(p, registry) for n, p in enumerate(plans, 1)})]
    return "\n".join(lines)


def example_plans(registry: ToolRegistry) -> list[list[ActionStep]]:
    """Return example plans of offered verbs that need no target."""
    names = [name for name in _EXAMPLE_FIRST if name in registry]
    names += [name for name in registry.names if name not in names]
    steps = [step for name in names if (step := _sample(registry, registry.spec(name))) is not None]
    if not steps:
        return []
    longest = min(_EXAMPLE_STEPS, len(steps))
    return [
        [steps[(start + n) % len(steps)] for n in range(longest)]
        for start in range(min(max(_EXAMPLE_PLANS), len(steps)))
    ]


def _sample(registry: ToolRegistry, spec: ToolSpec) -> ActionStep | None:
    """Return one legal step of a kind with its required arguments only, or None if it needs a target."""
    step: dict[str, Any] = {"act": spec.name}
    for arg in spec.args:
        if not arg.required:
            continue
        if arg.role in TARGET_ROLES:
            return None
        owner = step
        *path, last = arg.name.split(".")
        for part in path:
            owner = owner.setdefault(part, {})
        owner[last] = _sample_value(arg)
    step |= {field.name: _sample_value(field.shape) for field in spec.payload if field.required}
    try:
        return registry.parse_step(step)
    except ParseError:
        return None  # a kind with a rule of its own that the sample values do not meet


def _sample_value(shape: Shape) -> Any:
    match shape:
        case TextShape():
            return "why"
        case ListShape():
            return [_sample_value(shape.item)] * max(shape.low, 1)
        case RecordShape():
            return {field.name: _sample_value(field.shape) for field in shape.fields if field.required}
        case ArgSpec():
            if shape.choices:
                return shape.choices[0]
            return _written(min(max(shape.low, 3 * shape.scale), shape.high), shape)


def _verb_line(spec: ToolSpec, *, costs: bool) -> str:
    line = f"{spec.name}({', '.join(_arguments(spec))}): {spec.sentence}"
    if costs and spec.cooldown_s:
        line += f" Cooldown {_plain(spec.cooldown_s)} s."
    if costs and spec.cost:
        line += f" Costs {spec.cost}."
    return line


def _arguments(spec: ToolSpec) -> list[str]:
    """Return the arguments of a kind as a reply names them; those of a nested object stand in its braces."""
    owners: dict[str, list[ArgSpec]] = {}
    for arg in spec.args:
        owners.setdefault(arg.name.partition(".")[0], []).append(arg)
    shown = []
    for name, args in owners.items():
        inner = [f"{arg.name.partition('.')[2]} {_kind(arg)}" for arg in args if "." in arg.name]
        kind = f"{{{', '.join(inner)}}}" if inner else _kind(args[0])
        shown.append(f"{name}{'' if args[0].required else '?'} {kind}")
    return shown + [_shown(field) for field in spec.payload]


def _shown(field: PayloadField) -> str:
    return f"{field.name}{'' if field.required else '?'} {_shape_kind(field.shape)}"


def _shape_kind(shape: Shape) -> str:
    match shape:
        case TextShape():
            return f"text of at most {shape.chars_max} characters"
        case ListShape():
            return f"[{shape.low} to {shape.high} of {_shape_kind(shape.item)}]"
        case RecordShape():
            return f"{{{', '.join(_shown(field) for field in shape.fields)}}}"
        case ArgSpec():
            return _kind(shape)


def _kind(arg: ArgSpec) -> str:
    if arg.choices:
        return "|".join(arg.choices)
    if arg.role in (Role.CELL_X, Role.CELL_Y):
        return "cell"
    if arg.role in TARGET_ROLES:
        return f"{arg.role.name.lower()} id"
    return f"{_written(arg.low, arg)}..{_written(arg.high, arg)}"


def _written(stored: int, arg: ArgSpec) -> int | float:
    return _plain(stored / arg.scale) if arg.scale != 1 else stored


def _plain(value: float) -> int | float:
    return int(value) if float(value).is_integer() else value


# -- the user message --------------------------------------------------------------------------------------------------


def asked_again(reasons: Mapping[str, str]) -> str:
    """Return what is added to the user message when agents are asked again: why each slot's last plan was not taken."""
    told = [
        f"{slot}: {json.dumps(reason[:REASON_CHARS_MAX], ensure_ascii=False)}"
        for slot, reason in reasons.items()
        if reason
    ]
    return "\n".join(["", "Your last plans for these slots were not taken:", *told]) if told else ""
