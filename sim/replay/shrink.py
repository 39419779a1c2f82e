"""Ways to make a run's start smaller: without some of its inputs, teams, squads, agents, things, rules, or cells.

Each takes a scenario as canonical data and yields smaller ones, the big steps first; they need not be valid. Agents who
stay are the same ones: what names an agent by its key (an input, a step, a line of a script) names it by its new key.
What names one who is gone goes with it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final, NamedTuple

from ai.actions import Role
from scenarios.tactics.actions import default_registry
from scenarios.tactics.scenario import GLYPHS, Scenario, terrain

Data = dict[str, Any]
KEYS: Final = ("agent", "target_id", "ally_id")
"""What names an agent by its key, wherever it stands, but for steps that mean a thing on the map."""
FLOOR: Final = "."


class Smaller(NamedTuple):
    """A smaller scenario; `keys` are the new keys of the agents who stay by their old ones, None if all stay."""

    data: Data
    keys: Mapping[int, int] | None = None


Shrink = Callable[[Data], Iterator[Smaller]]


def parts(items: Sequence[Any]) -> Iterator[list[Any]]:
    """Yield a list without all of it, without each half, without each quarter, and so on down to single items.

    >>> list(parts([1, 2, 3, 4]))
    [[], [3, 4], [1, 2], [2, 3, 4], [1, 3, 4], [1, 2, 4], [1, 2, 3]]
    """
    size = len(items)
    given: set[tuple[int, int]] = set()
    while size:
        for start in range(0, len(items), size):
            span = (start, min(start + size, len(items)))
            if span not in given:
                given.add(span)
                yield [*items[: span[0]], *items[span[1] :]]
        size = size // 2 if size > 2 else size - 1


def _fewer(*path: str) -> Shrink:
    """Return what leaves out items of the list at a path."""
    *owners, last = path

    def shrink(data: Data) -> Iterator[Smaller]:
        owner = data
        for name in owners:
            owner = owner[name]
        yield from (Smaller(_with(data, path, kept)) for kept in parts(owner.get(last) or []))

    return shrink


def _with(data: Data, path: Sequence[str], value: object) -> Data:
    first, *rest = path
    return {**data, first: _with(data[first], rest, value) if rest else value}


def _no_director(data: Data) -> Iterator[Smaller]:
    if data["director"] is not None:
        yield Smaller({**data, "director": None})


def _fewer_objectives(data: Data) -> Iterator[Smaller]:
    for number, team in enumerate(data["teams"]):
        for kept in parts(team["objectives"]):
            yield Smaller(_with_team(data, number, {**team, "objectives": kept}))


def _with_team(data: Data, number: int, team: Data) -> Data:
    return {**data, "teams": [*data["teams"][:number], team, *data["teams"][number + 1 :]]}


# -- who takes part ----------------------------------------------------------------------------------------------------


def fewer_teams(data: Data) -> Iterator[Smaller]:
    """Leave out teams."""
    numbers = range(len(data["teams"]))
    for kept in parts(numbers):
        counts = {place: 0 for place in _places(data) if place[0] not in kept}
        yield _left(data, counts, [data["teams"][number] for number in kept])


def fewer_squads(data: Data) -> Iterator[Smaller]:
    """Leave out squads of one team."""
    for number, team in enumerate(data["teams"]):
        for kept in parts(range(len(team["squads"]))):
            counts = {place: 0 for place in _places(data) if place[0] == number and place[1] not in kept}
            left = {**team, "squads": [team["squads"][place] for place in kept]}
            yield _left(data, counts, _with_team(data, number, left)["teams"])


def fewer_agents(data: Data) -> Iterator[Smaller]:
    """Leave out agents of one squad."""
    for number, place in _places(data):
        team = data["teams"][number]
        squad = team["squads"][place]
        for fewer in (
            count for count in sorted({1, squad["count"] // 2, squad["count"] - 1}) if 0 < count < squad["count"]
        ):
            left = {**team, "squads": [*team["squads"]]}
            left["squads"][place] = {**squad, "count": fewer}
            yield _left(data, {(number, place): fewer}, _with_team(data, number, left)["teams"])


def _places(data: Data) -> Iterator[tuple[int, int]]:
    """Yield the numbers of every team and squad, in the order of their agents' keys."""
    for number, team in enumerate(data["teams"]):
        yield from ((number, place) for place in range(len(team["squads"])))


def _left(data: Data, counts: Mapping[tuple[int, int], int], teams: list[Data]) -> Smaller:
    """Return the data with other teams, of whose squads those in `counts` keep so many agents as it says."""
    keys: dict[int, int] = {}
    key = 0
    for number, place in _places(data):
        count = data["teams"][number]["squads"][place]["count"]
        for one in range(count):
            if one < counts.get((number, place), count):
                keys[key] = len(keys)
            key += 1
    gone = {old for old in range(key) if old not in keys}
    return Smaller(_renamed({**data, "teams": teams}, keys, gone), keys)


