"""The one registry behind prompt, parser and executor: parsing, quantisation, integers, schema, and bad actions."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from ai.actions import (
    ARGS_MAX,
    NONE,
    PAYLOAD_BYTES_MAX,
    Action,
    Kind,
    PromptText,
    Record,
    ToolRegistry,
    known,
    name,
    number,
    on,
    pick,
    seconds,
    several,
    words,
)
from ai.errors import ContractError, ParseError
from ai.observation import Cell
from ai.strategies import steps
from tests.ai.llm.village import FORAGING, MARKET, TABLES, Buy, Go, Nap, Order, Rest, Sell, Sleep, Talk, Tip, Tour

GOODS = {"goods": ("nuts", "red berries")}
TOUR = Tour(2, (Cell(1, 2), Cell(3, 4)), (5,), Order("nuts", 0.5, "why"))


@given(steps(MARKET) | steps(FORAGING))
def test_a_step_survives_integers_and_json(step: Action) -> None:
    """Every step is the same after encoding and decoding, and after JSON and parsing."""
    registry = MARKET if step.act in MARKET else FORAGING
    encoded = registry.encode(step)
    assert registry.decode(encoded.kind, encoded.args, encoded.payload) == step
    data = step.model_dump(mode="json", exclude_none=True)
    assert data["act"] == type(step).__name__ == step.act
    assert registry.parse_step(data) == step
    assert registry.encode(registry.parse_step(data)) == encoded


FIELDS = ["act", "good", "count", "to", "what", "at", "x", "\ud800"]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=3),
        max_leaves=6,
    ),
    st.sampled_from([*MARKET.names, "Explode"]),
)
def test_any_json_is_a_step_or_a_parse_error(data: object, act: str) -> None:
    """Whatever was decoded, parsing gives a step whose integers fit, or a `ParseError` whose text can be written."""
    if isinstance(data, dict):
        data = {**data, "act": act}
    try:
        step = MARKET.parse_step(data)
    except ParseError as error:
        text = str(error)
    else:
        text = str(step)
        encoded = MARKET.encode(step)
        for arg, value in zip(MARKET.spec(encoded.kind).args, encoded.args, strict=False):
            assert arg.low <= value <= arg.high or (value == NONE and not arg.required)
    assert len(text.encode()) < 500


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "a step must be an object, not list"),
        ({}, "unknown verb 'None'; allowed: Buy, Sell, Sleep, Talk, Tip"),
        ({"act": "buy", "good": "bread"}, "unknown verb 'buy'"),
        ({"act": "Buy", "good": "bread"}, "Buy.count: Field required"),
        ({"act": "Buy", "good": "gold", "count": 1}, "Buy: good: no goods named 'gold'; known: bread, fish, fine wool"),
        ({"act": "Buy", "good": "", "count": 1}, "Buy.good: must have from 1 to 64 characters"),
        ({"act": "Buy", "good": 3, "count": 1}, "Buy.good: must be a text"),
        ({"act": "Buy", "good": "bread", "count": 1.5}, "Buy.count: must be a whole number"),
        ({"act": "Buy", "good": "bread", "count": True}, "Buy.count: must be a number"),
        ({"act": "Buy", "good": "bread", "count": "3"}, "Buy.count: must be a number"),
        ({"act": "Buy", "good": "bread", "count": math.nan}, "Buy.count: must be finite"),
        ({"act": "Buy", "good": "bread", "count": 101}, "Buy.count: must be from 1 to 100"),
        ({"act": "Buy", "good": "bread", "count": 1, "x": 1}, "Buy.x: Extra inputs are not permitted"),
        ({"act": "Talk", "to": -1, "what": "x"}, "Talk.to: must be at least 0"),
        ({"act": "Talk", "to": "nearest", "what": "x"}, "Talk.to: must be a number"),
        ({"act": "Talk", "to": 1, "what": ""}, "Talk.what: must have from 1 to 60 characters"),
        ({"act": "Talk", "to": 1, "what": "\ud800"}, "Talk.what: must be valid Unicode"),
        ({"act": "Tip", "coins": 5.1}, "Tip.coins: must be from 0 to 5"),
    ],
)
def test_a_wrong_step_is_told_by_verb_and_field(data: object, message: str) -> None:
    """The error names verb, field and what is wrong, so that a model or a person can mend it."""
    with pytest.raises(ParseError) as caught:
        MARKET.parse_step(data)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"stops": []}, "Tour.stops: Tuple should have at least 1 item"),
        ({"stops": [{"x": 1, "y": 1}] * 4}, "Tour.stops: Tuple should have at most 3 items"),
        ({"stops": [{"x": 1, "y": 4096}]}, "Tour.stops: must be from 0 to 4095"),
        ({"stops": [{"x": 1}]}, 'Tour.stops: must be a cell: {"x": 3, "y": 4}'),
        ({"stops": 7}, "Tour.stops: Input should be a valid tuple"),
        ({"bushes": [True]}, "Tour.bushes: must be a number"),
        ({"order": {"good": "nuts", "share": 1.5}}, "Tour.order.share: must be from -1 to 1"),
        ({"order": {"good": "gold", "share": 1}}, "Tour: good: no goods named 'gold'"),
        ({"order": {"good": "nuts"}}, "Tour.order.share: Field required"),
    ],
)
def test_a_wrong_payload_is_told_by_its_place(data: dict[str, Any], message: str) -> None:
    """The error names the list or the field inside."""
    whole = {**TOUR.model_dump(mode="json"), **data}
    with pytest.raises(ParseError) as caught:
        FORAGING.parse_step(whole)
    assert message in str(caught.value)


class Walk(Action):
    """Walk some cells."""

    cells: int = number(1, 64, rounded=True)
    share: float = number(0, 1, scale=1000, default=0.5)
    pause: float = seconds(default=1.0)


WALKING = ToolRegistry([Walk], idle=Walk(1))


@pytest.mark.parametrize(("cells", "stored"), [(1, 1), (2.4, 2), (2.5, 3), (3.5, 4), (63.5, 64), (0.5, 1)])
def test_numbers_are_rounded_half_away_from_zero(cells: float, stored: int) -> None:
    """A number that may be rounded becomes the nearest whole one."""
    step = WALKING.parse_step({"act": "Walk", "cells": cells})
    assert WALKING.encode(step).args == (stored, 500, 1000, NONE)


@pytest.mark.parametrize(("pause", "stored"), [(0.1, 100), (1, 1000), (1.2345, 1235), (600, 600_000)])
def test_seconds_are_kept_to_the_millisecond(pause: float, stored: int) -> None:
    """Durations become whole milliseconds, in the step and in its integers alike."""
    step = Walk(1, pause=pause)
    assert WALKING.encode(step).args[2] == stored
    assert WALKING.decode(0, [1, 500, stored]) == step


def test_steps_are_made_by_position_and_by_name() -> None:
    """Arguments stand in their order, by name, or both; wrong ones are told as Python does."""
    assert Buy("bread", 2) == Buy("bread", count=2) == Buy(count=2, good="bread")
    assert str(TOUR) == (
        "Tour(pace=2, stops=[1,2, 3,4], bushes=[5], order={'good': 'nuts', 'share': 0.5, 'why': 'why'})"
    )
    assert str(Tip(1)) == "Tip(coins=1.0)"
    with pytest.raises(TypeError, match="Buy takes 2 arguments, not 3"):
        Buy("bread", 2, 3)  # type: ignore[call-arg] # that is what is tested
    with pytest.raises(TypeError, match="Buy got 'good' twice"):
        Buy("bread", good="fish")  # type: ignore[misc,call-arg] # that is what is tested
    with pytest.raises(ValueError, match="frozen"):
        Buy("bread", 2).count = 3  # type: ignore[misc] # that is what is tested
    with pytest.raises(ValueError, match="act"):
        Buy.model_validate({"act": "Sell", "good": "bread", "count": 1})


def test_a_verb_may_derive_from_another() -> None:
    """A subclass has its own name and the arguments of its base."""

    class Grab(Buy):
        """Buy in a hurry."""

        pause: float = seconds(default=0.5)

    registry = ToolRegistry([Buy, Grab], idle=Sleep(), tables=TABLES)
    assert registry.parse_step({"act": "Grab", "good": "fish", "count": 1}) == Grab("fish", 1)
    assert registry.encode(Grab("fish", 1)).args == (1, 1, 500, NONE)


def test_codes_follow_names_and_stay_under_another_offer() -> None:
    """Codes are positions in name order; offering fewer verbs changes no code, so plans need no translation."""
    whole = ToolRegistry([Talk, Buy, Tip, Sleep, Sell], idle=Sleep(), tables=TABLES)
    names = [spec.name for spec in whole.specs]
    assert names == ["Buy", "Sell", "Sleep", "Talk", "Tip"]
    few = whole.first_tier
    assert few.names == ("Buy", "Sleep", "Talk")
    assert [spec.name for spec in few.specs] == names
    assert few.offering(["Sell", "Buy"]).names == ("Buy",)
    assert few.digest != whole.digest
    assert few.whole.names == whole.names
    assert [spec.name for spec in few] == list(few.names)
    with pytest.raises(ParseError, match="unknown verb 'Sell'"):
        few.parse_step({"act": "Sell", "good": "bread", "count": 1})
    assert few.decode(few.code("Sell"), [0, 1]) == Sell("bread", 1)


def test_the_digest_covers_arguments_reasons_and_the_offer() -> None:
    """Equal declarations are equal; another argument, reason, table, offer or idle step is another registry."""

    def digest(reasons: tuple[str, ...] = (), high: int = 3, tables: Any = TABLES, **more: Any) -> str:
        space = {"__doc__": "Do it.", "__module__": __name__, "__annotations__": {"n": int}, "n": number(1, high)}
        return ToolRegistry([type(Action)("Do", (Action,), {**space, "reasons": reasons}), Buy], **{
            "idle": Sleep(), "tables": tables, **more}).digest  # fmt: skip

    assert digest() == digest()
    others = [
        digest(("too dear",)), digest(high=4), digest(tables={"goods": ("bread",)}), digest(idle=Sleep(2)),
        digest(offered=["Do"]), digest(),
    ]  # fmt: skip
    assert len(set(others)) == 6
    prompted = digest(prompt=PromptText("Another role."))
    assert prompted == digest()


def test_the_idle_step_is_always_encodable_and_need_not_be_offered() -> None:
    """Every registry can encode its idle step; it is offered only if its verb is among the actions."""
    registry = ToolRegistry([Talk], idle=Sleep(2))
    assert registry.names == ("Talk",)
    assert registry.idle_step == registry.encode(Sleep(2))
    assert registry.whole.names == ("Sleep", "Talk")
    assert registry.with_tables(TABLES).names == ("Talk",)
    for wrong in (Talk(1, "x"), Go(Cell(1, 1))):
        with pytest.raises(ContractError, match="names a target or a cell, so it is not always possible"):
            ToolRegistry([Sleep], idle=wrong)


def test_optional_and_nested_fields_have_places() -> None:
    """A cell takes two places, an optional field may be missing, and kinds say what an argument means."""
    rest = FORAGING.spec("Rest")
    assert [(arg.name, arg.kind, arg.required) for arg in rest.args] == [
        ("at.x", Kind.CELL_X, False),
        ("at.y", Kind.CELL_Y, False),
        ("habit", Kind.CHOICE, False),
        ("pause", Kind.NUMBER, True),
    ]
    assert FORAGING.encode(Rest()).args == (NONE, NONE, NONE, 1000)
    assert FORAGING.encode(Rest(Cell(3, 4))).args == (3, 4, NONE, 1000)
    assert ARGS_MAX == 4
    assert [arg.sources for arg in FORAGING.spec("Pick").args] == [("bushes",)]


@pytest.mark.parametrize("bounds", [(2, 1), (0, 2**31), (-(2**31), 0)])
def test_bounds_that_no_number_meets_or_no_column_holds_are_refused(bounds: tuple[int, int]) -> None:
    """The declaration fails where it stands, before a step is made of it."""
    with pytest.raises(ContractError, match="give the low bound first"):
        number(*bounds)


def test_lists_and_records_are_kept_whole() -> None:
    """Integers hold what is a number, canonical bytes hold the rest; equal contents have equal bytes."""
    encoded = FORAGING.encode(TOUR)
    assert encoded.args == (2, 0, NONE, NONE)
    assert encoded.payload == (
        b'{"bushes":[5],"order":{"good":"nuts","share":0.5,"why":"why"},"stops":[{"x":1,"y":2},{"x":3,"y":4}]}'
    )
    assert FORAGING.decode(encoded.kind, encoded.args, encoded.payload) == TOUR
    for payload in (b"", b"[]", b"3", b"{}", b'{"stops":[]}'):
        with pytest.raises(ContractError, match="Tour"):
            FORAGING.decode(encoded.kind, encoded.args, payload)


def test_a_payload_has_a_limit_in_bytes() -> None:
    """Whatever its fields allow, a payload that takes too many bytes is refused by the parser and the encoder."""

    class Tell(Action):
        """Say something long."""

        first: str = words(2000)
        second: str = words(2000)
        third: str = words(2000)

    registry, long = ToolRegistry([Tell], idle=Sleep()), "x" * 1500
    with pytest.raises(ParseError, match=f"more than {PAYLOAD_BYTES_MAX} bytes"):
        registry.parse_step({"act": "Tell", "first": long, "second": long, "third": long})
    with pytest.raises(ContractError, match=f"{PAYLOAD_BYTES_MAX} are kept"):
        registry.encode(Tell(long, long, long))


def test_the_schema_lists_what_an_agent_may_write() -> None:
    """Targets become an enumeration, cells get their space's range, optional fields may be null, nothing else fits."""
    talk = MARKET.step_schema("Talk", targets={("people", "debt_to"): [9, 4]})
    assert talk["properties"]["to"] == {"type": "integer", "enum": [9, 4]}
    assert talk["properties"]["what"] == {"type": "string", "minLength": 1, "maxLength": 60}
    assert MARKET.step_schema("Talk")["properties"]["to"] == {"type": "integer", "minimum": 0}
    assert MARKET.step_schema("Buy")["properties"]["good"] == {"type": "string", "enum": ["bread", "fish", "fine wool"]}
    rest = FORAGING.step_schema("Rest", sizes={"field": (12, 9)})
    at, null = rest["properties"]["at"]["anyOf"]
    assert at["properties"]["y"] == {"type": "integer", "minimum": 0, "maximum": 8}
    assert null == {"type": "null"}
    assert (rest["required"], rest["additionalProperties"]) == (["act", "at", "habit", "pause"], False)
    assert rest["properties"]["pause"] == {"type": "number", "minimum": 0.5, "maximum": 30.0}
    tour = FORAGING.step_schema("Tour", sizes={"field": (12, 9)})["properties"]
    assert (tour["stops"]["minItems"], tour["stops"]["maxItems"]) == (1, 3)
    assert tour["stops"]["items"]["properties"]["x"] == {"type": "integer", "minimum": 0, "maximum": 11}
    assert tour["order"]["properties"]["good"] == {"type": "string", "enum": ["nuts", "red berries"]}
    assert tour["order"]["properties"]["why"]["anyOf"][1] == {"type": "null"}


