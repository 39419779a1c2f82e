"""One entity as an object, found by its key: for rules that visit agents one by one, for tests and for tools."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.engine.rows import Rows
from sim.engine.storage import Storage
from sim.engine.tables import Table
from sim.errors import WorldError


@dataclass(frozen=True, slots=True)
class Population:
    """The parts of a world that views of entities need: living rows, components, and the command to kill."""

    rows: Rows
    storage: Storage
    kill: Callable[[int], None]


class EntityView:
    """Shows one entity, such as an agent, by its key. It stays valid after a flush. Work on whole columns is faster.

    `agent[Animal].energy` is a Python value: an int, a bool, a float if the column has a scale, a member of an
    enumeration, a text or a tuple of texts. `agent[Animal].energy = 5` writes it. A column with inner dimensions gives
    a small array that writes through; one with names gives `agent[Stock].pieces["bread"]`.

    Args:
        population: the population that it belongs to.
        key: the entity's key.
        row: the entity's row at `version`.
        version: the version of the rows when the view was made.

    Attributes:
        key: the entity's key.
    """

    __slots__ = ("_population", "_row", "_version", "key")

    def __init__(self, population: Population, key: int, row: int, version: int) -> None:
        self.key = key
        self._population = population
        self._row = row
        self._version = version

    @property
    def alive(self) -> bool:
        """Whether the entity still exists."""
        return self._find() >= 0

    @property
    def row(self) -> int:
        """The entity's row, until the next flush.

        Raises:
            WorldError: the entity is dead.
        """
        if self._find() < 0:
            raise WorldError(f"no living entity has key {self.key}")
        return self._row

    def _find(self) -> int:
        version = self._population.rows.version
        if self._version != version:
            self._row = int(self._population.rows.of(np.array([self.key]))[0])
            # A dead entity is looked up again each time, so that an old row of it is never used.
            self._version = version if self._row >= 0 else -1
        return self._row

    def row_in(self, table: Table) -> int:
        """Find the entity's row in the table of a component.

        Raises:
            WorldError: the entity is dead or does not have the component.
        """
        if self._version == self._population.rows.version and (table.mask is None or table.mask[self._row]):
            return self._row
        row = self.row
        if table.mask is not None and not table.mask[row]:
            raise WorldError(f"entity {self.key} has no {table.schema.name}")
        return row

    def __getitem__(self, component: type[Any]) -> Any:
        """Open one component of the entity: its values as attributes.

        Raises:
            WorldError: the component is not declared, or the entity is dead or does not have it.
        """
        try:
            table = self._population.storage.by_component[component]
        except (KeyError, TypeError):
            table = self._population.storage.table(component)
        self.row_in(table)
        return table.cell_type(self)

    def __contains__(self, component: type[Any]) -> bool:
        table = self._population.storage.table(component)
        return table.mask is None or bool(table.mask[self.row])

    def kill(self) -> None:
        """Queue the entity's death.

        Raises:
            WorldError: the entity is dead.
        """
        self._population.kill(self.row)

    def _shown(self, table: Table) -> bool:
        """Return whether the text form of the entity shows the component."""
        return table.mask is None or bool(table.mask[self.row])

    def __repr__(self) -> str:
        if not self.alive:
            return f"entity {self.key} (dead)"
        tables = [table for table in self._population.storage.tables if self._shown(table)]
        return f"entity {self.key}: {', '.join(repr(table.cell_type(self)) for table in tables)}"


def views(kind: type[EntityView], population: Population, rows: NDArray[np.intp]) -> Iterator[EntityView]:
    """Yield a view of the entity in each row, in this order."""
    version = population.rows.version
    for key, row in zip(population.rows.living[rows].tolist(), rows.tolist(), strict=True):
        yield kind(population, key, row, version)
