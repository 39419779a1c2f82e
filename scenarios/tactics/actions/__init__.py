"""Verbs by category; `default_registry` holds every discovered verb.

A module of this folder, or a module named under the entry point group `tickweave.actions`, lists its verbs in the tuple
`KINDS`. Modules are read in name order. A malformed module is never skipped: it raises an error that names it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType

from ai.actions import ToolRegistry
from ai.entries import installed
from ai.errors import ContractError
from scenarios.tactics.actions.base import Action
from scenarios.tactics.actions.utility import Wait
from scenarios.tactics.components import COOLDOWN_GROUPS

ENTRY_POINTS = "tickweave.actions"


def _modules() -> Iterator[tuple[str, ModuleType]]:
    for name in sorted(found.name for found in iter_modules(__path__) if found.name != "base"):
        yield f"{__name__}.{name}", import_module(f"{__name__}.{name}")
    for point in installed(ENTRY_POINTS):
        try:
            yield point.value, point.load()
        except Exception as error:
            raise ContractError(f"action plug-in {point.name} = {point.value} cannot be loaded: {error}") from error


def discover() -> tuple[type[Action], ...]:
    """Return every action kind, in the order of modules and of their `KINDS`.

    Raises:
        ContractError: a module has no `KINDS`, or something in it is not an `Action`.
    """
    found: list[type[Action]] = []
    for name, module in _modules():
        kinds = getattr(module, "KINDS", None)
        if not isinstance(kinds, tuple):
            raise ContractError(f"{name} must offer its action kinds in a tuple named KINDS")
        for kind in kinds:
            if not (isinstance(kind, type) and issubclass(kind, Action)):
                raise ContractError(
                    f"{name}.KINDS holds {kind!r}, which is not a subclass of scenarios.tactics.actions.base.Action"
                )
            found.append(kind)
    return tuple(found)


def check_kinds(registry: ToolRegistry) -> None:
    """Check that a world can execute every kind of a registry.

    Raises:
        ContractError: a kind is not an `Action`, or its cooldown group is unknown.
    """
    for spec in registry.specs:
        if not issubclass(spec.action, Action):
            raise ContractError(
                f"{spec.name} ({spec.action.__module__}) is not a subclass of scenarios.tactics.actions.base.Action"
            )
        if spec.action.group and spec.action.group not in COOLDOWN_GROUPS:
            known = ", ".join(COOLDOWN_GROUPS)
            raise ContractError(f"{spec.name} has the unknown cooldown group {spec.action.group!r}; known: {known}")


def default_registry(more: Iterable[type[Action]] = ()) -> ToolRegistry:
    """Return the registry of every discovered kind, and of the kinds in `more` from plug-ins."""
    return registry_of([*discover(), *more])


def registry_of(actions: Iterable[type[Action]]) -> ToolRegistry:
    """Return a registry of some verbs with the game's prompt and idle step."""
    from scenarios.tactics.prompt import PROMPT  # its examples are verbs

    return ToolRegistry(actions, idle=Wait(1.0), prompt=PROMPT)