def test_without_names_a_verb_keeps_its_code_and_is_not_offered() -> None:
    """Tables change what is offered and the digest, never a code; an offer that was narrowed stays narrow."""
    bare = ToolRegistry([Buy, Sell, Talk, Sleep, Tip], idle=Sleep(1))
    assert bare.names == ("Sleep", "Talk", "Tip")
    assert bare.code("Talk") == MARKET.code("Talk")
    assert bare.with_tables(TABLES).digest == MARKET.digest
    assert bare.offering(["Talk"]).with_tables(TABLES).names == ("Talk",)
    assert ToolRegistry([Tour], idle=Nap()).names == ()
    with pytest.raises(ContractError, match="3 is not a position among 3 choices"):
        MARKET.decode(MARKET.code("Buy"), [3, 1])


def test_a_pick_stays_in_rules() -> None:
    """A choice that a rule leaves open is not a value: it is shown, and neither encoded nor taken without a target."""
    step = Talk(pick("nearest"), "hello")
    assert str(step) == "Talk(to=nearest, what=hello)"
    with pytest.raises(ContractError, match=r"Talk\.to: 'nearest' is a pick, and only rules can fill picks"):
        MARKET.encode(step)
    with pytest.raises(ValueError, match="must be a number"):
        Buy("bread", pick("nearest"))


