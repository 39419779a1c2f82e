"""The registry: the only place that parses, checks and describes steps and turns them into integers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from ai.actions.action import Action
from ai.actions.arguments import KEY_MAX, NAME_CHARS_MAX, NAMES_MAX, Kind, Pick
from ai.actions.integers import NONE, PAYLOAD_BYTES_MAX, EncodedStep, decode_fields, encode_step, payload_of
from ai.actions.prompt_text import PromptText
from ai.actions.schema import step_schema
from ai.actions.spec import ARGS_MAX, ArgSpec, ToolSpec, spec_of, values_in
from ai.canonical import without_empty
from ai.errors import ContractError, ParseError, place_of


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """The actions that have an argument of one kind and source, `codes [actions] bool`, at position `place`."""

    place: int
    kind: Kind
    sources: tuple[str, ...]
    codes: NDArray[np.bool_]


class ToolRegistry:
    """Holds actions in name order and answers every question about them.

    An action's code is its position. An action that takes a name from an empty or missing table keeps its code but is
    not offered.

    For checks of many steps at once, by code: `lows`, `highs`, `required` are `[actions, ARGS_MAX]`, in stored units
    (`NONE` if an action has no such argument); `floors` and `spans` are the ranges `[ARGS_MAX, actions] uint32`;
    `offered_codes` and `payload_codes` `[actions] bool` mark the actions that are offered and those with a payload;
    `places` are the arguments that are checked against an agent's observation.

    Args:
        actions: the verbs.
        idle: a step that is always possible, for agents that no other planner or rule serves.
        prompt: the domain's part of a prompt.
        tables: the names of each table, in the order of their positions.
        offered: the verbs that planners may use; None for all.

    Raises:
        ContractError: an action or a table is malformed, two actions share a name, or the idle step is not always
            possible.
    """

    def __init__(
        self,
        actions: Iterable[type[Action]],
        *,
        idle: Action,
        prompt: PromptText | None = None,
        tables: Mapping[str, Sequence[str]] | None = None,
        offered: Iterable[str] | None = None,
    ) -> None:
        self.tables = {table: _checked(table, names) for table, names in (tables or {}).items()}
        self.named = tables is not None
        """Whether it was given tables, which may be none; otherwise verbs whose names it does not know are left out."""
        self.checked: set[type] = set()
        """The observations whose references `ai.actions.check` has found to be right."""
        self.idle, self.prompt = idle, PromptText() if prompt is None else prompt
        by_name: dict[str, ToolSpec] = {}
        for action in actions:
            if not _is_action(action):
                raise ContractError(f"a registry holds classes of actions, not {action!r}")
            spec = spec_of(action)
            if spec.name in by_name:
                raise ContractError(
                    f"two actions are named {spec.name!r}: one of {place_of(by_name[spec.name].action)}, one of "
                    f"{place_of(action)}; rename one"
                )
            by_name[spec.name] = spec
        known = set(by_name)
        by_name.setdefault(idle.act, spec_of(type(idle)))
        self.specs: tuple[ToolSpec, ...] = tuple(self._bound(by_name[name]) for name in sorted(by_name))
        self._codes = {spec.name: code for code, spec in enumerate(self.specs)}
        wanted = known if offered is None else set(offered)
        self._wanted = frozenset(wanted)
        for name in sorted(wanted):
            self.code(name)  # raises ContractError for an unknown action
        self.names = tuple(spec.name for spec in self.specs if spec.name in wanted and not self._nameless(spec))
        self._build()
        self._check_idle()

    def _bound(self, spec: ToolSpec) -> ToolSpec:
        """Return a spec in which names are choices from the tables."""
        return replace(spec, args=tuple(self._with_names(arg) for arg in spec.args))

    def _with_names(self, arg: ArgSpec) -> ArgSpec:
        if arg.kind is not Kind.NAME:
            return arg
        names = self.tables.get(arg.sources[0], ())
        return replace(arg, choices=names, high=max(len(names) - 1, 0))

    def _nameless(self, spec: ToolSpec) -> bool:
        return any(arg.kind is Kind.NAME and not self.tables.get(arg.sources[0]) for arg in spec.shapes())

    def _build(self) -> None:
        count = len(self.specs)
        self.lows: NDArray[np.int32] = np.full((count, ARGS_MAX), NONE, np.int32)
        self.highs: NDArray[np.int32] = np.full((count, ARGS_MAX), NONE, np.int32)
        self.required: NDArray[np.bool_] = np.zeros((count, ARGS_MAX), np.bool_)
        self.offered_codes: NDArray[np.bool_] = np.array([spec.name in self.names for spec in self.specs], np.bool_)
        self.payload_codes: NDArray[np.bool_] = np.array([bool(spec.payload) for spec in self.specs], np.bool_)
        at: dict[tuple[int, Kind, tuple[str, ...]], NDArray[np.bool_]] = {}
        for code, spec in enumerate(self.specs):
            for place, arg in enumerate(spec.args):
                self.lows[code, place], self.highs[code, place] = arg.low, arg.high
                self.required[code, place] = arg.required
                if arg.kind in (Kind.TARGET, Kind.CELL_X, Kind.CELL_Y):
                    at.setdefault((place, arg.kind, arg.sources), np.zeros(count, np.bool_))[code] = True
            if spec.payload:
                place = spec.payload_place
                self.required[code, place] = True
                self.lows[code, place], self.highs[code, place] = 0, KEY_MAX
        self.places = tuple(Place(*key, codes) for key, codes in sorted(at.items(), key=lambda item: item[0]))
        self._places_of = tuple(tuple(place for place in self.places if place.codes[code]) for code in range(count))
        # Subtraction of unsigned integers wraps, so one comparison covers both ends of a range.
        self.floors: NDArray[np.uint32] = self.lows.T.copy().view(np.uint32)
        self.spans: NDArray[np.uint32] = self.highs.T.copy().view(np.uint32) - self.floors

    def _check_idle(self) -> None:
        wrong = [arg for arg in self.spec(self.idle.act).shapes() if arg.kind in (Kind.TARGET, Kind.CELL_X, Kind.CELL)]
        if wrong:
            raise ContractError(f"idle: {self.idle} names a target or a cell, so it is not always possible")
        self.idle_step: EncodedStep = self.encode(self.idle)

    # -- lookups ---------------------------------------------------------------------------------------------------

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def __iter__(self) -> Iterator[ToolSpec]:
        return (self.specs[self._codes[name]] for name in self.names)

    def __len__(self) -> int:
        return len(self.names)

    def offering(self, names: Iterable[str]) -> ToolRegistry:
        """Return a registry with the same codes that offers only the verbs in `names` that this one offers.

        Codes stay the same, so plans made with either registry can be stored in a world without translation.
        """
        wanted = set(names)
        return self._with(offered=[name for name in self.names if name in wanted])

    @cached_property
    def first_tier(self) -> ToolRegistry:
        """The registry, offering only the verbs of a compact prompt."""
        return self.offering(spec.name for spec in self if spec.first_tier)

    @cached_property
    def whole(self) -> ToolRegistry:
        """The registry, offering every verb that it can encode."""
        return self._with(offered=self._codes)

    def with_tables(self, tables: Mapping[str, Sequence[str]]) -> ToolRegistry:
        """Return a registry with the same actions and codes, but other tables."""
        return self._with(tables=tables, offered=self._wanted)

    def _with(self, **changed: Any) -> ToolRegistry:
        known: dict[str, Any] = {
            "idle": self.idle,
            "prompt": self.prompt,
            "tables": self.tables if self.named else None,
            **changed,
        }
        return ToolRegistry((spec.action for spec in self.specs), **known)

    def checks_of(self, codes: Iterable[int]) -> tuple[Place, ...]:
        """Return the arguments of some actions that are checked against an observation, each once, in order."""
        return tuple(dict.fromkeys(place for code in codes for place in self._places_of[code]))

    def code(self, name: str) -> int:
        """Return the integer code of an action.

        Raises:
            ContractError: there is no such action.
        """
        code = self._codes.get(name)
        if code is None:
            raise ContractError(f"there is no action {name!r}; known: {', '.join(self._codes)}")
        return code

    def spec(self, action: str | int) -> ToolSpec:
        """Return the spec of an action by name or code.

        Raises:
            ContractError: there is no such action.
        """
        code = self.code(action) if isinstance(action, str) else action
        if not 0 <= code < len(self.specs):
            raise ContractError(f"no action has code {code}; codes run from 0 to {len(self.specs) - 1}")
        return self.specs[code]

    @cached_property
    def declaration(self) -> dict[str, Any]:
        """The declaration for a replay's header: each action with its arguments and reasons, as plain data."""
        return {spec.name: without_empty({"code": code, **spec.declared()}) for code, spec in enumerate(self.specs)}

    @cached_property
    def digest(self) -> str:
        """Sixteen hex digits that change with any action, argument, range, reason or table, and with the offer."""
        shape = [
            self.declaration,
            self.names,
            [self.idle_step.kind, *self.idle_step.args],
            self.idle_step.payload.hex(),
        ]
        text = json.dumps(shape, separators=(",", ":"), sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=8, person=b"tickweave-tools").hexdigest()

    # -- parsing ---------------------------------------------------------------------------------------------------

    def parse_step(self, data: object) -> Action:
        """Turn one decoded JSON object into a step.

        Raises:
            ParseError: the data is not an object, the verb is not offered, or an argument is wrong; the message names
                the field.
        """
        if not isinstance(data, Mapping):
            raise ParseError(f"a step must be an object, not {type(data).__name__}")
        act = data.get("act")
        if not isinstance(act, str) or act not in self.names:
            raise ParseError(f"unknown verb {str(act)[:40]!r}; allowed: {', '.join(self.names)}")
        spec = self.specs[self._codes[act]]
        try:
            step = spec.action.model_validate(dict(data))
        except ValidationError as error:
            raise ParseError(f"{act}.{reason_of(error)}") from None
        problem = self._unknown_name(spec, step)
        if problem is None and len(payload_of(spec, step)) > PAYLOAD_BYTES_MAX:
            problem = f"its texts, lists and records take more than {PAYLOAD_BYTES_MAX} bytes"
        if problem is not None:
            raise ParseError(f"{act}: {problem}")
        return step

    def make(self, name: str, /, **fields: object) -> Action:
        """Build a step by name; for planners that do not import the classes of actions.

        Raises:
            ContractError: the action is unknown, it does not take one of the fields, or a name is in no table.
        """
        spec = self.spec(name)
        try:
            step = spec.action.model_validate({"act": name, **fields})
        except ValidationError as error:
            raise ContractError(f"{name}.{reason_of(error)}") from None
        problem = self._unknown_name(spec, step)
        if problem is not None:
            raise ContractError(f"{name}: {problem}")
        return step

    def _unknown_name(self, spec: ToolSpec, step: Action) -> str | None:
        """Return a sentence about a name of a step that is in no table, or None."""
        named = ((arg, getattr(step, arg.name)) for arg in spec.args if arg.kind is Kind.NAME)
        for arg, value in (*named, *values_in(spec, step)):
            if arg.kind is Kind.NAME and value is not None:
                names = self.tables.get(arg.sources[0], ())
                if value not in names:
                    return f"{arg.name}: no {arg.sources[0]} named {value!a}; known: {', '.join(names) or 'none'}"
        return None

    # -- integers --------------------------------------------------------------------------------------------------

    def encode(self, step: Action) -> EncodedStep:
        """Return a step as integers.

        Raises:
            ContractError: the action is not in this registry, a name is in no table, its payload is too large, or a
                pick is not filled.
        """
        spec = self.spec(step.act)
        if not isinstance(step, spec.action):
            raise ContractError(f"{step.act} of {type(step).__module__} is not the class in the registry")
        problem = self._unknown_name(spec, step)
        if problem is not None:
            raise ContractError(f"{spec.name}: {problem}")
        payload = payload_of(spec, step)
        if len(payload) > PAYLOAD_BYTES_MAX:
            message = f"{spec.name}: texts, lists and records of {len(payload)} bytes; {PAYLOAD_BYTES_MAX} are kept"
            raise ContractError(message)
        return encode_step(spec, self._codes[spec.name], step, payload)

    def decode(self, code: int, args: Sequence[int], payload: bytes = b"") -> Action:
        """Return the step that `encode` turned into these integers and this payload.

        Raises:
            ContractError: there is no such code, or no step of that action has these arguments or this payload.
        """
        spec = self.spec(code)
        return self.make(spec.name, **decode_fields(spec, args, payload))

    # -- description -----------------------------------------------------------------------------------------------

    def step_schema(
        self,
        name: str,
        *,
        targets: Mapping[tuple[str, ...], Sequence[int]] | None = None,
        sizes: Mapping[str, tuple[int, int]] | None = None,
    ) -> dict[str, Any]:
        """Return the JSON schema of one action's step in the portable subset that servers enforce.

        Targets become an enum of the ids given for their sources (any id if none is given). Coordinates get the range
        of their space's width and height. Every property is required; optional ones may be null.
        """
        return step_schema(self.spec(name), targets=targets or {}, sizes=sizes or {}, tables=self.tables)


