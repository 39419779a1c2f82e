"""Planners, one file for each tier: `base` has their protocol, `playbook` the data of domains."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from typing import Any

from ai.entries import installed
from ai.errors import ContractError
from ai.planners.base import Planner

HELPERS = ("base", "facts", "outside", "playbook", "ready")
"""Modules of this folder that hold no planners."""
ELSEWHERE = ("ai.llm.tiers",)
"""Modules of other packages that hold planners; only `discover` imports them, because the core needs none."""
ENTRY_POINTS = "tickweave.planners"
"""The entry point group under which other distributions name a planner class, or a module that has `PLANNERS`."""


def discover() -> dict[str, type[Planner]]:
    """Return every planner class by tier name, in name order: this folder's and those of installed distributions.

    Raises:
        ContractError: a file or entry point cannot be imported, is malformed, or repeats a name; the message names it.
    """
    found: dict[str, tuple[type[Planner], str]] = {}
    for where, candidate in _candidates():
        _check(where, candidate)
        name = str(candidate.name)
        if name in found:
            raise ContractError(f"{where}: planner {name!r} is already defined by {found[name][1]}; rename one of them")
        found[name] = (candidate, where)
    return {name: found[name][0] for name in sorted(found)}


def _candidates() -> Iterator[tuple[str, Any]]:
    """Yield each candidate with its place: modules of this folder in name order, then entry points."""
    here = (f"{__name__}.{info.name}" for info in pkgutil.iter_modules(__path__) if info.name not in HELPERS)
    for name in (*sorted(here), *ELSEWHERE):
        try:
            module = importlib.import_module(name)
        except Exception as error:
            raise ContractError(
                f"planner file {name.rpartition('.')[2]}.py ({name}) cannot be imported: {error}"
            ) from error
        yield from _declared(f"planner file {module.__file__}", module)
    for point in installed(ENTRY_POINTS):
        where = f"entry point {ENTRY_POINTS}: {point.name} = {point.value}"
        try:
            loaded = point.load()
        except Exception as error:
            raise ContractError(f"{where} cannot be loaded: {error}") from error
        if inspect.ismodule(loaded):
            yield from _declared(where, loaded)
        else:
            yield where, loaded


def _declared(where: str, module: Any) -> Iterator[tuple[str, Any]]:
    declared = getattr(module, "PLANNERS", None)
    if not isinstance(declared, tuple) or not declared:
        raise ContractError(f"{where} must define `PLANNERS: tuple[type[Planner], ...]` with at least one class")
    for candidate in declared:
        yield where, candidate


def _check(where: str, candidate: Any) -> None:
    """Refuse a candidate that is not a planner class, or that cannot be made without arguments."""
    if not isinstance(candidate, type):
        raise ContractError(f"{where}: {candidate!r} is not a class")
    name = getattr(candidate, "name", None)
    if not isinstance(name, str) or not name:
        raise ContractError(f"{where}: {candidate.__qualname__}.name must be a text that names the tier")
    if not isinstance(getattr(candidate, "deterministic", None), bool):
        raise ContractError(f"{where}: {candidate.__qualname__}.deterministic must be true or false")
    if not inspect.iscoroutinefunction(getattr(candidate, "plan", None)):
        raise ContractError(f"{where}: {candidate.__qualname__}.plan must be an `async def`")
    try:
        inspect.signature(candidate).bind()
    except TypeError as error:
        raise ContractError(f"{where}: {candidate.__qualname__} must be made without arguments: {error}") from None
