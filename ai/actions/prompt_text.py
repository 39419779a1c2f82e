"""The texts that a domain adds to the prompt of a language model; the rest of the prompt follows from declarations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ai.actions.action import STEPS_MAX, Action
from ai.errors import ContractError

CHARS_MAX: Final = 2000
"""The most characters of a role or rule."""
RULES_MAX: Final = 32
"""The most rules of one prompt."""
EXAMPLES_MAX: Final = 8
"""The most examples of one prompt."""


@dataclass(frozen=True, slots=True)
class PromptText:
    """The domain's part of a prompt.

    Args:
        role: sentences that state for which agents the model plans, and their aim.
        rules: rules that the model must follow, one sentence each.
        examples: plans of the domain's actions; a prompt shows the first ones.

    Raises:
        ContractError: a text or a list is too long.
    """

    role: str = "You plan for agents."
    rules: tuple[str, ...] = ()
    examples: tuple[tuple[Action, ...], ...] = ()

    def __post_init__(self) -> None:
        """Check lengths."""
        if len(self.rules) > RULES_MAX or len(self.examples) > EXAMPLES_MAX:
            raise ContractError(f"a prompt has at most {RULES_MAX} rules and {EXAMPLES_MAX} examples")
        if any(not text or len(text) > CHARS_MAX for text in (self.role, *self.rules)):
            raise ContractError(f"the role and each rule of a prompt have 1 to {CHARS_MAX} characters")
        if any(not 1 <= len(plan) <= STEPS_MAX for plan in self.examples):
            raise ContractError(f"an example of a prompt has 1 to {STEPS_MAX} steps")
