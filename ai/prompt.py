"""What agents know, as text for a language model: system message, agent rows, and the schema of the reply.

Pure and byte-stable: the same batch, registry and options give the same bytes, in any process. The system message
depends on the registry and the options alone, so servers can keep it cached over ticks and shards; tick, time and seed
stand nowhere. Agents appear as slots `a1` to `ak` in key order; what all of them know is said once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

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
from ai.encodings.base import PLAN_STEPS_MAX, Encoding
from ai.errors import ParseError
from ai.roles import NO_ROLE, ROLE_NAMES, ROLES
from ai.snapshot import COVER_NAMES, Poi, SnapshotBatch, condition_names
from ai.steps import READERS_MAX

PROMPT_VERSION: Final = "3"
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


@lru_cache(maxsize=READERS_MAX)
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
    roles = [ROLE_NAMES[number] for number in np.unique(batch.role[batch.role != NO_ROLE]).tolist()]
    lines += [f"Role {name}: {ROLES[name]}" for name in roles]
    used = [index for index in np.unique(np.concatenate([batch.objective, batch.order])).tolist() if index >= 0]
    numbers = {index: number for number, index in enumerate(used, 1)}
    lines += [f"Text {numbers[index]}: {_minified(batch.texts[index][:TEXT_CHARS_MAX])}" for index in used]
    led = _led(batch)
    if led:
        lines.append("Squads: " + "; ".join(f"{squad} led by {leader}" for squad, leader in sorted(led.items())))
    rows, known = _rows(batch, numbers, led)
    if known:
        lines.append(f"Named by id in several rows: {'; '.join(known)}")
    lines.append("Agents:")
    lines += [f"a{number}: {row}" for number, row in enumerate(rows, 1)]
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


def _led(batch: SnapshotBatch) -> dict[int, str]:
    """Return what is said of the leader of each squad of which several rows say the same; it is said once then."""
    said: dict[int, list[str]] = {}
    for squad, leader, x, y, hp in zip(
        *(column.tolist() for column in (batch.squad, batch.leader, batch.leader_x, batch.leader_y, batch.leader_hp)),
        strict=True,
    ):
        if squad >= 0 and leader >= 0:
            said.setdefault(squad, []).append(f"{leader}@{x},{y} hp {hp}")
    return {squad: each[0] for squad, each in said.items() if len(each) > 1 and len(set(each)) == 1}


def _rows(batch: SnapshotBatch, texts: Mapping[int, int], led: Mapping[int, str]) -> tuple[list[str], list[str]]:
    """Return a row for each agent, without its slot, and what is said once of those whom several rows name.

    Made a column at a time, as most columns say nothing of most agents.
    """
    columns = (batch.keys, batch.x, batch.y, batch.hp, batch.hp_max, batch.ammo, batch.reserve, batch.morale)
    rows = [
        [f"id {key} pos {x},{y} hp {hp}/{hp_max} ammo {ammo}+{reserve} morale {morale} cover {COVER_NAMES[cover]}"]
        for key, x, y, hp, hp_max, ammo, reserve, morale, cover in zip(
            *(column.tolist() for column in columns), batch.cover.tolist(), strict=True
        )
    ]
    for name, column in (("smokes", batch.smokes), ("explosives", batch.explosives), ("medkits", batch.medkits)):
        _say(rows, column != 0, "{} {}", name, column)
    for place, name in enumerate(batch.holding_names):
        _say(rows, batch.holding[:, place] != 0, "{} {}", name, batch.holding[:, place])
    for name, place in sorted((name, place) for place, name in enumerate(batch.cooldown_names)):
        ticks = batch.ready[:, place]
        _say(rows, ticks > 0, "cooldown {} {}s", name, -(-ticks // batch.ticks_per_second))
    for row in np.flatnonzero(batch.conditions).tolist():
        rows[row] += condition_names(int(batch.conditions[row]))
    _say(rows, batch.taunter >= 0, "{} {}", "taunted by", batch.taunter)
    _say(rows, batch.drawn_x >= 0, "{} {},{}", "distracted to", batch.drawn_x, batch.drawn_y)
    _say(rows, batch.caller >= 0, "{} {}", "cover wanted by", batch.caller)
    _say(rows, batch.reserves > 0, "{} {}", "reserves", batch.reserves)
    _say(rows, batch.goal_x >= 0, "{} {},{}", "goal", batch.goal_x, batch.goal_y)
    numbers = np.array([texts.get(index, 0) for index in range(len(batch.texts))] or [0])
    _say(rows, batch.objective >= 0, "{} {}", "objective", numbers[batch.objective])
    _say(rows, batch.order >= 0, "{} {}", "order", numbers[batch.order])
    for place in np.flatnonzero(batch.role != NO_ROLE).tolist():
        rows[place].append(f"role {ROLE_NAMES[batch.role[place]]}")
    _say(rows, batch.squad >= 0, "{} {}", "squad", batch.squad)
    leader = (batch.leader, batch.leader_x, batch.leader_y, batch.leader_hp)
    apart = (batch.leader >= 0) & ~np.isin(batch.squad, list(led))
    _say(rows, apart, "{} {}@{},{} hp {}", "leader", *leader)
    enemies = _others(batch.enemy, batch.enemy_x, batch.enemy_y, batch.enemy_hp, batch.enemy_conditions,
                      batch.enemy_cover)  # fmt: skip
    allies = _others(batch.ally, batch.ally_x, batch.ally_y, batch.ally_hp, batch.ally_conditions,
                     np.zeros_like(batch.ally_hp))  # fmt: skip
    known = _known_to_several(enemies + allies)
    enemy_parts = _joined([str(key) if key in known else said for key, said in enemies], batch.enemy >= 0)
    ally_parts = _joined([str(key) if key in known else said for key, said in allies], batch.ally >= 0)
    told = [
        f"{' '.join(parts)} enemies {enemy or 'none'} allies {ally or 'none'}{f' objects {things}' if things else ''}"
        for parts, enemy, ally, things in zip(rows, enemy_parts, ally_parts, _objects(batch), strict=True)
    ]
    return told, [known[key] for key in sorted(known)]


def _known_to_several(others: list[tuple[int, str]]) -> dict[int, str]:
    """Return what is said of those whom several rows name, where all say the same of them; it is said once then."""
    said: dict[int, str] = {}
    several: set[int] = set()
    differing: set[int] = set()
    for key, text in others:
        if key not in said:
            said[key] = text
        else:
            several.add(key)
            if said[key] != text:
                differing.add(key)
    return {key: said[key] for key in several - differing}


def _say(rows: list[list[str]], of: NDArray[np.bool_], form: str, name: str, *columns: NDArray[Any]) -> None:
    """Add a part to the rows for which it holds."""
    told = np.flatnonzero(of)
    if len(told):
        for row, *values in zip(told.tolist(), *(column[told].tolist() for column in columns), strict=True):
            rows[row].append(form.format(name, *values))


def _others(
    keys: NDArray[np.int64],
    x: NDArray[np.int32],
    y: NDArray[np.int32],
    hp: NDArray[np.int32],
    conditions: NDArray[Any],
    cover: NDArray[np.int32],
) -> list[tuple[int, str]]:
    """Return the id and what is said of everybody whom somebody knows, row by row; arrays `[n, places]`."""
    there = keys >= 0
    said = [
        f"{key}@{x},{y} hp {hp}"
        for key, x, y, hp in zip(keys[there].tolist(), x[there].tolist(), y[there].tolist(), hp[there].tolist(),
                                 strict=True)
    ]  # fmt: skip
    for place in np.flatnonzero(cover[there]).tolist():
        said[place] += " in cover"
    bits = conditions[there]
    for place in np.flatnonzero(bits).tolist():
        said[place] = " ".join([said[place], *condition_names(int(bits[place]))])
    return list(zip(keys[there].tolist(), said, strict=True))


def _objects(batch: SnapshotBatch) -> list[str]:
    """Return what things each agent sees."""
    there = batch.object >= 0
    columns = (batch.object, batch.object_kind, batch.object_x, batch.object_y, batch.object_state)
    said = [
        f"{key} {batch.object_kinds[kind]}@{x},{y}{f' left {left}' if left >= 0 else ''}"
        for key, kind, x, y, left in zip(*(column[there].tolist() for column in columns), strict=True)
    ]
    return _joined(said, there)


def _joined(said: list[str], there: NDArray[np.bool_]) -> list[str]:
    """Return what is said of the places that are taken, `[n, places]`, row by row."""
    ends = np.cumsum(there.sum(1)).tolist()
    return ["; ".join(said[start:end]) for start, end in zip([0, *ends[:-1]], ends, strict=True)]
