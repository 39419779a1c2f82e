"""The forty kinds by name: fields, times and costs of the source, sentences that are true, effects that are real."""

from __future__ import annotations

import re
from types import FunctionType
from typing import Any, Final

import numpy as np
import pytest

from ai.actions import ToolSpec
from scenarios.tactics import actions
from scenarios.tactics.actions import base, default_registry
from scenarios.tactics.actions.base import Action, Walk
from scenarios.tactics.perception import occupancy_of
from scenarios.tactics.systems.cleanup import Cleanup
from scenarios.tactics.systems.combat import Combat
from scenarios.tactics.systems.execution import Execution
from scenarios.tactics.testing.actions.arena import Arena
from sim.engine.digest import state_digest
from tests.conformance.verbs import CATEGORIES, PAGE, arenas, drawn, page

SPECS: Final = {spec.name: spec for spec in default_registry().specs}

SOURCE: Final[dict[str, tuple[str, float, str]]] = {
    "MoveTo": ("x y speed?", 0, ""),
    "Approach": ("target_id distance", 0, ""),
    "Retreat": ("target_id distance", 0, ""),
    "TakeCover": ("position?", 0, ""),
    "Strafe": ("target_id direction", 0, "stamina"),
    "Patrol": ("waypoints", 0, ""),
    "Attack": ("target_id", 1, ""),
    "AimedShot": ("target_id", 2, "round"),
    "QuickAttack": ("target_id", 0.5, ""),
    "HeavyAttack": ("target_id", 3, "stamina"),
    "AoEAttack": ("x y radius", 5, ""),
    "ThrowExplosive": ("x y", 8, "explosive"),
    "CoverFire": ("target_id duration", 4, "rounds"),
    "Charge": ("target_id", 6, "stamina"),
    "Block": ("", 1, ""),
    "Dodge": ("direction?", 2, "stamina"),
    "Parry": ("", 3, ""),
    "ThrowSmoke": ("x y", 8, "smoke grenade"),
    "Heal": ("target_id?", 10, "medkit"),
    "UseDefensiveAbility": ("ability_name", 15, "what the ability costs"),
    "EquipWeapon": ("weapon_name", 1, ""),
    "SwitchWeapon": ("slot", 0.5, ""),
    "Reload": ("", 2, "reserve rounds"),
    "UseItem": ("item_name", 1, "item"),
    "DropItem": ("item_name", 0, ""),
    "CallReinforcements": ("count", 60, "reserves"),
    "MarkTarget": ("target_id", 5, ""),
    "RequestCover": ("duration", 10, ""),
    "CoordinateAttack": ("target_id", 15, ""),
    "SetAmbush": ("position", 20, ""),
    "Distract": ("target_id", 8, ""),
    "Regroup": ("rally_point", 10, ""),
    "Scan": ("radius", 5, ""),
    "Wait": ("duration", 0, ""),
    "Interact": ("target_id", 1, ""),
    "UseAbility": ("ability_name", 10, "what the ability costs"),
    "Taunt": ("target_id", 6, ""),
    "Throw": ("item x y", 8, ""),
    "Revive": ("ally_id", 0, ""),
    "ModifyTerrain": ("request_id payload", 0, ""),
}
"""AstraWeave's forty: fields, rest in seconds and what is paid (`schema.rs`, `tool_vocabulary.rs`, the effects)."""
OURS: Final = {"Reload": 0.0, "ModifyTerrain": 20.0}
"""Rests that differ: reloading takes its two seconds and then rests no more; the source has none for the ground."""


def test_the_forty_of_the_source_are_there() -> None:
    """All of its kinds, and no others."""
    assert len(SOURCE) == 40
    assert sorted(SPECS) == sorted(SOURCE)


@pytest.mark.parametrize("name", sorted(SOURCE))
def test_a_kind_is_the_sources(name: str) -> None:
    """It takes the source's fields, rests as long and is paid for in the same."""
    fields, rest, paid = SOURCE[name]
    kind = SPECS[name].action
    shown = [
        f"{field}{'?' if info.default is None else ''}" for field, info in kind.model_fields.items() if field != "act"
    ]
    assert " ".join(shown) == fields
    assert kind.cooldown_s == OURS.get(name, rest)
    assert paid in kind.cost


