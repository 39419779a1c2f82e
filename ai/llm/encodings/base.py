"""The interface of an output encoding, the form in which a reply writes plans.

An encoding gives the request for plans (instructions, example, JSON schema or grammar), finds each agent's plan in a
reply while it streams (a scanner), and decodes the raw text of one plan. All encodings give the same plans, because
only `ai.llm.parse.steps` interprets decoded steps. The output of an encoding is valid under the schema or grammar that
it sends, and so is the example in the prompt. Every encoding also reads a plan in named JSON: models use it if nothing
enforces the encoding, and scripts are written in it.

To add an encoding, put one file in this folder and name it in `ai.llm.encodings.ENCODINGS`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Final

from ai.actions import Action, ArgSpec, EncodedStep, Kind, ToolRegistry, ToolSpec
from ai.llm.encodings.offers import Offer, Offers
from ai.llm.parse import ReplyScanner, argument_names, parse_steps

PLAN_STEPS_MAX: Final = 4
"""The number of steps that a model is asked for; a plan may have more."""


class Encoding(ABC):
    """A form of writing plans. It has no state; `name` and the prompt's version are recorded with every call."""

    name: str
    plan_tokens: int
    """Reply tokens reserved for one plan."""

    @abstractmethod
    def instructions(self) -> str:
        """Return the sentence of the system message about the form of the reply."""

    @abstractmethod
    def closing(self, count: int) -> str:
        """Return the last line of the user message, which names the slots to answer."""

    def schema(self, offers: Offers) -> Mapping[str, Any] | None:  # noqa: ARG002
        """Return the JSON schema of the reply, or None if there is a grammar. It may be shared: do not change it."""
        return None

    def grammar(self, offers: Offers) -> str | None:  # noqa: ARG002
        """Return the grammar (GBNF) of the reply, or None if there is a schema."""
        return None

    @abstractmethod
    def scanner(self, slots: Mapping[str, int]) -> ReplyScanner:
        """Return a scanner for one reply to these slots."""

    @abstractmethod
    def raw_steps(self, text: str) -> list[Any]:
        """Decode one plan's raw text into steps for `parse_steps`.

        Raises:
            ParseError: the text is not a plan.
        """

    @abstractmethod
    def write(self, steps: Sequence[Action], registry: ToolRegistry) -> str:
        """Return the raw text of one plan, as short as this encoding allows."""

    @abstractmethod
    def frame(self, texts: Mapping[str, str]) -> str:
        """Return a whole reply for raw plan texts by slot."""

    def parse(self, text: str, registry: ToolRegistry) -> tuple[Action, ...]:
        """Return one plan's raw text as steps.

        Raises:
            ParseError: the text is not a plan, or has a step that the registry refuses.
        """
        return parse_steps(self.raw_steps(text), registry)

    def encode(self, text: str, registry: ToolRegistry) -> tuple[EncodedStep, ...]:
        """Return one plan's raw text as integers.

        Raises:
            ParseError: as `parse`.
        """
        return tuple(map(registry.encode, self.parse(text, registry)))


def forms(spec: ToolSpec, offer: Offer) -> list[tuple[bool, ...]]:
    """Return the forms of a list of values: for each argument in the list, whether it is given or null.

    Trailing optional arguments are left out, others are null. A cell is given or not as a whole. A target is not given
    if the agent knows none.
    """
    owners: dict[str, list[ArgSpec]] = {}
    for arg in spec.args:
        owners.setdefault(arg.name.partition(".")[0], []).append(arg)
    found: list[tuple[bool, ...]] = [()]
    whole: list[tuple[bool, ...]] = [()]
    for args in owners.values():
        known = args[0].kind is not Kind.TARGET or offer.targets[args[0].sources]
        given = [(*form, *[True] * len(args)) for form in whole] if known else []
        absent = [] if args[0].required else [(*form, *[False] * len(args)) for form in whole]
        found = given if args[0].required else found + given
        whole = given + absent
    return [(*form, *[True] * len(spec.payload)) for form in found]


def written(step: Action, registry: ToolRegistry) -> list[Any]:
    """Return a step as a list of values in the order of the registry, without trailing ones that are not given."""
    fields = step.model_dump(mode="json")
    values: list[Any] = [step.act]
    for name in argument_names(registry.spec(step.act)):
        value: Any = fields
        for part in name.split("."):
            value = None if value is None else value[part]
        values.append(_plain(value))
    while values[-1] is None:
        values.pop()
    return values


def _plain(value: Any) -> Any:
    """Return a value with whole numbers written as such."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return int(value) if isinstance(value, float) and value.is_integer() else value
