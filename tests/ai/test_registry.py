"""The one registry behind prompt, parser and executor: parsing, quantisation, integers, schema, and bad kinds."""

from __future__ import annotations

import math
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai.actions import ARGS_MAX, COMMON_KINDS, NONE, ActionStep, CellX, Distance, Role, Scan, ToolRegistry, Wait
from ai.errors import ContractError, ParseError
from tests.ai.strategies import KINDS, MoveTo, small_registry, steps

REGISTRY = small_registry()
FIELDS = ["act", "x", "y", "target_id", "speed", "position", "\ud800"]


@settings(max_examples=150, deadline=None)
@given(steps(REGISTRY))
def test_a_step_survives_integers_and_json(step: ActionStep) -> None:
    """Every legal step is the same after encoding and decoding, and after JSON and parsing."""
    encoded = REGISTRY.encode(step)
    assert REGISTRY.decode(encoded.kind, encoded.args) == step
    assert REGISTRY.parse_step(step.model_dump(mode="json", exclude_none=True)) == step


@settings(max_examples=150, deadline=None)
@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2)
    | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=3),
    max_leaves=6,
), st.sampled_from([*REGISTRY.names, "Explode"]))  # fmt: skip
def test_any_json_is_a_step_or_a_parse_error(data: object, act: str) -> None:
    """Whatever was decoded, parsing gives a step whose integers fit, or a `ParseError` whose text can be written."""
    if isinstance(data, dict):
        data = {**data, "act": act}
    try:
        step = REGISTRY.parse_step(data)
    except ParseError as error:
        text = str(error)
    else:
        text = str(step)
        encoded = REGISTRY.encode(step)
        spec = REGISTRY.spec(encoded.kind)
        for arg, value in zip(spec.args, encoded.args, strict=False):
            assert arg.low <= value <= arg.high or (value == NONE and not arg.required)
    assert len(text.encode()) < 500


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "must be an object, not list"),
        ({}, "unknown verb 'None'"),
        ({"act": "moveto", "x": 1, "y": 1}, "unknown verb 'moveto'; allowed: AimedShot"),
        ({"act": "MoveTo", "x": 1}, "MoveTo.y"),
        ({"act": "MoveTo", "x": 1.5, "y": 1}, r"MoveTo\.x: .*whole number"),
        ({"act": "MoveTo", "x": True, "y": 1}, r"MoveTo\.x: .*must be a number"),
        ({"act": "MoveTo", "x": math.nan, "y": 1}, r"MoveTo\.x: .*finite"),
        ({"act": "MoveTo", "x": 1, "y": 1, "speed": "fly"}, r"MoveTo\.speed"),
        ({"act": "MoveTo", "x": 1, "y": 1, "z": 1}, r"MoveTo\.z"),
        ({"act": "TakeCover", "position": {"x": 1}}, r"TakeCover\.position\.y"),
        ({"act": "Wait", "duration": 601}, r"Wait\.duration: .*600"),
        ({"act": "Scan", "radius": 0.4}, r"Scan\.radius"),
    ],
)
def test_a_wrong_step_is_told_by_verb_and_field(data: object, message: str) -> None:
    """The error names verb, field and what is wrong, so that a model or a person can mend it."""
    with pytest.raises(ParseError, match=message):
        REGISTRY.parse_step(data)


@pytest.mark.parametrize(
    ("radius", "stored"), [(1, 1), (2.4, 2), (2.5, 3), (3.5, 4), (63.5, 64), (0.5, 1)]
)  # fmt: skip
def test_distances_are_rounded_to_whole_cells(radius: float, stored: int) -> None:
    """Distances become whole cells, halves away from zero."""
    assert REGISTRY.encode(Scan(radius=radius)).args == (stored, NONE, NONE, NONE)  # type: ignore[arg-type]


@pytest.mark.parametrize(("seconds", "stored"), [(0.1, 100), (1, 1000), (1.2345, 1235), (600, 600_000)])
def test_seconds_are_kept_to_the_millisecond(seconds: float, stored: int) -> None:
    """Durations become whole milliseconds, in the step and in its integers alike."""
    step = Wait(duration=seconds)
    assert REGISTRY.encode(step).args[0] == stored
    assert REGISTRY.decode(REGISTRY.code("Wait"), [stored]) == step


def test_codes_follow_names_and_stay_under_another_offer() -> None:
    """Codes are positions in name order; offering fewer kinds changes no code, so plans need no translation."""
    names = [spec.name for spec in REGISTRY.specs]
    assert names == sorted(names)
    assert ToolRegistry(reversed(KINDS)).digest == REGISTRY.digest
    few = REGISTRY.offering(COMMON_KINDS)
    assert "AimedShot" not in few
    assert "AimedShot" in REGISTRY
    assert [spec.name for spec in few.specs] == names
    assert few.offering(["AimedShot", "Wait"]).names == ("Wait",)
    assert few.digest != REGISTRY.digest
    assert [spec.name for spec in few] == list(few.names)
    assert len(few) == len(REGISTRY) - 1