def reason_of(error: ValidationError) -> str:
    """Return the field and the reason of the first error that pydantic found, safe for files and terminals."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    # A reply may name a field with half a surrogate pair, which files and terminals do not accept.
    place = ".".join(str(part) for part in first["loc"]).encode("ascii", "backslashreplace").decode() or "step"
    return f"{place[:60]}: {first['msg'].removeprefix('Value error, ')[:120]}"


def _checked(table: str, names: Sequence[str]) -> tuple[str, ...]:
    """Check the names of one table.

    Raises:
        ContractError: there are too many names, or a name is repeated, too long or empty.
    """
    if isinstance(names, str):
        raise ContractError(f"table {table!r}: give a sequence of names, not one text")
    if len(names) > NAMES_MAX:
        raise ContractError(f"table {table!r} has {len(names)} names; at most {NAMES_MAX} fit")
    for name in names:
        if not isinstance(name, str):
            raise ContractError(f"table {table!r}: a name is a text, not {name!r}")
        if not 1 <= len(name) <= NAME_CHARS_MAX:
            raise ContractError(f"table {table!r}: a name has 1 to {NAME_CHARS_MAX} characters, not {name!r}")
    if len(set(names)) < len(names):
        raise ContractError(f"table {table!r} has a name twice")
    return tuple(names)


def _is_action(one: object) -> bool:
    return isinstance(one, type) and issubclass(one, Action)


def picks_in(step: Action) -> dict[str, Pick]:
    """Return the picks of a step, by field."""
    fields = type(step).model_fields
    return {name: value for name in fields if isinstance(value := getattr(step, name), Pick)}
