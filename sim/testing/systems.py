"""The checker for systems: played in several ways that must not differ, and held against what it declares."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from pydantic import Field

from sim.engine.columns import Component
from sim.engine.digest import state_digest
from sim.engine.resources import Resource
from sim.engine.system import System
from sim.run.domain import Domain
from sim.run.plugins import Plugin, load_plugins
from sim.run.scenario_file import Scenario
from sim.run.settings import AGENTS_MAX, Settings
from sim.run.world import World
from sim.testing.checks import Case
from sim.testing.determinism import TICKS, assert_passes, named

HERE: Final = ("guard", "rerun", "restore", "spawning", "bystanders")
CHECKS: Final = (*HERE, "hash seed", "resume", "surroundings")
"""Checks of `sim.testing.checks` that concern a system by itself."""
NAME: Final = "checked"
"""The name of the plug-in that holds the system."""


class BareSettings(Settings):
    """How many agents there are."""

    agents: int = Field(20, ge=1, le=AGENTS_MAX, description="Agents at the start.")


class Bare(Domain):
    """Agents that have only what a plug-in gives them."""

    settings = BareSettings

    def setup(self, world: Any, run: Any) -> None:
        """Bring the agents into being."""
        del run
        world.spawn({}, count=self.settings.agents)


D = TypeVar("D", bound="Component | Resource")


def check_system(
    system: type[System],
    *,
    components: Sequence[type[Component]] = (),
    plugins: Sequence[Plugin] = (),
    scenario: Scenario | None = None,
    ticks: int = TICKS,
    processes: bool = True,
) -> None:
    """Check that a system keeps the rules of `sim.engine.system.System`.

    It does the same again in a second run, from a snapshot in a fresh simulation at every tick, with agents created in
    another order, in other processes with other hash seeds, other surroundings and from a snapshot, and, where the
    domain promises that, with unrelated agents beside them; it passes the guard; and it reads and writes only
    the components that `reads` and `writes` declare (what it writes it may read).

    Args:
        system: the system to check: one of the scenario's domain or plug-ins, or another one, whose place in the tick
            is behind `after`.
        components: components of its own, which every agent gets.
        plugins: the other parts of the run: the plug-ins that `scenario` names; those of files are found beside it.
        scenario: where it is run; one in which it has something to do. Unless given, agents that have nothing but
            `components`.
        ticks: how many ticks each way of running it takes.
        processes: whether other processes run it too, which takes seconds.

    Raises:
        AssertionError: a rule is broken: the first difference and where to look, or the component.
    """
    scenario = Scenario.of(Bare()) if scenario is None else scenario
    plugins = plugins or load_plugins(scenario)
    there = (*scenario.domain.systems, *(each for plugin in plugins for each in plugin.systems))
    system = next((each for each in there if _place(each) == _place(system)), system)
    if system not in there:
        scenario = scenario.replaced(plugins=[*scenario.plugins, NAME])
        plugins = (*plugins, Plugin(NAME, "", components=tuple(components), systems=(system,)))
    who = f"system {system.name!r}"
    assert_passes(Case(scenario, ticks, plugins=plugins), named(CHECKS if processes else HERE), who)
    _check_declared(Case(scenario, ticks, plugins=plugins), system, who)


def _place(system: type[System]) -> tuple[str, str]:
    """Return what stays the same of a class that was loaded twice: its file and its name."""
    return str(getattr(sys.modules.get(system.__module__), "__file__", system.__module__)), system.__qualname__


def _check_declared(case: Case, system: type[System], who: str) -> None:
    """Check what the system touches against what it declares."""
    reads, writes = _names(system.reads), _names(system.writes)
    changed_ever = False
    with case.simulation() as simulation, _noted(simulation.world, system) as asked_for:
        for tick in range(case.ticks):
            if simulation.outcome is not None:
                break
            before = dict(state_digest(simulation.world).components)
            for phase in simulation.tick().phases:
                if phase.phase == system.name:
                    changed = [name for name, value in phase.components.items() if before.get(name) != value]
                    changed_ever |= bool(changed)
                    for name in changed:
                        if name not in writes:
                            raise AssertionError(f"{who} writes {name} in tick {tick}; name it in `writes`")
                before = phase.components
            for name in sorted(asked_for):
                if name not in reads | writes:
                    raise AssertionError(f"{who} reads {name} in tick {tick}; name it in `reads`")
    if writes and not changed_ever:
        raise AssertionError(
            f"{who} declares writes and changed nothing in {case.ticks} ticks of {case.scenario.name!r}; "
            "give a scenario in which it has something to do"
        )


def _names(kinds: Sequence[type]) -> set[str]:
    return {str(getattr(kind, "name", kind.__name__)) for kind in kinds}


@contextmanager
def _noted(world: World, system: type[System]) -> Iterator[set[str]]:
    """Note which components the system asks the world for while it runs; yields their names."""
    asked_for: set[str] = set()

    class Noting(World):
        def __getitem__(self, component: type[D]) -> D:
            asked_for.add(component.__name__)
            return super().__getitem__(component)

        def rows(self, *components: type[Component]) -> Any:
            asked_for.update(component.__name__ for component in components)
            return super().rows(*components)

        def agents(self, *components: type[Component]) -> Any:
            asked_for.update(component.__name__ for component in components)
            return super().agents(*components)

        def has(self, component: type[Component]) -> Any:
            asked_for.add(component.__name__)
            return super().has(component)

    class NotingView(world.entity_view):  # type: ignore[name-defined, misc]  # the class is known when this runs
        __slots__ = ()

        def __getitem__(self, component: type[Any]) -> Any:
            asked_for.add(component.__name__)
            return super().__getitem__(component)

    (installed,) = (each for each in world.systems if type(each) is system)
    process: Callable[[World, Any], None] = installed.process

    def noting(world: World, frame: Any) -> None:
        plain, view = world.__class__, world.entity_view
        world.__class__, world.entity_view = Noting, NotingView
        try:
            process(world, frame)
        finally:
            world.__class__, world.entity_view = plain, view

    # On the object, so that the system stays what it is for the guard.
    vars(installed)["process"] = noting
    try:
        yield asked_for
    finally:
        del vars(installed)["process"]
