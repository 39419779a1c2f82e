"""Rules from data: every condition at its border, every action with and without what it needs, and the defaults."""

from __future__ import annotations

import tomllib
from typing import Any, Literal

import numpy as np
import pytest
from pydantic import ValidationError

from ai.actions import ActionStep, EnemyId, ToolRegistry
from ai.errors import ContractError
from ai.heuristics import DEFAULT_RULES, HeuristicConfig, evaluate
from ai.snapshot import SnapshotBatch, WorldSnapshot
from sim.testing.planning import MAP_WIDTH
from tests.ai.strategies import enemy, one_row, small_registry, snapshot

REGISTRY = small_registry()
NEAR = [enemy(9, 7, 5)]


def first_step(world: WorldSnapshot, config: HeuristicConfig | None = None, registry: ToolRegistry = REGISTRY) -> str:
    """Return the step that the rules give one agent, or nothing."""
    plans = evaluate(config or HeuristicConfig(), one_row(world), registry)
    return ", ".join(map(str, plans.steps(0, registry)))


def rules(when: object, then: dict[str, Any]) -> HeuristicConfig:
    """Return a configuration of one rule."""
    return HeuristicConfig.model_validate({"rules": [{"when": when, "then": then}]})


@pytest.mark.parametrize(
    ("world", "step"),
    [
        (snapshot(me={"morale": 29}), "Heal()"),
        (snapshot(me={"morale": 30}), "Scan(radius=10)"),
        (snapshot(me={"morale": 29, "medkits": 0}), "Scan(radius=10)"),
        (snapshot(me={"morale": 10, "ammo": 0}, enemies=NEAR), "Heal()"),
        (snapshot(me={"ammo": 0}, enemies=NEAR), "Reload()"),
        (snapshot(me={"ammo": 1}, enemies=NEAR), "Attack(target_id=9)"),
        (snapshot(me={"ammo": 0, "reserve": 0}, enemies=NEAR), "Attack(target_id=9)"),
        (snapshot(enemies=[enemy(9, 8, 5)]), "Attack(target_id=9)"),
        (snapshot(enemies=[enemy(9, 9, 5)]), "TakeCover()"),
        (snapshot(enemies=[enemy(9, 8, 6)]), "TakeCover()"),
        (snapshot(enemies=[enemy(3, 8, 5), enemy(4, 7, 6)]), "Attack(target_id=4)"),
        (snapshot(enemies=[enemy(8, 7, 5), enemy(4, 3, 5)]), "Attack(target_id=4)"),
        (snapshot(objective="Extract the VIP", pois=[{"pos": {"x": 1, "y": 2}}]), "MoveTo(x=1, y=2)"),
        (snapshot(objective="reach the gate", pois=[{"pos": {"x": 1, "y": 2}}]), "MoveTo(x=1, y=2)"),
        (snapshot(objective="reach the gate"), "Scan(radius=10)"),
        (snapshot(x=1, y=2, objective="reach it", pois=[{"pos": {"x": 1, "y": 2}}]), "Scan(radius=10)"),
        (snapshot(objective="reach it", pois=[{"pos": {"x": MAP_WIDTH, "y": 2}}]), "Scan(radius=10)"),
        (snapshot(objective="hold", pois=[{"pos": {"x": 1, "y": 2}}]), "Scan(radius=10)"),
        (snapshot(x=-(2**31) + 1, enemies=[enemy(9, 2**31 - 1, 5)]), "TakeCover()"),
    ],
)
def test_the_default_rules_are_the_sources_corrected(world: WorldSnapshot, step: str) -> None:
    """The seven default rules apply in the source's order, at their borders, to the truly nearest enemy."""
    assert first_step(world) == step


