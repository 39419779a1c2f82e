"""What agents know, as text for a language model: system message, agent rows, and the schema of the reply.

Pure and byte-stable: the same batch, registry and options give the same bytes, in any process. The system message
depends on the registry and the options alone, so servers can keep it cached over ticks and shards; tick, time and seed
stand nowhere. Agents appear as slots `a1` to `ak` in key order; what all of them know is said once.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property, lru_cache
from typing import Any, Final, NamedTuple

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
from ai.snapshot import COVER_NAMES, STANCE_NAMES, Poi, SnapshotBatch, condition_names
from ai.steps import READERS_MAX

PROMPT_VERSION: Final = "6"
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

    `reasons` says, by agent, why its last plan was not taken, where it is asked again. `left_out` counts what was left
    out for want of room, by what it is, in the order in which it went (`ai.budget`).
    """

    batch: SnapshotBatch
    registry: ToolRegistry
    encoding: Encoding = NAMED
    detail: Detail = Detail.COMPACT
    reasons: Mapping[int, str] = field(default_factory=dict)
    left_out: Mapping[str, int] = field(default_factory=dict)

    @property
    def system(self) -> str:
        """The first message."""
        return system_message(self.registry, encoding=self.encoding, detail=self.detail)

    @cached_property
    def user(self) -> str:
        """The second message; made once, as it is looked at before it is sent."""
        text = user_message(self.batch, encoding=self.encoding)
        if self.reasons:
            text += asked_again({slot: self.reasons.get(agent, "") for slot, agent in slots_of(self.batch).items()})
        return text

    def prompt(self) -> Prompt:
        """Return all of it, with the schema or grammar."""
        return Prompt(
            system=self.system,
            user=self.user,
            schema=self.encoding.schema(self.batch, self.registry),
            grammar=self.encoding.grammar(self.batch, self.registry),
            tokens=reply_tokens(self.encoding, len(self.batch)),
        )


def reply_tokens(encoding: Encoding, agents: int) -> int:
    """Return the tokens reserved for a reply with the plans of so many agents."""
    return encoding.plan_tokens * agents + REPLY_TOKENS


def slots_of(batch: SnapshotBatch) -> dict[str, int]:
    """Return the agent of each slot: `a1` to `ak` in key order."""
    return {f"a{row + 1}": int(key) for row, key in enumerate(batch.keys)}


# -- the system message ------------------------------------------------------------------------------------------------


@lru_cache(maxsize=READERS_MAX)
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


def _minified(data: object) -> str:
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False)


# -- the user message --------------------------------------------------------------------------------------------------


def user_message(batch: SnapshotBatch, *, encoding: Encoding = NAMED) -> str:
    """Return what all agents know, one row for each agent, and the closing instruction.

    It begins with `standing_part`, so that a server that has read it once has it in its cache.
    """
    lines = [standing_part(batch)]
    led = _led(batch)
    if led:
        lines.append("Squads: " + "; ".join(f"{squad} led by {leader}" for squad, leader in sorted(led.items())))
    rows, once = _rows(batch, _numbers(batch), led)
    lines += once
    lines.append("Agents:")
    lines += [f"a{number} {row}" for number, row in enumerate(rows, 1)]
    lines.append(encoding.closing(len(batch)))
    return "\n".join(lines)


def standing_part(batch: SnapshotBatch) -> str:
    """Return what the user message begins with and what seldom changes: map, places, roles, objectives and orders."""
    lines = [
        f"Map: {batch.map.width}x{batch.map.height} cells, x 0..{batch.map.width - 1}, y 0..{batch.map.height - 1}"
    ]
    places = places_of(batch)
    if places:
        lines.append("Places: " + " ".join(f"{_minified(p.k)}@{p.pos.x},{p.pos.y}" for p in places))
    roles = [ROLE_NAMES[number] for number in np.unique(batch.role[batch.role != NO_ROLE]).tolist()]
    lines += [f"Role {name}: {ROLES[name]}" for name in roles]
    lines += [
        f"Text {number}: {_minified(batch.texts[index][:TEXT_CHARS_MAX])}" for index, number in _numbers(batch).items()
    ]
    return "\n".join(lines)


def _numbers(batch: SnapshotBatch) -> dict[int, int]:
    """Return the number under which a prompt tells each text that some agent has, by its place in `batch.texts`."""
    used = [index for index in np.unique(np.concatenate([batch.objective, batch.order])).tolist() if index >= 0]
    return {index: number for number, index in enumerate(used, 1)}