def test_scan_and_wait_are_always_encodable() -> None:
    """Every registry can encode the emergency plan, offered or not."""
    registry = ToolRegistry(offered=())
    assert registry.names == ()
    assert registry.decode(registry.code("Scan"), [10]) == Scan(radius=10)
    with pytest.raises(ParseError, match="unknown verb"):
        registry.parse_step({"act": "Scan"})


def test_optional_and_nested_fields_have_places() -> None:
    """A cell takes two places, an optional field may be missing, and roles say what an argument means."""
    cover = REGISTRY.spec("TakeCover")
    assert [(arg.name, arg.role, arg.required) for arg in cover.args] == [
        ("position.x", Role.CELL_X, False),
        ("position.y", Role.CELL_Y, False),
    ]
    assert REGISTRY.encode(REGISTRY.make("TakeCover")).args == (NONE,) * ARGS_MAX
    with_cell = REGISTRY.make("TakeCover", position={"x": 3, "y": 4})
    assert REGISTRY.encode(with_cell).args[:2] == (3, 4)


def test_the_schema_lists_what_an_agent_may_write() -> None:
    """Targets become an enumeration, cells get the map's range, optional fields may be null, nothing else fits."""
    attack = REGISTRY.step_schema("Attack", enemies=[9, 4])
    assert attack["properties"]["target_id"] == {"type": "integer", "enum": [9, 4]}
    move = REGISTRY.step_schema("MoveTo", width=16, height=12)
    assert move["properties"]["x"] == {"type": "integer", "minimum": 0, "maximum": 15}
    assert move["properties"]["y"]["maximum"] == 11
    assert {"type": "null"} in move["properties"]["speed"]["anyOf"]
    assert move["required"] == ["act", "x", "y", "speed"]
    assert move["additionalProperties"] is False
    assert REGISTRY.step_schema("Wait")["properties"]["duration"] == {
        "type": "number",
        "minimum": 0.1,
        "maximum": 600.0,
    }


MANY = dict.fromkeys("abcde", CellX)


def _kind(doc: str | None, **namespace: Any) -> type[ActionStep]:
    annotations = namespace.pop("annotations", {})
    return type(
        "Bad", (ActionStep,), {"__doc__": doc, "__module__": __name__, "__annotations__": annotations, **namespace}
    )


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (_kind("Do it."), "must declare"),
        (_kind("Do it.", annotations={"act": str}, act="Bad"), "must declare"),
        (_kind("Do it.", annotations={"act": Literal["Good"]}, act="Bad"), "must declare"),
        (_kind("", annotations={"act": Literal["Bad"]}, act="Bad"), "needs a docstring"),
        (_kind("x" * 121, annotations={"act": Literal["Bad"]}, act="Bad"), "needs a docstring"),
        (_kind("Do it.", annotations={"act": Literal["Bad"], "n": int}, act="Bad"), r"Bad\.n: a field must be"),
        (_kind("Do it.", annotations={"act": Literal["Bad"], **MANY}, act="Bad"), "at most 4 fit"),
    ],
)  # fmt: skip
def test_a_malformed_kind_is_an_error_that_names_it(kind: type[ActionStep], message: str) -> None:
    """A kind that cannot be parsed, prompted or stored is refused with its class and the reason."""
    with pytest.raises(ContractError, match=rf"Bad.*{message}|{message}"):
        ToolRegistry([kind])


def test_two_kinds_of_one_name_are_refused_and_a_builtin_may_be_replaced() -> None:
    """Names are unique; a kind called like a built-in one takes its place."""

    class Scan(ActionStep):
        """Look far."""

        act: Literal["Scan"] = "Scan"
        radius: Distance = 20

    with pytest.raises(ContractError, match="two action kinds are named 'MoveTo'"):
        ToolRegistry([MoveTo, MoveTo])
    assert ToolRegistry([Scan]).spec("Scan").sentence == "Look far."


def test_unknown_names_and_codes_are_told() -> None:
    """Asking for what is not there is an error that lists what is."""
    with pytest.raises(ContractError, match="unknown action kind 'Fly'"):
        REGISTRY.code("Fly")
    with pytest.raises(ContractError, match="no action kind has code 99"):
        REGISTRY.spec(99)
    with pytest.raises(ContractError, match=r"unknown action kinds \['Fly'\]"):
        small_registry(["Fly"])
    with pytest.raises(ContractError, match="Attack cannot be made"):
        REGISTRY.make("Attack", target_id="x")
