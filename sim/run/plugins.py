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

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from ai.errors import ContractError
from ai.planners.base import Planner
from sim.engine.columns import Component
from sim.engine.resources import Resource
from sim.engine.system import System
from sim.errors import ScenarioError
from sim.messages import quoted, shown
from sim.run.actions import Action
from sim.run.checks import check_metrics, check_part
from sim.run.methods import misspelt
from sim.run.modules import load_file, load_installed

if TYPE_CHECKING:
    from sim.run.scenario_file import Scenario

ENTRY_POINTS: Final = "tickweave.plugins"
"""Entry point group of installed plug-ins."""
_OFFERS: Final = {
    "ACTIONS": Action,
    "COMPONENTS": Component,
    "RESOURCES": Resource,
    "SYSTEMS": System,
}
"""The lists of classes that a plug-in may offer, with their bases."""


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
    known = (*_OFFERS, "PLANNERS", "METRICS")
    for constant in vars(module):
        wrong = misspelt(constant, known, "a plug-in") if constant.isupper() and constant not in known else ""
        if wrong:
            raise ContractError(f"{where}: {constant} {wrong}")
    offered = [getattr(module, constant, ()) for constant in _OFFERS]
    for (constant, base), values in zip(_OFFERS.items(), offered, strict=True):
        check_part(where, constant, values, base)
    planners, metrics = getattr(module, "PLANNERS", ()), getattr(module, "METRICS", {})
    if not isinstance(planners, tuple | list) or not all(isinstance(each, type | Planner) for each in planners):
        raise ContractError(f"{where}: PLANNERS is {quoted(planners)}; write a tuple of planners")
    check_metrics(where, "METRICS", metrics)
    if not any(offered) and not planners and not metrics:
        raise ContractError(f"{where}: offers nothing; define one of {', '.join(known)}")
    actions, components, resources, systems = map(tuple, offered)
    return Plugin(name, digest, actions, components, resources, systems, tuple(planners), dict(metrics))


def check_plugins(scenario: Scenario, plugins: Sequence[Plugin]) -> None:
    """Check that a run has exactly the plug-ins that its scenario names.

    Raises:
        ScenarioError: a plug-in is missing, or there is one too many.
        ContractError: a plug-in has a part with a name that is taken.
    """
    for plugin in plugins:
        if not isinstance(plugin, Plugin):
            raise ScenarioError(f"plugins: {quoted(plugin)} is not a plug-in; pass plugins=load_plugins(scenario)")
    given = tuple(plugin.name for plugin in plugins)
    if given != scenario.plugins:
        named = ", ".join(scenario.plugins) or "none"
        raise ScenarioError(
            f"scenario {scenario.name!r} names the plug-ins {named} and was given {', '.join(given) or 'none'}; "
            "pass plugins=load_plugins(scenario)"
        )
    domain = scenario.domain
    for part in ("components", "resources", "actions"):
        owners = {kind.__name__: f"domain {domain.name!r}" for kind in getattr(domain, part)}
        for plugin in plugins:
            for kind in getattr(plugin, part):
                owner = owners.setdefault(kind.__name__, plugin.name)
                if owner != plugin.name:
                    raise ContractError(f"{plugin.name}: {part.upper()} lists {kind.__name__}, a name of {owner}")
    for plugin in plugins:
        taken = sorted(set(plugin.metrics) & set(domain.metrics))
        if taken:
            raise ContractError(f"{plugin.name}: METRICS has {taken[0]!r}, a name of domain {domain.name!r}")
