"""Specs: what a registry knows about a kind, read once from the declaration of its class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from ai.actions.fields import Arg, Payload, Role
from ai.actions.step import ActionStep
from ai.errors import ContractError

ARGS_MAX: Final = 4
"""Integer arguments that one step may carry."""
SENTENCE_CHARS_MAX: Final = 120
"""Longest sentence a kind may show in a prompt, characters."""


@dataclass(frozen=True, slots=True)
class ArgSpec:
    """One stored argument of a kind: dotted field name, role, range in stored units, scale, and named choices."""

    name: str
    role: Role
    low: int
    high: int
    scale: int
    required: bool
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TextShape:
    """A text of a payload, of at most so many characters."""

    chars_max: int


@dataclass(frozen=True, slots=True)
class ListShape:
    """A list of a payload: the shape of its entries, and how many there may be."""

    item: Shape
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class RecordShape:
    """A record of a payload."""

    fields: tuple[PayloadField, ...]


Shape = ArgSpec | TextShape | ListShape | RecordShape
"""What a value inside a payload looks like; an `ArgSpec` stands for one number, cell coordinate or choice."""


@dataclass(frozen=True, slots=True)
class PayloadField:
    """One named value of a payload."""

    name: str
    shape: Shape
    required: bool


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """What a registry knows about one kind; `sentence` is what a prompt says about it.

    `args` are its stored integers; `payload` its fields that are kept whole, whose index follows the arguments.
    """

    name: str
    category: str
    sentence: str
    cooldown_s: float
    cost: str
    args: tuple[ArgSpec, ...]
    kind: type[ActionStep]
    payload: tuple[PayloadField, ...] = ()

    @property
    def payload_place(self) -> int:
        """The argument that holds the index of the payload, if the kind has one."""
        return len(self.args)

    @property
    def roles(self) -> frozenset[Role]:
        """The roles of its arguments."""
        return frozenset(arg.role for arg in self.args)


@cache
def spec_of(kind: type[ActionStep]) -> ToolSpec:
    """Read a kind's declaration, once: every registry asks for every kind.

    Raises:
        ContractError: it has a defect; the message names the class.
    """
    where = f"action kind {kind.__module__}.{kind.__qualname__}"
    act = kind.model_fields.get("act")
    name = act.default if act is not None else None
    if not isinstance(name, str) or get_args(act.annotation if act else None) != (name,):
        raise ContractError(f'{where} must declare `act: Literal["Name"] = "Name"`')
    sentence = " ".join((kind.__doc__ or "").strip().split("\n\n")[0].split())
    if not sentence or len(sentence) > SENTENCE_CHARS_MAX:
        raise ContractError(f"{where} needs a docstring whose first paragraph has 1 to {SENTENCE_CHARS_MAX} characters")
    args: list[ArgSpec] = []
    payload: list[PayloadField] = []
    for field_name, info in kind.model_fields.items():
        if field_name == "act":
            continue
        if any(isinstance(marker, Payload) for marker in info.metadata):
            payload.append(_payload_field(where, field_name, info))
        else:
            args += _arg_specs(where, field_name, info.annotation, info.metadata, required=True)
    if payload and not (all(arg.required for arg in args) and all(field.required for field in payload)):
        raise ContractError(f"{where} has lists or records, so no argument of it may be None")
    stored = len(args) + bool(payload)
    if stored > ARGS_MAX:
        raise ContractError(f"{where} has {stored} integer arguments; at most {ARGS_MAX} fit")
    return ToolSpec(name, kind.category, sentence, kind.cooldown_s, kind.cost, tuple(args), kind, tuple(payload))


def _payload_field(where: str, name: str, info: FieldInfo) -> PayloadField:
    optional = get_origin(info.annotation) in (Union, UnionType) and NoneType in get_args(info.annotation)
    return PayloadField(name, _shape(f"{where}.{name}", info.annotation, info.metadata), not optional)


def _shape(where: str, annotation: Any, metadata: Sequence[Any]) -> Shape:
    """Read what a value inside a payload may be."""
    if get_origin(annotation) in (Union, UnionType):
        inner = [part for part in get_args(annotation) if part is not NoneType]
        if len(inner) == 1:
            return _shape(where, inner[0], metadata)
    if get_origin(annotation) is Annotated:
        annotation, *extra = get_args(annotation)
        extra = [part for marker in extra for part in (marker.metadata if isinstance(marker, FieldInfo) else [marker])]
        return _shape(where, annotation, [*metadata, *extra])
    most = next((marker.max_length for marker in metadata if hasattr(marker, "max_length")), None)
    if get_origin(annotation) is tuple and len(get_args(annotation)) == 2 and get_args(annotation)[1] is Ellipsis:
        if most is None:
            raise ContractError(f"{where}: a list of a payload needs a max_length")
        least = next((marker.min_length for marker in metadata if hasattr(marker, "min_length")), 0)
        return ListShape(_shape(where, get_args(annotation)[0], ()), least, most)
    if annotation is str:
        if most is None:
            raise ContractError(f"{where}: a text of a payload needs a max_length")
        return TextShape(most)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        fields = annotation.model_fields.items()
        return RecordShape(tuple(_payload_field(where, name, info) for name, info in fields))
    leaf = _arg_specs(where, "", annotation, metadata, required=True)
    return leaf[0]


def _arg_specs(where: str, name: str, annotation: Any, metadata: Sequence[Any], *, required: bool) -> list[ArgSpec]:
    if get_origin(annotation) in (Union, UnionType):
        inner = [part for part in get_args(annotation) if part is not NoneType]
        if len(inner) == 1 and NoneType in get_args(annotation):
            return _arg_specs(where, name, inner[0], metadata, required=False)
    if get_origin(annotation) is Annotated:
        annotation, *extra = get_args(annotation)
        metadata = [*metadata, *extra]
    for marker in metadata:
        if isinstance(marker, Arg):
            return [ArgSpec(name, marker.role, marker.low, marker.high, marker.scale, required)]
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        choices = tuple(str(member) for member in annotation)
        return [ArgSpec(name, Role.CHOICE, 0, len(choices) - 1, 1, required, choices)]
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        found: list[ArgSpec] = []
        for part, info in annotation.model_fields.items():
            found += _arg_specs(where, f"{name}.{part}", info.annotation, info.metadata, required=required)
        return found
    raise ContractError(f"{where}.{name}: a field must be one of the marked types in ai.actions, a StrEnum or Cell")
