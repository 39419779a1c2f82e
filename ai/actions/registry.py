"""The registry: the one place that knows how a step is parsed, checked, described and turned into integers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from ai.actions.fields import CELLS_MAX, KEY_MAX, Role
from ai.actions.integers import NONE, PAYLOAD_BYTES_MAX, EncodedStep, decode_fields, encode_step, payload_of
from ai.actions.names import bound, name_tables, nameless, unknown_name
from ai.actions.schema import step_schema
from ai.actions.spec import ARGS_MAX, ToolSpec, spec_of
from ai.actions.step import ActionStep, Scan, Wait
from ai.errors import ContractError, ParseError


class ToolRegistry:
    """Holds action kinds in name order and answers every question about them.

    `Scan` and `Wait` are always encodable: the emergency tier needs them. Other kinds come from the caller; a kind of
    the same name as a built-in one replaces it. `names` gives the tables that names in steps are looked up in; a kind
    that needs a name of an empty table has its code and is not offered.

    For checks of many steps at once, by code: `roles`, `lows`, `highs`, `required` are `[kinds, ARGS_MAX]`, in stored
    units (`NONE` where a kind has no such argument); `floors` and `spans` are the ranges `[ARGS_MAX, kinds] uint32`;
    `offered_codes` and `payload_codes` `[kinds] bool` say which kinds are offered, and which carry a payload.

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
        self._tables = name_tables(names or {})
        by_name: dict[str, ToolSpec] = {}
        for kind in kinds:
            spec = spec_of(kind)
            if spec.name in by_name:
                raise ContractError(f"two action kinds are named {spec.name!r}: {by_name[spec.name].kind} and {kind}")
            by_name[spec.name] = spec
        for builtin in (Scan, Wait):
            by_name.setdefault(builtin.__name__, spec_of(builtin))
        self._specs: tuple[ToolSpec, ...] = tuple(bound(by_name[name], self._tables) for name in sorted(by_name))
        self._codes = {spec.name: code for code, spec in enumerate(self._specs)}
        wanted = set(self._codes) if offered is None else set(offered)
        unknown = sorted(wanted - set(self._codes))
        if unknown:
            raise ContractError(f"unknown action kinds {unknown}; known: {sorted(self._codes)}")
        self._wanted = frozenset(wanted)
        self._offered = tuple(spec.name for spec in self._specs if spec.name in wanted and not nameless(spec))
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
        roles = self.roles.T
        self.role_at: dict[int, NDArray[np.bool_]] = {int(role): np.equal(roles, np.int8(role)) for role in Role}
        """By role, which kinds have it at which argument, `[ARGS_MAX, kinds]`."""
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
        return self._parsed(data)[1]

    def parse_encoded(self, data: object) -> EncodedStep:
        """Turn one decoded JSON object into the integers of a step: those of `parse_step`.

        Raises:
            ParseError: as `parse_step`.
        """
        spec, step, payload = self._parsed(data)
        return encode_step(spec, self._codes[spec.name], step, payload)

    def _parsed(self, data: object) -> tuple[ToolSpec, ActionStep, bytes]:
        """Return the kind, the step and the bytes of its lists and records."""
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
        problem, payload = unknown_name(spec, step), payload_of(spec, step)
        if problem is None and len(payload) > PAYLOAD_BYTES_MAX:
            problem = f"its lists and records take more than {PAYLOAD_BYTES_MAX} bytes"
        if problem is not None:
            raise ParseError(f"{act}: {problem}")
        return spec, step, payload

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
        problem = unknown_name(spec, step)
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
        problem = unknown_name(spec, step)
        if problem is not None:
            raise ContractError(f"{spec.name}: {problem}")
        payload = payload_of(spec, step)
        if len(payload) > PAYLOAD_BYTES_MAX:
            message = f"{spec.name}: lists and records of {len(payload)} bytes; {PAYLOAD_BYTES_MAX} are kept"
            raise ContractError(message)
        return encode_step(spec, self._codes[spec.name], step, payload)

    def decode(self, kind: int, args: Sequence[int], payload: bytes = b"") -> ActionStep:
        """Return the step that `encode` made these integers, and this payload, from.

        Raises:
            ContractError: no such code, or arguments or a payload that no step of that kind has.
        """
        spec = self.spec(kind)
        return self.make(spec.name, **decode_fields(spec, args, payload))

    # -- description -----------------------------------------------------------------------------------------------

    def step_schema(self, name: str, *, width: int = CELLS_MAX, height: int = CELLS_MAX,
                    targets: Mapping[Role, Sequence[int]] | None = None) -> dict[str, Any]:  # fmt: skip
        """Return the JSON schema of one kind in the portable subset that servers enforce.

        Targets become an enum of the ids given for their role (any id where none is given), coordinates get the map's
        range. Every property is required; optional ones may be null.
        """
        return step_schema(self.spec(name), width=width, height=height, targets=targets or {})
