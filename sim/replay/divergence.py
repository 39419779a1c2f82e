"""The first difference between a tick's record and its repetition: where it is, both values, and its class of cause.

The parts of a tick are compared in the order in which they happen: inputs, the agents that plan and their knowledge,
plans, random draws, state. So the first difference found is the nearest to its cause.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Literal

from sim.engine.state import WorldState
from sim.engine.state_diff import RESOURCE_KEY, value_of
from sim.engine.system import System
from sim.replay.format import Changed, Header, Tick, canonical, count_of, keys_of, plain
from sim.replay.record import HASH_CHARS, attempted, planned
from sim.run.inputs import Input
from sim.run.systems import Inputs, Observe, Plan

Cause = Literal["inputs", "perception", "planner", "random", "effect", "environment", "file"]
"""The class of a difference: where to look first.

`inputs`: the inputs from outside differ. `perception`: agents knew something else. `planner`: they knew the same and
planned otherwise. `random`: another number of random draws. `effect`: the same plans and draws, another state.
`environment`: running again always gives the same here, and packages, machine or plug-ins are not the recorded ones.
`file`: the record disagrees with itself, or is damaged.
"""

_MEANING: Final[Mapping[Cause, str]] = {
    "inputs": "something else came from outside",
    "perception": "the planned agents knew something else",
    "planner": "they knew the same and planned otherwise",
    "random": "the same plans, another number of random draws",
    "effect": "the same plans and draws, another state",
    "environment": "code that agrees with itself, elsewhere or in other versions",
    "file": "the record disagrees with itself",
}
"""The meaning of each class for a tick, in a few words."""
MANY: Final = 100_000
"""Agents too many in a record for one of them to be named."""
INPUTS: Final = "inputs"
OBSERVE: Final = "observe"
PLAN: Final = "plan"
"""The role of a system, where a difference says no more; `phases_of` names the system of a domain that has it."""
_ROLES: Final = ((INPUTS, Inputs), (OBSERVE, Observe), (PLAN, Plan))
_AGREED: Final = {
    "inputs": ("inputs", "refused"),
    "known": ("known",),
    "plans": ("planned", "attempts", "texts", "plan", "plans"),
    "draws": ("draws",),
}
"""The parts of a tick that come before its effects, and the keys of a record that hold them."""


@dataclass(frozen=True, slots=True)
class Instability:
    """Where running again first differs from running again; `how` says what was done differently the second time."""

    how: str
    tick: int
    phase: str | None = None
    component: str | None = None
    key: int | None = None
    field: str | None = None
    one: Any = None
    other: Any = None


@dataclass(slots=True)
class Divergence:
    """The first difference. A value that the record cannot name is None.

    `draws` are the counts of random draws that differ in that tick, by purpose, recorded and here. `agreed` is what
    does not differ in it, of `inputs`, `known` (what the planned agents knew), `plans` and `draws`. `environment` is
    what differs of packages, machine and plug-ins, recorded and here. The second pass (`sim.replay.diagnosis`) adds
    whether running again is `stable`, or where it differs `again`, and `written_by`: the phases that write the
    component in that tick here.
    """

    tick: int | None
    cause: Cause
    phase: str | None = None
    component: str | None = None
    key: int | None = None
    field: str | None = None
    expected: Any = None
    actual: Any = None
    draws: dict[str, list[int]] = dataclasses.field(default_factory=dict)
    agreed: list[str] = dataclasses.field(default_factory=list)
    environment: dict[str, list[str | None]] = dataclasses.field(default_factory=dict)
    stable: bool | None = None
    again: Instability | None = None
    written_by: list[str] = dataclasses.field(default_factory=list)


def phases_of(systems: Iterable[System]) -> dict[str, str]:
    """Return the names of a domain's systems that take inputs, observe and plan, by what they do."""
    found = {role: system.name for system in systems for role, kind in _ROLES if isinstance(system, kind)}
    return {role: found.get(role, role) for role, _ in _ROLES}


def first_difference(
    header: Header,
    recorded: Tick,
    again: Tick,
    before: WorldState | None = None,
    timeline: Mapping[int, Sequence[Input]] = MappingProxyType({}),
    phases: Mapping[str, str] = MappingProxyType({}),
) -> Divergence | None:
    """Return the first difference between a tick's record and its repetition, None if there is none.

    Args:
        header: the start of the run.
        recorded: the record.
        again: the result of running the tick again.
        before: the state before the tick, for values that one side left unchanged; None at detail `hash`.
        timeline: the scenario's own inputs by tick; the record must have them.
        phases: the result of `phases_of`.
    """
    first = _difference(header, recorded, again, before, timeline)
    if first is not None:
        first.phase = phases.get(first.phase or "", first.phase)
        purposes = sorted(recorded.draws.keys() | again.draws.keys())
        counts = {name: [recorded.draws.get(name, 0), again.draws.get(name, 0)] for name in purposes}
        first.draws = {name: pair for name, pair in counts.items() if pair[0] != pair[1]}
        first.agreed = [
            name
            for name, fields in _AGREED.items()
            if all(getattr(recorded, field) == getattr(again, field) for field in fields)
        ]
    return first


