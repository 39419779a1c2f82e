"""The check at acceptance, held against judging one step of one agent after the other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai.actions import NONE, Kind, ToolRegistry, values_in
from ai.errors import ContractError
from ai.legality import explained, refusals
from ai.observation import Cell, ObservationBatch
from ai.plans import PlanBatch, Refusal
from ai.strategies import batches
from tests.ai.llm.village import (
    FORAGING,
    MARKET,
    TABLES,
    Bush,
    Buy,
    Field,
    Forager,
    Go,
    Guide,
    Look,
    Nap,
    Order,
    Person,
    Pick,
    Rest,
    Sell,
    Sleep,
    Talk,
    Tip,
    Tour,
    Villager,
    forager,
    foragers,
    market,
    villager,
)
from tests.support.marks import covers

BAKER = Person(id=4, trade="baker", mood=7)
BUSH = Bush(id=9, pos=Cell(1, 1), berries=1)
ORDER = Order("nuts", 0.5)


def verdict(batch: ObservationBatch[Any], steps: list[Any], registry: ToolRegistry) -> Refusal:
    """Judge one agent's plan."""
    plans = PlanBatch.from_steps(batch.keys, [steps], registry)
    return Refusal(int(refusals(batch, plans, registry)[0]))


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([Sleep(3)], Refusal.ACCEPTED),
        pytest.param([], Refusal.EMPTY, marks=covers(Refusal.EMPTY)),
        ([Talk(4, "x")], Refusal.ACCEPTED),
        ([Talk(3, "x")], Refusal.ACCEPTED),
        pytest.param([Talk(5, "x")], Refusal.UNKNOWN_TARGET, marks=covers(Refusal.UNKNOWN_TARGET)),
        ([Tip(1)], Refusal.ACCEPTED),
        ([Tip(1, 3)], Refusal.UNKNOWN_TARGET),
        ([Sleep(1), Talk(9, "x"), Buy("bread", 1)], Refusal.UNKNOWN_TARGET),
    ],
)
def test_a_villager_names_whom_it_knows(steps: list[Any], expected: Refusal) -> None:
    """Targets are in the argument's own sources: people and who is owed for a talk, people alone for a tip."""
    assert verdict(market(villager(people=(BAKER,), debt_to=3)), steps, MARKET) is expected


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([Go(Cell(11, 8))], Refusal.ACCEPTED),
        pytest.param([Go(Cell(12, 0))], Refusal.OUTSIDE, marks=covers(Refusal.OUTSIDE)),
        ([Go(Cell(0, 9))], Refusal.OUTSIDE),
        ([Look(0, 9)], Refusal.OUTSIDE),
        ([Rest()], Refusal.ACCEPTED),
        ([Rest(Cell(0, 9))], Refusal.OUTSIDE),
        ([Pick(9)], Refusal.ACCEPTED),
        ([Pick(4)], Refusal.UNKNOWN_TARGET),
        ([Tour(1, (Cell(1, 1),), (9,), ORDER)], Refusal.ACCEPTED),
        ([Tour(1, (Cell(1, 1), Cell(12, 1)), (), ORDER)], Refusal.OUTSIDE),
        ([Tour(1, (Cell(1, 1),), (9, 8), ORDER)], Refusal.UNKNOWN_TARGET),
        ([Tour(1, (Cell(1, 1),), (), ORDER), Pick(4)], Refusal.UNKNOWN_TARGET),
    ],
)
def test_a_forager_stays_on_its_field(steps: list[Any], expected: Refusal) -> None:
    """Cells are inside the agent's own space, in arguments and inside lists; an agent's id is not a bush's."""
    batch = foragers(forager(bushes=(BUSH,), guide=Guide(id=4, pos=Cell(1, 1))))
    assert verdict(batch, steps, FORAGING) is expected


def test_each_agent_has_its_own_space() -> None:
    """The same cell is inside for one agent and outside for another."""
    batch = foragers(forager(), forager(field=Field(3, 3)), forager())
    plans = PlanBatch.from_steps(batch.keys, [[Go(Cell(5, 5))]] * 3, FORAGING)
    assert refusals(batch, plans, FORAGING).tolist() == [0, Refusal.OUTSIDE, 0]


