"""What agents know, as text: the second message of a prompt, with a row for each agent.

Texts are made once for a whole batch, a column at a time, as most columns say nothing of most agents; the calls into
which the batch is cut share them. What several rows of one call would say in the same words is said once in it: who is
known to several, and what most of its agents would say of themselves.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final, NamedTuple, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from ai.roles import NO_ROLE, ROLE_NAMES, ROLES
from ai.snapshot import (
    COVER_NAMES,
    STANCE_NAMES,
    Poi,
    SharedMap,
    SnapshotBatch,
    WorldSnapshot,
    condition_names,
    picked,
)

POIS_MAX: Final = 16
"""Named places that one prompt lists."""
TEXT_CHARS_MAX: Final = 500
"""Characters of an objective or order that a prompt shows."""

T = TypeVar("T")

_STANCES: Final = ("", *(f" {name}" for name in STANCE_NAMES[1:]))
"""What is said of how a leader holds itself; that it stands goes without saying."""


class Seen(NamedTuple):
    """Somebody whom a row names: where it stands, and what is seen of it."""

    key: int
    at: str
    state: str

    @property
    def said(self) -> str:
        """All of it."""
        return f"{self.key}@{self.at} {self.state}"


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What the agents of a batch know: an entry for each of them, in its order; an empty text says nothing.

    `map`, `texts` and `originals` are the batch's. `head` is key and place; `state` and `attention` are texts of what
    an agent is and has, and of what it minds, as many for each; `conditions` stand between them. `objective` and
    `order` index `texts`, -1 for none.
    """

    map: SharedMap
    texts: tuple[str, ...]
    originals: tuple[WorldSnapshot, ...] | None
    head: list[str]
    state: list[tuple[str, ...]]
    conditions: list[str]
    attention: list[tuple[str, ...]]
    objective: list[int]
    order: list[int]
    role: list[int]
    squad: list[int]
    leader: list[str]
    enemies: list[list[Seen]]
    allies: list[list[Seen]]
    objects: list[str]

    @classmethod
    def of(cls, batch: SnapshotBatch) -> Self:
        """Return what the agents of a batch know."""
        leader = (batch.leader, batch.leader_x, batch.leader_y, batch.leader_hp, batch.leader_stance)
        return cls(
            batch.map,
            batch.texts,
            batch.originals,
            head=[f"{key}@{x},{y}" for key, x, y in zip(*_listed(batch.keys, batch.x, batch.y), strict=True)],
            state=_state(batch),
            conditions=_filled_where(batch.conditions != 0, _conditions, batch.conditions),
            attention=_attention(batch),
            objective=batch.objective.tolist(),
            order=batch.order.tolist(),
            role=batch.role.tolist(),
            squad=batch.squad.tolist(),
            leader=_filled_where(batch.leader >= 0, _leader, *leader),
            enemies=_others(
                batch.enemy, batch.enemy_x, batch.enemy_y, batch.enemy_hp, batch.enemy_conditions, batch.enemy_cover
            ),
            allies=_others(batch.ally, batch.ally_x, batch.ally_y, batch.ally_hp, batch.ally_conditions),
            objects=_objects(batch),
        )

    def take(self, rows: NDArray[np.intp] | slice) -> Self:
        """Return what some of the agents know."""
        originals = None if self.originals is None else tuple(picked(self.originals, rows))
        return type(self)(self.map, self.texts, originals, *(picked(getattr(self, name), rows) for name in _COLUMNS))

    def message(self) -> str:
        """Return what all of them know and a row for each. It begins with `standing`."""
        lines = [self.standing()]
        led = self._led()
        if led:
            lines.append("Squads: " + "; ".join(f"{squad} led by {leader}" for squad, leader in sorted(led.items())))
        own = self._own(led)
        known = _known_to_several([*self.enemies, *self.allies])
        if known:
            lines.append(_told_of(list(known.values())))
        if own.common:
            lines.append(f"Unless a row says otherwise, each agent: {' '.join(own.common)}")
        lines.append("Agents:")
        for number, (head, parts, enemies, allies, objects) in enumerate(
            zip(self.head, own.parts, self.enemies, self.allies, self.objects, strict=True), 1
        ):
            row = [f"a{number} {head}", *parts, f"enemies {_named(enemies, known)} allies {_named(allies, known)}"]
            if objects:
                row.append(f"objects {objects}")
            lines.append(" ".join(row))
        return "\n".join(lines)

    def standing(self) -> str:
        """Return what seldom changes: map, places, roles, objectives and orders.

        A server that has read it once has it in its cache.
        """
        width, height = self.map.width, self.map.height
        lines = [f"Map: {width}x{height} cells, x 0..{width - 1}, y 0..{height - 1}"]
        places = places_of(self.map, self.originals)
        if places:
            lines.append("Places: " + " ".join(f"{_quoted(poi.k)}@{poi.pos.x},{poi.pos.y}" for poi in places))
        roles = [ROLE_NAMES[role] for role in sorted({*self.role} - {NO_ROLE})]
        lines += [f"Role {role}: {ROLES[role]}" for role in roles]
        lines += [f"Text {n}: {_quoted(self.texts[index][:TEXT_CHARS_MAX])}" for index, n in self._numbers().items()]
        return "\n".join(lines)

    def _numbers(self) -> dict[int, int]:
        """Return the number under which each text is told that some agent has, by its place in the batch's texts."""
        used = sorted({*self.objective, *self.order} - {-1})
        return {index: number for number, index in enumerate(used, 1)}

    def _led(self) -> dict[int, str]:
        """Return what is said of the leader of each squad of which several rows say the same; it is said once then."""
        said: dict[int, list[str]] = {}
        for squad, leader in zip(self.squad, self.leader, strict=True):
            if squad >= 0 and leader:
                said.setdefault(squad, []).append(leader)
        return {squad: each[0] for squad, each in said.items() if len(each) > 1 and len(set(each)) == 1}

    def _own(self, led: Mapping[int, str]) -> _Rows:
        """Return what agents say of themselves; `led` are the squads whose leader is told already."""
        numbers = self._numbers()
        rows = _Rows(len(self.head))
        for texts in zip(*self.state, strict=True):
            rows.say(texts)
        for parts, text in zip(rows.parts, self.conditions, strict=True):
            if text:
                parts.append(text)
        for texts in zip(*self.attention, strict=True):
            rows.say(texts)
        rows.say([f"objective {numbers[index]}" if index >= 0 else "" for index in self.objective])
        rows.say([f"order {numbers[index]}" if index >= 0 else "" for index in self.order])
        rows.say([f"role {ROLE_NAMES[role]}" if role != NO_ROLE else "" for role in self.role])
        rows.say([f"squad {squad}" if squad >= 0 else "" for squad in self.squad])
        leaders = zip(self.squad, self.leader, strict=True)
        rows.say([f"leader {leader}" if leader and squad not in led else "" for squad, leader in leaders])
        return rows


