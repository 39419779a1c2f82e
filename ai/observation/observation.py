"""`Observation`: the knowledge of one agent when it plans, declared once as a class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from ai.errors import ContractError
from ai.observation.batch import Groups, Keys, ObservationBatch
from ai.observation.facts import Entry
from ai.observation.given import Given
from ai.observation.layout import Layout
from ai.observation.objects import from_objects

RESERVED = frozenset(
    {*(name for name in dir(ObservationBatch) if not name.startswith("_")), *ObservationBatch.__dataclass_fields__}
    | {"batch", "layout", "from_objects", "self"}
)
"""Names that a field of an observation cannot have, as a batch or the class has something of that name."""


class Observation(Entry):
    """The knowledge of one agent when it plans; subclass it and declare fields with `fact`.

    From the declaration follow its columns (`batch`), its JSON form (pydantic's own), its digest, its words in a
    prompt, the conditions of rules and the targets that a verb may name.
    """

    layout: ClassVar[Layout]

    @classmethod
    def _declare(cls) -> None:
        cls.layout = Layout(cls, RESERVED)

    @classmethod
    def batch(
        cls,
        keys: Keys | Sequence[int],
        *,
        tick: int = 0,
        ticks_per_second: int = 1,
        texts: Sequence[str] = (),
        tables: Mapping[str, Sequence[str]] | None = None,
        shared: Mapping[str, Sequence[Any]] | None = None,
        attached: Mapping[str, Any] | None = None,
        groups: Groups | None = None,
        arranged: bool = False,
        **columns: Any,
    ) -> ObservationBatch[Self]:
        """Build the knowledge of n agents from arrays by field.

        A field of one value takes an array `[n]`, or one value for all; whole numbers are stored steps, floats are in
        the field's unit. A cell takes two arrays, x and y; a table `[n, T]`, or `[T]` for all; an entry a mapping of
        its fields. A list takes a mapping of arrays `[n, width]` in which unused ids are -1 (lists without ids say
        which places are `there`), or, with the key `rows`, of flat arrays `[entries]`, with the row that each entry
        belongs to. A shared fact takes a value for all, or positions in `shared`.

        Args:
            keys: `[n] int64`, the agents' ids, ascending.
            tick: the tick at which they know it.
            ticks_per_second: how long a tick is.
            texts: the texts that columns of texts point into.
            tables: the names of each table.
            shared: the distinct values of each shared fact by path.
            attached: further values for domain code; neither hashed nor put into prompts.
            groups: which group each agent belongs to.
            arranged: lists are in their declared order, fit their limits and hold absent values in unused places;
                otherwise they are brought into that form here, and entries that do not fit are counted.
            columns: the fields.

        Raises:
            ContractError: a field is not declared, was not given and has no default, or has another type or shape; the
                message names it.
        """
        if not isinstance(keys, np.ndarray):
            keys = np.array(keys, np.int64)
        known = {name: tuple(names) for name, names in (tables or {}).items()}
        given = Given(cls.layout, keys, known, shared or {}, ticks_per_second, arranged=arranged)
        given.fields(cls.layout, columns)
        made: ObservationBatch[Self] = ObservationBatch(
            cls,
            keys,
            given.columns,
            tick,
            ticks_per_second,
            tuple(texts),
            known,
            given.shared,
            attached or {},
            groups,
        )
        given.finish(made)
        return made

    @classmethod
    def from_objects(
        cls,
        pairs: Sequence[tuple[int, Self]],
        *,
        tick: int = 0,
        ticks_per_second: int = 1,
        tables: Mapping[str, Sequence[str]] | None = None,
        groups: tuple[Sequence[str], Sequence[int]] | None = None,
    ) -> ObservationBatch[Self]:
        """Build the knowledge of n agents from one object per agent, in any order.

        Args:
            pairs: each agent's id and its knowledge.
            tick: the tick at which they know it.
            ticks_per_second: how long a tick is.
            tables: the names of each table; one that is not given gets the names that the objects have, sorted.
            groups: the names of groups, and the place of each pair's among them.

        Raises:
            ContractError: an agent was asked for twice, an id is out of range, or a value does not fit its column.
        """
        return from_objects(cls, pairs, tick=tick, ticks_per_second=ticks_per_second, tables=tables, groups=groups)

    @classmethod
    def none(cls, tables: Mapping[str, Sequence[str]] | None = None) -> ObservationBatch[Self]:
        """Return the batch of no agents."""
        return cls.from_objects((), tables=tables)


def observed_by(pairs: Sequence[tuple[int, Any]]) -> type[Observation]:
    """Return the declaration that some objects share.

    Raises:
        ContractError: there are none, or they are of two classes.
    """
    kinds = {type(one) for _, one in pairs}
    if len(kinds) != 1:
        names = ", ".join(sorted(kind.__name__ for kind in kinds)) or "nothing"
        raise ContractError(f"the agents of one call have observations of one class, not of {names}")
    kind: type = kinds.pop()
    if not issubclass(kind, Observation):
        raise ContractError(f"an agent's knowledge is a {kind.__name__}; it must be an Observation")
    return kind
