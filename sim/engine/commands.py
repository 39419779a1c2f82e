"""Commands: births, deaths and changes of membership that wait for the flush, checked while they are queued."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sim.engine.columns import Component
from sim.engine.rows import Rows
from sim.engine.tables import Store, Table
from sim.engine.values import fit, indices
from sim.errors import WorldError

Fitted = list[tuple[Store, NDArray[Any]]]
"""Columns, each with values that fit it."""


@dataclass(slots=True)
class Spawn:
    """The birth of some entities.

    Attributes:
        count: the number of entities.
        issuers: the keys of the entities that they come from, one or `[count]`; -1 for none.
        keys: their keys, if the keys are fixed.
        components: their components.
        values: values of columns of these components; the other columns get their defaults.
    """

    count: int
    issuers: NDArray[np.int64] | int
    keys: NDArray[np.int64] | None
    components: frozenset[type[Component]]
    values: Fitted


@dataclass(slots=True)
class Membership:
    """A component that is given to rows with these values, or taken from them (None)."""

    table: Table
    rows: NDArray[np.intp]
    values: Fitted | None


@dataclass(slots=True)
class Queued:
    """The commands that one flush carries out.

    Attributes:
        membership: changes of components, in the order in which they were queued.
        dead: whether each row dies, `[n] bool`; None if none does.
        spawns: births, in the order in which they were queued.
        keys: the fixed keys among the spawns.
    """

    membership: list[Membership] = field(default_factory=list)
    dead: NDArray[np.bool_] | None = None
    spawns: list[Spawn] = field(default_factory=list)
    keys: set[int] = field(default_factory=set)

    def births(self) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
        """Return the fixed key of every newborn (-1: none), and the order in which they get the others."""
        fixed = [np.full(each.count, -1) if each.keys is None else each.keys for each in self.spawns]
        issuers = [np.broadcast_to(each.issuers, each.count) for each in self.spawns]
        return np.concatenate(fixed), np.argsort(np.concatenate(issuers), kind="stable")


class Commands:
    """Queues commands and checks each completely, so that the flush that carries them out cannot fail half way.

    `World.spawn`, `kill`, `attach` and `detach` describe the arguments and errors of each command.

    Args:
        rows: the living entities.
        table: finds a component's table, or raises `WorldError`.
    """

    def __init__(self, rows: Rows, table: Callable[[type[Component]], Table]) -> None:
        self._rows = rows
        self._table = table
        self._queued = Queued()

    @property
    def pending(self) -> bool:
        """Whether commands wait for the next flush."""
        return bool(self._queued.spawns or self._queued.membership or self._queued.dead is not None)

    def take(self) -> Queued:
        """Return the queued commands and start with an empty queue."""
        queued, self._queued = self._queued, Queued()
        return queued

    def spawn(
        self, values: Mapping[type[Component], Mapping[str, Any]], count: int, *, like: Any, keys: ArrayLike | None
    ) -> None:
        """Queue births.

        Raises:
            WorldError: a component or column is not declared, a value does not fit, a row of `like` does not exist, or
                a key was given before.
        """
        if count < 0:
            raise WorldError(f"spawn of {count} entities")
        _ensure_mapping(values, "spawn: components with their values")
        fitted: Fitted = []
        for component, given in values.items():
            fitted += _fitted(self._table(component), given, count)
        fixed = None if keys is None else self._fixed_keys(keys, count)
        issuers: NDArray[np.int64] | int = -1
        if like is not None:
            parents = indices(like, self._rows.n, "spawn like")
            if parents.size not in (1, count):
                raise WorldError(f"spawn of {count} entities like {parents.size} rows; give one row, or one for each")
            issuers = self._rows.living[parents]
        if count:
            self._queued.spawns.append(Spawn(count, issuers, fixed, frozenset(values), fitted))

    def _fixed_keys(self, keys: ArrayLike, count: int) -> NDArray[np.int64]:
        fixed = np.array(fit(keys, np.dtype(np.int64), "keys"), ndmin=1)
        if fixed.shape != (count,):
            raise WorldError(f"{fixed.shape} keys for {count} entities")
        listed = fixed.tolist()
        fresh = set(listed)
        following = self._rows.next_key
        if listed and min(listed) < following:
            raise WorldError(f"key {min(listed)} was given before or passed over: keys from {following} on are new")
        if listed and max(listed) == np.iinfo(np.int64).max:
            raise WorldError(f"key {max(listed)} leaves no next key")
        if len(fresh) != count or not fresh.isdisjoint(self._queued.keys):
            raise WorldError("a key is given twice in the spawns of one flush")
        self._queued.keys |= fresh
        return fixed

    def kill(self, rows: Any) -> None:
        """Queue deaths.

        Raises:
            WorldError: a row does not exist.
        """
        places = indices(rows, self._rows.n, "kill")
        if places.size:
            if self._queued.dead is None:
                self._queued.dead = np.zeros(self._rows.n, dtype=np.bool_)
            self._queued.dead[places] = True

    def kill_row(self, row: int) -> None:
        """Queue the death of an entity whose row is known to exist."""
        if self._queued.dead is None:
            self._queued.dead = np.zeros(self._rows.n, dtype=np.bool_)
        self._queued.dead[row] = True

    def attach(self, rows: Any, component: type[Component], values: Mapping[str, Any]) -> None:
        """Queue giving a component.

        Raises:
            WorldError: a row does not exist or comes twice, or as in `spawn`.
        """
        table = self._table(component)
        places = indices(rows, self._rows.n, "attach")
        if np.unique(places).size != places.size:
            raise WorldError(f"attach of {table.schema.name} names a row twice")
        fitted = _fitted(table, values, places.size)
        if places.size:
            self._queued.membership.append(Membership(table, places, fitted))

    def detach(self, rows: Any, component: type[Component]) -> None:
        """Queue taking a component.

        Raises:
            WorldError: a row does not exist or the component is not declared.
        """
        table = self._table(component)
        places = indices(rows, self._rows.n, "detach")
        if places.size:
            self._queued.membership.append(Membership(table, places, None))


def _ensure_mapping(given: object, what: str) -> None:
    if not isinstance(given, Mapping):
        raise WorldError(f"{what}: a dictionary is expected, not {type(given).__name__}")


def _fitted(table: Table, given: Mapping[str, Any], count: int) -> Fitted:
    """Convert one value for all, or `[*shape, count]`, to the columns' numbers."""
    _ensure_mapping(given, f"values of {table.schema.name} by column")
    fitted = []
    for name, value in given.items():
        store = table.store(name)
        shape = store.spec.shape
        array = np.array(store.fitted(value))
        if array.shape == shape:
            array = array[..., np.newaxis]
        elif array.shape not in ((), (*shape, count)):
            raise WorldError(f"{store.spec.label}: shape {array.shape} is neither {shape} nor {(*shape, count)}")
        fitted.append((store, array))
    return fitted