_COLUMNS: Final = tuple(spec.name for spec in fields(Knowledge))[3:]


class _Rows:
    """The rows of one call while they are made, a column at a time.

    What most agents would say of themselves in the same words is said once, in `common`, where everybody has something
    to say about it: a row then tells only what differs.
    """

    def __init__(self, n: int) -> None:
        self.parts: list[list[str]] = [[] for _ in range(n)]
        self.common: list[str] = []

    def say(self, texts: Sequence[str]) -> None:
        """Add a column of texts."""
        different = set(texts)
        usual = ""
        if len(different) == 1 < len(texts):
            self.common += filter(None, different)
            return
        if "" not in different and len(different) < len(texts):
            usual = min((-count, text) for text, count in Counter(texts).items())[1]
            self.common.append(usual)
        for parts, text in zip(self.parts, texts, strict=True):
            if text and text != usual:
                parts.append(text)


def places_of(known_map: SharedMap, originals: Sequence[WorldSnapshot] | None) -> Sequence[Poi]:
    """Return the named places that a prompt lists: those of the map, and those that agents alone know."""
    known = {(poi.k, poi.pos.x, poi.pos.y): poi for poi in known_map.pois}
    for snapshot in originals or ():
        known.update({(poi.k, poi.pos.x, poi.pos.y): poi for poi in snapshot.pois})
    return [known[name] for name in sorted(known)][:POIS_MAX]


# -- columns -----------------------------------------------------------------------------------------------------------


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _listed(*columns: NDArray[Any]) -> list[list[Any]]:
    return [column.tolist() for column in columns]


def _filled(form: str, *columns: NDArray[Any]) -> list[str]:
    """Return a text for each row: the form with its values of the columns."""
    rows = list(zip(*_listed(*columns), strict=True))
    # Agents are often alike: each text is made once.
    texts = {values: form.format(*values) for values in set(rows)}
    return [texts[values] for values in rows]


def _filled_where(of: NDArray[np.bool_], said: Callable[..., str], *columns: NDArray[Any]) -> list[str]:
    """Return what is said of the values of the rows for which it holds, and empty texts for the others."""
    texts = [""] * len(of)
    if of.any():
        rows = of.nonzero()[0]
        for row, *values in zip(rows.tolist(), *(column[rows].tolist() for column in columns), strict=True):
            texts[row] = said(*values)
    return texts


def _leader(key: int, x: int, y: int, hp: int, stance: int) -> str:
    return f"{key}@{x},{y} hp {hp}{_STANCES[stance]}"


def _conditions(bits: int) -> str:
    return " ".join(condition_names(bits))


def _literal(name: str) -> str:
    """Return a name for a format string; it may come from a file and hold braces."""
    return name.replace("{", "{{").replace("}", "}}")


