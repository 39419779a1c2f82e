"""Plug-ins: verbs, components, systems and planners that a scenario brings along from a Python file or a package.

A scenario names its plug-ins in the list `plugins`: a file (`rules.py`, found beside the scenario's file) or the name
of an installed one (entry point group `tickweave.plugins`, each a module). The module offers any of

    KINDS        action kinds (`scenarios.tactics.actions.base.Action`)
    COMPONENTS   components that every agent gets, at their default values (`sim.engine.columns.Component`)
    SYSTEMS      systems (`sim.engine.world.System`); `after` names the system that each follows
    PLANNERS     planner classes (`ai.planners.base.Planner`), for the scenario's list of tiers

Naming a file means running it: read a stranger's scenario before you run it. A replay never runs code by itself: it
records each plug-in's name and digest, and whoever verifies it says where the file is.
"""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from ai.entries import installed
from ai.errors import ContractError
from ai.planners.base import Planner
from scenarios.tactics.actions.base import Action
from scenarios.tactics.scenario import Scenario, read_text
from sim.engine.columns import Component
from sim.engine.system import System
from sim.errors import ScenarioError
from sim.messages import one_line, quoted, shown, suggestion

ENTRY_POINTS: Final = "tickweave.plugins"
"""Entry point group of installed plug-ins."""
_OFFERS: Final = {"KINDS": Action, "COMPONENTS": Component, "SYSTEMS": System, "PLANNERS": object}
_DIGEST_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class Plugin:
    """What a module adds to a run; `name` is how scenarios name it, `digest` is of its source."""

    name: str
    digest: str
    kinds: tuple[type[Action], ...] = ()
    components: tuple[type[Component], ...] = ()
    systems: tuple[type[System], ...] = ()
    planners: tuple[type[Planner], ...] = ()


def load_plugins(scenario: Scenario, folder: Path | None = None, files: Sequence[Path] = ()) -> tuple[Plugin, ...]:
    """Return the plug-ins that a scenario names, in its order.

    Args:
        scenario: its list `plugins` says which.
        folder: where those are that are files: beside the scenario's own (`scenarios.tactics.scenario.folder_of`).
        files: where single ones are instead (a replay's scenario has no folder).

    Raises:
        ScenarioError: one is not there; one sentence that says what to do.
        ContractError: one cannot be imported, or offers something malformed; the message names its file.
    """
    given = {path.name: path for path in files}
    unknown = sorted(set(given) - {Path(name).name for name in scenario.plugins})
    if unknown:
        hint = f"it names {', '.join(scenario.plugins)}" if scenario.plugins else "it names none"
        raise ScenarioError(f"scenario {scenario.name!r} has no plug-in {quoted(unknown[0])}; {hint}")
    found: list[Plugin] = []
    for name in scenario.plugins:
        if not name.endswith(".py"):
            found.append(_installed(name))
        elif Path(name).name in given:
            found.append(from_file(given[Path(name).name], name))
        elif folder is not None:
            found.append(from_file(folder / name, name))
        else:
            raise ScenarioError(f"needs the plug-in {quoted(name)}; say where it is with --plugin {shown(name)}")
    return tuple(found)


def from_file(path: Path, name: str | None = None) -> Plugin:
    """Import a plug-in from a Python file; the same content is imported once.

    Raises:
        ScenarioError: the file cannot be read.
        ContractError: it cannot be imported, or offers something malformed.
    """
    source = read_text(path)
    digest = _digest(source)
    module_name = f"tickweave_plugin_{path.stem.replace('-', '_')}_{digest}"
    module = sys.modules.get(module_name)
    if module is None:
        spec = importlib.util.spec_from_file_location(module_name, path)
        if spec is None or spec.loader is None:
            raise ScenarioError(f"{shown(str(path))}: is not a Python file; a plug-in's name ends in .py")
        module = importlib.util.module_from_spec(spec)
        sys.modules[module_name] = module
        try:
            spec.loader.exec_module(module)
        except Exception as error:
            del sys.modules[module_name]
            raise ContractError(one_line(f"plug-in {shown(str(path))} cannot be imported: {error!r}")) from error
    return _plugin(name or path.name, digest, module, shown(str(path)))


def _installed(name: str) -> Plugin:
    points = {point.name: point for point in installed(ENTRY_POINTS)}
    if name not in points:
        hint = suggestion(name, sorted(points), "installed plug-ins")
        raise ScenarioError(f"no plug-in {quoted(name)} is installed; {hint}; the name of a file ends in .py")
    try:
        module = points[name].load()
    except Exception as error:
        raise ContractError(one_line(f"plug-in {name} = {points[name].value} cannot be loaded: {error!r}")) from error
    source = getattr(module, "__file__", None)
    text = Path(source).read_text("utf-8") if source else name
    return _plugin(name, _digest(text), module, points[name].value)


def _plugin(name: str, digest: str, module: ModuleType, where: str) -> Plugin:
    offered: dict[str, tuple[Any, ...]] = {}
    for constant, base in _OFFERS.items():
        values = getattr(module, constant, ())
        if not isinstance(values, tuple):
            raise ContractError(f"{where}: {constant} must be a tuple")
        for value in values:
            if not (isinstance(value, type) and issubclass(value, base)):
                raise ContractError(f"{where}: {constant} holds {value!r}, which is no subclass of {base.__name__}")
        offered[constant] = values
    if not any(offered.values()):
        raise ContractError(f"{where}: offers nothing; define a tuple named {', '.join(_OFFERS)}")
    return Plugin(name, digest, *offered.values())


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=_DIGEST_BYTES, person=b"tickweave-plug").hexdigest()


def check_plugins(scenario: Scenario, plugins: Iterable[Plugin]) -> None:
    """Check that a run was given the plug-ins its scenario names.

    Raises:
        ScenarioError: one is missing or too many.
    """
    given = tuple(plugin.name for plugin in plugins)
    if given != scenario.plugins:
        named = ", ".join(scenario.plugins) or "none"
        raise ScenarioError(
            f"scenario {scenario.name!r} names the plug-ins {named} and was given {', '.join(given) or 'none'}; "
            "pass plugins=load_plugins(scenario, folder)"
        )