class Plain(BaseModel):
    """A model without arguments."""

    weight: int


Big = StrEnum("Big", ["one", "two"])


def bad(doc: str = "Do it.", **fields: Any) -> type[Action]:
    """Return an action with some fields, each a type or a type and what stands on its right."""
    annotations = {key: field[0] if isinstance(field, tuple) else field for key, field in fields.items()}
    values = {key: field[1] for key, field in fields.items() if isinstance(field, tuple)}
    return type(Action)(
        "Bad", (Action,), {"__doc__": doc, "__module__": __name__, "__annotations__": annotations, **values}
    )


WRONG: dict[str, tuple[Any, str]] = {
    "no sentence": (lambda: bad(""), "needs a docstring whose first paragraph has 1 to 120 characters"),
    "a long sentence": (lambda: bad("x" * 121), "needs a docstring"),
    "nothing on the right": (lambda: bad(n=int), "n: an argument needs number(...)"),
    "a cell of no space": (lambda: bad(n=Cell), "n: an argument needs number(...)"),
    "a number as a text": (lambda: bad(n=(str, number(1, 2))), "n: this argument is written as int or float, not str"),
    "a target as a float": (lambda: bad(n=(float, known("people"))), "n: this argument is written as int, not float"),
    "a scale of whole numbers": (lambda: bad(n=(int, number(0, 1, scale=10))), "a number with a scale is a float"),
    "two types": (lambda: bad(n=(int | str, number(1, 2))), "a field has one type, or one and None"),
    "a target of nothing": (lambda: bad(n=(int, known())), 'known() must say where the ids come from: known("people")'),
    "too many arguments": (
        lambda: bad(a=(Cell, on("f")), b=(Cell, on("f")), c=Big),
        "has 5 stored arguments; at most 4",
    ),
    "a long text": (lambda: bad(n=(str, words(5000))), "a text has at most 2000 characters, not 5000"),
    "a long list": (lambda: bad(n=(tuple[int, ...], several(1, 65, number(1, 2)))), "at most 64 entries, not 65"),
    "a list that is a list": (
        lambda: bad(n=(list[int], several(1, 2, number(1, 2)))),
        "a list is written tuple[X, ...]",
    ),
    "a list of nothing": (lambda: bad(n=(tuple[int, ...], several(1, 2))), "n, an entry: an argument needs"),
    "a foreign model": (lambda: bad(n=Plain), "n: Plain must be a Record, so that its fields have arguments"),
    "an optional text": (
        lambda: bad(n=(str | None, words(5, default=None))),
        "has texts, lists or records, so no argument of it may be None",
    ),
}


