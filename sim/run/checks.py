"""What a domain class must be made of: every mistake gets one sentence with the class and what to do.

Called once for each simulation, before anything of the domain runs.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ai.errors import ContractError
from sim.engine.columns import Component
from sim.engine.resources import Resource
from sim.engine.system import System
from sim.messages import quoted
from sim.run.actions import Action
from sim.run.inputs import Input
from sim.run.settings import Settings

if TYPE_CHECKING:
    from sim.run.domain import Domain


def check_settings(kind: type[Domain]) -> None:
    """Check that a domain's settings are a class.

    Raises:
        ContractError: they are something else.
    """
    settings = kind.settings
    if not (isinstance(settings, type) and issubclass(settings, Settings)):
        raise ContractError(
            f"domain {kind.name!r} ({kind.__module__}.{kind.__qualname__}): settings is {quoted(settings)}; "
            "set it to a class that extends Settings"
        )


def check_domain(domain: Domain) -> None:
    """Check the parts of a domain.

    Raises:
        ContractError: one is missing, misspelt or of another type; one sentence.
    """
    where = _where(domain)
    for part, base in (
        ("components", Component),
        ("resources", Resource),
        ("inputs", Input),
        ("actions", Action),
        ("systems", System),
    ):
        _check_classes(where, part, getattr(domain, part), base)
    for system in domain.systems:
        _check_process(where, system)
    tables: object = domain.tables
    if not isinstance(tables, Mapping):
        raise ContractError(f"{where}: tables is {quoted(tables)}; write {{'goods': ('bread', 'fish')}}")
    metrics: object = domain.metrics
    if not isinstance(metrics, Mapping):
        raise ContractError(f"{where}: metrics is {quoted(metrics)}; write {{'name': function of the world}}")
    for name, metric in metrics.items():
        if not isinstance(name, str) or not callable(metric):
            raise ContractError(f"{where}: metrics[{name!r}] is {quoted(metric)}; give a function of the world")
    _check_spelling(where, type(domain))


def _where(domain: Domain) -> str:
    return f"domain {domain.name!r} ({type(domain).__module__}.{type(domain).__qualname__})"


def _check_classes(where: str, part: str, given: object, base: type) -> None:
    if isinstance(given, type) or not isinstance(given, Sequence) or isinstance(given, str):
        raise ContractError(f"{where}: {part} is {quoted(given)}; write a tuple, as in ({base.__name__}1,)")
    for each in given:
        if not isinstance(each, type) or not issubclass(each, base):
            hint = (
                "list the class, not an instance"
                if isinstance(each, base)
                else f"list classes that extend {base.__name__}"
            )
            raise ContractError(f"{where}: {part} holds {quoted(each)}; {hint}")
    names = [each.__name__ for each in given]
    for name in names:
        if names.count(name) > 1:
            raise ContractError(f"{where}: {part} lists two classes named {name}; rename one")


def _check_process(where: str, system: type[System]) -> None:
    if system.process is System.process:
        raise ContractError(f"{where}: system {system.__name__} has no process(self, world, run)")
    try:
        parameters = list(inspect.signature(system.process).parameters.values())
    except (TypeError, ValueError):
        return
    if len(parameters) != 3 and not any(each.kind is each.VAR_POSITIONAL for each in parameters):
        raise ContractError(
            f"{where}: {system.__name__}.process takes {len(parameters) - 1} arguments; it gets (world, run)"
        )


def _check_spelling(where: str, kind: type[Domain]) -> None:
    """Refuse names that look like a misspelt part: a part that nobody calls fails without a word."""
    from sim.run.domain import Domain as Base

    known = [name for name in dir(Base) if not name.startswith("_")]
    for owner in kind.__mro__:
        if owner is Base or not issubclass(owner, Base):
            continue
        for name in vars(owner):
            if name.startswith("_") or name in known:
                continue
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.85)
            if near:
                raise ContractError(f"{where}: {name} is no part of a domain; did you mean {near[0]}?")


def checked_mask(found: Any, world: Any, domain: Domain, what: str) -> NDArray[np.bool_]:
    """Return what a hook of a domain gave as a mask over all rows.

    Raises:
        ContractError: it is no such mask.
    """
    mask = np.asarray(found)
    if mask.dtype != np.bool_ or mask.shape != (world.n,):
        raise ContractError(
            f"{_where(domain)}: {what}(world) returned {mask.dtype} of shape {mask.shape}; "
            f"return one boolean for each of the {world.n} rows"
        )
    return mask


def checked_alerts(found: Any, rows: NDArray[np.intp], domain: Domain) -> NDArray[np.int64]:
    """Return what `alert` gave as one integer a row.

    Raises:
        ContractError: it is something else.
    """
    alerts = np.asarray(found)
    if alerts.dtype.kind not in "iub" or alerts.shape != rows.shape:
        raise ContractError(
            f"{_where(domain)}: alert(world, rows) returned {alerts.dtype} of shape {alerts.shape}; "
            f"return one integer for each of the {len(rows)} rows"
        )
    return alerts.astype(np.int64)


def checked_outcome(found: Any, domain: Domain) -> str | None:
    """Return what `outcome` gave: a reason to stop, or None.

    Raises:
        ContractError: it is something else.
    """
    if found is None or (isinstance(found, str) and found):
        return found
    raise ContractError(
        f"{_where(domain)}: outcome(world) returned {quoted(found)}; return a sentence to stop, or None"
    )


def checked_metric(name: str, value: Any, domain: Domain) -> Any:
    """Return the value of a metric: a number, or an array of numbers.

    Raises:
        ContractError: it is something else.
    """
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise ContractError(f"{_where(domain)}: metric {name!r} returned {quoted(value)}; return a number")
    return value