def _renamed(value: Any, keys: Mapping[int, int], gone: set[int]) -> Any:
    """Return data in which agents have their new keys, without the items of lists that name one who is gone."""
    match value:
        case dict():
            named = {name: _new_key(value[name], keys) for name in _naming(value)}
            return {name: named.get(name, _renamed(item, keys, gone)) for name, item in value.items()}
        case list():
            return [_renamed(item, keys, gone) for item in value if not _names(item, gone)]
        case _:
            return value


def _naming(value: Data) -> list[str]:
    """Return what in a table names an agent."""
    act = value.get("act")
    things = _things().get(act, ()) if isinstance(act, str) else ()
    return [name for name in KEYS if name in value and name not in things]


@cache
def _things() -> dict[str, list[str]]:
    """Return what names a thing on the map, by the kind of step."""
    return {spec.name: [arg.name for arg in spec.args if arg.role is Role.OBJECT] for spec in default_registry().specs}


def _new_key(old: object, keys: Mapping[int, int]) -> object:
    return keys.get(old, old) if type(old) is int else old


def _names(value: Any, gone: set[int]) -> bool:
    """Say whether something names an agent who is gone."""
    if isinstance(value, dict):
        return any(type(value[name]) is int and value[name] in gone for name in _naming(value)) or any(
            _names(item, gone) for item in value.values() if isinstance(item, dict)
        )
    return False


# -- where it happens --------------------------------------------------------------------------------------------------


def fewer_columns(data: Data) -> Iterator[Smaller]:
    """Leave out columns of the map; what stands to the east of them moves west."""
    rows = _rows(data)
    for kept in parts(range(len(rows[0]))):
        smaller = ["".join(row[x] for x in kept) for row in rows]
        yield _redrawn(_moved(data, "x", "width", _before(kept, len(rows[0]))), smaller)


def fewer_rows(data: Data) -> Iterator[Smaller]:
    """Leave out rows of the map; what stands to the south of them moves north."""
    rows = _rows(data)
    for kept in parts(range(len(rows))):
        yield _redrawn(_moved(data, "y", "height", _before(kept, len(rows))), [rows[y] for y in kept])


def fewer_obstacles(data: Data) -> Iterator[Smaller]:
    """Make floor of walls and cover."""
    rows = _rows(data)
    width = len(rows[0])
    cells = "".join(rows)
    standing = [cell for cell, glyph in enumerate(cells) if glyph != FLOOR]
    for kept in parts(standing):
        wanted = set(kept)
        plain = "".join(glyph if cell in wanted else FLOOR for cell, glyph in enumerate(cells))
        yield _redrawn(data, [plain[start : start + width] for start in range(0, len(plain), width)])


def _rows(data: Data) -> list[str]:
    """Return the map as it is drawn, also where the scenario has it made."""
    if data["map"]["rows"]:
        return list(data["map"]["rows"])
    glyphs = {kind.value: glyph for glyph, kind in GLYPHS.items()}
    return ["".join(glyphs[cell] for cell in row) for row in terrain(Scenario.from_canonical(data)).tolist()]


def _redrawn(data: Data, rows: list[str]) -> Smaller:
    return Smaller({**data, "map": {**data["map"], "rows": rows, "generate": None}})


def _moved(value: Any, at: str, size: str, before: Sequence[int]) -> Any:
    """Return data with cells and areas where they are when some columns, or rows, are left out (`_before`)."""
    match value:
        case dict():
            moved = {name: _moved(item, at, size, before) for name, item in value.items()}
            start, extent = value.get(at), value.get(size)
            if type(start) is int:
                moved[at] = _place(start, before)
                if type(extent) is int:
                    end = min(start + extent, len(before) - 1)
                    moved[size] = before[end] - before[min(start, end)]
            return moved
        case list():
            return [_moved(item, at, size, before) for item in value]
        case _:
            return value


def _before(kept: Sequence[int], size: int) -> list[int]:
    """Return for each column or row, and for the end, how many before it are left.

    >>> _before([0, 3], 4)
    [0, 1, 1, 1, 2]
    """
    return [bisect_left(kept, place) for place in range(size + 1)]


def _place(place: int, before: Sequence[int]) -> int:
    """Return where a column or row is now: one that is gone is the next one, what lay outside of the map still does."""
    size, left = len(before) - 1, before[-1]
    return max(0, min(before[place], left - 1)) if place < size else left + place - size


SHRINKS: Final[tuple[Shrink, ...]] = (
    _fewer("inputs"),
    _no_director,
    _fewer_objectives,
    fewer_teams,
    fewer_squads,
    fewer_agents,
    _fewer("script", "lines"),
    _fewer("heuristics", "rules"),
    _fewer("map", "objects"),
    _fewer("map", "places"),
    fewer_columns,
    fewer_rows,
    fewer_obstacles,
)
"""All of them, in the order in which they are tried."""
