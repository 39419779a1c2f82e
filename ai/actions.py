"""Action kinds and the one registry behind prompt, parser, validation and executor.

An action kind is a subclass of `ActionStep`: a frozen pydantic model whose fields are what a planner writes. Its
docstring is the sentence the prompt shows. A `ToolRegistry` holds kinds in name order and is the only place that knows
how a step is parsed, checked, described and turned into integers:

    (kind, a0, a1, a2, a3)      kind: position in the registry, int16; arguments: int32, `NONE` where not given

Names of weapons, items and abilities are text in a step and an index into a sorted table as an integer; a registry
knows them once `with_names` has bound it. Lists and records (`Payload` fields) are kept whole, as canonical bytes: the
first free argument is then the index under which a plan's owner has stored them.

Quantisation on entry: seconds are rounded to whole milliseconds and distances to whole cells, halves away from zero;
coordinates and ids must be whole numbers. Booleans, NaN and infinities are refused everywhere.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, Final, Literal, Union, get_args, get_origin

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from ai.errors import ContractError, ParseError

ARGS_MAX: Final = 4
"""Integer arguments that one step may carry."""
STEPS_MAX: Final = 8
"""Steps that one plan may carry."""
NONE: Final = -(2**31)
"""The stored value of an argument that was not given."""
CELLS_MAX: Final = 4096
"""Cells along one side of the largest map."""
KEY_MAX: Final = 2**31 - 1
"""Largest agent key that a step can name."""
SENTENCE_CHARS_MAX: Final = 120
"""Longest sentence a kind may show in a prompt, characters."""
NAMES_MAX: Final = 256
"""Names that one table (weapons, items, abilities) may hold."""
NAME_CHARS_MAX: Final = 64
"""Longest name of a weapon, an item or an ability, characters."""
PAYLOAD_BYTES_MAX: Final = 4096
"""Canonical bytes of lists and records that one step may carry."""

COMMON_KINDS: Final = (
    "MoveTo",
    "ThrowSmoke",
    "ThrowExplosive",
    "AoEAttack",
    "TakeCover",
    "Attack",
    "Approach",
    "Retreat",
    "MarkTarget",
    "Distract",
    "Reload",
    "Scan",
    "Wait",
    "Block",
    "Heal",
)
"""The fifteen verbs of the simplified tier (AstraWeave, `fallback_system.rs`); a registry offers those it has."""


class Role(IntEnum):
    """What an integer argument means, and so how it is checked against what the agent knows."""

    NUMBER = 0
    CELL_X = 1
    CELL_Y = 2
    ENEMY = 3
    ALLY = 4
    CHOICE = 5
    WEAPON = 6
    ITEM = 7
    ABILITY = 8
    OBJECT = 9
    PAYLOAD = 10


NAME_ROLES: Final = (Role.WEAPON, Role.ITEM, Role.ABILITY)
"""Roles whose integers are positions in a table of names."""
TARGET_ROLES: Final = (Role.ENEMY, Role.ALLY, Role.OBJECT)
"""Roles whose integers are ids that the agent must know."""


@dataclass(frozen=True, slots=True)
class Arg:
    """Marks a field as one stored integer: its role, its range in stored units, and stored units per written unit."""

    role: Role
    low: int
    high: int
    scale: int = 1


@dataclass(frozen=True, slots=True)
class Payload:
    """Marks a field that is kept whole: a list or a record of marked types, bounded texts and choices."""


def _number(value: object) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("must be a number")  # noqa: TRY004 - pydantic reports ValueError as invalid
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("must be finite")
    return value


def _whole(value: object) -> int:
    number = _number(value)
    if isinstance(number, float) and not number.is_integer():
        raise ValueError("must be a whole number")
    return int(number)


def _round_half_away(value: float) -> int:
    return int(math.copysign(math.floor(abs(value) + 0.5), value))


def _cells(value: object) -> int:
    number = _number(value)
    if abs(number) > CELLS_MAX:
        raise ValueError(f"must be at most {CELLS_MAX} cells")
    return _round_half_away(number)


def _seconds(value: object) -> float:
    number = _number(value)
    if abs(number) > SECONDS_MAX:
        raise ValueError(f"must be at most {SECONDS_MAX} seconds")
    return _round_half_away(number * 1000) / 1000


def _share(value: object) -> float:
    number = _number(value)
    if not 0 <= number <= 1:
        raise ValueError("must be from 0 to 1")
    return _round_half_away(number * 1000) / 1000


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("must be a text")  # noqa: TRY004 - pydantic reports ValueError as invalid
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("must be sound Unicode") from None
    return value


SECONDS_MAX: Final = 600
"""Longest duration a step may ask for."""

CellX = Annotated[int, BeforeValidator(_whole), Field(ge=0, le=CELLS_MAX - 1), Arg(Role.CELL_X, 0, CELLS_MAX - 1)]
CellY = Annotated[int, BeforeValidator(_whole), Field(ge=0, le=CELLS_MAX - 1), Arg(Role.CELL_Y, 0, CELLS_MAX - 1)]
EnemyId = Annotated[int, BeforeValidator(_whole), Field(ge=0, le=KEY_MAX), Arg(Role.ENEMY, 0, KEY_MAX)]
AllyId = Annotated[int, BeforeValidator(_whole), Field(ge=0, le=KEY_MAX), Arg(Role.ALLY, 0, KEY_MAX)]
Distance = Annotated[int, BeforeValidator(_cells), Field(ge=1, le=64), Arg(Role.NUMBER, 1, 64)]
"""Whole cells, 1 to 64."""
Seconds = Annotated[
    float, BeforeValidator(_seconds), Field(ge=0.1, le=SECONDS_MAX), Arg(Role.NUMBER, 100, SECONDS_MAX * 1000, 1000)
]
"""Seconds, kept to the millisecond; stored as milliseconds."""
BriefSeconds = Annotated[float, BeforeValidator(_seconds), Field(ge=0.1, le=10), Arg(Role.NUMBER, 100, 10_000, 1000)]
"""At most ten seconds, kept to the millisecond; stored as milliseconds."""
Radius = Annotated[int, BeforeValidator(_cells), Field(ge=1, le=4), Arg(Role.NUMBER, 1, 4)]
"""Whole cells, 1 to 4."""
Count = Annotated[int, BeforeValidator(_whole), Field(ge=1, le=100), Arg(Role.NUMBER, 1, 100)]
"""A number of agents, 1 to 100."""
Slot = Annotated[int, BeforeValidator(_whole), Field(ge=0, le=3), Arg(Role.NUMBER, 0, 3)]
"""The slot of a weapon, 0 to 3."""
Share = Annotated[float, BeforeValidator(_share), Field(ge=0, le=1), Arg(Role.NUMBER, 0, 1000, 1000)]
"""A share from 0 to 1, kept to the per-mille; stored as per-mille."""
Text = Annotated[str, BeforeValidator(_text)]
"""A text of a payload; give it a `max_length`."""
_Named = Annotated[str, BeforeValidator(_text), Field(min_length=1, max_length=NAME_CHARS_MAX)]
WeaponName = Annotated[_Named, Arg(Role.WEAPON, 0, NAMES_MAX - 1)]
ItemName = Annotated[_Named, Arg(Role.ITEM, 0, NAMES_MAX - 1)]
AbilityName = Annotated[_Named, Arg(Role.ABILITY, 0, NAMES_MAX - 1)]
ObjectId = Annotated[int, BeforeValidator(_whole), Field(ge=0, le=KEY_MAX), Arg(Role.OBJECT, 0, KEY_MAX)]


class Cell(BaseModel):
    """One cell of the map."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    x: CellX
    y: CellY


