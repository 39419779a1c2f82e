"""The one registry behind prompt, parser and executor: parsing, quantisation, integers, schema, and bad kinds."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field

from ai.actions import (
    ARGS_MAX,
    COMMON_KINDS,
    NONE,
    PAYLOAD_BYTES_MAX,
    ActionStep,
    Cell,
    CellX,
    Distance,
    Payload,
    Role,
    Scan,
    Text,
    ToolRegistry,
    Wait,
    cells_in,
)
from ai.errors import ContractError, ParseError
from ai.strategies import steps
from tests.ai.strategies import KINDS, NAMES, WIDE, MoveTo, Patrol, Site, UseItem, small_registry, wide_registry

REGISTRY = wide_registry()
FIELDS = ["act", "x", "y", "target_id", "speed", "position", "\ud800"]


@settings(max_examples=150, deadline=None)
@given(steps(REGISTRY))
def test_a_step_survives_integers_and_json(step: ActionStep) -> None:
    """Every legal step is the same after encoding and decoding, and after JSON and parsing."""
    encoded = REGISTRY.encode(step)
    assert REGISTRY.decode(encoded.kind, encoded.args, encoded.payload) == step
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
    assert ToolRegistry(reversed(WIDE), names=NAMES).digest == REGISTRY.digest
    few = REGISTRY.offering(COMMON_KINDS)
    assert "AimedShot" not in few
    assert "AimedShot" in REGISTRY
    assert [spec.name for spec in few.specs] == names
    assert few.offering(["AimedShot", "Wait"]).names == ("Wait",)
    assert few.digest != REGISTRY.digest
    assert [spec.name for spec in few] == list(few.names)
    assert set(REGISTRY.names) - set(few.names) == {"AimedShot", "Dig", "Interact", "Patrol", "UseItem"}


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
    attack = REGISTRY.step_schema("Attack", targets={Role.ENEMY: [9, 4]})
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


# Names.


def test_names_are_positions_in_a_sorted_table() -> None:
    """A name is text in a step and its place among the sorted names as an integer; schema and message list them."""
    assert REGISTRY.encode(UseItem(item_name="rope")).args == (1, NONE, NONE, NONE)
    assert REGISTRY.step_schema("UseItem")["properties"]["item_name"] == {
        "type": "string",
        "enum": ["medkit", "rope", "smoke"],
    }
    with pytest.raises(ParseError, match="UseItem: item_name: no item is named 'flute'; known: medkit, rope, smoke"):
        REGISTRY.parse_step({"act": "UseItem", "item_name": "flute"})
    with pytest.raises(ContractError, match="no item is named 'flute'"):
        REGISTRY.encode(UseItem(item_name="flute"))
    with pytest.raises(ContractError, match="no item is named 'flute'"):
        REGISTRY.make("UseItem", item_name="flute")
    with pytest.raises(ContractError, match="3 is no position among 3 choices"):
        REGISTRY.decode(REGISTRY.code("UseItem"), [3])


def test_without_names_a_kind_keeps_its_code_and_is_not_offered() -> None:
    """Binding names changes what is offered and the digest, never a code; an offer that was narrowed stays narrow."""
    bare = ToolRegistry(WIDE)
    assert "UseItem" not in bare
    assert bare.code("UseItem") == REGISTRY.code("UseItem")
    assert bare.with_names(NAMES).digest == REGISTRY.digest
    assert bare.with_names({Role.ITEM: ["rope"]}).digest != REGISTRY.digest
    assert bare.offering(["Wait"]).with_names(NAMES).names == ("Wait",)
    assert REGISTRY.offering(["UseItem"]).names == ("UseItem",)


def test_bad_tables_of_names_are_told() -> None:
    """A role that has no names and a table that is too long are errors."""
    with pytest.raises(ContractError, match="not a role of names"):
        ToolRegistry(KINDS, names={Role.ENEMY: ["bob"]})
    with pytest.raises(ContractError, match="257 names of items; at most 256"):
        ToolRegistry(KINDS, names={Role.ITEM: map(str, range(257))})


# Payloads.


def test_lists_and_records_are_kept_whole() -> None:
    """Integers hold what is a number, canonical bytes hold the rest; equal contents have equal bytes."""
    step = REGISTRY.make("Patrol", waypoints=[{"x": 1, "y": 2}, {"x": 3, "y": 4}], pace="run")
    encoded = REGISTRY.encode(step)
    assert encoded.args == (1, 0, NONE, NONE)
    assert encoded.payload == b'{"waypoints":[{"x":1,"y":2},{"x":3,"y":4}]}'
    assert REGISTRY.decode(encoded.kind, encoded.args, encoded.payload) == step
    for payload in (b"", b"[]", b"3", b"{}", b'{"waypoints":[{"x":1,"y":2}]}'):
        with pytest.raises(ContractError, match="Patrol"):
            REGISTRY.decode(encoded.kind, encoded.args, payload)


def test_the_schema_of_a_payload_is_spelled_out() -> None:
    """Lists have bounds, cells the map's range, records all their properties, optional ones may be null."""
    patrol = REGISTRY.step_schema("Patrol", width=8, height=6)["properties"]["waypoints"]
    assert (patrol["type"], patrol["minItems"], patrol["maxItems"]) == ("array", 2, 4)
    assert patrol["items"]["properties"]["y"] == {"type": "integer", "minimum": 0, "maximum": 5}
    dig = REGISTRY.step_schema("Dig")["properties"]
    assert dig["name"] == {"type": "string", "maxLength": 12}
    assert dig["site"]["required"] == ["at", "share", "why"]
    assert dig["site"]["properties"]["why"] == {"anyOf": [{"type": "string", "maxLength": 20}, {"type": "null"}]}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"act": "Patrol", "waypoints": [{"x": 1, "y": 1}]}, r"Patrol\.waypoints"),
        ({"act": "Patrol", "waypoints": [{"x": 1, "y": 1}] * 5}, r"Patrol\.waypoints"),
        ({"act": "Patrol", "waypoints": [{"x": 1, "y": 1}, {"x": 1, "y": 4096}]}, r"Patrol\.waypoints\.1\.y"),
        ({"act": "Dig", "name": "\ud800", "site": {"at": {"x": 1, "y": 1}}}, r"Dig\.name: .*sound Unicode"),
        ({"act": "Dig", "name": 7, "site": {"at": {"x": 1, "y": 1}}}, r"Dig\.name: .*a text"),
        ({"act": "Dig", "name": "pit", "site": {"at": {"x": 1, "y": 1}, "share": 1.5}}, r"Dig\.site\.share"),
    ],
)
def test_a_wrong_payload_is_told_by_its_place(data: object, message: str) -> None:
    """The error names the entry or the field inside."""
    with pytest.raises(ParseError, match=message):
        REGISTRY.parse_step(data)


