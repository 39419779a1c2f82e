"""The conversion of a step to the integers in a world's columns, and back.

    (kind, a0, a1, a2, a3)      kind: position in the registry, int16; arguments: int32, `NONE` if not given

Texts, lists and records are kept whole, as canonical bytes: the first free argument is then the index under which the
owner of the plan has stored them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from ai.actions.action import Action
from ai.actions.arguments import Pick, round_half_away
from ai.actions.spec import ARGS_MAX, ToolSpec
from ai.errors import ContractError

NONE: Final = -(2**31)
"""The stored value of an argument that was not given."""
PAYLOAD_BYTES_MAX: Final = 4096
"""The most canonical bytes of texts, lists and records that one step may have."""


class EncodedStep(NamedTuple):
    """A step as integers: registry code and four int32 arguments, `NONE` if not given.

    `payload` holds the canonical bytes of texts, lists and records; their index is 0 until they are stored.
    """

    kind: int
    args: tuple[int, int, int, int]
    payload: bytes = b""


def payload_of(spec: ToolSpec, step: Action) -> bytes:
    """Return the canonical bytes of a step's texts, lists and records; empty if it has none."""
    if not spec.payload:
        return b""
    content = step.model_dump(mode="json", include={field.name for field in spec.payload})
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def encode_step(spec: ToolSpec, code: int, step: Action, payload: bytes) -> EncodedStep:
    """Return a step as integers; `code` is the code of its action, and `payload` is the result of `payload_of`.

    Raises:
        ContractError: the step has a pick that is not filled.
    """
    values = [NONE] * ARGS_MAX
    for position, arg in enumerate(spec.args):
        value: Any = step
        for part in arg.name.split("."):
            value = None if value is None else getattr(value, part)
            if isinstance(value, Pick):
                raise ContractError(f"{spec.name}.{arg.name}: {value.text!r} is a pick, and only rules can fill picks")
        if value is None:
            continue
        values[position] = arg.choices.index(str(value)) if arg.choices else round_half_away(value * arg.scale)
    if spec.payload:
        values[spec.payload_place] = 0
    return EncodedStep(code, (values[0], values[1], values[2], values[3]), payload)


def decode_fields(spec: ToolSpec, args: Sequence[int], payload: bytes) -> dict[str, Any]:
    """Return the fields of the step that `encode_step` turned into these integers and this payload.

    Raises:
        ContractError: no step of this action has these arguments or this payload.
    """
    fields: dict[str, Any] = {}
    if spec.payload:
        try:
            fields = dict(json.loads(payload))
        except (ValueError, TypeError, RecursionError) as error:
            raise ContractError(f"{spec.name}: its payload is not a JSON object: {error}") from None
    for arg, stored in zip(spec.args, args, strict=False):
        if stored == NONE:
            continue
        if arg.choices and not 0 <= stored < len(arg.choices):
            raise ContractError(f"{spec.name}.{arg.name}: {stored} is not a position among {len(arg.choices)} choices")
        value: Any = arg.choices[int(stored)] if arg.choices else int(stored)
        if arg.scale != 1:
            value = int(stored) / arg.scale
        owner = fields
        *path, last = arg.name.split(".")
        for part in path:
            owner = owner.setdefault(part, {})
        owner[last] = value
    return fields
