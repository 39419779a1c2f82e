"""Coverage marks: which test brings about which refusal, so that none is without one.

`@covers(Refused.NO_AMMO)` on a test claims that while it runs somebody's step is refused for that reason. A reason is
a member of `Refused` (a step that may not run), of `Refusal` (a plan that is not accepted), or a sentence with which an
input is refused. While a marked test runs a profiler listens at the places where refusals are made; a claim that was
not kept fails the test. `tests/architecture/test_marks.py` sees to it that every reason is claimed and that every claim
names one.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from functools import cache
from types import CodeType, FrameType
from typing import Any, Final

import numpy as np
import pytest

from ai import legality
from ai.plans import Refusal
from scenarios.tactics import director, parameters
from scenarios.tactics.actions.base import Refused
from scenarios.tactics.scenario.checks import check_input
from scenarios.tactics.systems import inputs
from sim import messages
from sim.run import input_sources
from sim.run import inputs as framework_inputs
from sim.run.systems import Act
from tests.support.sentences import handed, returned, said_by

Reason = Refused | Refusal | str

ALLOWED: Final = (Refused.NO, Refusal.ACCEPTED)
"""Members that stand for no refusal."""


def covers(*reasons: Reason) -> pytest.MarkDecorator:
    """Mark a test, or one case of it, with the refusals that it brings about."""
    return pytest.mark.covers(*reasons)


@cache
def sentences() -> frozenset[str]:
    """Return the sentences with which inputs are refused, `{}` for what is filled in."""
    answers = returned(inputs) | returned(framework_inputs) | returned(director) | returned(parameters)
    return frozenset(answers | handed(check_input, "problem") | handed(input_sources, "_complain"))


def all_reasons() -> set[str]:
    """Return the name of every reason there is."""
    members: list[IntEnum] = [*Refused, *Refusal]
    return {name_of(member) for member in members if member not in ALLOWED} | sentences()


def name_of(reason: Reason) -> str | None:
    """Return the name of a reason: `Refused.NO_AMMO`, or the sentence's template; None where there is none."""
    if isinstance(reason, Refused | Refusal):
        return f"{type(reason).__name__}.{reason.name}"
    return said_by(reason, sentences())


@contextmanager
def listening() -> Iterator[set[str]]:
    """Give the names of the reasons that come up inside, as a set that grows."""
    heard: set[str] = set()

    def add(reason: Reason) -> None:
        name = name_of(reason)
        if name is not None:
            heard.add(name)

    def profile(frame: FrameType, event: str, value: Any) -> None:
        if event == "call" and (hear := _CALLS.get(frame.f_code)):
            for reason in hear(frame.f_locals):
                add(reason)
        elif event == "return" and value is not None and (hear := _RETURNS.get(frame.f_code)):
            for reason in hear(value):
                add(reason)

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        yield heard
    finally:
        sys.setprofile(before)


def claims_of(item: pytest.Item) -> set[str | None]:
    """Return the names of the reasons that a test claims, None for what names no reason."""
    return {name_of(reason) for mark in item.iter_markers("covers") for reason in mark.args}


@contextmanager
def keeping(claims: set[str | None]) -> Iterator[None]:
    """Check that the reasons claimed come up inside.

    Raises:
        AssertionError: one of them did not.
    """
    with listening() as heard:
        yield
    broken = sorted(map(str, claims - heard))
    assert not broken, f"claims to cover {', '.join(broken)}, which did not come up"


_CALLS: dict[CodeType, Callable[[Any], list[Reason]]] = {
    Act.refuse.__code__: lambda given: [Refused(int(code)) for code in np.unique(given["codes"])],
    messages.problem.__code__: lambda given: [given["reason"]],
    input_sources.StreamedInputs._complain.__code__: lambda given: [given["reason"]],
}
"""Where refusals are made, and what the arguments say about why."""
_RETURNS: dict[CodeType, Callable[[Any], list[Reason]]] = {
    legality.refusals.__code__: lambda codes: [Refusal(int(code)) for code in np.unique(codes) if code],
    inputs.Inputs._apply.__code__: lambda sentence: [sentence],
    **{
        each.apply.__code__: lambda sentence: [sentence]
        for each in (framework_inputs.Act, framework_inputs.Control, framework_inputs.Kill, framework_inputs.Spawn)
    },
}
"""The same for what functions return."""
