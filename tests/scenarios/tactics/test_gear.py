"""Weapons, items, abilities and patrols: what they change, what they cost, and what they are refused for."""

from __future__ import annotations

from typing import Any

import pytest

from scenarios.tactics.actions.base import Refused
from scenarios.tactics.components import Status
from scenarios.tactics.testing.flat import flat, flattened
from sim.errors import ScenarioError
from tests.reference.stage import Stage
from tests.support.marks import covers

GEAR: dict[str, Any] = {
    "weapons": {
        "pistol": {"reach": 4, "accuracy": 500, "damage_permille": 500, "magazine": 7},
        "rifle": {"reach": 9, "accuracy": 1000, "damage_permille": 2000, "magazine": 20},
    },
    "items": {
        "bread": {"effect": "stamina", "amount": 30},
        "flag": {},
        "rounds": {"effect": "ammo", "amount": 12},
        "song": {"effect": "morale", "amount": 15},
    },
    "abilities": {
        "cloud": {"effect": "smoke"},
        "eyes": {"effect": "reveal", "seconds": 5, "cells": 6},
        "feint": {"effect": "evade", "seconds": 2, "kind": "defensive"},
        "mend all": {"effect": "mend", "amount": 7, "cells": 2, "stamina": 40, "cooldown_s": 30},
        "wall": {"effect": "shield", "seconds": 4, "kind": "defensive", "cooldown_s": 6},
    },
}
KIT: dict[str, Any] = {
    "weapons": ["rifle", "pistol"],
    "items": {"bread": 2, "rounds": 1, "flag": 1, "song": 1},
    "abilities": ["cloud", "eyes", "feint", "mend all", "wall"],
}


def stage(*rows: str, **archetype: Any) -> Stage:
    """Return a stage whose agents have the gear above."""
    return Stage(*rows, scenario=GEAR, **{**KIT, **archetype})


def index(made: Stage, name: str) -> int:
    """Return the position of a name in its table."""
    gear = made.sim.run_context.game.gear
    return next(table.index(name) for table in (gear.weapons, gear.items, gear.abilities) if name in table)


def refused(made: Stage, key: int, kind: str, *args: Any, ticks: int = 1) -> Refused:
    """Let an agent do one step and return why it was refused (NO if it was not)."""
    made.plan(key, (kind, *args))
    made.tick(ticks)
    return made.refusal(key)


# Weapons.


def test_the_first_weapon_is_in_hand() -> None:
    """It sets reach, accuracy, damage and magazine; the others lie loaded in their slots."""
    with stage("a") as made:
        assert (made[0, "Weapon.reach"], made[0, "Weapon.accuracy"], made[0, "Weapon.damage"]) == (9, 1000, 2000)
        assert (made[0, "Ammo.rounds"], made[0, "Ammo.magazine"]) == (20, 20)
        assert made[0, "Arsenal.rounds"].tolist() == [0, 7, 0, 0]


@pytest.mark.parametrize(
    ("kind", "arg", "ticks", "rest"), [("EquipWeapon", "pistol", 10, 10), ("SwitchWeapon", 1, 5, 5)]
)
def test_another_weapon_in_hand_changes_what_an_attack_does(kind: str, arg: Any, ticks: int, rest: int) -> None:
    """It takes time, rounds stay with their weapons, and reach, chance and damage are the new weapon's."""
    with stage("a.b") as made:
        made[0, "Ammo.rounds"] = 13
        made.plan(0, (kind, index(made, arg) if isinstance(arg, str) else arg))
        made.tick(ticks - 1)
        assert made[0, "Arsenal.hand"] == 0
        made.tick()
        assert (made[0, "Arsenal.hand"], made[0, "Weapon.reach"], made[0, "Ammo.rounds"]) == (1, 4, 7)
        assert made[0, "Arsenal.rounds"].tolist() == [13, 0, 0, 0]
        assert made.cooldowns(0) == {"gear": ticks - 1 + rest}
        made[0, "Weapon.accuracy"] = 1000
        refused(made, 0, "Attack", 1)
        assert made[1, "Health.hp"] == 95
        made.plan(0, ("SwitchWeapon", 0))
        made.tick(20)
        assert (made[0, "Arsenal.hand"], made[0, "Ammo.rounds"], made[0, "Weapon.damage"]) == (0, 13, 2000)
        assert made[0, "Arsenal.rounds"].tolist() == [0, 6, 0, 0]


