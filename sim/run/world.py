"""The world of a run: the engine's world, extended by the run and by a method that voids plans."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ai.errors import ContractError
from ai.observation import Counts, Groups, Layout, Observation, ObservationBatch, Text
from sim.engine import world as engine
from sim.engine.columns import Component
from sim.engine.values import integer
from sim.errors import WorldError
from sim.run.checks import checked_groups
from sim.run.context import Run, invalidate
from sim.run.methods import named
from sim.run.settings import ALIVE_MAX

Seen = TypeVar("Seen", bound=Observation)


class World(engine.World):
    """The world that systems and domains use.

    Attributes:
        run: the constants of the run.
        always: components that every entity gets, even if its birth does not name them.
    """

    run: Run
    always: tuple[type[Component], ...] = ()

    def spawn(
        self,
        values: Mapping[type[Component], Mapping[str, Any]],
        count: int = 1,
        *,
        like: Any = None,
        keys: ArrayLike | None = None,
    ) -> None:
        """Queue the birth of entities, as the engine does; they also get the components of `always`.

        Raises:
            WorldError: as the engine's `spawn`, or the world would hold more than four million entities.
        """
        if type(count) is not int:
            count = integer(count, 0, 2**63 - 1, "spawn count")
        if self.n + count > ALIVE_MAX:
            raise WorldError(f"spawn of {count} entities: a world holds at most {ALIVE_MAX}")
        if self.always and isinstance(values, Mapping):
            values = {**{component: {} for component in self.always}, **values}
        super().spawn(values, count, like=like, keys=keys)

    def observed(
        self,
        observation: type[Seen],
        rows: NDArray[np.intp],
        *,
        shared: Mapping[str, Sequence[Any]] | None = None,
        attached: Mapping[str, Any] | None = None,
        **columns: Any,
    ) -> ObservationBatch[Seen]:
        """Return the observations of the agents at `rows`, from arrays in the world's own layout: agents last.

        Args:
            observation: the declaration.
            rows: the agents, ascending.
            shared: the distinct values of each shared fact by path.
            attached: further values for rules of the domain; they are neither hashed nor put into prompts.
            columns: the fields. One value per agent is `[rows]`; a table `[names, rows]`; texts are numbers of
                `world.texts`, `[rows]` or `[limit, rows]`; entries of a list are flat arrays with the key `rows`.

        Raises:
            ContractError: a field is not declared, was not given and has no default, or has another type or shape.
        """
        kind: object = observation
        if not (isinstance(kind, type) and issubclass(kind, Observation)):
            raise ContractError(f"observed() takes a class that extends Observation, not {named(kind)}")
        given = {name: self._turned(observation.layout, name, value, len(rows)) for name, value in columns.items()}
        names, group = checked_groups(self.run.domain.groups(self), self, self.run.domain)
        return observation.batch(
            self.keys[rows],
            tick=self.tick,
            ticks_per_second=self.run.ticks_per_second,
            texts=self.texts.all,
            tables=self.tables,
            shared=shared,
            attached=attached,
            groups=Groups(names, group[rows]) if names else None,
            **given,
        )

    @staticmethod
    def _turned(layout: Layout, name: str, value: Any, n: int) -> Any:
        """Return a column in the form of a batch: agents first, and -1 for the world's text 0, which means no text."""
        leaf: Any = layout.leaves.get(name)
        group = layout.groups.get(name)
        if group is not None and group.plain:
            leaf = group.fields[0]
        if isinstance(value, np.ndarray):
            value = value.copy()  # the world's own array would follow later changes
        array = np.asarray(value) if isinstance(leaf, Text | Counts) else value
        if isinstance(leaf, Text):
            array = array - (array == 0).astype(array.dtype)
        if isinstance(leaf, Text | Counts) and array.ndim == 2:
            if array.shape[1] != n:
                raise ContractError(
                    f"{layout.name}.{name} is {array.dtype}{list(array.shape)}; give the {n} agents last, as a "
                    "component's columns have them"
                )
            return array.T
        return array

    def __repr__(self) -> str:
        return f"World({self.name}, tick {self.tick:,}, {self.n:,} agents)"

    def invalidate(self, rows: Any, reason: str = "") -> None:
        """Void the plans of some agents, by row indices or mask: they need new ones in this tick.

        `reason` is for readers of the code; it is not stored.
        """
        del reason
        invalidate(self, rows, self.tick)
