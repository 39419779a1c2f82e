"""Channels: the path of a verb's effects on others, so that the order of agents cannot matter.

A domain declares channels and how each settles. The values that verbs send during the phase arrive as one batch:

    Sum     all values for one target are added
    First   of several values for one target, the one of the lowest sender wins
    Union   each (target, value) pair counts once, in the order of the lowest sender
    Each    all values count, in the order of target and sender

>>> from sim.run.channels import Sum
>>> class Sold(Sum):
...     @classmethod
...     def apply(cls, world, run, targets, values):
...         world[Prices].demand[targets] += values
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ai.errors import ContractError, place_of
from sim.run.methods import named, wrong_method

if TYPE_CHECKING:
    from sim.run.context import Run
    from sim.run.world import World

Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Sent:
    """The values sent through one channel: senders `[m]` rows, targets `[m]`, values `[m]`."""

    senders: NDArray[np.intp]
    targets: Indices
    values: NDArray[Any]

    @classmethod
    def joined(cls, parts: Sequence[Sent]) -> Sent:
        """Return all parts as one, ordered by target, then sender; values of one pair keep their order."""
        senders = np.concatenate([part.senders for part in parts])
        targets = np.concatenate([np.asarray(part.targets, np.int64) for part in parts])
        values = np.concatenate([part.values for part in parts])
        order = np.lexsort((senders, targets))
        return cls(senders[order], targets[order], values[order])


class Channel:
    """The base of channels. Subclass `Sum`, `First`, `Union` or `Each` and write `apply`."""

    @classmethod
    def settle(cls, world: World, run: Run, sent: Sent) -> None:
        """Reduce the sent values and pass them to `apply`."""
        del world, run, sent
        raise ContractError(
            f"channel {cls.__name__} ({place_of(cls)}) extends Channel; extend Sum, First, Union or Each"
        )

    @classmethod
    def apply(cls, world: World, run: Run, targets: Indices, values: NDArray[Any]) -> None:
        """Change the world; targets are ascending."""
        del world, run, targets, values
        raise ContractError(f"channel {cls.__name__} ({place_of(cls)}) needs apply(cls, world, run, targets, values)")


def check_channel(channel: type[Channel]) -> None:
    """Check a channel when a verb first sends through it.

    Raises:
        ContractError: it is not a channel, or is made wrongly.
    """
    given: object = channel
    if not (isinstance(given, type) and issubclass(given, Channel)):
        raise ContractError(f"send() takes a Channel that extends Sum, First, Union or Each, not {named(given)}")
    wrong = wrong_method(channel, Channel)
    if wrong:
        raise ContractError(f"channel {channel.__name__} ({place_of(channel)}): {wrong}")


class Sum(Channel):
    """Values for one target are added; each target occurs once."""

    @classmethod
    def settle(cls, world: World, run: Run, sent: Sent) -> None:
        """Add up."""
        targets, first = np.unique(sent.targets, return_index=True)
        values = sent.values if sent.values.dtype.kind == "f" else sent.values.astype(np.int64)
        cls.apply(world, run, targets, np.add.reduceat(values, first))


class First(Channel):
    """Of several values for one target, the one of the lowest sender wins; each target occurs once."""

    @classmethod
    def settle(cls, world: World, run: Run, sent: Sent) -> None:
        """Pick the winners."""
        targets, first = np.unique(sent.targets, return_index=True)
        cls.apply(world, run, targets, sent.values[first])


class Union(Channel):
    """Each pair of target and value occurs once, ordered by target and lowest sender."""

    @classmethod
    def settle(cls, world: World, run: Run, sent: Sent) -> None:
        """Drop repetitions."""
        # The order must not depend on the values: they can be indices of texts, which differ between processes.
        order = np.lexsort((np.arange(len(sent.values)), sent.values, sent.targets))
        targets, values = sent.targets[order], sent.values[order]
        again = np.zeros(len(order), np.bool_)
        again[1:] = (targets[1:] == targets[:-1]) & (values[1:] == values[:-1])
        kept = np.sort(order[~again])
        cls.apply(world, run, sent.targets[kept], sent.values[kept])


class Each(Channel):
    """All values occur, ordered by target and sender."""

    @classmethod
    def settle(cls, world: World, run: Run, sent: Sent) -> None:
        """Pass on the sent values."""
        cls.apply(world, run, sent.targets, sent.values)
