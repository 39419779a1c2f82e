"""The simulation against the slow reference: every column of every agent, after every tick."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenarios.tactics.actions.base import Refused
from scenarios.tactics.testing.arenas import STEPS, inputs, scenarios
from scenarios.tactics.testing.flat import flat, flattened
from sim.run.scenario_file import Scenario, load
from tests.reference import slow_tick
from tests.reference.lockstep import Choose, MismatchError, errands, random_plans, run_in_step
from tests.reference.slow_things import NAMED
from tests.reference.slow_tick import CODES, KIND_NAMES, PLAIN, RULED, Plan, Step

SIZES = {
    "scenarios.tactics.perception.PAIRS_AT_ONCE": 0,
    "scenarios.tactics.perception.CLOSE_CELLS": 2,
    "scenarios.tactics.grid.CELLS_AT_ONCE": 0,
    "scenarios.tactics.grid.LINES_AT_ONCE": 0,
    "scenarios.tactics.grid.FIELDS_CELLS_MAX": 0,
    "scenarios.tactics.grid.TEAMS_INDEXED_MAX": 2,
    "sim.engine.storage.FEW_ROWS": 0,
    "sim.engine.rows.DENSE_KEYS_MAX": 3,
}
"""From what size on the simulation goes other ways for speed, set so low that small worlds go them."""


@contextmanager
def ways(*, large: bool) -> Iterator[None]:
    """Let the simulation take the ways it takes in large worlds."""
    with pytest.MonkeyPatch.context() as patch:
        for name, size in SIZES.items() if large else ():
            patch.setattr(name, size)
        yield


@pytest.mark.parametrize("large", [False, True])
def test_skirmish_is_what_the_rules_say_to_its_end(large: bool) -> None:  # noqa: FBT001
    """The shipped skirmish, planned by its rules, equals the reference in every tick until it is decided."""
    scenario = load("skirmish")
    with ways(large=large):
        slow = run_in_step(scenario, ticks=scenario.ticks)
    assert slow.outcome() is not None


@settings(max_examples=settings.default.max_examples // 2)
@given(data=st.data(), large=st.booleans())
def test_any_small_world_planned_by_rules_equals_the_reference(
    data: st.DataObject,
    large: bool,  # noqa: FBT001
) -> None:
    """Drawn maps, teams, kit, rules and inputs: what agents know, plan and do equals the reference."""
    scenario = data.draw(scenarios())
    timeline = data.draw(inputs(scenario, 30))
    with ways(large=large):
        run_in_step(scenario, ticks=30, inputs=timeline)


@settings(max_examples=settings.default.max_examples // 2)
@given(data=st.data(), script=st.integers(0, 1000), large=st.booleans())
def test_any_small_world_with_random_plans_equals_the_reference(
    data: st.DataObject,
    script: int,
    large: bool,  # noqa: FBT001
) -> None:
    """Plans of any kind with any target and cell, refused when the step runs or not, equal the reference."""
    scenario = data.draw(scenarios())
    plans = random_plans(script, scenario)
    timeline = data.draw(inputs(scenario, 30))
    with ways(large=large):
        run_in_step(scenario, ticks=30, inputs=timeline, choose=plans)


ROOMS = (
    ("........", "..+..#..", ".....#..", "..#.....", "........", "...+...."),
    ("######", "#....#", "#.##.#", "#....#", "######", "......"),
    ("....", ".#..", "...."),
    (".....", ".....", ".....", ".....", "....."),
)


GEAR: dict[str, Any] = {
    "weapons": {
        "axe": {"reach": 2, "damage_permille": 1500, "magazine": 9},
        "bow": {"reach": 9, "accuracy": 500, "damage_permille": 700, "magazine": 4},
    },
    "items": {
        "belt": {"effect": "ammo", "amount": 5}, "bread": {"effect": "heal", "amount": 30},
        "drum": {"effect": "morale", "amount": 15}, "fuse": {"effect": "blast"}, "pipe": {"effect": "smoke"},
        "stone": {}, "water": {"effect": "stamina", "amount": 25},
    },
    "abilities": {
        "duck": {"kind": "defensive", "effect": "evade", "stamina": 10, "cooldown_s": 2},
        "hymn": {"effect": "morale", "amount": 10, "cooldown_s": 3},
        "spy": {"effect": "reveal", "cells": 6, "cooldown_s": 2}, "veil": {"effect": "smoke", "cooldown_s": 4},
        "wall": {"kind": "defensive", "effect": "shield", "seconds": 2, "cooldown_s": 2},
        "ward": {"effect": "mend", "amount": 5, "cells": 2, "cooldown_s": 2},
        "wind": {"effect": "stamina", "amount": 30, "cooldown_s": 2},
    },
}  # fmt: skip
"""Weapons, items and abilities of every sort."""
THINGS: list[dict[str, Any]] = [
    {"kind": "door", "x": 2, "y": 1, "effect": {"kind": "open", "x": 3, "y": 2, "width": 2}},
    {"kind": "chest", "x": 1, "y": 1, "effect": {"kind": "give", "item": "bread", "each": 2}, "stock": 3},
    {"kind": "well", "x": 6, "y": 2, "effect": {"kind": "heal", "amount": 15}},
    {"kind": "bush", "x": 0, "y": 2, "effect": {"kind": "yield", "each": 2}, "stock": 9},
    {"kind": "barn", "x": 3, "y": 0, "effect": {"kind": "take", "team": "s0"}},
    {"kind": "pit", "x": 5, "y": 0, "effect": {"kind": "take"}},
]
"""Things of every sort."""
MARKET = ("Interact", "Interact", "MoveTo", "DropItem", "Throw", "UseItem", "EquipWeapon", "SwitchWeapon", "Attack")
"""What agents do where things stand about."""
QUARRY = ("ModifyTerrain", "MoveTo", "Patrol", "UseAbility", "UseDefensiveAbility", "Interact", "Attack")
"""What agents do where the ground changes."""
WARD = ("Attack", "Revive", "Revive", "Heal", "Taunt", "Distract")
"""What agents do where many lie on the ground."""
THICKET = ("AoEAttack", "Attack", "Charge", "HeavyAttack", "Parry", "SetAmbush", "Strafe", "Dodge")
"""What agents do where all is cover and everyone near."""


def _brawl(rows: tuple[str, ...], rate: int, seed: int, each: int = 3, downed_s: int = 0, **values: int) -> Scenario:
    area = {"x": 0, "y": 0, "width": len(rows[0]), "height": len(rows)}
    squads = [{"name": f"s{n}", "archetype": "kit", "count": each, "area": area} for n in range(2)]
    kit = {"hp": 300, "magazine": 3, "reserve": 4, "smokes": 2, "explosives": 1, "medkits": 2, "sight": 6, "reach": 5}
    kit |= values
    return flat(
        {
            "name": "brawl",
            "description": "Two squads in one room",
            "ticks_per_second": rate,
            "seed": seed,
            "map": {"rows": rows},
            "archetypes": {"kit": kit},
            "teams": [
                {"name": squad["name"], "squads": [squad], "reinforcements": {"count": 2, "area": area}}
                for squad in squads
            ],
            "downed_s": downed_s,
        }
    )


def _equipped(seed: int, rate: int, *, scattered: bool = False) -> Scenario:
    """Return a brawl among things, in which everyone has something of everything."""
    data = flattened(_brawl(("........", "........", "...##...", "........"), rate, seed, downed_s=5, hp=60))
    data |= GEAR
    data["archetypes"]["kit"] |= {
        "weapons": ["axe", "bow"], "items": dict.fromkeys(GEAR["items"], 2), "abilities": list(GEAR["abilities"]),
        "carry": 2,
    }  # fmt: skip
    data["map"]["objects"] = THINGS
    if scattered:
        bushes = {"kind": "bush", "count": 3, "effect": {"kind": "yield"}, "stock": 2}
        data["map"]["scattered"] = [{**bushes, "area": {"x": 0, "y": 2, "width": 8, "height": 2}}]
    for team in data["teams"]:
        team |= {"terrain_edits": 2, "objectives": [{"kind": "collect", "count": 6, "points_each": 1}]}
    return flat(data | {"ends": "never"})


@settings(max_examples=settings.default.max_examples // 8)
@given(script=st.integers(0, 1000), rate=st.sampled_from([10, 1, 3]), large=st.booleans(), scattered=st.booleans())
def test_any_plans_with_names_things_and_ground_equal_the_reference(
    script: int,
    rate: int,
    large: bool,  # noqa: FBT001
    scattered: bool,  # noqa: FBT001
) -> None:
    """Weapons, items, abilities, things, routes and changes of the ground, used at random, equal the reference."""
    scenario = _equipped(script, rate, scattered=scattered)
    with ways(large=large):
        run_in_step(scenario, ticks=30, choose=random_plans(script, scenario, NAMED))


def _duel(kind: str) -> Choose:
    """Let two neighbours do one thing to each other, over and over."""
    return lambda key, tick: [Step(kind, [1 - key]) for _ in range(8)]


def test_every_kind_and_every_refusal_happens_and_equals_the_reference() -> None:
    """Over a fixed corpus of random plans each kind has its effect and each refusal is given, as the rules say."""
    runs = []
    for number, rate in enumerate((10, 1, 3, 5, 1, 10, 5, 3)):
        scenario = _brawl(ROOMS[number % len(ROOMS)], rate, number)
        plans = random_plans(number, scenario, PLAIN)
        runs.append(run_in_step(scenario, ticks=50, choose=plans))
    for number, rate in enumerate((1, 10)):
        wards = _brawl(("....", "++++"), rate, 2 * number + 1, hp=20, downed_s=30)
        runs.append(run_in_step(wards, ticks=80, choose=random_plans(number, wards, WARD, 0)))
        thicket = _brawl(("++++", "++++", "++++"), rate, number, magazine=30)
        runs.append(run_in_step(thicket, ticks=40, choose=random_plans(number, thicket, THICKET, 0)))
    for number, rate in enumerate((10, 2, 1, 5)):
        market = _equipped(number, rate, scattered=number % 2 == 1)
        runs.append(run_in_step(market, ticks=60, choose=random_plans(number, market, MARKET)))
        runs.append(run_in_step(market, ticks=60, choose=random_plans(number, market, QUARRY)))
        runs.append(run_in_step(market, ticks=80, choose=errands(number, market)))
    runs += [run_in_step(_brawl(("..",), 1, 1, 1), ticks=25, choose=_duel(kind)) for kind in ("HeavyAttack", "Attack")]
    assert any(sum(run.delivered) for run in runs)
    executed = sum((run.executed for run in runs), Counter[str]())
    refused = sum((run.refusals for run in runs), Counter[str]())
    assert sorted(executed) == sorted(RULED)
    assert sorted(refused) == sorted(set(CODES) - {"no"})


def test_a_leap_that_fails_is_over() -> None:
    """Who leaps where somebody else goes at the same time stays, and its next step begins without a try."""
    scenario = _brawl(("....", "....", "...."), 10, 10, each=2)

    def choose(key: int, tick: int) -> Plan:
        return [Step("Dodge", [(key * 7 + tick * 3) % 2]), Step("MoveTo", [(2 + key) % 4, 1, 0])]

    run_in_step(scenario, ticks=30, choose=choose)


def test_names_of_refusals_and_kinds_are_the_simulations() -> None:
    """The reference's own tables stand in the stored order, so that comparing codes compares meanings."""
    assert [code.name.lower().replace("_", " ") for code in Refused] == list(CODES)
    assert RULED == KIND_NAMES