def _difference(
    header: Header, recorded: Tick, again: Tick, before: WorldState | None, timeline: Mapping[int, Sequence[Input]]
) -> Divergence | None:
    missing = _missing_input(timeline.get(recorded.t, ()), recorded)
    if missing is not None:
        return Divergence(recorded.t, "inputs", phase=INPUTS, field="inputs", expected=missing)
    if recorded == again:
        return None
    for search in (_in_inputs, _in_planning, _in_draws):
        first = search(recorded, again)
        if first is not None:
            return _placed(first, header, recorded, again, before) if search is not _in_inputs else first
    place = _in_state(header, recorded, again, before)
    if place is not None:
        return place
    first = _in_fields(recorded, again, tuple(Tick.model_fields), "effect")
    assert first is not None  # two records that differ have a field that does
    return first


def _missing_input(due: Sequence[Input], recorded: Tick) -> dict[str, Any] | None:
    """Return an input that the scenario has for this tick and the record has not."""
    found = [canonical(item) for item in recorded.inputs]
    for item in due:
        data = item.model_dump(mode="json")
        try:
            found.remove(canonical(data))
        except ValueError:
            return data
    return None


def _in_fields(
    recorded: Tick, again: Tick, names: Sequence[str], cause: Cause, phase: str | None = None
) -> Divergence | None:
    """Return the first of some fields that differs."""
    for name in names:
        expected, actual = plain(getattr(recorded, name)), plain(getattr(again, name))
        if expected != actual:
            return Divergence(recorded.t, cause, phase=phase, field=name, expected=expected, actual=actual)
    return None


def _in_inputs(recorded: Tick, again: Tick) -> Divergence | None:
    return _in_fields(recorded, again, ("inputs", "refused"), "inputs", INPUTS)


def _in_planning(recorded: Tick, again: Tick) -> Divergence | None:
    tick = recorded.t
    if recorded.known != again.known:
        return _in_fields(recorded, again, ("known",), "perception", OBSERVE)
    counts = [sum(map(count_of, each.planned.values())) for each in (recorded, again)]
    if _far_more(*counts):
        return Divergence(tick, "planner", phase=PLAN, field="planned", expected=counts[0], actual=counts[1])
    if recorded.planned != again.planned:
        return _by_key(tick, "planned", planned(recorded), planned(again))
    for name in ("asked", "bridged"):
        one, two = (dict.fromkeys(keys_of(getattr(each, name) or "").tolist(), name) for each in (recorded, again))
        if one != two:
            return _by_key(tick, name, one, two)
    if recorded.attempts != again.attempts:
        counts = [sum(len(attempted(each, one)) for one in each.attempts) for each in (recorded, again)]
        if _far_more(*counts):
            return Divergence(tick, "planner", phase=PLAN, field="attempts", expected=counts[0], actual=counts[1])
        return _by_key(tick, "attempts", _attempts(recorded), _attempts(again))
    if recorded.texts != again.texts:
        texts = {int(key): text for key, text in recorded.texts.items()}
        return _by_key(tick, "texts", texts, {int(key): text for key, text in again.texts.items()})
    by_planner = ("plan", "plans", "held", "started", "arrived", "begun", "outdated")
    first = _in_fields(recorded, again, by_planner, "planner", PLAN)
    return first or _in_fields(recorded, again, ("shards", "usage", "model", "heard"), "file", PLAN)


def _far_more(recorded: int, again: int) -> bool:
    """Return whether a record stands for too many agents to keep them all in memory for one name."""
    return recorded > 2 * again + MANY


def _attempts(tick: Tick) -> dict[int, str]:
    """Return each agent's failed attempts as one text."""
    found: dict[int, list[str]] = {}
    for attempt in tick.attempts:
        error = "" if attempt.error is None else f" ({attempt.error})"
        for key in attempted(tick, attempt).tolist():
            found.setdefault(key, []).append(f"{attempt.tier}: {attempt.outcome}{error}")
    return {key: "; ".join(texts) for key, texts in found.items()}


def _by_key(tick: int, field: str, expected: Mapping[int, str], actual: Mapping[int, str]) -> Divergence:
    """Name the lowest agent for which two tables differ; none does if they only are written differently."""
    for key in sorted(expected.keys() | actual.keys()):
        if expected.get(key) != actual.get(key):
            return Divergence(
                tick,
                "planner",
                phase=PLAN,
                key=key,
                field=field,
                expected=expected.get(key),
                actual=actual.get(key),
            )
    return Divergence(tick, "file", phase=PLAN, field=field)


def _in_draws(recorded: Tick, again: Tick) -> Divergence | None:
    for purpose in sorted(recorded.draws.keys() | again.draws.keys()):
        expected, actual = recorded.draws.get(purpose), again.draws.get(purpose)
        if expected != actual:
            return Divergence(recorded.t, "random", field=f"draws.{purpose}", expected=expected, actual=actual)
    return None