def asked_again(reasons: Mapping[str, str]) -> str:
    """Return what is added to the user message when agents are asked again: why each slot's last plan was not taken."""
    lines = [f"{slot}: {_minified(reason[:REASON_CHARS_MAX])}" for slot, reason in reasons.items() if reason]
    return "\n".join(["", "Your last plans for these slots were not taken:", *lines])


def places_of(batch: SnapshotBatch) -> Sequence[Poi]:
    """Return the named places that a prompt for these agents lists."""
    known = {(poi.k, poi.pos.x, poi.pos.y): poi for poi in batch.map.pois}
    for snapshot in batch.originals or ():
        known.update({(poi.k, poi.pos.x, poi.pos.y): poi for poi in snapshot.pois})
    return [known[name] for name in sorted(known)][:POIS_MAX]


def _led(batch: SnapshotBatch) -> dict[int, str]:
    """Return what is said of the leader of each squad of which several rows say the same; it is said once then."""
    said: dict[int, list[str]] = {}
    columns = (batch.squad, batch.leader, batch.leader_x, batch.leader_y, batch.leader_hp, batch.leader_stance)
    for squad, leader, x, y, hp, stance in zip(*(column.tolist() for column in columns), strict=True):
        if squad >= 0 and leader >= 0:
            said.setdefault(squad, []).append(f"{leader}@{x},{y} hp {hp}{_STANCES[stance]}")
    return {squad: each[0] for squad, each in said.items() if len(each) > 1 and len(set(each)) == 1}


_STANCES: Final = np.array(["", *(f" {name}" for name in STANCE_NAMES[1:])])
"""What is said of how a leader holds itself; that it stands goes without saying."""


class _Rows:
    """The rows of a prompt while they are made, a column at a time, as most columns say nothing of most agents.

    What most agents would say of themselves in the same words is said once, in `common`, where everybody has something
    to say about it: a row then tells only what differs.
    """

    def __init__(self, n: int) -> None:
        self.parts: list[list[str]] = [[] for _ in range(n)]
        self.common: list[str] = []

    def say(self, of: NDArray[np.bool_], form: str, *columns: NDArray[Any]) -> None:
        """Add a part to the rows for which it holds; `form` is filled with their values of `columns`."""
        told = np.flatnonzero(of)
        if not len(told):
            return
        if 1 < len(told) == len(self.parts):
            if all((column == column[0]).all() for column in columns):
                self.common.append(form.format(*(column[0] for column in columns)))
                return
            said = [form.format(*values) for values in zip(*(column.tolist() for column in columns), strict=True)]
            times, usual = min((-count, text) for text, count in Counter(said).items())
            if times < -1:
                self.common.append(usual)
            for row, text in enumerate(said):
                if times == -1 or text != usual:
                    self.parts[row].append(text)
            return
        for row, *values in zip(told.tolist(), *(column[told].tolist() for column in columns), strict=True):
            self.parts[row].append(form.format(*values))