def test_a_kind_stands_in_the_file_of_its_category() -> None:
    """Who looks for a kind finds it by its category."""
    assert {spec.action.category for spec in SPECS.values()} == set(CATEGORIES)
    for spec in SPECS.values():
        assert spec.action.__module__ == f"{actions.__name__}.{spec.action.category}", spec.name


def test_the_page_of_verbs_says_what_the_code_does() -> None:
    """The page of verbs has fields, times, costs and reasons as `python -m tests.conformance.verbs` writes them."""
    text = PAGE.read_text("utf-8")
    assert text == page(text)


# What sentences say.

NUMBERS: Final = {
    "one": 1.0, "two": 2.0, "three": 3.0, "four": 4.0, "five": 5.0, "eight": 8.0, "ten": 10.0,
}  # fmt: skip
SAID: Final = re.compile(
    rf"\b(half a|a|{'|'.join(NUMBERS)}|\d+) (seconds?)\b|"
    rf"\b({'|'.join(NUMBERS)}|\d+) (cells?|hit points|morale|rounds?|stamina)\b"
)
UNITS: Final = {
    "second": lambda name: name.endswith(("_s", "_S")),
    "cell": lambda name: name.endswith(("_CELLS", "_cells")),
    "hit point": lambda name: name.endswith("_HP") or name.startswith("BLAST_") or name == "damage",
    "morale": lambda name: name.endswith("_MORALE"),
    "round": lambda name: name == "rounds",
    "stamina": lambda name: name == "stamina",
}
BY_NATURE: Final = {
    ("Strafe", 1.0, "cell"): "a step to the side is one cell",
    ("MarkTarget", 16.0, "cell"): "`scenarios.tactics.attention` hands marks on, which the kind does not know",
    ("QuickAttack", 4.0, "cell"): "the square, 16, stands in `reach2`",
}
"""Numbers that no constant of the kind's code stands for, and why."""


