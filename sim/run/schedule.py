"""The order of a tick: a domain's systems, with those of plug-ins between them."""

from __future__ import annotations

from collections.abc import Sequence

from ai.errors import ContractError, place_of
from sim.engine.system import System
from sim.run.checks import PlaceOfDomain, place_in
from sim.run.domain import Domain
from sim.run.inputs import Input
from sim.run.systems import Act, Inputs, Observe, Plan


def schedule(domain: Domain, more: Sequence[type[System]] = ()) -> tuple[type[System], ...]:
    """Return the systems of a tick: the domain's, and each of `more` after the system that its `after` names.

    A system without `after` comes last. Several systems after the same one keep their order. `Inputs` is put first if a
    domain whose agents do not plan leaves it out.

    Raises:
        ContractError: two systems share a name, `after` names no system, or a domain whose agents plan leaves out one
            of `Inputs`, `Observe`, `Plan` and `Act` or has them in another order; the message names the class and gives
            advice.
    """
    where = place_in(domain)
    order: list[type[System]] = []
    order += domain.systems
    if domain.plans:
        _check_planning(where, order)
    elif not any(issubclass(system, Inputs) for system in order):
        order.insert(0, Inputs)
    for item in domain.inputs if Inputs in order else ():
        if item.apply is Input.apply:
            raise ContractError(f"{where}: input {item.__name__} has no apply(self, world, run)")
    names: list[str] = []
    for system in order:
        if system.name in names:
            raise ContractError(f"{where}: two systems are named {system.name!r}; rename {system.__name__}")
        names.append(system.name)
    for extra in more:
        names = [each.name for each in order]
        if extra.name in names:
            raise ContractError(f"system {extra.name!r} ({place_of(extra)}) has a name that is taken; rename it")
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


def _check_planning(where: PlaceOfDomain, order: Sequence[type[System]]) -> None:
    """Check that all systems of planning are listed, in their order."""
    needed = (Inputs, Observe, Plan, Act)
    places = []
    for kind in needed:
        found = [place for place, system in enumerate(order) if issubclass(system, kind)]
        if not found:
            raise ContractError(
                f"{where}: it has actions, but systems leaves {kind.__name__} out; add it: the tick needs Inputs, "
                "Observe, Plan and Act in this order"
            )
        places.append(found[0])
    for one, two, before, after in zip(needed, needed[1:], places, places[1:], strict=False):
        if before > after:
            raise ContractError(
                f"{where}: systems lists {two.__name__} before {one.__name__}; put {one.__name__} first"
            )
