"""The specification of one action, which a registry reads once from the declaration of its class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from ai.actions.action import Action, Record
from ai.actions.arguments import ENTRIES_MAX, WORDS_MAX, Argument, Kind
from ai.errors import ContractError, place_of
from ai.observation import Cell

ARGS_MAX: Final = 4
"""The most integer arguments that one step may have."""
SENTENCE_CHARS_MAX: Final = 120
"""The longest sentence that an action may show in a prompt, characters."""


@dataclass(frozen=True, slots=True)
class ArgSpec:
    """One stored argument: dotted field name, kind, range in stored units, scale, named choices, and its sources.

    `sources` are the sources of a target, the table of a name, or the space of a coordinate. `argument` reads written
    values; it is None for members of an enumeration.
    """

    name: str
    kind: Kind
    low: int
    high: int
    scale: int
    required: bool
    choices: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    argument: Argument | None = None

    def declared(self) -> dict[str, Any]:
        """Return the argument as plain data, for digests and replays."""
        found: dict[str, Any] = {"name": self.name, "kind": self.kind.name.lower(), "low": self.low, "high": self.high}
        found |= {"scale": self.scale, "required": self.required}
        return {**found, "choices": list(self.choices), "sources": list(self.sources)}


@dataclass(frozen=True, slots=True)
class TextShape:
    """A text of a payload, with its least and greatest length in characters."""

    chars_max: int
    chars_min: int = 0

    def declared(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {"kind": "text", "low": self.chars_min, "high": self.chars_max}


@dataclass(frozen=True, slots=True)
class ListShape:
    """A list of a payload: the shape of its entries, and their least and greatest number."""

    item: Shape
    low: int
    high: int

    def declared(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {"kind": "list", "low": self.low, "high": self.high, "of": self.item.declared()}


@dataclass(frozen=True, slots=True)
class RecordShape:
    """A record of a payload."""

    fields: tuple[PayloadField, ...]

    def declared(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {"kind": "record", "fields": [field.declared() for field in self.fields]}


Shape = ArgSpec | TextShape | ListShape | RecordShape
"""The shape of a value inside a payload; an `ArgSpec` stands for one number, id, name, choice or cell."""


@dataclass(frozen=True, slots=True)
class PayloadField:
    """One named value of a payload."""

    name: str
    shape: Shape
    required: bool

    def declared(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {"name": self.name, "of": self.shape.declared(), "required": self.required}


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """The specification of one action; prompts show its `sentence`.

    `args` are its stored integers. `payload` lists the fields that are kept whole; their index follows the arguments.
    """

    name: str
    sentence: str
    args: tuple[ArgSpec, ...]
    action: type[Action]
    payload: tuple[PayloadField, ...] = ()

    @property
    def payload_place(self) -> int:
        """The argument that holds the index of the payload, if the action has one."""
        return len(self.args)

    @property
    def first_tier(self) -> bool:
        """Whether a compact prompt offers the action."""
        return self.action.first_tier

    def declared(self) -> dict[str, Any]:
        """Return the action as plain data for replays, without its wording."""
        return {
            "args": [arg.declared() for arg in self.args],
            "payload": [field.declared() for field in self.payload],
            "reasons": list(self.action.reasons),
            "cooldown_s": self.action.cooldown_s,
        }

    def shapes(self) -> Iterator[ArgSpec]:
        """Yield every argument, including those inside the payload."""
        yield from self.args
        for field in self.payload:
            yield from _inside(field.shape)


def _inside(shape: Shape) -> Iterator[ArgSpec]:
    match shape:
        case ArgSpec():
            yield shape
        case ListShape():
            yield from _inside(shape.item)
        case RecordShape():
            for field in shape.fields:
                yield from _inside(field.shape)


def values_in(spec: ToolSpec, step: Action) -> Iterator[tuple[ArgSpec, Any]]:
    """Yield every argument inside a step's payload with its value; a cell is one value."""
    for field in spec.payload:
        yield from _values(field.shape, getattr(step, field.name))


def _values(shape: Shape, value: Any) -> Iterator[tuple[ArgSpec, Any]]:
    if value is None:
        return
    match shape:
        case ArgSpec():
            yield shape, value
        case ListShape():
            for item in value:
                yield from _values(shape.item, item)
        case RecordShape():
            for field in shape.fields:
                yield from _values(field.shape, getattr(value, field.name))


@cache
def spec_of(action: type[Action]) -> ToolSpec:
    """Read an action's declaration; the result is cached, because every registry reads every action.

    Raises:
        ContractError: the declaration is wrong; the message names the class and its place.
    """
    try:
        return _read(action)
    except ContractError as error:
        raise ContractError(f"action {action.__name__} ({place_of(action)}){error}") from None


