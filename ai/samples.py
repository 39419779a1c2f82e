"""Sample observations: a few agents in situations that planners often handle wrongly, made from a declaration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Final, get_origin, get_type_hints

from pydantic import BaseModel, ValidationError

from ai.actions.registry import reason_of
from ai.errors import ContractError
from ai.observation import (
    REQUIRED,
    Cell,
    Choice,
    Counts,
    Flags,
    Group,
    Key,
    Leaf,
    Name,
    Number,
    Observation,
    Place,
    Shared,
    Text,
)

SAMPLES: Final = 12
"""The number of agents of a sample."""
TEXTS: Final = ("", "Come here.", '\u2603 {"a1": []}', "reach it; then wait")
CELLS: Final = (Cell(0, 0), Cell(5, 5), Cell(7, 2), Cell(4, 5), Cell(-7, 9000))
NUMBERS: Final = (0, 1, 3, 10, 60, 100, -5, 30_000)


def sample_observations(
    of: type[Observation], tables: Mapping[str, Sequence[str]] | None = None
) -> list[tuple[int, Observation]]:
    """Return some agents with their observations: empty lists and full ones, absent values, values at their bounds.

    Args:
        of: the declaration.
        tables: the names of each table; a table that is not given has the names `one` and `two`.

    Raises:
        ContractError: the declaration has its own rules, and no sample meets them.
    """
    found: list[tuple[int, Observation]] = []
    problem = ""
    for number in range(SAMPLES):
        values = {one.name: _value(one, number + place, tables or {}) for place, one in enumerate(of.layout.fields)}
        try:
            found.append((2 + 7 * number, of(**values)))
        except ValidationError as error:
            problem = reason_of(error)  # the declaration has its own rule, which these values do not meet
    if not found:
        raise ContractError(f"no sample of {of.__name__} can be made ({problem}); give a batch of your own")
    return found


def _value(one: Leaf | Group, number: int, tables: Mapping[str, Sequence[str]]) -> Any:
    if isinstance(one, Group):
        return _of_group(one, number, tables)
    if one.optional and number % 3 == 0:
        return None
    match one:
        case Shared():
            return shared_sample(one)
        case Counts():
            names = tables.get(one.fact.table, ("one", "two"))
            return {name: _number(one, number + place) for place, name in enumerate(names[: number % 4])}
        case Number():
            return _number(one, number)
        case Key():
            return number % 5 + 1
        case Flags():
            return tuple(one.kind)[: number % 3]
        case Choice():
            return list(one.kind)[number % len(one.members)]
        case Place():
            return CELLS[number % len(CELLS)]
        case Name():
            names = tables.get(one.fact.table, ("one", "two"))
            return names[number % len(names)] if names else None
        case Text():
            return TEXTS[number % len(TEXTS)]
    raise TypeError(f"no sample for {one.path}")


def _number(leaf: Number, number: int) -> Any:
    if leaf.kind is bool:
        return number % 2 == 0
    fact = leaf.fact
    low = fact.low if fact.low is not None else (-5 if fact.default is REQUIRED or (fact.default or 0) >= 0 else None)
    values = [value for value in NUMBERS if (low is None or value >= low) and (fact.high is None or value <= fact.high)]
    bounds = [bound for bound in (fact.low, fact.high) if bound is not None]
    chosen = [*bounds, *values][number % (len(bounds) + len(values))] if bounds or values else 0
    return float(chosen) if leaf.kind is float else int(chosen)


def _of_group(group: Group, number: int, tables: Mapping[str, Sequence[str]]) -> Any:
    if not group.limit:
        if group.optional and number % 3 == 0:
            return None
        return group.kind(**{one.name: _value(one, number + k, tables) for k, one in enumerate(group.fields)})
    count = (0, 1, 2, group.limit, group.limit + 2)[number % 5]
    entries = []
    for place in range(count):
        values = {one.name: _value(one, number + 3 * place + k, tables) for k, one in enumerate(group.fields)}
        if group.plain:
            entries.append(90 + place if isinstance(group.fields[0], Key) else values[group.name])
        elif group.key is not None:
            entries.append(group.kind(**{**values, "id": 90 + place}))
        else:
            entries.append(group.kind(**values))
    return tuple(entries)


def shared_sample(leaf: Shared) -> Any:
    """Return a value that many agents may share: its default, or a value made of small numbers."""
    default = leaf.fact.default
    return _made(leaf.kind) if default is REQUIRED or default is None else default


def _made(kind: Any) -> Any:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return kind(**{name: _made(info.annotation) for name, info in kind.model_fields.items() if info.is_required()})
    if isinstance(kind, type) and is_dataclass(kind):
        hints, needed = get_type_hints(kind), (one for one in fields(kind) if one.init)
        bare = (one.name for one in needed if one.default is MISSING and one.default_factory is MISSING)
        return kind(**{name: _made(hints[name]) for name in bare})
    return {int: 32, float: 32.0, str: "somewhere", bool: False}.get(kind, () if get_origin(kind) is tuple else None)