def test_a_payload_has_a_limit_in_bytes() -> None:
    """Whatever its fields allow, a payload that takes too many bytes is refused by the parser and the encoder."""

    class Tell(ActionStep):
        """Say something long."""

        act: Literal["Tell"] = "Tell"
        words: Annotated[Text, Field(max_length=PAYLOAD_BYTES_MAX), Payload()]

    registry = ToolRegistry([Tell])
    words = "x" * PAYLOAD_BYTES_MAX
    with pytest.raises(ParseError, match="more than 4096 bytes"):
        registry.parse_step({"act": "Tell", "words": words})
    with pytest.raises(ContractError, match="4096 are kept"):
        registry.encode(Tell(words=words))


def test_cells_are_found_however_deep() -> None:
    """Every cell inside lists and records of a step is found, so that the map's edge binds them."""
    patrol = Patrol(waypoints=({"x": 1, "y": 2}, {"x": 3, "y": 4}))  # type: ignore[arg-type]
    assert [(cell.x, cell.y) for cell in cells_in(patrol)] == [(1, 2), (3, 4)]
    site = Site(at={"x": 5, "y": 6})  # type: ignore[arg-type]
    assert [(cell.x, cell.y) for cell in cells_in((site, 3, None))] == [(5, 6)]


@pytest.mark.parametrize(
    ("field", "message"),
    [
        (Annotated[tuple[Cell, ...], Payload()], "needs a max_length"),
        (Annotated[Text, Payload()], "needs a max_length"),
        (Annotated[dict[str, int], Payload()], "must be one of the marked types"),
        (Annotated[Site | None, Payload()], "no argument of it may be None"),
    ],
)
def test_payloads_without_bounds_are_refused(field: Any, message: str) -> None:
    """Every list and text of a payload has a limit, and only shapes that prompts and schemas can show are taken."""
    with pytest.raises(ContractError, match=message):
        ToolRegistry([_kind("Do it.", annotations={"act": Literal["Bad"], "f": field}, act="Bad")])
