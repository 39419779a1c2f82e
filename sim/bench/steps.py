"""Encodings that restrict a reply to plans with an exact number of steps, so that all ways are compared fairly.

Without this, a model writes longer plans in one encoding than in another, and shorter plans take less time.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from ai.errors import ContractError
from ai.llm.encodings.base import PLAN_STEPS_MAX, Encoding
from ai.llm.encodings.offers import Offers

_REPEATED: Final = re.compile(r"\{0,%d\}$" % (PLAN_STEPS_MAX - 1), re.MULTILINE)  # noqa: UP031 - braces


@cache
def of_steps(encoding: Encoding, steps: int) -> Encoding:
    """Return an encoding like another one, with a fixed number of steps in its schema or grammar.

    Raises:
        ContractError: a plan cannot have this number of steps.
    """
    if not 1 <= steps <= PLAN_STEPS_MAX:
        raise ContractError(f"a plan has 1 to {PLAN_STEPS_MAX} steps, not {steps}")
    kind: Any = type(encoding)

    class OfSteps(kind):  # type: ignore[misc] # the class of an encoding, which has no state
        def schema(self, offers: Offers) -> Mapping[str, Any] | None:
            schema = super().schema(offers)
            if schema is None:
                return None
            plans = {name: _pinned(part, steps) for name, part in schema["$defs"].items() if name.startswith("plan")}
            return {**schema, "$defs": {**schema["$defs"], **plans}}

        def grammar(self, offers: Offers) -> str | None:
            grammar = super().grammar(offers)
            return None if grammar is None else _REPEATED.sub(f"{{{steps - 1}}}", grammar)

    return OfSteps()


def _pinned(plan: dict[str, Any], steps: int) -> dict[str, Any]:
    if plan["type"] == "object":
        return {**plan, "properties": {"steps": _pinned(plan["properties"]["steps"], steps)}}
    return {**plan, "minItems": steps, "maxItems": steps}
