"""The gate of our own tests: each mutant of our code breaks the promises assigned to it; each promise catches one.

The promises are tests of this suite (`promises.py`); what they do not notice here, they would not notice in a change.
"""

from __future__ import annotations

import pytest

from ai.errors import AIError
from sim.errors import SimError
from tests.mutants.own import MUTANTS, Mutant
from tests.mutants.promises import PROMISES, warm

CAUGHT = (AssertionError, SimError, AIError, pytest.fail.Exception)
"""How a broken promise shows. Anything else would be a mutant that no longer fits what it patches."""
CASES = [(mutant, promise) for mutant in MUTANTS for promise in mutant.caught_by]


@pytest.fixture(scope="module", autouse=True)
def _recordings() -> None:
    warm()


def test_every_mutant_says_its_bug() -> None:
    """Each has a name of its own and a sentence."""
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 50
    for mutant in MUTANTS:
        assert (mutant.plant.__doc__ or "").endswith("."), mutant.name


def test_every_promise_must_catch_something() -> None:
    """A promise that no mutant breaks would prove nothing."""
    assert {promise for mutant in MUTANTS for promise in mutant.caught_by} == set(PROMISES)


@pytest.mark.parametrize("promise", sorted(PROMISES))
def test_the_code_keeps_every_promise(promise: str) -> None:
    """Without a mutant all of them hold, so what breaks one is the mutant."""
    PROMISES[promise]()


@pytest.mark.parametrize(("mutant", "promise"), CASES, ids=lambda value: getattr(value, "name", value))
def test_a_mutant_is_caught(mutant: Mutant, promise: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What breaks shows as a failed promise or as an error of ours, not as a mistake of the mutant."""
    mutant.plant(monkeypatch)
    with pytest.raises(CAUGHT):
        PROMISES[promise]()