def test_weapons_that_are_not_carried_or_in_hand_already_are_refused() -> None:
    """A slot without a weapon, a weapon that others carry, and the one in hand."""
    with stage("a", weapons=["rifle"]) as made:
        assert refused(made, 0, "EquipWeapon", index(made, "pistol")) is Refused.NO_ITEM
    with stage("a") as made:
        assert refused(made, 0, "SwitchWeapon", 2) is Refused.NO_ITEM
    with stage("a") as made:
        assert refused(made, 0, "SwitchWeapon", 0) is Refused.NOTHING_TO_DO
    with stage("a") as made:
        assert refused(made, 0, "EquipWeapon", index(made, "rifle")) is Refused.NOTHING_TO_DO
    with Stage("a") as bare:
        assert refused(bare, 0, "SwitchWeapon", 0) is Refused.NO_ITEM


# Items.


@pytest.mark.parametrize(
    ("item", "column", "before", "after"),
    [
        ("bread", "Stamina.value", 20, 55),
        ("song", "Morale.value", 40, 55),
        ("rounds", "Ammo.reserve", 90, 102),
        ("medkits", "Health.hp", 50, 70),
    ],
)
def test_an_item_is_used_up_for_its_effect(item: str, column: str, before: int, after: int) -> None:
    """Half a second, one piece, its amount, and a second of rest; stamina has come back by itself meanwhile."""
    with stage("a") as made:
        made[0, column] = before
        held = made.held(0, item)
        refused(made, 0, "UseItem", index(made, item), ticks=5)
        assert made.status(0) is Status.FINISHED
        assert made[0, column] == after
        assert made.held(0, item) == held - 1
        assert made.cooldowns(0) == {"gear": 14}


def test_smoke_is_used_where_one_stands() -> None:
    """The cloud stands around the agent's own cell."""
    with stage("...", ".a.", "...") as made:
        refused(made, 0, "UseItem", index(made, "smokes"), ticks=5)
        assert len(made.sim.run_context.game.smoke.cell) == 9
        assert made.held(0, "smokes") == 0


def test_items_that_are_missing_useless_or_thrown_are_refused() -> None:
    """Nothing of it held, nothing that it would do, or nothing that it does on oneself."""
    with stage("a", items={}) as made:
        assert refused(made, 0, "UseItem", index(made, "bread")) is Refused.NO_ITEM
    with stage("a") as made:
        assert refused(made, 0, "UseItem", index(made, "bread")) is Refused.NOTHING_TO_DO
    with stage("a") as made:
        assert refused(made, 0, "UseItem", index(made, "medkits")) is Refused.NOTHING_TO_DO
    with stage("a") as made:
        assert refused(made, 0, "UseItem", index(made, "song")) is Refused.NOTHING_TO_DO
    for item in ("flag", "explosives"):
        with stage("a") as made:
            assert refused(made, 0, "UseItem", index(made, item)) is Refused.UNUSABLE


# Abilities.


def test_a_shield_halves_harm_for_its_seconds() -> None:
    """The guard stands for four seconds from the effect on, and the group rests for the ability's own time."""
    with stage("a") as made:
        refused(made, 0, "UseDefensiveAbility", index(made, "wall"), ticks=5)
        assert made[0, "Guard.until"] == 4 + 1 + 40
        assert made.cooldowns(0) == {"defence": 64}


def test_mending_reaches_friends_around_and_oneself() -> None:
    """Friends within two cells gain seven points, those farther away and enemies none; it costs breath."""
    with stage("aab.a") as made:
        for key in range(4):
            made[key, "Health.hp"] = 50
        refused(made, 0, "UseAbility", index(made, "mend all"), ticks=5)
        assert [made[key, "Health.hp"] for key in range(4)] == [57, 57, 50, 50]
        assert made[0, "Stamina.value"] == 61
        assert made.cooldowns(0) == {"ability": 304}


