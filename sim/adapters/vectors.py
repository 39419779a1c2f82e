"""Agents' knowledge as vectors of numbers, and vectors of numbers as steps, for policies.

An observation is one float32 vector: every number, choice, name and place of the declared observation in path order,
lists padded to their limit. Texts and shared values are left out. An action is a verb and one number a possible
argument, each 0 to `BINS` - 1: numbers are spread over the argument's range, names and choices are counted round, a
target is counted round the agents that are known, a coordinate is spread over the space. Verbs with texts or lists are
left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ai.actions import ARGS_MAX, NONE, Action, EncodedStep, Kind, ToolRegistry
from ai.legality import extent
from ai.observation import Layout, ObservationBatch, Shared, Text
from ai.planners.outside import text_of
from sim.errors import ScenarioError

BINS: Final = 16
"""Values of each argument."""


class Vectors:
    """Turns observations into vectors, and vectors into steps.

    Attributes:
        size: length of an observation's vector.
        verbs: codes of the verbs that an action can choose.
        shape: how many values each number of an action has.
    """

    def __init__(self, registry: ToolRegistry, layout: Layout, tables: dict[str, Sequence[str]]) -> None:
        self._registry, self._tables = registry, tables
        self._parts: list[tuple[str, int]] = []
        for path, column in layout.columns.items():
            leaf, _ = layout.leaf_of(column)
            if isinstance(leaf, Text | Shared):
                continue
            width = layout.groups[column.list].limit if column.list else 1
            self._parts.append((path, width * (len(tables[column.table]) if column.table else 1)))
        self.size = sum(width for _, width in self._parts)
        self.verbs = tuple(code for code in range(len(registry.specs)) if not registry.spec(code).payload)
        arguments = max((len(registry.spec(code).args) for code in self.verbs), default=0)
        self.shape = (len(self.verbs), *[BINS] * arguments)

    def observations(self, batch: ObservationBatch[Any]) -> NDArray[np.float32]:
        """Return the vectors of all agents of a batch, `[n, size] float32`."""
        found = np.zeros((len(batch), self.size), np.float32)
        at = 0
        for path, width in self._parts:
            column = np.asarray(batch.column(path)).reshape(len(batch), -1)[:, :width]
            found[:, at : at + column.shape[1]] = column
            at += width
        return found

    def step(self, batch: ObservationBatch[Any], row: int, action: Sequence[int]) -> EncodedStep | None:
        """Return an action of one agent as a step; None where it needs a target and none is known."""
        code = self.verbs[int(action[0]) % len(self.verbs)]
        args = [NONE] * ARGS_MAX
        for place, (arg, given) in enumerate(zip(self._registry.spec(code).args, action[1:], strict=False)):
            value = self._argument(batch, row, arg, int(given) % BINS)
            if value is None and arg.required:
                return None
            args[place] = NONE if value is None else value
        return EncodedStep(code, (args[0], args[1], args[2], args[3]))

    def _argument(self, batch: ObservationBatch[Any], row: int, arg: Any, given: int) -> int | None:
        match arg.kind:
            case Kind.TARGET:
                ids = np.concatenate([np.atleast_1d(column[row]) for column in batch.ids(*arg.sources)])
                known = ids[ids >= 0]
                return int(known[given % len(known)]) if len(known) else None
            case Kind.CELL_X | Kind.CELL_Y:
                side = "width" if arg.kind is Kind.CELL_X else "height"
                most = int(np.max(extent(batch, arg.sources[0], side, np.array([row])))) - 1
                return given * max(most, 0) // (BINS - 1)
            case Kind.NAME:
                names = self._tables.get(arg.sources[0], ())
                return given % len(names) if names else None
            case Kind.CHOICE:
                return int(arg.low) + given % (int(arg.high) - int(arg.low) + 1)
        return int(arg.low) + given * (int(arg.high) - int(arg.low)) // (BINS - 1)

    def text(self, step: EncodedStep) -> str:
        """Return a step as recorded plans are written."""
        return text_of([self.action(step)])

    def action(self, step: EncodedStep) -> Action:
        """Return a step as an action."""
        return self._registry.decode(step.kind, step.args)


def vectors_of(simulation: Any) -> Vectors:
    """Return the vectors of a simulation's agents.

    Raises:
        ScenarioError: its agents do not plan, or all of its verbs need texts.
    """
    registry, observation = simulation.registry, simulation.domain.observation
    if registry is None or observation is None:
        raise ScenarioError(f"agents of {simulation.scenario.name!r} do not plan; a policy has nothing to decide")
    world = simulation.world
    tables = simulation.domain.observe(world, simulation.domain.plannable(world).nonzero()[0]).tables
    found = Vectors(registry, observation.layout, dict(tables))
    if not found.verbs:
        raise ScenarioError(
            f"every verb of {simulation.scenario.name!r} needs texts or lists; a policy cannot choose one"
        )
    return found
