"""Encodings that hold a reply to plans of exactly so many steps, so that all ways are compared over equal plans.

Left to itself, a model writes longer plans in one encoding than in another, and whoever writes less is faster.
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
    """Another encoding, but for the number of steps that its schema or grammar allows.

    Raises:
        ContractError: the number is not one that a plan may have.
    """

    def __init__(self, encoding: Encoding, steps: int) -> None:
        if not 1 <= steps <= PLAN_STEPS_MAX:
            raise ContractError(f"a plan has 1 to {PLAN_STEPS_MAX} steps, not {steps}")
        self.name, self.plan_tokens = encoding.name, encoding.plan_tokens
        self._encoding = encoding
        self._steps = steps

    def instructions(self) -> str:
        """Return what the encoding does."""
        return self._encoding.instructions()

    def closing(self, count: int) -> str:
        """Return what the encoding does."""
        return self._encoding.closing(count)

    def schema(self, offers: Offers) -> Mapping[str, Any] | None:
        """Return the encoding's schema with as many steps in every plan."""
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
        """Return the encoding's grammar with as many steps in every plan."""
        grammar = self._encoding.grammar(offers)
        return None if grammar is None else _REPEATED.sub(f"{{{self._steps - 1}}}", grammar)

    def scanner(self, slots: Mapping[str, int]) -> ReplyScanner:
        """Return the encoding's scanner."""
        return self._encoding.scanner(slots)

    def raw_steps(self, text: str) -> list[Any]:
        """Return what the encoding does.

        Raises:
            ParseError: it is not a plan.
        """
        return self._encoding.raw_steps(text)

    def write(self, steps: Sequence[Action], registry: ToolRegistry) -> str:
        """Return what the encoding does."""
        return self._encoding.write(steps, registry)

    def frame(self, texts: Mapping[str, str]) -> str:
        """Return what the encoding does."""
        return self._encoding.frame(texts)
