"""The interpretation of decoded steps by a registry; every encoding uses it.

A decoded step is an object with named arguments, `{"act": "MoveTo", "x": 3, "y": 4}`, or a list with the same in the
order of the registry, `["MoveTo", 3, 4]`. In a list, null stands for an argument that is not given, and trailing ones
may be left out. A list has the fields of a nested object one after another, and whole lists and records at its end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ai.actions import STEPS_MAX, Action, ToolRegistry, ToolSpec, nested
from ai.errors import ParseError


def parse_steps(data: Sequence[object], registry: ToolRegistry) -> tuple[Action, ...]:
    """Return decoded steps as a plan.

    Raises:
        ParseError: there are no steps or too many, or the registry refuses one; the message has its number.
    """
    if not data:
        raise ParseError("the plan has no steps")
    if len(data) > STEPS_MAX:
        raise ParseError(f"the plan has {len(data)} steps; at most {STEPS_MAX} are allowed")
    steps = []
    for number, step in enumerate(data, 1):
        try:
            steps.append(registry.parse_step(_named(step, registry) if isinstance(step, list) else step))
        except ParseError as error:
            raise ParseError(f"step {number}: {error}") from None
    return tuple(steps)


def argument_names(spec: ToolSpec) -> tuple[str, ...]:
    """Return the dotted names of a verb's arguments in the order in which a list of values gives them."""
    return (*(arg.name for arg in spec.args), *(field.name for field in spec.payload))


def _named(values: list[Any], registry: ToolRegistry) -> dict[str, Any]:
    """Return a list of values in the order of the registry as an object with names."""
    act = values[0] if values else None
    if not isinstance(act, str) or act not in registry:
        return {"act": act}  # the registry reports the error in the verb
    names = argument_names(registry.spec(act))
    if len(values) > len(names) + 1:
        raise ParseError(f"{act} takes at most {len(names)} arguments, not {len(values) - 1}")
    given = {name: value for name, value in zip(names, values[1:], strict=False) if value is not None}
    return nested({"act": act, **given})