def constants(kind: type[Action]) -> dict[str, float]:
    """Return the numbers that a kind's code goes by: of the class, and of the module as far as its code names them."""
    found = {
        name: value
        for owner in reversed(kind.__mro__)
        for name, value in vars(owner).items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    left: list[Any] = [getattr(part, "__func__", part) for owner in kind.__mro__ for part in vars(owner).values()]
    seen: set[Any] = set()
    while left:
        function = left.pop()
        if (
            not isinstance(function, FunctionType)
            or function in seen
            or "scenarios.tactics.actions" not in function.__module__
        ):
            continue
        seen.add(function)
        for name in function.__code__.co_names:
            value = function.__globals__.get(name)
            if isinstance(value, int | float):
                found[name] = value
            left.append(value)
    return found


def said(text: str) -> list[tuple[float, str]]:
    """Return the numbers with a unit in a sentence; an article is a number only before seconds."""
    found = []
    for match in SAID.finditer(text.replace("eight cells around", "")):
        number, unit = match[1] or match[3], match[2] or match[4]
        value = {"half a": 0.5, "a": 1.0, **NUMBERS}.get(number)
        found.append((float(number) if value is None else value, unit.rstrip("s")))
    return found


@pytest.mark.parametrize("name", sorted(SPECS))
def test_numbers_in_a_sentence_are_those_of_the_code(name: str) -> None:
    """A number with a unit, in the sentence of the prompt or the cost, is a constant that the kind's code goes by."""
    spec = SPECS[name]
    assert issubclass(spec.action, Action)
    known = constants(spec.action)
    for number, unit in [*said(spec.sentence), *said(spec.action.cost)]:
        if (name, number, unit) not in BY_NATURE:
            fitting = {value for each, value in known.items() if UNITS[unit](each)}
            assert number in fitting, f"{name} says {number:g} {unit}; its code has {sorted(fitting)}"


def test_numbers_with_units_are_found() -> None:
    """What the test above goes by is not blind."""
    assert said("Wait half a second, two cells away, for 16 rounds: 20 hit points, 10 morale.") == [
        (0.5, "second"), (2.0, "cell"), (16.0, "round"), (20.0, "hit point"), (10.0, "morale"),
    ]  # fmt: skip
    assert sum(len(said(spec.sentence)) + len(said(spec.action.cost)) for spec in SPECS.values()) >= 35


# Effects.

CHANGES: Final[dict[str, str]] = {
    "MoveTo": "Position", "Approach": "Position", "Retreat": "Position", "TakeCover": "Position", "Patrol": "Position",
    "Strafe": "Position Stamina",
    "Attack": "Health Ammo Morale", "AimedShot": "Health Ammo Morale", "QuickAttack": "Health Ammo Morale",
    "HeavyAttack": "Health Stamina Morale", "AoEAttack": "Health Ammo Morale", "ThrowExplosive": "Health Kit Morale",
    "CoverFire": "Health Ammo Conditions", "Charge": "Position Health Stamina",
    "Block": "Guard", "Dodge": "Conditions Stamina Position", "Parry": "Conditions", "ThrowSmoke": "Smoke Kit",
    "Heal": "Health Kit", "UseDefensiveAbility": "Guard Stamina",
    "EquipWeapon": "Arsenal Ammo Weapon", "SwitchWeapon": "Arsenal Ammo Weapon", "Reload": "Ammo",
    "UseItem": "Health Inventory Kit Smoke", "DropItem": "Objects Inventory Kit", "Throw": "Objects Health Smoke Kit",
    "CallReinforcements": "Reserves agents", "MarkTarget": "Conditions", "CoordinateAttack": "Conditions",
    "RequestCover": "Conditions", "SetAmbush": "Position Conditions", "Distract": "Attention", "Taunt": "Attention",
    "Regroup": "Position Morale",
    "Interact": "Objects Inventory Health Objectives Grid", "Revive": "Health", "UseAbility": "Conditions Stamina",
    "ModifyTerrain": "Grid TerrainEdits",
    "Scan": "", "Wait": "",
}  # fmt: skip
"""What each kind is seen to change in the arenas, besides plans and cooldowns.

Waiting is only for the time, and scanning for what perception then notices
(`tests/scenarios/tactics/test_perception.py`).
"""


def state(arena: Arena) -> dict[str, str]:
    """Return a hash of each part of the world, and who is there."""
    world = arena.world
    return {**state_digest(world).components, "agents": str(world.keys.tolist())}


def changed(arena: Arena, number: int, spec: ToolSpec | None) -> dict[str, str]:
    """Return the world after all who may do a kind have done it at once (None: after nobody did anything)."""
    world, before = arena.world, arena.world.snapshot()
    turn, run = arena.turn(), arena.simulation.run_context
    run.begin(world.tick, ())
    run.notes.occupancy = occupancy_of(world, turn.grid)
    if spec is not None:
        assert issubclass(spec.action, Action)
        rows, args = drawn(arena, number, spec)
        legal = (spec.action.refusals(turn, rows, args) == base.Refused.NO).nonzero()[0]
        rows, args = rows[legal], np.ascontiguousarray(args[:, legal])
        spec.action.start(turn, rows, args)
        if issubclass(spec.action, Walk):
            turn.walk(rows, spec.action.onward(turn, rows, args))
        spec.action.apply(turn, rows, args)
    Execution().settle(turn)
    Combat().process(world, run)
    Cleanup().process(world, run)
    after = state(arena)
    world.restore(before)
    return after


def test_every_kind_changes_what_it_is_for() -> None:
    """Done by everyone who may, in arenas of all sorts, each changes the parts of the world that it is for."""
    found: dict[str, set[str]] = {name: set() for name in SPECS}
    for number, arena in arenas(24):
        still = changed(arena, number, None)
        for name, spec in SPECS.items():
            after = changed(arena, number, spec)
            found[name] |= {part for part in still.keys() | after.keys() if still.get(part) != after.get(part)}
    for name, parts in CHANGES.items():
        expected = set(parts.split())
        assert expected <= found[name], f"{name} does not change {sorted(expected - found[name])}"
        if not expected:
            assert found[name] <= {"ActionSteps", "Progress", "Cooldowns"}, name