@pytest.mark.parametrize(("make", "message"), WRONG.values(), ids=WRONG)
def test_a_malformed_action_is_an_error_that_names_it(make: Any, message: str) -> None:
    """An action that cannot be parsed, prompted or stored is refused with its class and the reason."""
    with pytest.raises(ContractError) as caught:
        ToolRegistry([make()], idle=Sleep())
    assert "Bad" in str(caught.value)
    assert message in str(caught.value)


REGISTRIES: dict[str, tuple[Any, str]] = {
    "one name twice": (lambda: ToolRegistry([Buy, Buy], idle=Sleep()), "two actions are named 'Buy'"),
    "no class": (
        lambda: ToolRegistry([Buy("bread", 1)], idle=Sleep()),
        "a registry holds classes of actions, not Buy(",
    ),  # type: ignore[list-item]
    "an unknown offer": (
        lambda: ToolRegistry([Buy], idle=Sleep(), offered=["Fly"]),
        "there is no action 'Fly'; known: Buy",
    ),
    "an unknown verb": (lambda: MARKET.code("Fly"), "there is no action 'Fly'; known: Buy, Sell, Sleep, Talk, Tip"),
    "an unknown code": (lambda: MARKET.spec(99), "no action has code 99; codes run from 0 to 4"),
    "wrong values": (lambda: MARKET.make("Buy", good="bread", count="x"), "Buy.count: must be a number"),
    "a wrong name": (lambda: MARKET.encode(Buy("gold", 1)), "Buy: good: no goods named 'gold'"),
    "a table of one text": (lambda: ToolRegistry([Buy], idle=Sleep(), tables={"goods": "bread"}), "not one text"),
    "a long table": (lambda: MARKET.with_tables({"goods": list(map(str, range(257)))}), "has 257 names; at most 256"),
    "a long name": (lambda: MARKET.with_tables({"goods": ("x" * 65,)}), "a name has 1 to 64 characters"),
    "a name twice": (lambda: MARKET.with_tables({"goods": ("a", "a")}), "table 'goods' has a name twice"),
    "a long role": (lambda: PromptText("x" * 2001), "the role and each rule of a prompt have 1 to 2000 characters"),
    "many rules": (lambda: PromptText(rules=("x",) * 33), "a prompt has at most 32 rules and 8 examples"),
    "an empty example": (lambda: PromptText(examples=((),)), "an example of a prompt has 1 to 8 steps"),
}