def _placed(first: Divergence, header: Header, recorded: Tick, again: Tick, before: WorldState | None) -> Divergence:
    """Return the difference in state in place of a mere digest or count, where the record can name agent and value."""
    if first.key is None and first.cause in ("planner", "random"):
        place = _in_state(header, recorded, again, before)
        if place is not None and place.key is not None:
            place.cause = first.cause
            return place
    return first


def _in_state(header: Header, recorded: Tick, again: Tick, before: WorldState | None) -> Divergence | None:
    """Return where the state differs, as exactly as the record can say; None if it does not.

    At detail `full` the first phase whose hashes differ names phase and component; key and values are those after the
    tick. At detail `hash` the component's first column that differs is named, with its hashes.
    """
    phase, component, *hashes = _phase(header, recorded, again)
    labels = list(_columns(header, recorded, again))
    if component is None and phase is None:
        components = [label.partition(".")[0] for label in labels]
        there, here = _by_component(header, recorded), _by_component(header, again)
        names = [*components, *header.components]
        component = next((name for name in names if name in components or there.get(name) != here.get(name)), None)
        hashes = [there.get(component or ""), here.get(component or "")]
    if component is None:
        if phase is None and recorded.root == again.root:
            return None
        hashes = hashes if phase is not None else [recorded.root, again.root]
        return Divergence(recorded.t, "effect", phase=phase, field="root", expected=hashes[0], actual=hashes[1])
    first = Divergence(recorded.t, "effect", phase=phase, component=component, expected=hashes[0], actual=hashes[1])
    own = [label for label in labels if label.partition(".")[0] == component]
    if own:
        first.field = own[0].partition(".")[2]
        span = _span(header.columns.index(own[0]))
        first.expected, first.actual = recorded.columns[span], again.columns[span]
    value = _value(header, recorded, again, before, component)
    if value is not None:
        first.field, first.key, first.expected, first.actual = value
    return first


def _phase(header: Header, recorded: Tick, again: Tick) -> tuple[str | None, str | None, str | None, str | None]:
    """Return the first phase after which the state differs, the component that does, and both hashes."""
    before: dict[str, str] = {}
    for expected, actual in zip(recorded.phases, again.phases, strict=False):
        if expected != actual:
            there, here = before | expected.components, before | actual.components
            for name in [*header.components, *sorted(there.keys() | here.keys())]:
                if there.get(name) != here.get(name):
                    return expected.phase, name, there.get(name), here.get(name)
            return expected.phase, None, expected.root, actual.root
        before |= expected.components
    return None, None, None, None


def _columns(header: Header, recorded: Tick, again: Tick) -> Iterator[str]:
    """Yield the columns whose hashes differ, in order."""
    for place, label in enumerate(header.columns):
        if recorded.columns[_span(place)] != again.columns[_span(place)]:
            yield label


def _by_component(header: Header, tick: Tick) -> dict[str, str]:
    return {name: tick.components[_span(place)] for place, name in enumerate(header.components)}


def _span(place: int) -> slice:
    return slice(place * HASH_CHARS, (place + 1) * HASH_CHARS)


def _value(
    header: Header, recorded: Tick, again: Tick, before: WorldState | None, component: str
) -> tuple[str, int, Any, Any] | None:
    """Return field, key and both values of the first value of a component that differs after the tick."""
    for label in header.columns:
        owner, _, field = label.partition(".")
        if owner != component:
            continue
        expected, actual = _values(recorded.changes.get(label)), _values(again.changes.get(label))
        for key in sorted(expected.keys() | actual.keys()):
            same = None if before is None or key == RESOURCE_KEY else value_of(before, owner, field, key)
            there, here = expected.get(key, same), actual.get(key, same)
            if there != here:
                return field, key, there, here
    return None


def _values(changed: Changed | None) -> dict[int, Any]:
    return {} if changed is None else dict(zip(changed.keys, changed.values, strict=True))


def differing(recorded: Header, here: Header) -> dict[str, list[str | None]]:
    """Return what differs of packages, machine and plug-ins: recorded and here."""
    sides = [
        {**header.env, **{f"plug-in {name}": digest for name, digest in header.plugins.items()}}
        for header in (recorded, here)
    ]
    names = sorted(sides[0].keys() | sides[1].keys())
    pairs = {name: [side.get(name) for side in sides] for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def sentence_of(first: Divergence, resources: Collection[str] = ()) -> str:
    """Say the first difference; components that are `resources` have places instead of agents."""
    where = "the end record" if first.tick is None else f"tick {first.tick}"
    if first.phase is not None:
        where += f", phase {first.phase!r}"
    what = ".".join(part for part in (first.component, first.field) if part) or "the run"
    if first.key is not None:
        whose = "place" if first.component in resources else "agent"
        what += f" of {whose} {first.key}" if first.key != RESOURCE_KEY else " as a whole"
    return f"{where}: {what} is {first.actual!r}, recorded {first.expected!r} ({describe(first.cause)})"


def describe(cause: Cause) -> str:
    """Say a class and what it means."""
    return f"cause: {cause}, that is {_MEANING[cause]}"
