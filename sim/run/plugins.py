"""Plug-ins: verbs, components, resources, systems, planners and metrics that a scenario adds to a domain.

A scenario names its plug-ins in the list `plugins`: a file (`rules.py`, beside the scenario's file) or the name of an
installed plug-in (entry point group `tickweave.plugins`, each a module). The module offers any of

    ACTIONS      verbs (`sim.Action`)
    COMPONENTS   components that every agent gets, at their default values (`sim.Component`)
    RESOURCES    resources (`sim.Resource`)
    SYSTEMS      systems (`sim.System`); `after` names the system that each follows; without it, the end of the tick
    PLANNERS     planners (`ai.planners.base.Planner`), classes or instances, for the scenario's list of tiers
    METRICS      a dictionary of metrics by name: callables over the world

A scenario that names a file runs the file: read a stranger's scenario before you run it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from ai.errors import ContractError
from ai.planners.base import Planner
from sim.engine.columns import Component
from sim.engine.system import System
from sim.errors import ScenarioError
from sim.messages import quoted, shown
from sim.run.actions import Action
from sim.run.modules import load_file, load_installed

if TYPE_CHECKING:
    from sim.run.scenario_file import Scenario

ENTRY_POINTS: Final = "tickweave.plugins"
"""Entry point group of installed plug-ins."""
_OFFERS: Final = {
    "ACTIONS": Action,
    "COMPONENTS": Component,
    "RESOURCES": object,
    "SYSTEMS": System,
    "PLANNERS": object,
}


@dataclass(frozen=True, slots=True)
class Plugin:
    """The additions of a module to a run; `name` is its name in scenarios, `digest` is that of its source."""

    name: str
    digest: str
    actions: tuple[type[Action], ...] = ()
    components: tuple[type[Component], ...] = ()
    resources: tuple[type[Any], ...] = ()
    systems: tuple[type[System], ...] = ()
    planners: tuple[Planner | type[Planner], ...] = ()
    metrics: dict[str, Callable[[Any], Any]] = field(default_factory=dict)


def load_plugins(scenario: Scenario, files: Sequence[Path] = ()) -> tuple[Plugin, ...]:
    """Return the plug-ins that a scenario names, in its order.

    Args:
        scenario: its list `plugins` names them; files are in its folder.
        files: files of plug-ins and domains, for a scenario that has no folder; folders count for nothing.

    Raises:
        ScenarioError: a plug-in is missing; the message is one sentence with advice.
        ContractError: a plug-in cannot be loaded, or offers something malformed; the message names its file.
    """
    given = {path.name: path for path in files if not path.is_dir()}
    names = {Path(name).name for name in (*scenario.plugins, scenario.head.domain)}
    unknown = sorted(set(given) - names)
    if unknown:
        hint = f"it names {', '.join(scenario.plugins)}" if scenario.plugins else "it names none"
        raise ScenarioError(f"scenario {scenario.name!r} has no plug-in {quoted(unknown[0])}; {hint}")
    found: list[Plugin] = []
    for name in scenario.plugins:
        if not name.endswith(".py"):
            module, digest, where = load_installed(ENTRY_POINTS, name, "plug-in")
            found.append(_plugin(name, digest, module, where))
        elif Path(name).name in given:
            found.append(from_file(given[Path(name).name], name))
        elif scenario.folder is not None:
            found.append(from_file(scenario.folder / name, name))
        else:
            raise ScenarioError(f"needs the plug-in {quoted(name)}; say where it is with --plugin {shown(name)}")
    return tuple(found)


def from_file(path: Path, name: str | None = None) -> Plugin:
    """Load a plug-in from a Python file.

    Raises:
        ScenarioError: the file cannot be read.
        ContractError: the file cannot be loaded, or offers something malformed.
    """
    module, digest = load_file(path, "plug-in")
    return _plugin(name or path.name, digest, module, shown(str(path)))


def _plugin(name: str, digest: str, module: ModuleType, where: str) -> Plugin:
    offered: list[tuple[Any, ...]] = []
    for constant, base in _OFFERS.items():
        values = getattr(module, constant, ())
        if not isinstance(values, tuple):
            raise ContractError(f"{where}: {constant} must be a tuple")
        for value in values:
            if constant == "PLANNERS" and isinstance(value, Planner):
                continue
            if not (isinstance(value, type) and issubclass(value, base)):
                raise ContractError(f"{where}: {constant} holds {value!r}, which is not a subclass of {base.__name__}")
        offered.append(values)
    metrics = getattr(module, "METRICS", {})
    if not isinstance(metrics, dict) or not all(
        isinstance(key, str) and callable(each) for key, each in metrics.items()
    ):
        raise ContractError(f"{where}: METRICS must be a dictionary of callables by name")
    if not any(offered) and not metrics:
        raise ContractError(f"{where}: offers nothing; define a tuple named {', '.join(_OFFERS)}, or METRICS")
    actions, components, resources, systems, planners = offered
    return Plugin(name, digest, actions, components, resources, systems, planners, metrics)


def check_plugins(scenario: Scenario, plugins: Iterable[Plugin]) -> None:
    """Check that a run has exactly the plug-ins that its scenario names.

    Raises:
        ScenarioError: a plug-in is missing, or there is one too many.
    """
    given = tuple(plugin.name for plugin in plugins)
    if given != scenario.plugins:
        named = ", ".join(scenario.plugins) or "none"
        raise ScenarioError(
            f"scenario {scenario.name!r} names the plug-ins {named} and was given {', '.join(given) or 'none'}; "
            "pass plugins=load_plugins(scenario)"
        )