@covers(Refusal.UNKNOWN_VERB)
def test_a_verb_must_be_offered() -> None:
    """A verb that a tier does not offer is refused, whatever its arguments."""
    assert verdict(market(villager()), [Sell("bread", 1)], MARKET.first_tier) is Refusal.UNKNOWN_VERB


@covers(Refusal.OUT_OF_RANGE)
@pytest.mark.parametrize(
    ("code", "args"),
    [("Buy", (3, 1)), ("Buy", (-1, 1)), ("Buy", (0, 101)), ("Buy", (0, NONE)), ("Buy", (0, 1, 7)), ("Talk", (-1, 0))],
)
def test_bare_integers_are_judged_too(code: str, args: tuple[int, ...]) -> None:
    """Ranges, missing arguments and arguments that the verb has not."""
    assert of_integers(code, *args) is Refusal.OUT_OF_RANGE


def test_integers_in_their_ranges_are_accepted() -> None:
    """An argument that may be missing may be, and the ends of a range are inside."""
    assert of_integers("Buy", 0, 1) is of_integers("Tip", 50, NONE, NONE) is Refusal.ACCEPTED


def of_integers(code: str, *args: int) -> Refusal:
    """Judge a plan of one step, given as integers."""
    batch = market(villager())
    plans = PlanBatch.empty(batch.keys)
    plans.length[0] = 1
    plans.kind[0, 0] = MARKET.code(code)
    plans.args[0, :, 0] = (*args, *[NONE] * (4 - len(args)))
    return Refusal(int(refusals(batch, plans, MARKET)[0]))


@pytest.mark.parametrize("code", [-1, 5, 99, 2**15 - 1])
def test_an_unknown_code_is_refused(code: int) -> None:
    """A code that no verb has is an unknown verb, not an index error."""
    batch = market(villager())
    plans = PlanBatch.empty(batch.keys)
    plans.length[0], plans.kind[0, 0] = 1, code
    assert refusals(batch, plans, MARKET).tolist() == [Refusal.UNKNOWN_VERB]


def test_a_damaged_payload_is_out_of_range() -> None:
    """Lists and records that no step has are refused."""
    batch = foragers(forager())
    plans = PlanBatch.from_steps(batch.keys, [[Tour(1, (Cell(1, 1),), (), ORDER)]], FORAGING)
    plans.payloads[0, 0] = b'{"stops": 7}'
    assert refusals(batch, plans, FORAGING).tolist() == [Refusal.OUT_OF_RANGE]


def expected_of(batch: ObservationBatch[Any], plans: PlanBatch, row: int, registry: ToolRegistry) -> Refusal:
    """Judge one agent's plan step by step, place by place."""
    if plans.length[row] <= 0:
        return Refusal.EMPTY
    for step in range(int(plans.length[row])):
        code = int(plans.kind[step, row])
        if not 0 <= code < len(registry.specs) or registry.specs[code].name not in registry:
            return Refusal.UNKNOWN_VERB
        spec = registry.specs[code]
        for place in range(4):
            found = _of_place(batch, plans, row, step, spec, place)
            if found is not Refusal.ACCEPTED:
                return found
        if spec.payload:
            args = [int(value) for value in plans.args[step, :, row]]
            try:
                decoded = registry.decode(code, args, plans.payloads.get((row, step), b""))
            except ContractError:
                return Refusal.OUT_OF_RANGE
            for arg, value in values_in(spec, decoded):
                if arg.kind is Kind.TARGET and value not in batch.targets(*arg.sources)[row]:
                    return Refusal.UNKNOWN_TARGET
                space = batch.shared["field"][int(batch.field[row])] if arg.kind is Kind.CELL else None
                if space is not None and (value.x >= space.width or value.y >= space.height):
                    return Refusal.OUTSIDE
    return Refusal.ACCEPTED