def _rows(batch: SnapshotBatch, texts: Mapping[int, int], led: Mapping[int, str]) -> tuple[list[str], list[str]]:
    """Return a row for each agent, without its slot, and the lines that say once what several rows would say."""
    rows = _Rows(len(batch))
    everybody = np.ones(len(batch), np.bool_)
    rows.say(everybody, "hp {}/{}", batch.hp, batch.hp_max)
    rows.say(everybody, "ammo {}+{}", batch.ammo, batch.reserve)
    rows.say(everybody, "morale {}", batch.morale)
    rows.say(everybody, "cover {}", np.array(COVER_NAMES)[batch.cover])
    for name, column in (("smokes", batch.smokes), ("explosives", batch.explosives), ("medkits", batch.medkits)):
        rows.say(column != 0, f"{name} {{}}", column)
    for place, name in enumerate(batch.holding_names):
        rows.say(batch.holding[:, place] != 0, f"{_literal(name)} {{}}", batch.holding[:, place])
    for name, place in sorted((name, place) for place, name in enumerate(batch.cooldown_names)):
        ticks = batch.ready[:, place]
        rows.say(ticks > 0, f"cooldown {_literal(name)} {{}}s", -(-ticks // batch.ticks_per_second))
    for row in np.flatnonzero(batch.conditions).tolist():
        rows.parts[row] += condition_names(int(batch.conditions[row]))
    rows.say(batch.taunter >= 0, "taunted by {}", batch.taunter)
    rows.say(batch.drawn_x >= 0, "distracted to {},{}", batch.drawn_x, batch.drawn_y)
    rows.say(batch.caller >= 0, "cover wanted by {}", batch.caller)
    rows.say(batch.reserves > 0, "reserves {}", batch.reserves)
    rows.say(batch.goal_x >= 0, "goal {},{}", batch.goal_x, batch.goal_y)
    numbers = np.array([texts.get(index, 0) for index in range(len(batch.texts))] or [0])
    rows.say(batch.objective >= 0, "objective {}", numbers[batch.objective])
    rows.say(batch.order >= 0, "order {}", numbers[batch.order])
    rows.say(batch.role != NO_ROLE, "role {}", np.array(ROLE_NAMES)[batch.role])
    rows.say(batch.squad >= 0, "squad {}", batch.squad)
    leader = (batch.leader, batch.leader_x, batch.leader_y, batch.leader_hp)
    apart = (batch.leader >= 0) & ~np.isin(batch.squad, list(led))
    rows.say(apart, "leader {}@{},{} hp {}{}", *leader, _STANCES[batch.leader_stance])
    enemies = _others(batch.enemy, batch.enemy_x, batch.enemy_y, batch.enemy_hp, batch.enemy_conditions,
                      batch.enemy_cover)  # fmt: skip
    allies = _others(batch.ally, batch.ally_x, batch.ally_y, batch.ally_hp, batch.ally_conditions,
                     np.zeros_like(batch.ally_hp))  # fmt: skip
    known = _known_to_several(enemies + allies)
    enemy_parts = _joined([str(seen.key) if seen.key in known else seen.said for seen in enemies], batch.enemy >= 0)
    ally_parts = _joined([str(seen.key) if seen.key in known else seen.said for seen in allies], batch.ally >= 0)
    told = [
        " ".join([f"{key}@{x},{y}", *parts, f"enemies {enemy or 'none'} allies {ally or 'none'}"])
        + (f" objects {things}" if things else "")
        for key, x, y, parts, enemy, ally, things in zip(
            batch.keys.tolist(), batch.x.tolist(), batch.y.tolist(), rows.parts, enemy_parts, ally_parts,
            _objects(batch), strict=True,
        )
    ]  # fmt: skip
    once = [_told_of(list(known.values()))] if known else []
    if rows.common:
        once.append(f"Unless a row says otherwise, each agent: {' '.join(rows.common)}")
    return told, once


def _literal(name: str) -> str:
    """Return a name for a format string; it may come from a file and hold braces."""
    return name.replace("{", "{{").replace("}", "}}")


class _Seen(NamedTuple):
    """Somebody whom a row names: where it stands, and what is seen of it."""

    key: int
    at: str
    state: str

    @property
    def said(self) -> str:
        return f"{self.key}@{self.at} {self.state}"


def _known_to_several(others: list[_Seen]) -> dict[int, _Seen]:
    """Return those whom several rows name, where all say the same of them, by key; it is said once then."""
    found: dict[int, _Seen] = {}
    several: set[int] = set()
    differing: set[int] = set()
    for seen in others:
        first = found.setdefault(seen.key, seen)
        if first is not seen:
            several.add(seen.key)
            if first != seen:
                differing.add(seen.key)
    return {key: found[key] for key in sorted(several - differing)}


def _told_of(known: list[_Seen]) -> str:
    """Return the line that says once what several rows would; the most usual state is told for all who are in it."""
    times, usual = min((-count, state) for state, count in Counter(seen.state for seen in known).items())
    if times == -1:
        return f"Known to several: {';'.join(seen.said for seen in known)}"
    each = (f"{seen.key}@{seen.at}" if seen.state == usual else seen.said for seen in known)
    return f"Known to several, {usual} unless said: {';'.join(each)}"


def _others(
    keys: NDArray[np.int64],
    x: NDArray[np.int32],
    y: NDArray[np.int32],
    hp: NDArray[np.int32],
    conditions: NDArray[Any],
    cover: NDArray[np.int32],
) -> list[_Seen]:
    """Return everybody whom somebody knows and what is said of them, row by row; arrays `[n, places]`."""
    there = keys >= 0
    states = [f"hp {value}" for value in hp[there].tolist()]
    for place in np.flatnonzero(cover[there]).tolist():
        states[place] += " in cover"
    bits = conditions[there]
    for place in np.flatnonzero(bits).tolist():
        states[place] = " ".join([states[place], *condition_names(int(bits[place]))])
    at = [f"{x},{y}" for x, y in zip(x[there].tolist(), y[there].tolist(), strict=True)]
    return list(map(_Seen, keys[there].tolist(), at, states))


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
    return [";".join(said[start:end]) for start, end in zip([0, *ends[:-1]], ends, strict=True)]
