"""Hypothesis strategies for domains: settings from their declaration, and scenarios.

Values shrink to the smallest allowed ones, so that a failure reads like an example.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, TypeVar, Union, get_args, get_origin

from annotated_types import Ge, Gt, Interval, Le, Lt, MultipleOf
from hypothesis import reject
from hypothesis import strategies as st
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from sim.errors import ScenarioError
from sim.run.domain import Domain
from sim.run.scenario_file import Scenario
from sim.run.settings import Settings

SPREAD: Final = 20
"""The least span above its low bound in which a number is drawn, if its bounds allow it."""
TICKS_MAX: Final = 20
"""The most ticks of a drawn scenario."""
D = TypeVar("D", bound=Domain)


def settings(domain: type[Domain]) -> st.SearchStrategy[Any]:
    """Draw settings of a domain: one of its `examples`, with other values for some or all of its plain fields.

    A plain field is a number, a boolean, a choice, or one of these or None. Numbers lie between their declared bounds,
    but not far above those of the examples, so that a drawn scenario runs quickly. Lists, tables and texts are those of
    the examples. Settings that break a rule of the domain are left out.
    """
    examples = list(domain.examples())
    kind: type[Settings] = domain.settings
    drawn = {
        name: strategy
        for name, info in kind.model_fields.items()
        if (strategy := _field(info, [getattr(each, name) for each in examples])) is not None
    }
    # An unchanged example takes as many choices as a changed one; hypothesis would shrink to it if it took fewer.
    found = st.builds(
        lambda base, values, whole: base if whole else _with(kind, base, values),
        st.sampled_from(examples),
        st.fixed_dictionaries(drawn),
        st.booleans(),
    )
    return found.filter(lambda each: _holds(domain, each))


def scenarios(domain: type[Domain]) -> st.SearchStrategy[Scenario]:
    """Draw scenarios of a domain: settings, a seed, a few ticks and, if agents plan, tiers that need no model."""

    def made(found: Any, seed: int, ticks: int, planning: Mapping[str, Any]) -> Scenario:
        return Scenario.of(domain(found), seed=seed, ticks=ticks, planning=planning)

    tiers = st.sampled_from([["heuristic", "emergency"], ["emergency"]])
    few = st.sampled_from([100_000, 1, 3])
    planned = st.fixed_dictionaries({"tiers": tiers, "per_tick_max": few, "ttl_s": st.sampled_from([20, 1, 3])})
    planning = planned if domain.actions else st.just({})
    return st.builds(made, settings(domain), st.integers(0, 2**63 - 1), st.integers(1, TICKS_MAX), planning)


def _with(kind: type[Settings], base: Settings, values: Mapping[str, Any]) -> Any:
    try:
        return kind(**{**{name: getattr(base, name) for name in kind.model_fields}, **values})
    except ValidationError:
        return reject()  # the settings have their own rule


def _holds(domain: type[Domain], found: Any) -> bool:
    try:
        Scenario.of(domain(found))
    except ScenarioError:
        return False
    return True


def _field(info: FieldInfo, seen: list[Any]) -> st.SearchStrategy[Any] | None:
    """Return the strategy of a field, or None if it is not plain."""
    return _value(info.annotation, list(info.metadata), seen)


def _value(annotation: Any, metadata: list[Any], seen: list[Any]) -> st.SearchStrategy[Any] | None:
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _value(inner[0], [*metadata, *inner[1:]], seen)
    if origin in (Union, UnionType) and len(inner) == 2 and NoneType in inner:
        (some,) = (part for part in inner if part is not NoneType)
        strategy = _value(some, metadata, [each for each in seen if each is not None])
        return None if strategy is None else st.none() | strategy
    if origin is Literal:
        return st.sampled_from(inner)
    if annotation is bool:
        return st.booleans()
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return st.sampled_from(list(annotation))
    return _number(annotation, metadata, seen) if annotation in (int, float) else None


def _number(kind: type, metadata: list[Any], seen: list[Any]) -> st.SearchStrategy[Any] | None:
    low: float | None = None
    high: float | None = None
    open_low = open_high = False
    for mark in metadata:
        for bound in mark if isinstance(mark, Interval) else (mark,):
            match bound:
                case Ge():
                    low = bound.ge  # type: ignore[assignment] # of a number field, a number
                case Gt():
                    low, open_low = bound.gt, True  # type: ignore[assignment] # as above
                case Le():
                    high = bound.le  # type: ignore[assignment] # as above
                case Lt():
                    high, open_high = bound.lt, True  # type: ignore[assignment] # as above
                case MultipleOf():
                    return None
    least = low if low is not None else min([0, *seen])
    usual = max([least + SPREAD, *seen])
    most = usual if high is None else min(usual, high)
    if kind is int:
        return st.integers(int(least) + open_low, int(most) - (open_high and most == high))
    return st.floats(least, most, exclude_min=open_low, exclude_max=open_high and most == high)