@pytest.mark.parametrize(
    ("when", "world", "holds"),
    [
        ({"kind": "low_morale", "below": 50}, snapshot(me={"morale": 49}), True),
        ({"kind": "low_morale", "below": 50}, snapshot(me={"morale": 50}), False),
        ({"kind": "low_health", "below_percent": 50}, snapshot(me={"hp": 24, "hp_max": 50}), True),
        ({"kind": "low_health", "below_percent": 50}, snapshot(me={"hp": 25, "hp_max": 50}), False),
        ({"kind": "low_ammo", "at_most": 2}, snapshot(me={"ammo": 2}), True),
        ({"kind": "low_ammo", "at_most": 2}, snapshot(me={"ammo": 3}), False),
        ({"kind": "enemy_within", "cells": 2}, snapshot(enemies=NEAR), True),
        ({"kind": "enemy_within", "cells": 1}, snapshot(enemies=NEAR), False),
        ({"kind": "enemy_within", "cells": 64}, snapshot(), False),
        ({"kind": "enemy_visible"}, snapshot(enemies=[enemy(0, 15, 5)]), True),
        ({"kind": "enemy_visible"}, snapshot(), False),
        ({"kind": "no_enemy"}, snapshot(), True),
        ({"kind": "no_enemy"}, snapshot(enemies=NEAR), False),
        ({"kind": "objective_contains", "text": "GATE"}, snapshot(objective="Reach the gate"), True),
        ({"kind": "objective_contains", "text": "gate"}, snapshot(objective="hold"), False),
        ({"kind": "objective_contains", "text": "gate"}, snapshot(), False),
        ({"kind": "objective_contains", "text": "hold"}, snapshot(orders=["hold"]), False),
        ({"kind": "has_order"}, snapshot(orders=["hold"]), True),
        ({"kind": "has_order"}, snapshot(objective="hold"), False),
        ({"kind": "order_contains", "text": "Hold"}, snapshot(orders=["on hold"]), True),
        ({"kind": "order_contains", "text": "hold"}, snapshot(orders=["go"]), False),
        ({"kind": "ally_hurt", "below_percent": 50}, snapshot(allies=[enemy(2, 5, 6, hp=49)]), True),
        ({"kind": "ally_hurt", "below_percent": 50}, snapshot(allies=[enemy(2, 5, 6, hp=50)]), False),
        ({"kind": "ally_hurt", "below_percent": 50}, snapshot(allies=[enemy(2, 5, 6, hp=0)]), False),
        ({"kind": "ally_hurt", "below_percent": 50}, snapshot(), False),
        ({"kind": "has_item", "item": "smokes"}, snapshot(me={"smokes": 1}), True),
        ({"kind": "has_item", "item": "explosives"}, snapshot(me={"smokes": 1}), False),
        ({"kind": "has_item", "item": "medkits"}, snapshot(me={"medkits": 0}), False),
        ({"kind": "ready", "group": "attack"}, snapshot(me={"cooldowns": {"attack": 0.01}}), False),
        ({"kind": "ready", "group": "attack"}, snapshot(me={"cooldowns": {"attack": 0}}), True),
        ({"kind": "ready", "group": "attack"}, snapshot(me={"cooldowns": {"throw": 3}}), True),
        ({"kind": "always"}, snapshot(), True),
        ([{"kind": "always"}, {"kind": "no_enemy"}], snapshot(), True),
        ([{"kind": "always"}, {"kind": "no_enemy"}], snapshot(enemies=NEAR), False),
    ],
)
def test_conditions_hold_exactly_where_they_say(when: object, world: WorldSnapshot, holds: bool) -> None:  # noqa: FBT001
    """Each condition holds on one side of its border and not on the other; a list holds where all of it does."""
    assert first_step(world, rules(when, {"kind": "block"})) == ("Block()" if holds else "Wait(duration=1.0)")


ALLIES = [enemy(2, 5, 6, hp=60), enemy(3, 8, 8, hp=20), enemy(4, 9, 9, hp=20), enemy(5, 5, 4, hp=0)]
LEADER = {"id": 1, "pos": {"x": 9, "y": 5}}