def test_a_difference_is_told_by_tick_agent_column_and_both_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the two disagree, the failure names the tick, the key, the column and what each has."""
    monkeypatch.setitem(slow_tick.STRIKES, "Attack", (11, 0, 1))
    with pytest.raises(
        MismatchError, match=r"tick \d+, agent [01], Health.hp: the simulation has 290, the reference 289"
    ):
        run_in_step(_brawl(("..",), 10, 1, 1), ticks=25, choose=_duel("Attack"))


@pytest.mark.parametrize(
    "then",
    [
        *({"act": verb, "target_id": "nearest"} for verb in ("Attack", "AimedShot", "QuickAttack", "HeavyAttack")),
        {"act": "Approach", "target_id": "nearest", "distance": 2},
        {"act": "Retreat", "target_id": "nearest", "distance": 3},
        {"act": "Scan", "radius": 4},
        {"act": "Wait", "duration": 0.3},
        *STEPS,
        [{"act": "Block"}, {"act": "Attack", "target_id": "nearest"}, {"act": "Scan", "radius": 10}],
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("room", [("..", "..", "..", ".."), ("......", ".+..#.", "......")])
def test_each_action_of_a_rule_alone_equals_the_reference(room: tuple[str, ...], then: object) -> None:
    """With one rule that always holds, it is made for exactly those for whom it makes sense; the others wait."""
    data = flattened(_brawl(room, 5, 3))
    data["map"]["places"] = [{"name": "door", "x": 0, "y": 0}]
    data["rules"] = [{"when": "always", "then": then}]
    run_in_step(flat(data), ticks=12)
