"""The first difference of two replays, and the values that differ in that tick, from running both again up to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from sim.engine.state import WorldState
from sim.engine.state_diff import changes, value_of
from sim.errors import ReplayError
from sim.replay.format import Header, Tick, plain
from sim.replay.replay_file import ReplayFile

VALUES_MAX: Final = 1000
"""Values that are named at most."""
_SILENT: Final = ("env", "parent")
"""The parts of two headers that may differ in runs that are the same."""
_ORDER: Final = (
    "inputs", "refused", "known", "planned", "asked", "bridged", "held", "started", "arrived", "begun", "outdated",
    "attempts", "texts", "plan",
    "plans", "shards", "usage", "model", "heard", "draws", "root", "agents", "outcome",
)  # fmt: skip
"""A tick's keys in the order in which a tick happens; `root` stands for the whole state."""


@dataclass(frozen=True, slots=True)
class Value:
    """One value of the state that differs after the tick; None where one side has none."""

    component: str
    field: str
    key: int
    left: Any
    right: Any


@dataclass(slots=True)
class Difference:
    """Where two replays part: in the header, in a tick, or in how many ticks there are.

    `names` has what differs there with both sides, the first first. `values` are those of the state after the tick;
    `note` says why there are none.
    """

    where: Literal["header", "tick", "length"]
    tick: int | None
    names: dict[str, tuple[Any, Any]]
    values: list[Value] = field(default_factory=list)
    note: str = ""


def diff(left: ReplayFile, right: ReplayFile) -> Difference | None:
    """Return the first difference of two replays, None if both are of the same run and as long.

    Raises:
        Corrupt: a line is damaged.
    """
    names = _differing(left.header, right.header, tuple(Header.model_fields))
    scenario = ("scenario", "seed", "registry", "tiers", "columns", "components", "plugins")
    if any(name in names for name in scenario):
        return Difference("header", None, names)
    for one, two in zip(_ticks(left), _ticks(right), strict=False):
        parted = _differing(one, two, _ORDER)
        if parted:
            found = Difference("tick", one.t, parted)
            if one.root != two.root:
                found.values, found.note = _values(left, right, one.t)
            return found
    if left.ticks != right.ticks:
        return Difference("length", min(left.ticks, right.ticks), {"ticks": (left.ticks, right.ticks)})
    return Difference("header", None, names) if names else None


def _ticks(file: ReplayFile) -> Iterator[Tick]:
    for record in file.records(file.place(0)):
        if isinstance(record.body, Tick):
            yield record.body


def _differing(left: Header | Tick, right: Header | Tick, names: tuple[str, ...]) -> dict[str, tuple[Any, Any]]:
    pairs = {name: (getattr(left, name), getattr(right, name)) for name in names if name not in _SILENT}
    return {name: (plain(one), plain(two)) for name, (one, two) in pairs.items() if one != two}


def _values(left: ReplayFile, right: ReplayFile, tick: int) -> tuple[list[Value], str]:
    """Return the values that differ after a tick, or why they cannot be named."""
    try:
        one, two = _after(left, tick), _after(right, tick)
    except ReplayError as error:
        return [], f"the values cannot be named: {error}"
    found: list[Value] = []
    for change in changes(one, two):
        component, _, name = change.column.partition(".")
        left_value = value_of(one, component, name, change.key)
        found.append(Value(component, name, change.key, left_value, change.value))
        if len(found) == VALUES_MAX:
            return found, f"only the first {VALUES_MAX} values are named"
    return found, ""


def _after(file: ReplayFile, tick: int) -> WorldState:
    with file.at(tick + 1) as playback:
        return playback.simulation.snapshot()
