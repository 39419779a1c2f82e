"""Encodings that restrict a reply to plans with an exact number of steps, so that all ways are compared fairly.

Without this, a model writes longer plans in one encoding than in another, and shorter plans take less time.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from ai.actions import Action, ToolRegistry
from ai.errors import ContractError
from ai.llm.encodings.base import PLAN_STEPS_MAX, Encoding
from ai.llm.encodings.offers import Offers
from ai.llm.parse import ReplyScanner

_REPEATED: Final = re.compile(r"\{0,%d\}$" % (PLAN_STEPS_MAX - 1), re.MULTILINE)  # noqa: UP031 - braces


class OfSteps(Encoding):
    """Another encoding, with a fixed number of steps in its schema or grammar.

    Raises:
        ContractError: a plan cannot have this number of steps.
    """

    def __init__(self, encoding: Encoding, steps: int) -> None:
        if not 1 <= steps <= PLAN_STEPS_MAX:
            raise ContractError(f"a plan has 1 to {PLAN_STEPS_MAX} steps, not {steps}")
        self.name, self.plan_tokens = encoding.name, encoding.plan_tokens
        self._encoding = encoding
        self._steps = steps

    def instructions(self) -> str:
        """Return the encoding's instructions."""
        return self._encoding.instructions()

    def closing(self, count: int) -> str:
        """Return the encoding's closing line."""
        return self._encoding.closing(count)

    def schema(self, offers: Offers) -> Mapping[str, Any] | None:
        """Return the encoding's schema with this number of steps in every plan."""
        schema = self._encoding.schema(offers)
        if schema is None:
            return None
        plans = {name: self._pinned(part) for name, part in schema["$defs"].items() if name.startswith("plan")}
        return {**schema, "$defs": {**schema["$defs"], **plans}}

    def _pinned(self, plan: dict[str, Any]) -> dict[str, Any]:
        if plan["type"] == "object":
            return {**plan, "properties": {"steps": self._pinned(plan["properties"]["steps"])}}
        return {**plan, "minItems": self._steps, "maxItems": self._steps}

    def grammar(self, offers: Offers) -> str | None:
        """Return the encoding's grammar with this number of steps in every plan."""
        grammar = self._encoding.grammar(offers)
        return None if grammar is None else _REPEATED.sub(f"{{{self._steps - 1}}}", grammar)

    def scanner(self, slots: Mapping[str, int]) -> ReplyScanner:
        """Return the encoding's scanner."""
        return self._encoding.scanner(slots)

    def raw_steps(self, text: str) -> list[Any]:
        """Decode as the encoding does.

        Raises:
            ParseError: the text is not a plan.
        """
        return self._encoding.raw_steps(text)

    def write(self, steps: Sequence[Action], registry: ToolRegistry) -> str:
        """Write as the encoding does."""
        return self._encoding.write(steps, registry)

    def frame(self, texts: Mapping[str, str]) -> str:
        """Frame as the encoding does."""
        return self._encoding.frame(texts)