class ActionStep(BaseModel):
    """One step of a plan; subclass it once for each action kind.

    A subclass declares `act: Literal["Name"] = "Name"` first, then its fields, and a one-sentence docstring.
    Class variables: `category` groups the kind in prompts, `cooldown_s` is the time before it works again,
    `cost` is what it uses up, in words. For planners that think in preconditions and effects (`ai.facts`): what it
    `needs` and `gives`, its `effort`, and the values that they give it where there is no better one (`usual`).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    category: ClassVar[str] = "utility"
    cooldown_s: ClassVar[float] = 0.0
    cost: ClassVar[str] = ""
    needs: ClassVar[tuple[str, ...]] = ()
    gives: ClassVar[tuple[str, ...]] = ()
    effort: ClassVar[int] = 10
    usual: ClassVar[Mapping[str, float]] = {}

    act: str

    def __str__(self) -> str:
        """Show the step as `Name(field=value, ...)`."""
        fields = self.model_dump(mode="json", exclude={"act"}, exclude_none=True)
        return f"{self.act}({', '.join(f'{name}={value}' for name, value in fields.items())})"


class Scan(ActionStep):
    """Look around for a moment."""

    gives: ClassVar[tuple[str, ...]] = ("informed",)
    usual: ClassVar[Mapping[str, float]] = {"radius": 10}

    act: Literal["Scan"] = "Scan"
    radius: Distance = 10


class Wait(ActionStep):
    """Stay where you are for some seconds."""

    act: Literal["Wait"] = "Wait"
    duration: Seconds = 1.0


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


@dataclass(frozen=True, slots=True)
class EncodedStep:
    """A step as integers: registry code and four int32 arguments, `NONE` where not given.

    `payload` holds the canonical bytes of lists and records; their index is 0 until someone has stored them.
    """

    kind: int
    args: tuple[int, int, int, int]
    payload: bytes = b""


class ToolRegistry:
    """Holds action kinds in name order and answers every question about them.

    `Scan` and `Wait` are always encodable: the emergency tier needs them. Other kinds come from the caller; a kind of
    the same name as a built-in one replaces it. `names` gives the tables that names in steps are looked up in; a kind
    that needs a name of an empty table has its code and is not offered.

    Raises:
        ContractError: a kind is malformed, two kinds share a name, or a table of names is.
    """

    def __init__(
        self,
        kinds: Iterable[type[ActionStep]] = (),
        *,
        offered: Iterable[str] | None = None,
        names: Mapping[Role, Iterable[str]] | None = None,
    ) -> None:
        self._tables = _name_tables(names or {})
        by_name: dict[str, ToolSpec] = {}
        for kind in kinds:
            spec = _spec_of(kind)
            if spec.name in by_name:
                raise ContractError(f"two action kinds are named {spec.name!r}: {by_name[spec.name].kind} and {kind}")
            by_name[spec.name] = spec
        for builtin in (Scan, Wait):
            by_name.setdefault(builtin.__name__, _spec_of(builtin))
        self._specs: tuple[ToolSpec, ...] = tuple(_bound(by_name[name], self._tables) for name in sorted(by_name))
        self._codes = {spec.name: code for code, spec in enumerate(self._specs)}
        wanted = set(self._codes) if offered is None else set(offered)
        unknown = sorted(wanted - set(self._codes))
        if unknown:
            raise ContractError(f"unknown action kinds {unknown}; known: {sorted(self._codes)}")
        self._wanted = frozenset(wanted)
        self._offered = tuple(spec.name for spec in self._specs if spec.name in wanted and not _nameless(spec))
        self._build_tables()

    def _build_tables(self) -> None:
        count = len(self._specs)
        self.roles: NDArray[np.int8] = np.zeros((count, ARGS_MAX), np.int8)
        self.lows: NDArray[np.int32] = np.full((count, ARGS_MAX), NONE, np.int32)
        self.highs: NDArray[np.int32] = np.full((count, ARGS_MAX), NONE, np.int32)
        self.required: NDArray[np.bool_] = np.zeros((count, ARGS_MAX), np.bool_)
        self.offered_codes: NDArray[np.bool_] = np.zeros(count, np.bool_)
        self.payload_codes: NDArray[np.bool_] = np.array([bool(spec.payload) for spec in self._specs], np.bool_)
        for code, spec in enumerate(self._specs):
            self.offered_codes[code] = spec.name in self._offered
            for position, arg in enumerate(spec.args):
                self.roles[code, position] = arg.role
                self.lows[code, position] = arg.low
                self.highs[code, position] = arg.high
                self.required[code, position] = arg.required
            if spec.payload:
                place = spec.payload_place
                self.roles[code, place], self.required[code, place] = Role.PAYLOAD, True
                self.lows[code, place], self.highs[code, place] = 0, KEY_MAX
        # Subtraction in unsigned integers wraps, so that one comparison covers both ends of a range.
        self.floors: NDArray[np.uint32] = self.lows.T.copy().view(np.uint32)
        self.spans: NDArray[np.uint32] = self.highs.T.copy().view(np.uint32) - self.floors

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the kinds that planners may use, sorted."""
        return self._offered

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        """The specs of every encodable kind, in code order."""
        return self._specs

    def __contains__(self, name: object) -> bool:
        return name in self._offered

    def __iter__(self) -> Iterator[ToolSpec]:
        return (self._specs[self._codes[name]] for name in self._offered)

    def __len__(self) -> int:
        return len(self._offered)

    def offering(self, names: Iterable[str]) -> ToolRegistry:
        """Return a registry with the same codes that offers only those of `names` this one offers.

        Codes stay the same, so plans made with either are written to a world without translation.
        """
        wanted = set(names)
        kinds = (spec.kind for spec in self._specs)
        return ToolRegistry(kinds, offered=[n for n in self._offered if n in wanted], names=self._tables)

    def with_names(self, names: Mapping[Role, Iterable[str]]) -> ToolRegistry:
        """Return a registry with the same kinds and codes that looks names of steps up in these tables.

        Raises:
            ContractError: a table has too many names, or the role is not one of names.
        """
        return ToolRegistry((spec.kind for spec in self._specs), offered=self._wanted, names=names)

    def code(self, name: str) -> int:
        """Return the integer code of a kind.

        Raises:
            ContractError: no such kind.
        """
        code = self._codes.get(name)
        if code is None:
            raise ContractError(f"unknown action kind {name!r}; known: {', '.join(self._codes)}")
        return code

    def spec(self, kind: str | int) -> ToolSpec:
        """Return the spec of a kind by name or code.

        Raises:
            ContractError: no such kind.
        """
        code = self.code(kind) if isinstance(kind, str) else kind
        if not 0 <= code < len(self._specs):
            raise ContractError(f"no action kind has code {code}; codes run from 0 to {len(self._specs) - 1}")
        return self._specs[code]

    @property
    def digest(self) -> str:
        """Sixteen hex digits that change whenever a kind, a field, a range or the offer changes."""
        shape = [
            [
                s.name,
                s.cooldown_s,
                [[a.name, int(a.role), a.low, a.high, a.scale, a.required, a.choices] for a in s.args],
                *([str(s.payload)] if s.payload else []),
            ]
            for s in self._specs
        ]
        text = json.dumps([shape, self._offered], separators=(",", ":"))
        return hashlib.blake2b(text.encode(), digest_size=8, person=b"tickweave-tools").hexdigest()

    # -- parsing ---------------------------------------------------------------------------------------------------

    def parse_step(self, data: object) -> ActionStep:
        """Turn one decoded JSON object into a step.

        Raises:
            ParseError: not an object, not an offered verb, or wrong arguments; the message names the field.
        """
        if not isinstance(data, Mapping):
            raise ParseError(f"a step must be an object, not {type(data).__name__}")
        act = data.get("act")
        if not isinstance(act, str) or act not in self._offered:
            raise ParseError(f"unknown verb {str(act)[:40]!r}; allowed: {', '.join(self._offered)}")
        spec = self._specs[self._codes[act]]
        try:
            step = spec.kind.model_validate(dict(data))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            # A reply may name a field with half a surrogate pair, which no file or terminal takes.
            place = ".".join(str(part) for part in first["loc"]).encode("ascii", "backslashreplace").decode() or "step"
            raise ParseError(f"{act}.{place[:60]}: {first['msg'][:120]}") from None
        problem = _unknown_name(spec, step)
        if problem is None and len(_payload_of(spec, step)) > PAYLOAD_BYTES_MAX:
            problem = f"its lists and records take more than {PAYLOAD_BYTES_MAX} bytes"
        if problem is not None:
            raise ParseError(f"{act}: {problem}")
        return step

    def make(self, name: str, /, **fields: object) -> ActionStep:
        """Build a step by kind name; for planners that hold no step classes.

        Raises:
            ContractError: unknown kind, fields the kind does not take, or a name that no table has.
        """
        spec = self.spec(name)
        try:
            step = spec.kind.model_validate({"act": name, **fields})
        except ValidationError as error:
            raise ContractError(f"{name} cannot be made from {fields}: {error.errors()[0]['msg']}") from None
        problem = _unknown_name(spec, step)
        if problem is not None:
            raise ContractError(f"{name} cannot be made from {fields}: {problem}")
        return step

    # -- integers --------------------------------------------------------------------------------------------------

    def encode(self, step: ActionStep) -> EncodedStep:
        """Return a step as integers.

        Raises:
            ContractError: the kind is not in this registry, a name is in no table, or its payload is too large.
        """
        spec = self.spec(step.act)
        problem = _unknown_name(spec, step)
        if problem is not None:
            raise ContractError(f"{spec.name}: {problem}")
        values = [NONE] * ARGS_MAX
        for position, arg in enumerate(spec.args):
            value: Any = step
            for part in arg.name.split("."):
                value = None if value is None else getattr(value, part)
            if value is None:
                continue
            values[position] = arg.choices.index(str(value)) if arg.choices else _round_half_away(value * arg.scale)
        payload = _payload_of(spec, step)
        if spec.payload:
            values[spec.payload_place] = 0
        if len(payload) > PAYLOAD_BYTES_MAX:
            raise ContractError(f"{spec.name}: lists and records of {len(payload)} bytes; {PAYLOAD_BYTES_MAX} are kept")
        return EncodedStep(self._codes[spec.name], (values[0], values[1], values[2], values[3]), payload)

    def decode(self, kind: int, args: Sequence[int], payload: bytes = b"") -> ActionStep:
        """Return the step that `encode` made these integers, and this payload, from.

        Raises:
            ContractError: no such code, or arguments or a payload that no step of that kind has.
        """
        spec = self.spec(kind)
        fields: dict[str, Any] = {}
        if spec.payload:
            try:
                fields = dict(json.loads(payload))
            except (ValueError, TypeError, RecursionError) as error:
                raise ContractError(f"{spec.name}: its payload is no JSON object: {error}") from None
        for arg, stored in zip(spec.args, args, strict=False):
            if stored == NONE:
                continue
            if arg.choices and not 0 <= stored < len(arg.choices):
                raise ContractError(f"{spec.name}.{arg.name}: {stored} is no position among {len(arg.choices)} choices")
            value: Any = arg.choices[int(stored)] if arg.choices else int(stored)
            if arg.scale != 1:
                value = int(stored) / arg.scale
            owner = fields
            *path, last = arg.name.split(".")
            for part in path:
                owner = owner.setdefault(part, {})
            owner[last] = value
        return self.make(spec.name, **fields)

    # -- description -----------------------------------------------------------------------------------------------

    def step_schema(self, name: str, *, width: int = CELLS_MAX, height: int = CELLS_MAX,
                    targets: Mapping[Role, Sequence[int]] | None = None) -> dict[str, Any]:  # fmt: skip
        """Return the JSON schema of one kind in the portable subset that servers enforce.

        Targets become an enum of the ids given for their role (any id where none is given), coordinates get the map's
        range. Every property is required; optional ones may be null.
        """
        spec = self.spec(name)
        known = targets or {}
        properties: dict[str, Any] = {"act": {"type": "string", "enum": [spec.name]}}
        for arg in spec.args:
            target = properties
            *path, last = arg.name.split(".")
            for part in path:
                nested = target.setdefault(part, {"type": "object", "properties": {}, "required": []})
                nested["additionalProperties"] = False
                nested["required"].append(last)
                target = nested["properties"]
            target[last] = _arg_schema(arg, width=width, height=height, targets=known)
        for owner in {arg.name.split(".")[0]: None for arg in spec.args if "." in arg.name and not arg.required}:
            properties[owner] = {"anyOf": [properties[owner], {"type": "null"}]}
        for field in spec.payload:
            properties[field.name] = _field_schema(field, width=width, height=height)
        return _object_schema(properties)