@pytest.mark.parametrize(("make", "message"), REGISTRIES.values(), ids=REGISTRIES)
def test_a_wrong_use_of_a_registry_is_told(make: Any, message: str) -> None:
    """Each is one sentence that says what there is."""
    with pytest.raises(ContractError) as caught:
        make()
    assert message in str(caught.value)


def test_a_foreign_class_of_the_same_name_is_refused() -> None:
    """A step is encoded by the class that the registry holds."""

    class Buy(Action):
        """Something else."""

        good: str = name("goods")
        count: int = number(1, 100)

    with pytest.raises(ContractError, match="is not the class in the registry"):
        MARKET.encode(Buy("bread", 1))


def test_records_nest() -> None:
    """A record of a record keeps its shape in the schema and its bytes."""

    class Inner(Record):
        """Inside."""

        weight: int = number(0, 9)

    class Outer(Record):
        """Outside."""

        inner: Inner
        many: tuple[Inner, ...] = several(0, 2)

    class Pack(Action):
        """Pack things."""

        outer: Outer

    registry = ToolRegistry([Pack], idle=Sleep())
    step = Pack(Outer(Inner(3), (Inner(1), Inner(2))))
    encoded = registry.encode(step)
    assert registry.decode(*encoded) == step
    assert encoded.payload == b'{"outer":{"inner":{"weight":3},"many":[{"weight":1},{"weight":2}]}}'
