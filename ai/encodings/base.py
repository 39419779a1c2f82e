"""How a reply writes plans: the interface of an output encoding.

An encoding says how plans are asked for (instructions, example, JSON schema or grammar), finds each agent's plan in a
reply while it streams (a scanner), and decodes one plan's raw text. All encodings give the same plans: what a decoded
step means is decided once, in `ai.parse.steps`. What an encoding writes is valid under the schema or grammar that it
sends, and so is the example in the prompt. Every encoding also reads a plan written in named JSON: models fall back to
it when nothing holds them to the encoding, and scripts are written in it.

To add one, put one file in this folder and name it in `ai.encodings.ENCODINGS`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from ai.actions import (
    KEY_MAX,
    NONE,
    TARGET_ROLES,
    ActionStep,
    EncodedStep,
    ListShape,
    RecordShape,
    Role,
    Shape,
    ToolRegistry,
    ToolSpec,
)
from ai.errors import ContractError
from ai.parse import SLOT_NAME, ReplyScanner, argument_names, parse_steps
from ai.snapshot import SnapshotBatch, picked

PLAN_STEPS_MAX: Final = 4
"""Steps that a model is asked for; a plan may hold more."""
CACHED: Final = 4096
"""Parts of schemas and grammars that are kept, by what an agent can name."""


class Encoding(ABC):
    """One way to write plans. Stateless; `name` and the prompt's version are recorded with every call."""

    name: str
    plan_tokens: int
    """Reply tokens reserved for one plan."""

    @abstractmethod
    def instructions(self) -> str:
        """Return the sentence of the system message that says how to reply."""

    @abstractmethod
    def closing(self, count: int) -> str:
        """Return the last line of the user message: which slots to answer."""

    def schema(self, offers: Offers) -> Mapping[str, Any] | None:  # noqa: ARG002
        """Return the JSON schema of the reply, or None where a grammar says it. It may be shared: do not change it."""
        return None

    def grammar(self, offers: Offers) -> str | None:  # noqa: ARG002
        """Return the grammar (GBNF) of the reply, or None where a schema says it."""
        return None

    @abstractmethod
    def scanner(self, slots: Mapping[str, int]) -> ReplyScanner:
        """Return a scanner for one reply to these slots."""

    @abstractmethod
    def raw_steps(self, text: str) -> list[Any]:
        """Decode one plan's raw text into steps as `parse_steps` takes them.

        Raises:
            ParseError: it is no plan.
        """

    @abstractmethod
    def write(self, steps: Sequence[ActionStep], registry: ToolRegistry) -> str:
        """Return the raw text of one plan, as short as this encoding allows."""

    @abstractmethod
    def frame(self, texts: Mapping[str, str]) -> str:
        """Return a whole reply for raw plan texts by slot."""

    def parse(self, text: str, registry: ToolRegistry) -> tuple[ActionStep, ...]:
        """Return one plan's raw text as steps.

        Raises:
            ParseError: it is no plan, or holds a step that the registry refuses.
        """
        return parse_steps(self.raw_steps(text), registry)

    def encode(self, text: str, registry: ToolRegistry) -> tuple[EncodedStep, ...]:
        """Return one plan's raw text as integers.

        Raises:
            ParseError: as `parse`.
        """
        return tuple(map(registry.encode, self.parse(text, registry)))


@dataclass(frozen=True, slots=True)
class Group:
    """Verbs that take the same arguments: described once, by the first of them."""

    names: tuple[str, ...]
    spec: ToolSpec


class Offer(NamedTuple):
    """Verbs that name agents or things of the same roles, and the ids they may name, sorted, for each of these roles.

    What an agent may do is a few of these. Agents that know the same ids share them, and so do their schemas.
    """

    roles: tuple[Role, ...]
    known: tuple[tuple[int, ...], ...]

    @property
    def targets(self) -> dict[Role, tuple[int, ...]]:
        """The ids by role."""
        return dict(zip(self.roles, self.known, strict=True))


@dataclass(frozen=True, slots=True)
class Offers:
    """What each agent of a batch may do: verbs of `registry`, on a map of so many cells.

    A verb is left out where one of its targets has nobody to name.
    """

    registry: ToolRegistry
    width: int
    height: int
    each: list[tuple[Offer, ...]]

    @classmethod
    def of(cls, batch: SnapshotBatch, registry: ToolRegistry) -> Self:
        """Return what the agents of a batch may do."""
        known = dict(zip(TARGET_ROLES, _known(_targets(batch)), strict=True))
        found: list[tuple[Offer, ...]] = [()] * len(batch)
        for roles in groups(registry):
            ids = list(zip(*(known[role] for role in roles), strict=True)) if roles else [()] * len(batch)
            # Agents that know the same share what they may do.
            offers = {each: (Offer(roles, each),) if all(each) else () for each in set(ids)}
            found = [own + offers[each] for own, each in zip(found, ids, strict=True)]
        return cls(registry, batch.map.width, batch.map.height, found)

    def take(self, rows: NDArray[np.intp] | slice) -> Self:
        """Return what some of the agents may do."""
        return replace(self, each=picked(self.each, rows))


