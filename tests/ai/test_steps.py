"""Decoded steps to integers: tables and pydantic give the same, whatever a reply wrote."""

from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import model_validator

from ai.actions import ActionStep, ArgSpec, CellX, Role, ToolRegistry, ToolSpec
from ai.errors import ParseError
from ai.steps import StepReader, places, reader_of
from scenarios.tactics.actions import default_registry
from tests.ai.strategies import small_registry, wide_registry

REGISTRIES = [small_registry(), wide_registry(), default_registry()]
ODD = st.sampled_from([None, True, False, -1, 0, 1, 64, 65, 600, 601, 4095, 4096, 2**31 - 1, 2**31, 10**30, 0.05, 0.1,
                       1.0, 2.5, 0.0004, 599.9996, 1e308, float("nan"), float("inf"), "", "run", "Run", "7", [], {},
                       {"x": 1}, {"x": 1, "y": 2}, {"x": 1, "y": 2, "z": 3}, {"y": 2, "x": None}])  # fmt: skip


def values(arg: ArgSpec) -> st.SearchStrategy[Any]:
    fitting: st.SearchStrategy[Any] = st.integers(0, 70)
    if arg.choices:
        fitting = st.sampled_from(arg.choices)
    elif arg.role is Role.NUMBER and arg.scale != 1:
        fitting = st.integers(1, 600) | st.floats(0.1, 600)
    return st.one_of(fitting, fitting, fitting, ODD)


def decoded(spec: ToolSpec) -> st.SearchStrategy[Any]:
    """Draw a step of one kind as JSON gives it, by names and by places, fitting or nearly so."""
    top = {arg.name.partition(".")[0]: values(arg) for arg in spec.args}
    cell = st.fixed_dictionaries({"x": values(spec.args[0]), "y": values(spec.args[0])}) if spec.args else ODD
    nested = {arg.name.partition(".")[0]: st.one_of(cell, ODD) for arg in spec.args if "." in arg.name}
    few = st.integers(0, 70)
    cells = st.lists(st.one_of(*[st.fixed_dictionaries({"x": few, "y": few})] * 3, cell, ODD), max_size=4)
    payload = {field.name: st.one_of(cells, cells, ODD) for field in spec.payload}
    fields = {**top, **nested, **payload}
    by_name = st.fixed_dictionaries(
        {"act": st.just(spec.name)}, optional={**fields, "more": st.just(1)} if fields else {}
    )
    by_place = st.tuples(*[values(arg) for arg in spec.args], *payload.values(), ODD).flatmap(
        lambda all_of: st.integers(0, len(all_of)).map(lambda upto: [spec.name, *all_of[:upto]])
    )
    return st.one_of(by_name, by_place)


@given(st.data())
@settings(deadline=None, max_examples=300)
def test_tables_give_what_pydantic_gives(data: st.DataObject) -> None:
    """Any decoded step of any kind has the same integers, or the same refusal, through tables and through pydantic."""
    registry = data.draw(st.sampled_from(REGISTRIES))
    step = data.draw(st.sampled_from(list(registry)).flatmap(decoded) | ODD)
    reader = reader_of(registry)
    try:
        expected: object = registry.encode(reader.parse(step))
    except ParseError as error:
        expected = str(error)
    try:
        found: object = reader.encode(step)
    except ParseError as error:
        found = str(error)
    assert found == expected


@pytest.mark.parametrize("registry", REGISTRIES)
def test_plain_steps_are_decided_by_tables_alone(registry: ToolRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kinds of plain numbers, ids and choices never reach pydantic, so planning stays fast."""
    reader = StepReader(registry)
    monkeypatch.setattr(StepReader, "parse", None)
    for spec in registry:
        if spec.payload:
            continue
        full = [spec.name, *(arg.choices[0] if arg.choices else -(-arg.low // arg.scale) for arg in spec.args)]
        assert reader.encode(full).kind == registry.code(spec.name)


def test_a_list_of_cells_is_decided_by_tables_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A patrol's route, by name and by place, has the bytes that pydantic gives it, and never reaches it."""
    registry = default_registry()
    route = [{"x": 3, "y": 4}, {"y": 0, "x": 70}]
    steps: list[Any] = [{"waypoints": route, "act": "Patrol"}, ["Patrol", route]]
    expected = [registry.encode(reader_of(registry).parse(step)) for step in steps]
    monkeypatch.setattr(ToolRegistry, "parse_encoded", None)
    assert [reader_of(registry).encode(step) for step in steps] == expected
    assert expected[0].payload == b'{"waypoints":[{"x":3,"y":4},{"x":70,"y":0}]}'


def test_a_kind_with_a_rule_of_its_own_keeps_it() -> None:
    """A validator that a kind brings along is asked for every step, however plain."""

    class Even(ActionStep):
        """Walk to an even column."""

        act: Literal["Even"] = "Even"
        x: CellX

        @model_validator(mode="after")
        def _even(self) -> "Even":
            if self.x % 2:
                raise ValueError("the column must be even")
            return self

    reader = reader_of(ToolRegistry([Even]))
    assert reader.encode(["Even", 4]).args[0] == 4
    with pytest.raises(ParseError, match="must be even"):
        reader.encode(["Even", 3])


def test_places_follow_the_registry() -> None:
    """Values in a list stand for a kind's arguments in the registry's order; null means not given."""
    registry = small_registry()
    reader = reader_of(registry)
    assert places(registry.spec("TakeCover")) == ("position.x", "position.y")
    assert reader.parse(["TakeCover", 3, 4]) == registry.make("TakeCover", position={"x": 3, "y": 4})
    assert reader.parse(["TakeCover"]) == reader.parse(["TakeCover", None, None]) == registry.make("TakeCover")
    assert reader.parse(["MoveTo", 1, 2, "run"]) == registry.make("MoveTo", x=1, y=2, speed="run")
    assert reader.parse(["Approach", 7]) == registry.make("Approach", target_id=7)


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        ([], "unknown verb 'None'"),
        ([7], "unknown verb '7'"),
        (["Fly"], "unknown verb 'Fly'"),
        (["MoveTo", 1], "MoveTo.y"),
        (["MoveTo", 1, 2, "run", 5], "MoveTo takes at most 3 arguments, not 4"),
        (["TakeCover", 1], "TakeCover.position.y"),
        ("Wait", "a step must be an object"),
    ],
)
def test_a_wrong_step_is_refused_with_its_reason(step: object, reason: str) -> None:
    """What is missing, too much or unknown is named."""
    reader = reader_of(small_registry())
    for read in (reader.parse, reader.encode):
        with pytest.raises(ParseError) as caught:
            read(step)
        assert reason in str(caught.value)