def _of_place(batch: ObservationBatch[Any], plans: PlanBatch, row: int, step: int, spec: Any, place: int) -> Refusal:
    value = int(plans.args[step, place, row])
    if place >= len(spec.args):
        low, high = (0, 2**31 - 1) if spec.payload and place == len(spec.args) else (NONE, NONE)
        return Refusal.ACCEPTED if low <= value <= high else Refusal.OUT_OF_RANGE
    arg = spec.args[place]
    if value == NONE:
        return Refusal.OUT_OF_RANGE if arg.required else Refusal.ACCEPTED
    if not arg.low <= value <= arg.high:
        return Refusal.OUT_OF_RANGE
    if arg.kind is Kind.TARGET and value not in batch.targets(*arg.sources)[row]:
        return Refusal.UNKNOWN_TARGET
    if arg.kind in (Kind.CELL_X, Kind.CELL_Y):
        space = batch.shared[arg.sources[0]][int(batch.column(arg.sources[0])[row])]
        if value >= (space.width if arg.kind is Kind.CELL_X else space.height):
            return Refusal.OUTSIDE
    return Refusal.ACCEPTED


def raw_plans(keys: Any, registry: ToolRegistry) -> st.SearchStrategy[PlanBatch]:
    """Draw plans as bare integers, near the borders of what is legal."""
    n = len(keys)
    stored = st.sampled_from([NONE, -1, 0, 1, 2, 3, 5, 8, 9, 11, 12, 20, 50, 100, 101, 1000, 30_000, 2**31 - 1])
    tour = PlanBatch.from_steps(np.arange(1), [[Tour(1, (Cell(1, 1),), (), ORDER)]], FORAGING).payloads[0, 0]

    def build(drawn: tuple[list[int], list[list[int]], list[list[list[int]]], bytes]) -> PlanBatch:
        lengths, kinds, args, payload = drawn
        plans = PlanBatch.empty(keys, 2)
        plans.length[:] = lengths
        plans.kind[:] = np.array(kinds, np.int16).reshape(2, n)
        plans.args[:] = np.array(args, np.int32).reshape(2, 4, n)
        plans.payloads = {(row, step): payload for row in range(n) for step in range(2)}
        return plans

    def fixed(of: st.SearchStrategy[Any], size: int) -> st.SearchStrategy[list[Any]]:
        return st.lists(of, min_size=size, max_size=size)

    codes = st.integers(-1, len(registry.specs))
    payloads = st.sampled_from(
        [tour, b"", b'{"what":"x"}', b'{"bushes":[0],"order":{"good":"nuts","share":0.5},"stops":[]}']
    )
    return st.tuples(
        fixed(st.integers(0, 2), n), fixed(fixed(codes, n), 2), fixed(fixed(fixed(stored, n), 4), 2), payloads
    ).map(build)


@given(st.data())
def test_every_plan_is_judged_as_one_by_one(data: st.DataObject) -> None:
    """For any agents and any integers, the verdict is that of judging each agent's steps in order."""
    pairs: Any
    registry, of, tables = data.draw(st.sampled_from([(MARKET, Villager, TABLES), (FORAGING, Forager, None)]))
    pairs = data.draw(batches(of, tables, upto=3).filter(bool))
    batch = of.from_objects(pairs, tables=tables)
    registry = registry.offering(data.draw(st.sets(st.sampled_from(registry.names), min_size=1)) | {registry.idle.act})
    plans = data.draw(raw_plans(batch.keys, registry))
    found = refusals(batch, plans, registry)
    assert found.tolist() == [int(expected_of(batch, plans, row, registry)) for row in range(len(batch))]
    for row in np.flatnonzero(found):
        assert explained(batch, plans, int(row), registry)


def test_a_refusal_is_explained_with_its_place() -> None:
    """The sentence names step, argument and value where a target or a cell is wrong."""
    batch = foragers(forager(bushes=(BUSH,)))

    def told(*steps: Any) -> str:
        return explained(batch, PlanBatch.from_steps(batch.keys, [list(steps)], FORAGING), 0, FORAGING)

    assert told(Nap(), Pick(4)) == "step 2: bush: 4 is nobody in bushes"
    assert told(Go(Cell(12, 1))) == "step 1: at.x: 12 is outside field, which is 12x9"
    assert told(Tour(1, (Cell(1, 20),), (), ORDER)) == "step 1: stops: 1,20 is outside field, which is 12x9"
    assert told() == "the plan has no steps"
    talk = PlanBatch.from_steps(np.array([1]), [[Talk(9, "x")]], MARKET)
    assert explained(market(villager()), talk, 0, MARKET) == "step 1: to: 9 is nobody in people or debt_to"