def _targets(batch: SnapshotBatch) -> list[list[NDArray[np.integer[Any]]]]:
    """Return the columns of those whom an agent may name, for each of the roles of targets in their order."""
    columns: dict[Role, list[NDArray[np.integer[Any]]]] = {
        Role.ENEMY: [batch.enemy],
        Role.ALLY: [batch.ally, batch.keys[:, None], batch.leader[:, None]],
        Role.OBJECT: [batch.object],
    }
    return [columns[role] for role in TARGET_ROLES]


def _known(targets: Sequence[Sequence[NDArray[np.integer[Any]]]]) -> list[list[tuple[int, ...]]]:
    """Return the ids in each list of columns, row by row: once each, ascending. Done for all lists at once."""
    n = len(targets[0][0])
    width = max(sum(column.shape[1] for column in columns) for columns in targets)
    keys = np.full((len(targets), n, width), NONE, np.int64)
    for own, columns in zip(keys, targets, strict=True):
        place = 0
        for column in columns:
            own[:, place : place + column.shape[1]] = column
            place += column.shape[1]
    keys.sort(axis=2)
    wanted = (keys >= 0) & (keys <= KEY_MAX)
    wanted[:, :, 1:] &= keys[:, :, 1:] != keys[:, :, :-1]
    ids = keys[wanted].tolist()
    ends = wanted.sum(2).cumsum().tolist()
    rows = [tuple(ids[start:end]) for start, end in zip([0, *ends[:-1]], ends, strict=True)]
    return [rows[start : start + n] for start in range(0, len(rows), n)]


@lru_cache(maxsize=CACHED)
def groups(registry: ToolRegistry) -> dict[tuple[Role, ...], list[Group]]:
    """Return the offered verbs by the roles of their targets, verbs with the same arguments together.

    Raises:
        ContractError: an argument is named like a slot.
    """
    alike: dict[tuple[Role, ...], dict[object, list[ToolSpec]]] = {}
    for spec in registry:
        _check_names(spec)
        roles = tuple(role for role in TARGET_ROLES if role in spec.roles)
        alike.setdefault(roles, {}).setdefault((spec.args, spec.payload), []).append(spec)
    return {
        roles: [Group(tuple(spec.name for spec in specs), specs[0]) for specs in by_args.values()]
        for roles, by_args in sorted(alike.items())
    }


def _check_names(spec: ToolSpec) -> None:
    """Refuse a verb whose arguments a scanner would take for slots.

    Raises:
        ContractError: an argument, or a field of a record, is named like a slot.
    """
    names = {part for name in argument_names(spec) for part in name.split(".")}
    shapes: list[Shape] = [field.shape for field in spec.payload]
    for shape in shapes:  # it grows
        if isinstance(shape, ListShape):
            shapes.append(shape.item)
        elif isinstance(shape, RecordShape):
            names.update(field.name for field in shape.fields)
            shapes += [field.shape for field in shape.fields]
    taken = sorted(name for name in names if SLOT_NAME.fullmatch(name))
    if taken:
        raise ContractError(f"{spec.name}.{taken[0]}: an argument must not be named like a slot (a1, a2, ...)")


def cuts(spec: ToolSpec) -> list[int]:
    """Return the numbers of arguments after which a list of values may end, ascending; the last is all of them.

    Trailing arguments that need not be given may be left out; a nested object is there whole or not at all, and lists
    and records are all there.
    """
    if spec.payload:
        return [len(spec.args) + len(spec.payload)]
    ends = [len(spec.args)]
    place = len(spec.args)
    while place and not spec.args[place - 1].required:
        owner = spec.args[place - 1].name.partition(".")[0]
        while place and spec.args[place - 1].name.partition(".")[0] == owner:
            place -= 1
        ends.append(place)
    return ends[::-1]


def written(step: ActionStep, registry: ToolRegistry) -> list[Any]:
    """Return a step as a list of values in the order of the registry, without trailing ones that are not given."""
    fields = step.model_dump(mode="json")
    values: list[Any] = [step.act]
    for name in argument_names(registry.spec(step.act)):
        value: Any = fields
        for part in name.split("."):
            value = None if value is None else value[part]
        values.append(_plain(value))
    while values[-1] is None:
        values.pop()
    return values


def _plain(value: Any) -> Any:
    """Return a value with whole numbers written as such."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return int(value) if isinstance(value, float) and value.is_integer() else value