@pytest.mark.parametrize(
    ("then", "world", "step"),
    [
        ({"kind": "heal_self"}, snapshot(), "Heal()"),
        ({"kind": "heal_ally"}, snapshot(allies=ALLIES), "Heal(target_id=3)"),
        ({"kind": "heal_ally"}, snapshot(allies=ALLIES, me={"medkits": 0}), None),
        ({"kind": "heal_ally"}, snapshot(allies=ALLIES[3:]), None),
        ({"kind": "heal_ally"}, snapshot(allies=[enemy(2, 5, 6)]), None),
        ({"kind": "reload"}, snapshot(me={"reserve": 1}), "Reload()"),
        ({"kind": "reload"}, snapshot(me={"reserve": 0}), None),
        ({"kind": "attack_nearest"}, snapshot(), None),
        ({"kind": "attack_nearest", "verb": "AimedShot"}, snapshot(enemies=NEAR), "AimedShot(target_id=9)"),
        ({"kind": "attack_nearest", "verb": "HeavyAttack"}, snapshot(enemies=NEAR), None),
        ({"kind": "approach_nearest", "distance": 1}, snapshot(enemies=NEAR), "Approach(target_id=9, distance=1)"),
        ({"kind": "approach_nearest", "distance": 2}, snapshot(enemies=NEAR), None),
        ({"kind": "approach_nearest"}, snapshot(), None),
        ({"kind": "retreat", "distance": 3}, snapshot(enemies=NEAR), "Retreat(target_id=9, distance=3)"),
        ({"kind": "retreat", "distance": 2}, snapshot(enemies=NEAR), None),
        ({"kind": "retreat"}, snapshot(), None),
        ({"kind": "take_cover"}, snapshot(), "TakeCover()"),
        ({"kind": "throw_smoke"}, snapshot(enemies=[enemy(9, 9, 9)], me={"smokes": 1}), "ThrowSmoke(x=7, y=7)"),
        ({"kind": "throw_smoke"}, snapshot(enemies=NEAR), None),
        ({"kind": "throw_smoke"}, snapshot(me={"smokes": 1}), None),
        ({"kind": "throw_explosive"}, snapshot(enemies=NEAR, me={"explosives": 1}), "ThrowExplosive(x=7, y=5)"),
        ({"kind": "throw_explosive"}, snapshot(enemies=NEAR), None),
        ({"kind": "throw_explosive"}, snapshot(enemies=[enemy(9, 5, 40)], me={"explosives": 1}), None),
        ({"kind": "throw_explosive"}, snapshot(enemies=[enemy(9, -1, 5)], me={"explosives": 1}), None),
        ({"kind": "move_to_objective"}, snapshot(pois=[{"pos": {"x": 0, "y": 0}}]), "MoveTo(x=0, y=0)"),
        ({"kind": "move_to_objective"}, snapshot(), None),
        ({"kind": "move_to_leader"}, snapshot(player=LEADER), "MoveTo(x=9, y=5)"),
        ({"kind": "move_to_leader"}, snapshot(x=8, y=4, player=LEADER), None),
        ({"kind": "move_to_leader"}, snapshot(), None),
        ({"kind": "block"}, snapshot(), "Block()"),
        ({"kind": "scan", "radius": 4}, snapshot(), "Scan(radius=4)"),
        ({"kind": "wait", "duration": 2.5}, snapshot(), "Wait(duration=2.5)"),
        ({"kind": "wait", "duration": 2}, snapshot(), "Wait(duration=2.0)"),
    ],
)
def test_actions_are_made_only_where_they_make_sense(
    then: dict[str, Any], world: WorldSnapshot, step: str | None
) -> None:
    """Each action becomes its step where target, item and cell exist, and falls through to waiting where not."""
    assert first_step(world, rules({"kind": "always"}, then)) == (step or "Wait(duration=1.0)")


ACTIONS = [
    "heal_self", "heal_ally", "reload", "attack_nearest", "approach_nearest", "retreat", "take_cover", "throw_smoke",
    "throw_explosive", "move_to_objective", "move_to_leader", "block", "scan",
]  # fmt: skip


@pytest.mark.parametrize("kind", ACTIONS)
def test_an_action_whose_verb_is_not_offered_falls_through(kind: str) -> None:
    """A registry without the verb leaves the agent to the next rule."""
    me = {"smokes": 1, "explosives": 1}
    world = snapshot(me=me, enemies=NEAR, allies=ALLIES, player=LEADER, pois=[{"pos": {"x": 0, "y": 0}}])
    config = rules({"kind": "always"}, {"kind": kind})
    assert not first_step(world, config).startswith("Wait") or kind == "approach_nearest"
    assert first_step(world, config, small_registry(["Wait"])) == "Wait(duration=1.0)"
    assert first_step(world, config, small_registry([])) == ""


def test_the_first_rule_that_can_be_made_wins() -> None:
    """Order is meaning: of two rules that hold, the first one whose action can be made decides."""
    config = HeuristicConfig.model_validate(
        {
            "rules": [
                {"when": {"kind": "always"}, "then": {"kind": "throw_smoke"}},
                {"when": {"kind": "enemy_visible"}, "then": {"kind": "block"}},
                {"when": {"kind": "always"}, "then": {"kind": "take_cover"}},
            ]
        }
    )
    assert first_step(snapshot(), config) == "TakeCover()"
    assert first_step(snapshot(enemies=NEAR), config) == "Block()"
    assert first_step(snapshot(enemies=NEAR, me={"smokes": 1}), config) == "ThrowSmoke(x=6, y=5)"


