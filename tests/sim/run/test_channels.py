"""Channels settle as a plain loop over what was sent does, whatever order verbs and agents are visited in."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.run.actions import Turn
from sim.run.channels import Channel, Each, First, Sum, Union

Sending = tuple[int, int, int]
"""A sender, a target and a value."""
SENDINGS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3), st.integers(-3, 3)), max_size=12)


def bare_turn() -> Any:
    """Return a turn that can send and settle, without a world."""
    turn: Any = Turn.__new__(Turn)
    turn.world, turn.run, turn.sent = None, SimpleNamespace(), {}
    return turn


def settled(base: type[Channel], sent: Sequence[Sending]) -> list[tuple[int, Any]]:
    """Send one after the other; return the targets and values that the channel applies."""
    found: list[tuple[int, Any]] = []

    class Noted(base):  # type: ignore[misc, valid-type] # each settlement in turn
        @classmethod
        def apply(cls, world: Any, run: Any, targets: Any, values: Any) -> None:
            found.extend(zip(targets.tolist(), values.tolist(), strict=True))

    turn = bare_turn()
    for sender, target, value in sent:
        turn.send(Noted, np.array([sender]), np.array([value]), at=target)
    turn.settle()
    return found


@given(SENDINGS)
def test_sums_add_all_values_of_a_target(sent: list[Sending]) -> None:
    """Each target that was sent to occurs once, ascending."""
    targets = sorted({target for _, target, _ in sent})
    assert settled(Sum, sent) == [(each, sum(value for _, target, value in sent if target == each)) for each in targets]


@given(SENDINGS)
def test_the_lowest_sender_wins(sent: list[Sending]) -> None:
    """Of several values for one target, the lowest sender's first one counts."""
    targets = sorted({target for _, target, _ in sent})
    firsts = [min((s for s in sent if s[1] == each), key=lambda s: s[0]) for each in targets]
    assert settled(First, sent) == [(target, value) for _, target, value in firsts]


@given(SENDINGS)
def test_a_union_has_each_pair_once_and_each_has_all(sent: list[Sending]) -> None:
    """Both are ordered by target and sender."""
    ordered = [(target, value) for _, target, value in sorted(sent, key=lambda s: (s[1], s[0]))]
    assert settled(Each, sent) == ordered
    assert settled(Union, sent) == list(dict.fromkeys(ordered))


@pytest.mark.parametrize("base", [Sum, First, Union, Each])
@given(data=st.data())
def test_the_order_of_senders_does_not_matter(base: type[Channel], data: st.DataObject) -> None:
    """Agents that are visited in another order send the same, as each sends once through a channel."""
    sent = data.draw(
        st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3), st.integers(-3, 3)), unique_by=lambda s: s[0])
    )
    assert settled(base, data.draw(st.permutations(sent))) == settled(base, sent)


def test_sums_of_fractions_are_not_cut() -> None:
    """Values of a model with float columns stay what they are."""
    turn = bare_turn()
    found: list[float] = []

    class Rain(Sum):
        @classmethod
        def apply(cls, world: Any, run: Any, targets: Any, values: Any) -> None:
            found.extend(values.tolist())

    turn.send(Rain, np.array([0, 1]), np.array([0.25, 0.5]), at=0)
    turn.settle()
    assert found == [0.75]


def test_a_verb_may_send_empty_lists() -> None:
    """A verb whose targets are all gone sends nothing, and what others send stays whole numbers."""
    turn = bare_turn()
    found: list[Any] = []

    class Mail(Sum):
        @classmethod
        def apply(cls, world: Any, run: Any, targets: Any, values: Any) -> None:
            found.append((targets.tolist(), values.tolist(), values.dtype))

    turn.send(Mail, np.zeros(0, np.intp), [], at=[])
    turn.send(Mail, np.array([1]), [2], at=[3])
    turn.settle()
    assert found == [([3], [2], np.int64)]
