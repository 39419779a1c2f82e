"""The order of a tick: a domain's systems, with those of plug-ins between them."""

from __future__ import annotations

from collections.abc import Sequence

from ai.errors import ContractError
from sim.engine.system import System
from sim.run.domain import Domain
from sim.run.systems import Act, Inputs, Observe, Plan


def schedule(domain: Domain, more: Sequence[type[System]] = ()) -> tuple[type[System], ...]:
    """Return the systems of a tick: the domain's, and each of `more` behind the system that its `after` names.

    Without `after` a system is the last one. Several behind the same one keep their order. `Inputs` is put first where
    the domain leaves it out.

    Raises:
        ContractError: two systems share a name, `after` names no system, or a domain whose agents plan leaves one of
            `Observe`, `Plan` and `Act` out; the message names the class and what to do.
    """
    where = f"domain {domain.name!r} ({type(domain).__name__})"
    order: list[type[System]] = []
    given: Sequence[object] = domain.systems
    for system in given:
        if not (isinstance(system, type) and issubclass(system, System)):
            raise ContractError(f"{where}: systems holds {system!r}; list classes that extend System")
        order.append(system)
    if not any(issubclass(system, Inputs) for system in order):
        order.insert(0, Inputs)
    if domain.plans:
        for needed in (Observe, Plan, Act):
            if not any(issubclass(system, needed) for system in order):
                raise ContractError(
                    f"{where}: has actions, but its systems leave {needed.__name__} out; "
                    "list Inputs, Observe, Plan and Act among them"
                )
    names: list[str] = []
    for system in order:
        if system.name in names:
            raise ContractError(f"{where}: two systems are named {system.name!r}; rename {system.__name__}")
        names.append(system.name)
    for extra in more:
        names = [each.name for each in order]
        if extra.name in names:
            raise ContractError(f"system {extra.name!r} ({extra.__module__}) has a name that is taken; rename it")
        if extra.after is None:
            order.append(extra)
            continue
        if extra.after not in names:
            raise ContractError(f"system {extra.name!r} runs after {extra.after!r}; known: {', '.join(names)}")
        at = names.index(extra.after) + 1
        while at < len(order) and order[at] in more and order[at].after == extra.after:
            at += 1
        order.insert(at, extra)
    return tuple(order)