def _read(action: type[Action]) -> ToolSpec:
    """Read a declaration; error messages continue the name of the action."""
    sentence = " ".join((action.__doc__ or "").strip().split("\n\n")[0].split())
    if not sentence or len(sentence) > SENTENCE_CHARS_MAX:
        raise ContractError(f" needs a docstring whose first paragraph has 1 to {SENTENCE_CHARS_MAX} characters")
    for member, kind in (("first_tier", bool), ("keep", int)):
        given = getattr(action, member)
        if type(given) is not kind:
            raise ContractError(f".{member} is {given!r}; give {'True or False' if kind is bool else 'a whole number'}")
    args: list[ArgSpec] = []
    payload: list[PayloadField] = []
    for name, info in action.model_fields.items():
        if name == "act":
            continue
        shape, required = _shape(f": {name}", name, info.annotation, info.metadata)
        _check_default(f": {name}", info, required=required)
        if isinstance(shape, ArgSpec):
            args += _stored(shape)
        else:
            payload.append(PayloadField(name, shape, required))
    if payload and not (all(arg.required for arg in args) and all(field.required for field in payload)):
        raise ContractError(" has texts, lists or records, so no argument of it may be None")
    stored = len(args) + bool(payload)
    if stored > ARGS_MAX:
        raise ContractError(f" has {stored} stored arguments; at most {ARGS_MAX} fit")
    return ToolSpec(action.__name__, sentence, tuple(args), action, tuple(payload))


def _check_default(where: str, info: FieldInfo, *, required: bool) -> None:
    """Check that an argument that is left out gets a value that it may have."""
    argument = next((marker for marker in info.metadata if isinstance(marker, Argument)), None)
    if info.is_required() or argument is None or (info.default is None and not required):
        return
    try:
        argument.read(info.default)
    except ValueError as error:
        raise ContractError(f"{where}: the default {info.default!r} {error}") from None


def _stored(arg: ArgSpec) -> list[ArgSpec]:
    """Return the stored arguments of an argument: two for a cell, otherwise one."""
    if arg.kind is not Kind.CELL:
        return [arg]
    axes = (("x", Kind.CELL_X), ("y", Kind.CELL_Y))
    return [replace(arg, name=f"{arg.name}.{axis}", kind=kind) for axis, kind in axes]


def _shape(where: str, name: str, annotation: Any, metadata: Sequence[Any]) -> tuple[Shape, bool]:
    """Return the shape of a field's value, and whether the field is required."""
    metadata = list(metadata)
    required = True
    while get_origin(annotation) in (Union, UnionType, Annotated):
        inner = [part for part in get_args(annotation) if part is not NoneType]
        if get_origin(annotation) is Annotated:
            metadata += inner[1:]
        elif len(inner) == 1:
            required = False
        else:
            raise ContractError(f"{where}: a field has one type, or one and None")
        annotation = inner[0]
    argument = next((marker for marker in metadata if isinstance(marker, Argument)), None)
    if argument is None:
        return _without_argument(where, name, annotation, required=required), required
    wanted = _TYPES.get(argument.kind, ())
    if argument.kind is not Kind.LIST and annotation not in wanted:
        shown = " or ".join(kind.__name__ for kind in wanted)
        raise ContractError(
            f"{where}: this argument is written as {shown}, not {getattr(annotation, '__name__', annotation)}"
        )
    if argument.kind is Kind.NUMBER and argument.scale != 1 and annotation is not float:
        raise ContractError(f"{where}: a number with a scale is a float")
    match argument.kind:
        case Kind.TEXT:
            if argument.high > WORDS_MAX:
                raise ContractError(f"{where}: a text has at most {WORDS_MAX} characters, not {argument.high}")
            return TextShape(argument.high, argument.low), required
        case Kind.LIST:
            return _list(where, name, annotation, argument), required
    if not argument.sources and argument.kind is Kind.TARGET:
        raise ContractError(f'{where}: known() must say where the ids come from: known("people")')
    bounds = (0, 0) if argument.kind is Kind.NAME else (argument.low, argument.high)
    spec = ArgSpec(name, argument.kind, *bounds, argument.scale, required, (), argument.sources, argument)
    return spec, required


_TYPES: Final[dict[Kind, tuple[type, ...]]] = {
    Kind.NUMBER: (int, float),
    Kind.TARGET: (int,),
    Kind.NAME: (str,),
    Kind.CELL: (Cell,),
    Kind.CELL_X: (int,),
    Kind.CELL_Y: (int,),
    Kind.TEXT: (str,),
}


def _without_argument(where: str, name: str, annotation: Any, *, required: bool) -> Shape:
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        choices = tuple(str(member) for member in annotation)
        return ArgSpec(name, Kind.CHOICE, 0, len(choices) - 1, 1, required, choices)
    if isinstance(annotation, type) and issubclass(annotation, Record):
        fields = []
        for part, info in annotation.model_fields.items():
            shape, needed = _shape(f"{where}.{part}", part, info.annotation, info.metadata)
            fields.append(PayloadField(part, shape, needed))
        return RecordShape(tuple(fields))
    if isinstance(annotation, type) and issubclass(annotation, BaseModel) and annotation is not Cell:
        raise ContractError(f"{where}: {annotation.__name__} must be a Record, so that its fields have arguments")
    raise ContractError(
        f"{where}: an argument needs number(...), seconds(...), name(...), known(...), on(...), words(...) or "
        f"several(...) on its right, or a StrEnum or Record as its type"
    )


def _list(where: str, name: str, annotation: Any, argument: Argument) -> ListShape:
    inner = get_args(annotation)
    if get_origin(annotation) is not tuple or len(inner) != 2 or inner[1] is not Ellipsis:
        raise ContractError(f"{where}: a list is written tuple[X, ...]")
    if argument.high > ENTRIES_MAX:
        raise ContractError(f"{where}: a list has at most {ENTRIES_MAX} entries, not {argument.high}")
    metadata = [] if argument.item is None else [argument.item]
    item, _ = _shape(f"{where}, an entry", name, inner[0], metadata)
    return ListShape(item, argument.low, argument.high)
