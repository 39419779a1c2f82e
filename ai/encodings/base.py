"""How a reply writes plans: the one face of an output encoding.

An encoding says how plans are asked for (instructions, example, JSON schema or grammar), finds each agent's plan in a
reply while it streams (a scanner), and reads one plan's raw text. All encodings give the same plans. Every encoding
also reads a plan written in named JSON: models fall back to it when nothing holds them to the encoding, and scripts
are written in it.

To add one, put one file in this folder and name it in `ai.encodings.ENCODINGS`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from ai.actions import KEY_MAX, ActionStep, Role, ToolRegistry, ToolSpec
from ai.parse import ParsedReply, SlotText
from ai.snapshot import SnapshotBatch

PLAN_STEPS_MAX: Final = 4
"""Steps that a model is asked for; a plan may hold more."""


class Scanner(Protocol):
    """Hands out each agent's plan text as it closes in a stream; linear in the text and bounded in memory.

    `cut` says why the scan stopped before the reply did, or None; `duplicates` counts later plans of an agent that
    already had one, `unknown` plans for agents that were not asked.
    """

    cut: str | None
    duplicates: dict[int, int]
    unknown: int

    @property
    def text(self) -> str:
        """Everything fed so far."""
        ...

    def feed(self, text: str) -> list[SlotText]:
        """Read the next piece and return the plans that closed in it, in order."""
        ...

    def close(self) -> list[SlotText]:
        """Say that the reply is over; return plans that only its end has closed."""
        ...


class Encoding(Protocol):
    """One way to write plans. Stateless; `name` and the prompt's version are recorded with every call."""

    name: str
    plan_tokens: int
    """Reply tokens reserved for one plan."""

    def instructions(self, registry: ToolRegistry) -> str:
        """Return the sentence of the system message that says how to reply."""
        ...

    def closing(self, count: int) -> str:
        """Return the last line of the user message: which slots to answer."""
        ...

    def schema(self, batch: SnapshotBatch, registry: ToolRegistry) -> Mapping[str, Any] | None:
        """Return the JSON schema of the reply, or None where a grammar says it."""
        ...

    def grammar(self, batch: SnapshotBatch, registry: ToolRegistry) -> str | None:
        """Return the grammar (GBNF) of the reply, or None where a schema says it."""
        ...

    def scanner(self, slots: Mapping[str, int]) -> Scanner:
        """Return a scanner for one reply to these slots."""
        ...

    def parse(self, text: str, registry: ToolRegistry) -> tuple[ActionStep, ...]:
        """Read one plan's raw text.

        Raises:
            ParseError: it is no plan, or holds a step that the registry refuses.
        """
        ...

    def read(self, text: str, slots: Mapping[str, int], registry: ToolRegistry) -> ParsedReply:
        """Read a whole reply in which the scanner found nothing.

        Raises:
            ParseError: nothing in the text could be read as a reply.
        """
        ...

    def write(self, steps: Sequence[ActionStep], registry: ToolRegistry) -> str:
        """Return the raw text of one plan, as short as this encoding allows."""
        ...

    def frame(self, texts: Mapping[str, str]) -> str:
        """Return a whole reply for raw plan texts by slot."""
        ...


@dataclass(frozen=True, slots=True)
class Offer:
    """Whom one agent can name: sorted ids of the enemies it sees, and of itself, its leader and allies it sees."""

    enemies: tuple[int, ...]
    allies: tuple[int, ...]

    def allows(self, spec: ToolSpec) -> bool:
        """Say whether each target of this kind has somebody to name; a step without could only be refused."""
        return all(
            self.enemies if arg.role is Role.ENEMY else self.allies
            for arg in spec.args
            if arg.role in (Role.ENEMY, Role.ALLY)
        )


def offers(batch: SnapshotBatch) -> list[Offer]:
    """Return the offer of each agent."""
    allies = np.concatenate([batch.ally, batch.keys[:, None], batch.leader[:, None]], axis=1)
    return [Offer(*pair) for pair in zip(_known(batch.enemy), _known(allies), strict=True)]


def _known(keys: NDArray[np.int64]) -> list[tuple[int, ...]]:
    return [tuple(sorted({key for key in row if 0 <= key <= KEY_MAX})) for row in keys.tolist()]


def has_target(spec: ToolSpec) -> bool:
    """Say whether a kind names an agent."""
    return any(arg.role in (Role.ENEMY, Role.ALLY) for arg in spec.args)
