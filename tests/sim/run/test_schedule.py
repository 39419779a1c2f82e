"""What the systems of a tick say of themselves is what they do."""

from __future__ import annotations

import re
from contextlib import ExitStack

import pytest

from scenarios.tactics.components import AGENT
from scenarios.tactics.domain import Tactics
from sim.engine.digest import state_digest
from sim.engine.system import System
from sim.run.scenario_file import load
from sim.run.simulation import Simulation
from sim.testing.systems import _noted

FLUSHING = ("inputs", "cleanup")
"""Systems whose flush moves the rows of every component."""


def _said(system: type[System], what: str) -> list[str] | None:
    """Return the components that a docstring names as read or written; None for every one of an agent's."""
    line = re.search(rf"^ +{what}: (.*?)\.\n +(?:Writes|Order): ", system.__doc__ or "", re.DOTALL | re.MULTILINE)
    assert line is not None, f"{system.__name__} does not say what it {what.lower()}"
    if line[1].startswith("every component of an agent"):
        return None
    return re.findall(r"\b[A-Z]\w+", line[1])


@pytest.mark.parametrize("system", Tactics.systems)
def test_a_systems_docstring_names_what_it_declares(system: type[System]) -> None:
    """`Reads` and `Writes` in the docstring are the components of `reads` and `writes`, in name order."""
    for what, declared in (("Reads", system.reads), ("Writes", system.writes)):
        said = _said(system, what)
        if said is None:
            assert declared == AGENT, what
        else:
            assert said == [component.__name__ for component in declared], what
    assert "\n    Order: " in (system.__doc__ or "")


@pytest.mark.parametrize("name", ["gathering", "skirmish"])
def test_systems_touch_only_what_they_declare(name: str) -> None:
    """Every component that a system asks the world for or changes is among those it declares, or is a resource."""
    with Simulation(load(name), detail="full") as simulation, ExitStack() as stack:
        world = simulation.world
        asked = {system: stack.enter_context(_noted(world, system)) for system in Tactics.systems}
        changed: dict[str, set[str]] = {system.name: set() for system in Tactics.systems}
        for _ in range(40):
            before = dict(state_digest(world).components)
            for phase in simulation.tick().phases:
                changed[phase.phase] |= {part for part, value in phase.components.items() if before[part] != value}
                before = dict(phase.components)
        for system in Tactics.systems:
            reads, writes = ({kind.__name__ for kind in kinds} for kinds in (system.reads, system.writes))
            assert asked[system] <= reads | writes, system.name
            if system.name not in FLUSHING:
                assert changed[system.name] <= writes | set(world.resources), system.name
        assert set().union(*changed.values()) >= {"ActionSteps", "Position", "Progress"}
