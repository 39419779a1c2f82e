"""What agents know, as text for a language model: system message, agent rows, and the schema of the reply.

Pure and byte-stable: the same batch, registry and options give the same bytes, in any process. The system message
depends on the registry and the options alone, so servers can keep it cached over ticks and shards; tick, time and seed
stand nowhere. Agents appear as slots `a1` to `ak` in key order; what all of them know is said once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

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
from ai.encodings.base import PLAN_STEPS_MAX, Encoding
from ai.errors import ParseError
from ai.snapshot import COVER_NAMES, Poi, SnapshotBatch, condition_names

PROMPT_VERSION: Final = "1"
"""Changes whenever the text made from the same batch changes; recorded with every shard."""
REPLY_TOKENS: Final = 32
"""Reply tokens reserved for what stands around the plans."""
POIS_MAX: Final = 16
"""Named places that one prompt lists."""
TEXT_CHARS_MAX: Final = 500
"""Characters of an objective or order that a prompt shows."""
REASON_CHARS_MAX: Final = 160
"""Characters of the reason that a prompt gives when it asks for a plan again."""

_EXAMPLE_FIRST: Final = ("TakeCover", "MoveTo", "Scan", "Wait")
_EXAMPLE_STEPS: Final = 3
_EXAMPLE_PLANS: Final = 3


@dataclass(frozen=True, slots=True)
class Prompt:
    """One shard's request as text: two messages, the schema or grammar of the reply, and the tokens a reply needs."""

    system: str
    user: str
    schema: Mapping[str, Any] | None
    grammar: str | None
    tokens: int


def build_prompt(
    batch: SnapshotBatch, registry: ToolRegistry, *, encoding: Encoding = NAMED, examples: bool = False
) -> Prompt:
    """Return the prompt for the agents of `batch`; `examples` asks for more of them, with cooldowns and costs."""
    return Prompt(
        system=system_message(registry, encoding=encoding, examples=examples),
        user=user_message(batch, encoding=encoding),
        schema=encoding.schema(batch, registry),
        grammar=encoding.grammar(batch, registry),
        tokens=encoding.plan_tokens * len(batch) + REPLY_TOKENS,
    )


def slots_of(batch: SnapshotBatch) -> dict[str, int]:
    """Return the agent of each slot: `a1` to `ak` in key order."""
    return {f"a{row + 1}": int(key) for row, key in enumerate(batch.keys)}


# -- the system message ------------------------------------------------------------------------------------------------


def system_message(registry: ToolRegistry, *, encoding: Encoding = NAMED, examples: bool = False) -> str:
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
        *(_verb_line(spec, costs=examples) for spec in registry),
    ]
    plans = example_plans(registry)[: _EXAMPLE_PLANS if examples else 1]
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
        [steps[(start + n) % len(steps)] for n in range(longest)] for start in range(min(_EXAMPLE_PLANS, len(steps)))
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


def _minified(data: object) -> str:
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False)


# -- the user message --------------------------------------------------------------------------------------------------


def user_message(batch: SnapshotBatch, *, encoding: Encoding = NAMED) -> str:
    """Return what all agents know, one row for each agent, and the closing instruction."""
    lines = [
        f"Map: {batch.map.width}x{batch.map.height} cells, x 0..{batch.map.width - 1}, y 0..{batch.map.height - 1}"
    ]
    places = _pois(batch)
    if places:
        lines.append("Places: " + " ".join(f"{_minified(p.k)}@{p.pos.x},{p.pos.y}" for p in places))
    used = sorted({int(index) for column in (batch.objective, batch.order) for index in column if index >= 0})
    numbers = {index: number for number, index in enumerate(used, 1)}
    lines += [f"Text {numbers[index]}: {_minified(batch.texts[index][:TEXT_CHARS_MAX])}" for index in used]
    lines.append("Agents:")
    lines += [_row(batch, row, numbers) for row in range(len(batch))]
    lines.append(encoding.closing(len(batch)))
    return "\n".join(lines)


def asked_again(reasons: Mapping[str, str]) -> str:
    """Return what is added to the user message when agents are asked again: why each slot's last plan was not taken."""
    lines = [f"{slot}: {_minified(reason[:REASON_CHARS_MAX])}" for slot, reason in reasons.items() if reason]
    return "\n".join(["", "Your last plans for these slots were not taken:", *lines])