def _state(batch: SnapshotBatch) -> list[tuple[str, ...]]:
    """Return what agents are and have; columns of which no agent has anything are left out."""
    columns = [
        _filled("hp {}/{}", batch.hp, batch.hp_max),
        _filled("ammo {}+{}", batch.ammo, batch.reserve),
        _filled("morale {}", batch.morale),
        [f"cover {COVER_NAMES[cover]}" for cover in batch.cover.tolist()],
    ]
    counts = [("smokes", batch.smokes), ("explosives", batch.explosives), ("medkits", batch.medkits)]
    counts += [(name, batch.holding[:, place]) for place, name in enumerate(batch.holding_names)]
    for name, column in counts:
        if column.any():
            columns.append(_filled_where(column != 0, f"{_literal(name)} {{}}".format, column))
    for name, place in sorted((name, place) for place, name in enumerate(batch.cooldown_names)):
        ticks = batch.ready[:, place]
        if ticks.any():
            left = -(-ticks // batch.ticks_per_second)
            columns.append(_filled_where(ticks > 0, f"cooldown {_literal(name)} {{}}s".format, left))
    return list(zip(*columns, strict=True))


def _attention(batch: SnapshotBatch) -> list[tuple[str, ...]]:
    """Return what agents mind; columns of which no agent has anything are left out."""
    found: list[list[str]] = []
    for of, form, *columns in (
        (batch.taunter >= 0, "taunted by {}", batch.taunter),
        (batch.drawn_x >= 0, "distracted to {},{}", batch.drawn_x, batch.drawn_y),
        (batch.caller >= 0, "cover wanted by {}", batch.caller),
        (batch.reserves > 0, "reserves {}", batch.reserves),
        (batch.goal_x >= 0, "goal {},{}", batch.goal_x, batch.goal_y),
    ):
        if of.any():
            found.append(_filled_where(of, form.format, *columns))
    return list(zip(*found, strict=True)) if found else [()] * len(batch)


def _others(
    keys: NDArray[np.int64],
    x: NDArray[np.int32],
    y: NDArray[np.int32],
    hp: NDArray[np.int32],
    conditions: NDArray[Any],
    cover: NDArray[np.int32] | None = None,
) -> list[list[Seen]]:
    """Return whom each agent knows and what is said of them; arrays `[n, places]`."""
    there = keys >= 0
    if not there.any():
        return [[]] * len(keys)
    states = [f"hp {value}" for value in hp[there].tolist()]
    if cover is not None:
        for place in cover[there].nonzero()[0].tolist():
            states[place] += " in cover"
    bits = conditions[there]
    for place in bits.nonzero()[0].tolist():
        states[place] += f" {_conditions(int(bits[place]))}"
    at = [f"{x},{y}" for x, y in zip(x[there].tolist(), y[there].tolist(), strict=True)]
    return _by_row(list(map(Seen, keys[there].tolist(), at, states)), there)


def _objects(batch: SnapshotBatch) -> list[str]:
    """Return what things each agent sees."""
    there = batch.object >= 0
    if not there.any():
        return [""] * len(batch)
    columns = (batch.object, batch.object_kind, batch.object_x, batch.object_y, batch.object_state)
    said = [
        f"{key} {batch.object_kinds[kind]}@{x},{y}{f' left {left}' if left >= 0 else ''}"
        for key, kind, x, y, left in zip(*(column[there].tolist() for column in columns), strict=True)
    ]
    return list(map(";".join, _by_row(said, there)))


def _by_row(said: list[T], there: NDArray[np.bool_]) -> list[list[T]]:
    """Return what is said of the places that are taken, `[n, places]`, row by row."""
    ends = there.sum(1).cumsum().tolist()
    return [said[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)]


# -- what several know -------------------------------------------------------------------------------------------------


def _known_to_several(others: Iterable[list[Seen]]) -> dict[int, Seen]:
    """Return those whom several rows name, where all say the same of them, by key; it is said once then."""
    found: dict[int, Seen] = {}
    several: set[int] = set()
    differing: set[int] = set()
    for row in others:
        for seen in row:
            first = found.setdefault(seen.key, seen)
            if first is not seen:
                several.add(seen.key)
                if first != seen:
                    differing.add(seen.key)
    return {key: found[key] for key in sorted(several - differing)}


def _told_of(known: list[Seen]) -> str:
    """Return the line that says once what several rows would; the most usual state is told for all who are in it."""
    times, usual = min((-count, state) for state, count in Counter(seen.state for seen in known).items())
    if times == -1:
        return f"Known to several: {';'.join(seen.said for seen in known)}"
    each = (f"{seen.key}@{seen.at}" if seen.state == usual else seen.said for seen in known)
    return f"Known to several, {usual} unless said: {';'.join(each)}"


def _named(others: list[Seen], known: Mapping[int, Seen]) -> str:
    """Return whom a row names: those who are told already by their key alone."""
    if not others:
        return "none"
    return ";".join([str(seen.key) if seen.key in known else seen.said for seen in others])