def test_abilities_evade_hide_and_reveal() -> None:
    """A feint makes hard to hit, a cloud hides, and open eyes mark the enemies around for the team."""
    with stage("a..b") as made:
        refused(made, 0, "UseDefensiveAbility", index(made, "feint"), ticks=5)
        assert made[0, "Conditions.until"].any()
    with stage("a..b") as made:
        refused(made, 0, "UseAbility", index(made, "eyes"), ticks=5)
        assert made[1, "Conditions.marked_by"] == 0
    with stage("a") as made:
        refused(made, 0, "UseAbility", index(made, "cloud"), ticks=5)
        assert len(made.sim.run_context.game.smoke.cell) > 0


@covers(Refused.NO_ITEM, Refused.UNUSABLE, Refused.NO_STAMINA)
def test_abilities_of_others_of_the_other_kind_and_without_breath_are_refused() -> None:
    """Each has its own reason."""
    with stage("a", abilities=["wall"]) as made:
        assert refused(made, 0, "UseAbility", index(made, "cloud")) is Refused.NO_ITEM
    with stage("a") as made:
        assert refused(made, 0, "UseAbility", index(made, "wall")) is Refused.UNUSABLE
    with stage("a") as made:
        assert refused(made, 0, "UseDefensiveAbility", index(made, "cloud")) is Refused.UNUSABLE
    with stage("a") as made:
        made[0, "Stamina.value"] = 39
        assert refused(made, 0, "UseAbility", index(made, "mend all")) is Refused.NO_STAMINA


# Patrols.


def test_a_patrol_goes_round_and_back_to_its_first_cell() -> None:
    """Cells are passed in order at a walk, the round ends where it began, and its route is then no longer stored."""
    with Stage("a...", "....", "....") as made:
        route = [(0, 0), (0, 2), (2, 2)]
        step = {"waypoints": [{"x": x, "y": y} for x, y in route]}
        made.plan(0, ("Patrol", made.payload("Patrol", **step)))
        path = []
        while made.status(0) is not Status.FINISHED:
            made.tick()
            path.append(made.at(0))
            assert len(path) < 80
        met = [place for place, before in zip(path, [None, *path], strict=False) if place != before]
        assert [place for place in met if place in route] == [(0, 0), (0, 2), (2, 2), (0, 0)]
        assert len(met) == 9
        assert len(made.sim.run_context.game.payloads) == 1
        made.tick()
        assert len(made.sim.run_context.game.payloads) == 0


def test_a_patrol_to_where_nobody_can_walk_is_refused() -> None:
    """The next cell of the round must be in reach."""
    with Stage("a.#.") as made:
        step = {"waypoints": [{"x": 3, "y": 0}, {"x": 0, "y": 0}]}
        assert refused(made, 0, "Patrol", made.payload("Patrol", **step)) is Refused.UNREACHABLE


# Scenario data.


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"items": {"rifle": {}}}, "items.rifle: is a name of weapons already"),
        ({"items": {"medkits": {}}}, "items.medkits: is a name of items already"),
        ({"abilities": {"pistol": {"effect": "smoke"}}}, "abilities.pistol: is a name of weapons already"),
        ({"items": {str(n): {} for n in range(17)}}, "items"),
    ],
)
def test_names_of_gear_are_unique_and_bounded(change: dict[str, Any], message: str) -> None:
    """Weapons, items and abilities share one set of names, and no table grows without limit."""
    with stage("a") as made:
        data = flattened(made.scenario)
    data["archetypes"]["kit"].update(weapons=[], items={}, abilities=[])
    with pytest.raises(ScenarioError, match=message):
        flat({**data, **change})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weapons": ["riffle"]}, "no weapon 'riffle'; did you mean 'rifle'"),
        ({"weapons": ["rifle", "rifle"]}, "'rifle' is listed twice"),
        ({"items": {"bred": 1}}, "no item 'bred'"),
        ({"abilities": ["fly"]}, "no ability 'fly'"),
        ({"weapons": ["rifle"] * 5}, "weapons"),
    ],
)
def test_archetypes_carry_only_what_is_declared(change: dict[str, Any], message: str) -> None:
    """A name that no table has is told with what is near it."""
    with stage("a") as made:
        data = flattened(made.scenario)
    data["archetypes"]["kit"].update(change)
    with pytest.raises(ScenarioError, match=message):
        flat(data)