def test_nobody_is_left_idle_without_a_plan() -> None:
    """Without any rule everyone waits a second."""
    assert first_step(snapshot(), HeuristicConfig(rules=())) == "Wait(duration=1.0)"


def test_rules_are_pleasant_in_toml_and_survive_a_round_trip() -> None:
    """The documented TOML form is read, and what is dumped is read back as an equal value."""
    text = """
        [[heuristics.rules]]
        when = { kind = "low_morale", below = 30 }
        then = { kind = "heal_self" }

        [[heuristics.rules]]
        when = [{ kind = "enemy_within", cells = 5 }, { kind = "has_item", item = "smokes" }]
        then = { kind = "throw_smoke" }
    """
    config = HeuristicConfig.model_validate(tomllib.loads(text)["heuristics"])
    assert [len(rule.when) for rule in config.rules] == [1, 2]
    assert HeuristicConfig.model_validate_json(config.model_dump_json()) == config
    assert HeuristicConfig.model_validate(HeuristicConfig().model_dump()).rules == DEFAULT_RULES


@pytest.mark.parametrize(
    ("when", "then"),
    [
        ({"kind": "low_moral"}, {"kind": "block"}),
        ({"kind": "low_morale", "below": 101}, {"kind": "block"}),
        ({"kind": "low_morale", "below": "30"}, {"kind": "block"}),
        ({"kind": "low_morale", "below": True}, {"kind": "block"}),
        ({"kind": "low_morale", "above": 3}, {"kind": "block"}),
        ({"kind": "objective_contains", "text": ""}, {"kind": "block"}),
        ({"kind": "has_item", "item": "gold"}, {"kind": "block"}),
        ([], {"kind": "block"}),
        ({"kind": "always"}, {"kind": "attack_nearest", "verb": "MoveTo"}),
        ({"kind": "always"}, {"kind": "scan", "radius": 65}),
        ({"kind": "always"}, {"kind": "wait", "duration": float("nan")}),
        ({"kind": "always"}, {"kind": "wait", "duration": 0}),
        ({"kind": "always"}, [{"kind": "block"}]),
    ],
)
def test_wrong_rules_are_refused(when: object, then: Any) -> None:
    """Unknown names, numbers out of range, texts for numbers and extra fields are errors when the rules are read."""
    with pytest.raises(ValidationError):
        rules(when, then)


def test_rules_cannot_be_changed_in_place() -> None:
    """A configuration is frozen: two planners may share it."""
    with pytest.raises(ValidationError):
        HeuristicConfig().rules = ()


def test_a_kind_with_other_fields_is_an_error_that_names_them() -> None:
    """A registry whose Attack takes other fields than the rules give is a mistake to be told of, not a silent gap."""

    class Attack(ActionStep):
        """Attack by another name."""

        act: Literal["Attack"] = "Attack"
        victim: EnemyId

    with pytest.raises(ContractError, match=r"Attack the fields \['target_id'\], but it takes \['victim'\]"):
        first_step(snapshot(enemies=NEAR), registry=ToolRegistry([Attack]))


def test_agents_without_a_plan_hold_zeros() -> None:
    """Places of agents without a plan hold zeros, so equal plans have equal bytes."""
    registry = small_registry(["Attack"])
    pairs = [(key, world) for key, world in enumerate([snapshot(), snapshot(enemies=NEAR)])]
    plans = evaluate(HeuristicConfig(), SnapshotBatch.from_snapshots(pairs), registry)  # type: ignore[arg-type]
    assert plans.length.tolist() == [0, 1]
    assert not plans.kind[:, 0].any()
    assert not plans.args[:, :, 0].any()


def test_a_large_batch_is_planned_without_a_look_at_each_agent() -> None:
    """Texts are compared once for each distinct text: ten thousand agents share two."""
    batch = SnapshotBatch(keys=np.arange(10_000), texts=("hold", "reach it"))
    batch.morale[:], batch.ammo[:] = 100, 1
    batch.objective[::2] = 1
    batch.goal_x[:], batch.goal_y[:] = 3, 4
    plans = evaluate(HeuristicConfig(), batch, REGISTRY)
    names = [REGISTRY.spec(int(code)).name for code in plans.kind[0, :4]]
    assert names == ["MoveTo", "Scan", "MoveTo", "Scan"]