def _pois(batch: SnapshotBatch) -> Sequence[Poi]:
    known = {(poi.k, poi.pos.x, poi.pos.y): poi for poi in batch.map.pois}
    for snapshot in batch.originals or ():
        known.update({(poi.k, poi.pos.x, poi.pos.y): poi for poi in snapshot.pois})
    return [known[name] for name in sorted(known)][:POIS_MAX]


def _row(batch: SnapshotBatch, row: int, texts: Mapping[int, int]) -> str:
    parts = [
        f"a{row + 1}: id {batch.keys[row]} pos {batch.x[row]},{batch.y[row]} hp {batch.hp[row]}/{batch.hp_max[row]}",
        f"ammo {batch.ammo[row]}+{batch.reserve[row]} morale {batch.morale[row]}",
        f"cover {COVER_NAMES[int(batch.cover[row])]}",
    ]
    items = (("smokes", batch.smokes), ("explosives", batch.explosives), ("medkits", batch.medkits))
    parts += [f"{name} {column[row]}" for name, column in items if column[row]]
    parts += [f"{name} {held}" for name, held in zip(batch.holding_names, batch.holding[row], strict=True) if held]
    parts += [f"cooldown {name} {seconds}s" for name, seconds in _cooldowns(batch, row)]
    parts += condition_names(int(batch.conditions[row]))
    if batch.taunter[row] >= 0:
        parts.append(f"taunted by {batch.taunter[row]}")
    if batch.drawn_x[row] >= 0:
        parts.append(f"distracted to {batch.drawn_x[row]},{batch.drawn_y[row]}")
    if batch.caller[row] >= 0:
        parts.append(f"cover wanted by {batch.caller[row]}")
    if batch.reserves[row] > 0:
        parts.append(f"reserves {batch.reserves[row]}")
    if batch.goal_x[row] >= 0:
        parts.append(f"goal {batch.goal_x[row]},{batch.goal_y[row]}")
    parts += [
        f"{name} {texts[int(column[row])]}"
        for name, column in (("objective", batch.objective), ("order", batch.order))
        if column[row] >= 0
    ]
    if batch.leader[row] >= 0:
        parts.append(
            f"leader {batch.leader[row]}@{batch.leader_x[row]},{batch.leader_y[row]} hp {batch.leader_hp[row]}"
        )
    enemies = [
        " ".join([f"{key}@{x},{y} hp {hp}{' in cover' if cover else ''}", *condition_names(int(bits))])
        for key, x, y, hp, cover, bits in zip(
            batch.enemy[row],
            batch.enemy_x[row],
            batch.enemy_y[row],
            batch.enemy_hp[row],
            batch.enemy_cover[row],
            batch.enemy_conditions[row],
            strict=True,
        )
        if key >= 0
    ]
    allies = [
        " ".join([f"{key}@{x},{y} hp {hp}", *condition_names(int(bits))])
        for key, x, y, hp, bits in zip(
            batch.ally[row],
            batch.ally_x[row],
            batch.ally_y[row],
            batch.ally_hp[row],
            batch.ally_conditions[row],
            strict=True,
        )
        if key >= 0
    ]
    parts.append(f"enemies {'; '.join(enemies) or 'none'}")
    parts.append(f"allies {'; '.join(allies) or 'none'}")
    objects = [
        f"{key} {batch.object_kinds[kind]}@{x},{y}{f' left {left}' if left >= 0 else ''}"
        for key, kind, x, y, left in zip(
            batch.object[row],
            batch.object_kind[row],
            batch.object_x[row],
            batch.object_y[row],
            batch.object_state[row],
            strict=True,
        )
        if key >= 0
    ]
    if objects:
        parts.append(f"objects {'; '.join(objects)}")
    return " ".join(parts)


def _cooldowns(batch: SnapshotBatch, row: int) -> list[tuple[str, int]]:
    """Return the cooldowns that still run, in whole seconds rounded up, sorted by name."""
    return sorted(
        (name, -(-int(ticks) // batch.ticks_per_second))
        for name, ticks in zip(batch.cooldown_names, batch.ready[row], strict=True)
        if ticks > 0
    )
