"""The checks of a domain class: every mistake gets one sentence with the class and advice.

They run once for each simulation, before any code of the domain.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from inspect import getattr_static
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ai.actions import PromptText, ToolRegistry
from ai.actions import check as check_references
from ai.errors import AIError, ContractError, place_of
from ai.observation import Observation, ObservationBatch
from ai.planners.playbook import Branch, Goal, Operator, Option
from ai.rules import Rule, fact_test
from sim.engine.columns import Component
from sim.engine.resources import Resource
from sim.engine.system import System
from sim.errors import SimError
from sim.messages import quoted
from sim.run.actions import DURATION_MAX, Action
from sim.run.faults import fault_of
from sim.run.inputs import Input
from sim.run.methods import named, takes, wrong_method
from sim.run.plan_columns import PLANNING
from sim.run.settings import Settings

if TYPE_CHECKING:
    from sim.engine.world import World
    from sim.run.domain import Domain, Metric


@dataclass(frozen=True, slots=True)
class PlaceOfDomain:
    """The name of a domain in messages: its name, and the class with its place, which is looked up only when needed."""

    kind: type[Domain]

    def __str__(self) -> str:
        return f"domain {self.kind.name!r} ({self.kind.__qualname__}, {place_of(self.kind)})"


def place_in(domain: Domain | type[Domain]) -> PlaceOfDomain:
    """Return the name of a domain for messages."""
    return PlaceOfDomain(domain if isinstance(domain, type) else type(domain))


def check_head(kind: type[Domain]) -> None:
    """Check the parts of a domain that reading a scenario needs: settings, clocks and inputs.

    Raises:
        ContractError: one of them has the wrong type; the message is one sentence.
    """
    settings = kind.settings
    if not (isinstance(settings, type) and issubclass(settings, Settings)):
        raise ContractError(f"{place_in(kind)}: settings is {named(settings)}; set it to a class that extends Settings")
    for part in ("ticks", "ticks_per_second", "version", "every"):
        value = getattr(kind, part)
        if (part, value) != ("every", None) and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise ContractError(f"{place_in(kind)}: {part} is {quoted(value)}; give a whole number from 1")
    name: object = kind.name
    if not isinstance(name, str) or not re.fullmatch(r"\w[\w.-]*", name):
        raise ContractError(f"{place_in(kind)}: name is {quoted(name)}; give letters, digits, '-', '_' and '.'")
    check_part(place_in(kind), "inputs", kind.inputs, Input)


def check_domain(domain: Domain) -> None:
    """Check the parts of a domain.

    Raises:
        ContractError: a part is missing, is misspelt or has the wrong type; the message is one sentence.
    """
    from sim.run.domain import Domain as Base

    where = place_in(domain)
    if not isinstance(domain.settings, Settings):
        raise ContractError(f"{where}: its __init__ sets no settings; call super().__init__(settings, **values)")
    wrong = wrong_method(type(domain), Base)
    if wrong:
        raise ContractError(f"{where}: {wrong}")
    for part, base in (
        ("components", Component),
        ("resources", Resource),
        ("actions", Action),
        ("systems", System),
    ):
        check_part(where, part, getattr(domain, part), base)
    _check_columns(where, domain)
    _check_tables(where, domain.tables)
    check_metrics(where, "metrics", domain.metrics)
    for part in ("facts", "moves"):
        if not isinstance(getattr(domain, part), Mapping):
            raise ContractError(f"{where}: {part} is {named(getattr(domain, part))}; write {{'name': ...}}")
    parts = (("rules", Rule), ("goals", Goal), ("operators", Operator), ("options", Option), ("tree", Branch))
    for part, kind in parts:
        for each in _several(where, part, getattr(domain, part), f"({kind.__name__}(...),)"):
            if not isinstance(each, kind):
                raise ContractError(f"{where}: {part} holds {named(each)}; list {kind.__name__}(...)")
    prompt: object = domain.prompt
    if not isinstance(prompt, PromptText):
        raise ContractError(f"{where}: prompt is {named(prompt)}; write PromptText(role=...)")
    if domain.plans:
        _check_planning(where, domain)


def _check_columns(where: PlaceOfDomain, domain: Domain) -> None:
    """Check that the parts of a world have different names."""
    taken = {each.__name__: "the framework's" for each in PLANNING if domain.plans and each not in domain.components}
    for part in ("components", "resources"):
        for each in getattr(domain, part):
            owner = taken.setdefault(each.__name__, part)
            if owner != part:
                other = f"{owner} {each.__name__}" if owner == "the framework's" else f"one of its {owner}"
                raise ContractError(f"{where}: {part} lists {each.__name__}, and {other} has that name; rename one")


def _check_planning(where: PlaceOfDomain, domain: Domain) -> None:
    """Check the other parts that a domain with actions needs."""
    from sim.run.domain import Domain as Base

    observation: object = domain.observation
    if observation is None and type(domain).plannable is not Base.plannable:
        return  # no agent plans unless `plannable` selects it, and then the missing `observe` is an error
    if observation is None:
        raise ContractError(f"{where}: it has actions and no observation; set it to what agents know")
    if not (isinstance(observation, type) and issubclass(observation, Observation)):
        raise ContractError(f"{where}: observation is {named(observation)}; set it to a class that extends Observation")
    if type(domain).observe is Base.observe:
        raise ContractError(f"{where}: it has actions and no observe(self, world, rows); return world.observed(...)")
    idle: object = domain.idle
    overridden = type(domain).registry is not Base.registry
    if not isinstance(idle, Action) and not overridden:
        if isinstance(idle, type) and issubclass(idle, Action):
            raise ContractError(f"{where}: idle is the class {idle.__name__}; set it to a step: {idle.__name__}()")
        raise ContractError(
            f"{where}: it has actions, and idle is {quoted(idle)}; set it to a step that is always possible"
        )


def check_verbs(domain: Domain, registry: object) -> None:
    """Check that arguments of verbs name existing lists, tables and spaces.

    Raises:
        ContractError: one does not; the sentence names the verb, the argument and the existing names.
    """
    where, observation = place_in(domain), domain.observation
    if not isinstance(registry, ToolRegistry):
        raise ContractError(f"{where}: registry() returned {named(registry)}; return a ToolRegistry")
    for spec in registry.specs:
        if issubclass(spec.action, Action):
            _check_verb(where, spec.action)
    if observation is None:
        return
    try:
        check_references(registry, observation)
        for name, move in domain.moves.items():
            if not callable(move):
                raise ContractError(f"moves[{name!r}] is {named(move)}; give a function that makes steps")
        for name, fact in domain.facts.items():
            if not (isinstance(fact, str) or callable(fact)):
                raise ContractError(f"facts[{name!r}] is {named(fact)}; give a condition, or a function of the batch")
            fact_test(name, domain.facts, observation.layout)
    except ContractError as error:
        raise ContractError(f"{where}: {error}") from None


def _check_verb(where: PlaceOfDomain, verb: type[Action]) -> None:
    """Check the parts of a verb that planning does not read."""
    wrong = wrong_method(verb, Action)  # it may be a plug-in's
    reasons: object = verb.reasons
    if wrong:
        raise ContractError(f"{where}: {wrong}")
    if not isinstance(reasons, tuple | list) or not all(isinstance(reason, str) for reason in reasons):
        raise ContractError(f"{where}: {verb.__name__}.reasons is {named(reasons)}; write a tuple of texts")
    seconds: object = verb.duration_s
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < DURATION_MAX:
        raise ContractError(f"{where}: {verb.__name__}.duration_s is {named(seconds)}; give seconds from 0")
    if not verb.timed and getattr_static(verb, "advance") is vars(Action)["advance"]:
        raise ContractError(f"{where}: {verb.__name__} has timed = False and no advance(turn, rows, args)")


def _several(where: object, part: str, given: object, example: str) -> Sequence[object]:
    if isinstance(given, type | str) or not isinstance(given, Sequence):
        raise ContractError(f"{where}: {part} is {named(given)}; write a tuple, as in {example}")
    return given


def check_part(where: object, part: str, given: object, base: type) -> None:
    """Check a list of classes of a domain or plug-in, and the methods of each.

    Raises:
        ContractError: it is not a list, or a class in it has the wrong base, name or methods.
    """
    classes: Sequence[Any] = _several(where, part, given, f"({base.__name__}1,)")
    names: list[str] = []
    for each in classes:
        if not isinstance(each, type) or not issubclass(each, base):
            hint = (
                "list the class, not an instance"
                if isinstance(each, base)
                else f"list classes that extend sim.{base.__name__}"
            )
            raise ContractError(f"{where}: {part} holds {named(each)}; {hint}")
        if each.__name__ in names:
            raise ContractError(f"{where}: {part} lists two classes named {each.__name__}; rename one")
        names.append(each.__name__)
        wrong = wrong_method(each, base)
        if wrong:
            raise ContractError(f"{where}: {wrong}")
        if issubclass(each, System):
            _check_system(where, each)


def check_metrics(where: object, part: str, metrics: object) -> None:
    """Check the metrics of a domain or plug-in.

    Raises:
        ContractError: they are not functions by name.
    """
    if not isinstance(metrics, Mapping):
        raise ContractError(f"{where}: {part} is {named(metrics)}; write {{'name': function of the world}}")
    for name, metric in metrics.items():
        if not isinstance(name, str) or not callable(metric):
            raise ContractError(f"{where}: {part}[{name!r}] is {named(metric)}; give a function of the world")


def _check_tables(where: PlaceOfDomain, tables: object) -> None:
    if not isinstance(tables, Mapping):
        raise ContractError(f"{where}: tables is {named(tables)}; write {{'goods': ('bread', 'fish')}}")
    for table, names in tables.items():
        fits = isinstance(names, Sequence) and not isinstance(names, str)
        if not isinstance(table, str) or not fits or not all(isinstance(name, str) for name in names):
            raise ContractError(f"{where}: tables[{table!r}] is {quoted(names)}; give a tuple of names")


def _check_system(where: object, system: type[System]) -> None:
    if system.process is System.process:
        raise ContractError(f"{where}: system {system.__name__} has no process(self, world, run)")
    if system.__init__ is not object.__init__ and not takes(system.__init__, ["self"]):
        raise ContractError(f"{where}: {system.__name__}.__init__ takes arguments; it gets nothing")


def checked_spaces(found: Any, domain: Domain) -> Mapping[str, Any]:
    """Return the result of `spaces`: spaces by name.

    Raises:
        ContractError: it is something else.
    """
    if isinstance(found, Mapping) and all(isinstance(name, str) for name in found):
        return found
    raise ContractError(
        f"{place_in(domain)}: spaces(run) returned {named(found)}; return spaces by name, {{'map': ...}}"
    )


def checked_batch(found: Any, keys: NDArray[np.int64], domain: Domain) -> ObservationBatch[Any]:
    """Return the result of `observe`: a batch of the domain's observation, for the agents with these keys.

    Raises:
        ContractError: it is something else.
    """
    if isinstance(found, ObservationBatch) and found.of is domain.observation:
        if np.array_equal(found.keys, keys):
            return found
        raise ContractError(
            f"{place_in(domain)}: observe(world, rows) returned what {len(found)} agents know; return what each of the "
            f"{len(keys)} agents at `rows` knows, in this order"
        )
    wanted = getattr(domain.observation, "__name__", "an observation")
    raise ContractError(
        f"{place_in(domain)}: observe(world, rows) returned {named(found)}; return world.observed({wanted}, rows, ...)"
    )


def checked_groups(found: Any, world: Any, domain: Domain) -> tuple[tuple[str, ...], NDArray[np.integer[Any]]]:
    """Return the result of `groups`: names, and the index of each row's group, -1 for none.

    Raises:
        ContractError: it is something else.
    """
    fits = isinstance(found, tuple) and len(found) == 2 and not isinstance(found[0], str)
    index = np.asarray(found[1]) if fits else np.zeros(0)
    if not fits or index.dtype.kind not in "iu" or index.shape != (world.n,):
        raise ContractError(
            f"{place_in(domain)}: groups(world) returned {named(found)}; return the names of the groups, and one "
            f"index for each of the {world.n} rows"
        )
    names = tuple(found[0])
    declared = tuple(domain.group_names)
    if declared not in ((), names):
        raise ContractError(f"{place_in(domain)}: groups(world) names {names}, and group_names {declared}")
    if names and index.size and not -1 <= index.min() <= index.max() < len(names):
        raise ContractError(
            f"{place_in(domain)}: groups(world) returned indices from {index.min()} to {index.max()} and {len(names)} "
            "names; an index counts from 0, and -1 stands for none"
        )
    return names, index.astype(np.int64, copy=False)


def checked_scores(found: Any, domain: Domain) -> dict[str, float]:
    """Return the result of `scores`: numbers by name.

    Raises:
        ContractError: it is something else.
    """
    if not isinstance(found, Mapping):
        raise ContractError(f"{place_in(domain)}: scores(world) returned {named(found)}; return numbers by name")
    for name, value in found.items():
        if not isinstance(name, str) or not isinstance(value, int | float | np.number):
            raise ContractError(f"{place_in(domain)}: scores(world)[{name!r}] is {named(value)}; give a number")
    return {name: float(value) for name, value in found.items()}


def checked_details(found: Any, domain: Domain) -> dict[str, Any]:
    """Return the result of `details`: plain data by name.

    Raises:
        ContractError: it is something else.
    """
    try:
        json.dumps(found)
        return dict(found)
    except (TypeError, ValueError) as error:
        raise ContractError(
            f"{place_in(domain)}: details(world) returned what JSON has no form for ({error}); "
            "return plain data by name"
        ) from None


def checked_mask(found: Any, world: Any, domain: Domain, what: str) -> NDArray[np.bool_]:
    """Return the result of a domain's hook as a mask over all rows.

    Raises:
        ContractError: it is not such a mask.
    """
    mask = np.asarray(found)
    if mask.dtype != np.bool_ or mask.shape != (world.n,):
        raise ContractError(
            f"{place_in(domain)}: {what}(world) returned {mask.dtype} of shape {mask.shape}; "
            f"return one boolean for each of the {world.n} rows"
        )
    return mask


def checked_alerts(found: Any, rows: NDArray[np.intp], domain: Domain) -> NDArray[np.int64]:
    """Return the result of `alert` as one integer per row.

    Raises:
        ContractError: it is something else.
    """
    alerts = np.asarray(found)
    if alerts.dtype.kind not in "iub" or alerts.shape != rows.shape:
        raise ContractError(
            f"{place_in(domain)}: alert(world, rows) returned {alerts.dtype} of shape {alerts.shape}; "
            f"return one integer for each of the {len(rows)} rows"
        )
    return alerts.astype(np.int64)


def checked_outcome(found: Any, domain: Domain) -> str | None:
    """Return the result of `outcome`: a reason to stop, or None.

    Raises:
        ContractError: it is something else.
    """
    if found is None or (isinstance(found, str) and found):
        return found
    raise ContractError(
        f"{place_in(domain)}: outcome(world) returned {quoted(found)}; return a sentence to stop, or None"
    )


def measured(name: str, metric: Metric, world: World, domain: Domain) -> Any:
    """Return what a metric says of a world: a number, or an array of numbers.

    Raises:
        ContractError: it returned something else, or is a library's function that failed. An error of a metric of one's
            own code is raised as it is, since its place says more.
    """
    try:
        value = metric(world)
    except (MemoryError, OSError, SimError, AIError):
        raise
    except Exception as error:
        if fault_of(error) is not None:
            raise
        raise ContractError(f"{place_in(domain)}: metric {name!r} raised {type(error).__name__}: {error}") from error
    if np.asarray(value).dtype.kind not in "biuf":
        raise ContractError(f"{place_in(domain)}: metric {name!r} returned {quoted(value)}; return a number")
    return value