def cells_in(value: object) -> Iterator[Cell]:
    """Yield every cell inside a step or a value of one, however deep."""
    if isinstance(value, Cell):
        yield value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from cells_in(getattr(value, name))
    elif isinstance(value, tuple):
        for item in value:
            yield from cells_in(item)


def _object_schema(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _field_schema(field: PayloadField, *, width: int, height: int) -> dict[str, Any]:
    schema = _shape_schema(field.shape, width=width, height=height)
    return schema if field.required else {"anyOf": [schema, {"type": "null"}]}


def _shape_schema(shape: Shape, *, width: int, height: int) -> dict[str, Any]:
    match shape:
        case TextShape():
            return {"type": "string", "maxLength": shape.chars_max}
        case ListShape():
            item = _shape_schema(shape.item, width=width, height=height)
            return {"type": "array", "items": item, "minItems": shape.low, "maxItems": shape.high}
        case RecordShape():
            return _object_schema({f.name: _field_schema(f, width=width, height=height) for f in shape.fields})
        case ArgSpec():
            return _arg_schema(shape, width=width, height=height, targets={})


def _arg_schema(arg: ArgSpec, *, width: int, height: int, targets: Mapping[Role, Sequence[int]]) -> dict[str, Any]:
    schema: dict[str, Any]
    if arg.choices:
        schema = {"type": "string", "enum": list(arg.choices)}
    elif arg.role is Role.CELL_X or arg.role is Role.CELL_Y:
        schema = {"type": "integer", "minimum": 0, "maximum": (width if arg.role is Role.CELL_X else height) - 1}
    elif arg.role in TARGET_ROLES:
        known = targets.get(arg.role, ())
        schema = (
            {"type": "integer", "enum": [int(key) for key in known]} if known else {"type": "integer", "minimum": 0}
        )
    elif arg.scale == 1:
        schema = {"type": "integer", "minimum": arg.low, "maximum": arg.high}
    else:
        schema = {"type": "number", "minimum": arg.low / arg.scale, "maximum": arg.high / arg.scale}
    return schema if arg.required or "." in arg.name else {"anyOf": [schema, {"type": "null"}]}


def _spec_of(kind: type[ActionStep]) -> ToolSpec:
    """Read a kind's declaration; every defect is a `ContractError` that names the class."""
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


def _payload_of(spec: ToolSpec, step: ActionStep) -> bytes:
    """Return the canonical bytes of a step's lists and records, none if its kind has none."""
    if not spec.payload:
        return b""
    content = step.model_dump(mode="json", include={field.name for field in spec.payload})
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _name_tables(names: Mapping[Role, Iterable[str]]) -> dict[Role, tuple[str, ...]]:
    tables = {role: tuple(sorted(set(table))) for role, table in names.items()}
    for role, table in tables.items():
        if role not in NAME_ROLES:
            raise ContractError(f"{role!r} is not a role of names: {', '.join(r.name for r in NAME_ROLES)}")
        if len(table) > NAMES_MAX:
            raise ContractError(f"{len(table)} names of {role.name.lower()}s; at most {NAMES_MAX} fit")
    return tables


def _bound(spec: ToolSpec, tables: Mapping[Role, tuple[str, ...]]) -> ToolSpec:
    """Return a spec whose arguments of names are choices from the tables."""
    if not spec.roles & set(NAME_ROLES):
        return spec
    args = [
        replace(arg, choices=tables.get(arg.role, ()), high=max(len(tables.get(arg.role, ())) - 1, 0))
        if arg.role in NAME_ROLES
        else arg
        for arg in spec.args
    ]
    return replace(spec, args=tuple(args))


def _nameless(spec: ToolSpec) -> bool:
    return any(arg.role in NAME_ROLES and not arg.choices for arg in spec.args)


def _unknown_name(spec: ToolSpec, step: ActionStep) -> str | None:
    """Say which name of a step is in no table, None if there is none."""
    for arg in spec.args:
        if arg.role in NAME_ROLES:
            value = getattr(step, arg.name)
            if value is not None and value not in arg.choices:
                known = ", ".join(arg.choices) or "none"
                return f"{arg.name}: no {arg.role.name.lower()} is named {value!a}; known: {known}"
    return None


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
