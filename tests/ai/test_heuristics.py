"""Rules from data: every condition at its border, every action with and without what it needs, and the defaults."""

from __future__ import annotations

import tomllib
from typing import Any, Literal

import numpy as np
import pytest
from ai.heuristics import DEFAULT_RULES, HeuristicConfig, check_rules, evaluate
from pydantic import ValidationError

from ai.actions import ActionStep, EnemyId, ToolRegistry
from ai.errors import ContractError
from ai.snapshot import SharedMap, SnapshotBatch, WorldSnapshot
from scenarios.tactics.testing.planning import MAP_WIDTH
from tests.ai.strategies import KINDS, Interact, enemy, one_row, small_registry, snapshot

REGISTRY = small_registry()
NEAR = [enemy(9, 7, 5)]
CONTRACT = "a contract is broken"


def first_step(world: WorldSnapshot, config: HeuristicConfig | None = None, registry: ToolRegistry = REGISTRY) -> str:
    """Return the step that the rules give one agent, or nothing."""
    plans = evaluate(config or HeuristicConfig(), one_row(world), registry)
    return ", ".join(map(str, plans.steps(0, registry)))


def rules(when: object, then: dict[str, Any]) -> HeuristicConfig:
    """Return a configuration of one rule."""
    return HeuristicConfig.model_validate({"rules": [{"when": when, "then": then}]})


_LEADER: dict[str, Any] = {"id": 1, "pos": {"x": 9, "y": 5}}


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


DOWN = {**enemy(2, 5, 6, hp=0), "conditions": ["down"]}
MARKED = {**enemy(8, 9, 9, hp=20), "conditions": ["marked"]}
GATE = [{"k": "gate", "pos": {"x": 8, "y": 1}}]
BUSH = {"id": 3, "kind": "bush", "pos": {"x": 8, "y": 5}, "state": 2}
EMPTY = {"id": 2, "kind": "bush", "pos": {"x": 5, "y": 6}, "state": 0}


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
        ({"kind": "has_item", "item": "gold"}, snapshot(me={"holdings": {"gold": 1}}), True),
        ({"kind": "has_item", "item": "gold", "at_least": 2}, snapshot(me={"holdings": {"gold": 1}}), False),
        ({"kind": "has_item", "item": "gold"}, snapshot(), False),
        ({"kind": "under", "condition": "suppressed"}, snapshot(me={"conditions": ["suppressed"]}), True),
        ({"kind": "under", "condition": "suppressed"}, snapshot(me={"conditions": ["marked"]}), False),
        ({"kind": "ally_under", "condition": "down"}, snapshot(allies=[DOWN]), True),
        ({"kind": "ally_under", "condition": "down"}, snapshot(allies=[enemy(2, 5, 6)]), False),
        ({"kind": "enemy_under", "condition": "marked"}, snapshot(enemies=[*NEAR, MARKED]), True),
        ({"kind": "enemy_under", "condition": "marked"}, snapshot(enemies=NEAR), False),
        ({"kind": "enemies_at_least", "count": 2}, snapshot(enemies=[*NEAR, MARKED]), True),
        ({"kind": "enemies_at_least", "count": 2}, snapshot(enemies=NEAR), False),
        ({"kind": "allies_at_least", "count": 1}, snapshot(allies=[DOWN]), True),
        ({"kind": "allies_at_least", "count": 1}, snapshot(), False),
        ({"kind": "cover_wanted"}, snapshot(me={"cover_wanted_by": 2}), True),
        ({"kind": "cover_wanted"}, snapshot(), False),
        ({"kind": "in_cover"}, snapshot(me={"cover": "low"}), True),
        ({"kind": "in_cover"}, snapshot(), False),
        ({"kind": "leads"}, snapshot(), True),
        ({"kind": "leads"}, snapshot(player={"id": 1, "pos": {"x": 9, "y": 5}}), False),
        ({"kind": "leader_within", "cells": 4}, snapshot(player={"id": 1, "pos": {"x": 9, "y": 5}}), True),
        ({"kind": "leader_within", "cells": 3}, snapshot(player={"id": 1, "pos": {"x": 9, "y": 5}}), False),
        ({"kind": "leader_within", "cells": 64}, snapshot(), False),
        ({"kind": "leader_stance", "stance": "crouch"}, snapshot(player=_LEADER | {"stance": "crouch"}), True),
        ({"kind": "leader_stance", "stance": "crouch"}, snapshot(player=_LEADER), False),
        ({"kind": "leader_stance", "stance": "prone"}, snapshot(player=_LEADER | {"stance": "prone"}), True),
        ({"kind": "leader_stance", "stance": "prone"}, snapshot(player=_LEADER | {"stance": "crouch"}), False),
        ({"kind": "leader_stance", "stance": "stand"}, snapshot(player=_LEADER | {"stance": "moonwalk"}), True),
        ({"kind": "leader_stance", "stance": "stand"}, snapshot(), False),
        ({"kind": "goal_within", "cells": 5}, snapshot(pois=GATE), True),
        ({"kind": "goal_within", "cells": 4}, snapshot(pois=GATE), False),
        ({"kind": "goal_within", "cells": 64}, snapshot(), False),
        ({"kind": "place_within", "place": "gate", "cells": 5}, snapshot(pois=GATE), True),
        ({"kind": "place_within", "place": "gate", "cells": 4}, snapshot(pois=GATE), False),
        ({"kind": "place_within", "place": "gaol", "cells": 64}, snapshot(pois=GATE), False),
        ({"kind": "object_within", "object": "bush"}, snapshot(objects=[EMPTY, BUSH]), True),
        ({"kind": "object_within", "object": "bush", "cells": 2}, snapshot(objects=[EMPTY, BUSH]), False),
        ({"kind": "object_within", "object": "bush"}, snapshot(objects=[EMPTY]), False),
        ({"kind": "object_within", "object": "tree"}, snapshot(objects=[BUSH]), False),
        ({"kind": "has_reserves"}, snapshot(me={"reserves": 1}), True),
        ({"kind": "has_reserves"}, snapshot(), False),
        ({"kind": "after", "seconds": 0}, snapshot(), True),
        ({"kind": "after", "seconds": 1}, snapshot(), False),
        ({"kind": "one_in", "count": 2, "offset": 1}, snapshot(), True),
        ({"kind": "one_in", "count": 2}, snapshot(), False),
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
        ({"kind": "under", "condition": "asleep"}, {"kind": "block"}),
        ({"kind": "always"}, {"kind": "do"}),
        ({"kind": "always"}, {"kind": "do", "verb": "MoveTo", "at": "moon"}),
        ({"kind": "always"}, {"kind": "do", "verb": "MoveTo", "at": "enemy"}),
        ({"kind": "always"}, {"kind": "do", "verb": "MoveTo", "at": "goal", "place": "gate"}),
        ([], {"kind": "block"}),
        ({"kind": "always"}, {"kind": "attack_nearest", "verb": "MoveTo"}),
        ({"kind": "always"}, {"kind": "scan", "radius": 65}),
        ({"kind": "always"}, {"kind": "wait", "duration": float("nan")}),
        ({"kind": "always"}, {"kind": "wait", "duration": 0}),
        ({"kind": "always"}, []),
        ({"kind": "always"}, [{"kind": "block"}] * 9),
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


FRIENDS = [{**enemy(2, 5, 6, hp=0), "conditions": ["down"]}, enemy(3, 8, 8, hp=20), enemy(4, 9, 9, hp=10)]
FOES = [enemy(9, 7, 5), {**enemy(8, 9, 9, hp=20), "conditions": ["marked"]}]


@pytest.mark.parametrize(
    ("then", "world", "step"),
    [
        ({"verb": "Attack", "enemy": "nearest"}, snapshot(enemies=FOES), "Attack(target_id=9)"),
        ({"verb": "Attack", "enemy": "weakest"}, snapshot(enemies=FOES), "Attack(target_id=8)"),
        ({"verb": "Attack", "enemy": "marked"}, snapshot(enemies=FOES), "Attack(target_id=8)"),
        ({"verb": "Attack", "enemy": "focus"}, snapshot(enemies=FOES), None),
        ({"verb": "Attack", "enemy": "nearest"}, snapshot(), None),
        ({"verb": "Heal", "ally": "nearest"}, snapshot(allies=FRIENDS), "Heal(target_id=3)"),
        ({"verb": "Heal", "ally": "weakest"}, snapshot(allies=FRIENDS), "Heal(target_id=4)"),
        ({"verb": "Heal", "ally": "down"}, snapshot(allies=FRIENDS), "Heal(target_id=2)"),
        ({"verb": "Heal", "ally": "caller"}, snapshot(allies=FRIENDS, me={"cover_wanted_by": 4}), "Heal(target_id=4)"),
        ({"verb": "Heal", "ally": "caller"}, snapshot(allies=FRIENDS), None),
        ({"verb": "Heal", "ally": "leader"}, snapshot(player=LEADER), "Heal(target_id=1)"),
        ({"verb": "Heal"}, snapshot(), "Heal()"),
        ({"verb": "MoveTo", "at": "goal"}, snapshot(pois=[{"pos": {"x": 1, "y": 2}}]), "MoveTo(x=1, y=2)"),
        ({"verb": "MoveTo", "at": "goal"}, snapshot(), None),
        ({"verb": "MoveTo", "at": "here"}, snapshot(), "MoveTo(x=5, y=5)"),
        ({"verb": "MoveTo", "enemy": "marked", "at": "enemy"}, snapshot(enemies=FOES), "MoveTo(x=9, y=9)"),
        ({"verb": "ThrowSmoke", "at": "leader"}, snapshot(player=LEADER), "ThrowSmoke(x=9, y=5)"),
        ({"verb": "ThrowSmoke", "at": "leader"}, snapshot(), None),
        (
            {"verb": "ThrowSmoke", "at": "distraction"},
            snapshot(me={"distracted_to": {"x": 4, "y": 0}}),
            "ThrowSmoke(x=4, y=0)",
        ),
        ({"verb": "ThrowSmoke", "place": "gate"}, snapshot(pois=GATE), "ThrowSmoke(x=8, y=1)"),
        ({"verb": "ThrowSmoke", "place": "gaol"}, snapshot(pois=GATE), None),
        ({"verb": "TakeCover", "place": "gate"}, snapshot(pois=GATE), "TakeCover(position={'x': 8, 'y': 1})"),
        ({"verb": "Wait", "values": {"duration": 2.5}}, snapshot(), "Wait(duration=2.5)"),
        ({"verb": "Wait", "values": {"duration": 0}}, snapshot(), CONTRACT),
        ({"verb": "Wait", "values": {"hours": 1}}, snapshot(), CONTRACT),
        ({"verb": "Attack"}, snapshot(), CONTRACT),
        ({"verb": "Sing"}, snapshot(), None),
    ],
)
def test_a_rule_does_any_verb_to_whom_it_chooses(then: dict[str, Any], world: WorldSnapshot, step: str | None) -> None:
    """Targets and cells are those the rule names, nobody without them gets the step, wrong fields are told."""
    config = rules({"kind": "always"}, {"kind": "do", **then})
    if step is CONTRACT:
        assert [key for key, _ in check_rules(config, REGISTRY)] == ["rules[0].then[0]"]
        with pytest.raises(ContractError):
            first_step(world, config)
    else:
        assert first_step(world, config) == (step or "Wait(duration=1.0)")
        assert list(check_rules(config, REGISTRY)) == []


@pytest.mark.parametrize(
    ("then", "world", "step"),
    [
        ({"verb": "Interact", "object": "bush"}, snapshot(objects=[EMPTY, BUSH]), "Interact(target_id=3)"),
        ({"verb": "Interact", "object": "bush"}, snapshot(objects=[EMPTY]), None),
        ({"verb": "Interact", "object": "tree"}, snapshot(objects=[BUSH]), None),
        ({"verb": "Interact", "object": "tree"}, snapshot(), None),
        ({"verb": "MoveTo", "object": "bush", "at": "object"}, snapshot(objects=[BUSH]), "MoveTo(x=8, y=5)"),
        ({"verb": "Attack", "object": "bush"}, snapshot(objects=[BUSH]), CONTRACT),
    ],
)
def test_a_rule_does_any_verb_to_a_thing(then: dict[str, Any], world: WorldSnapshot, step: str | None) -> None:
    """The nearest thing of the kind that is not empty is chosen."""
    registry = ToolRegistry([*KINDS, Interact])
    config = rules({"kind": "always"}, {"kind": "do", **then})
    if step is CONTRACT:
        with pytest.raises(ContractError, match="gives Attack an object, but it takes none"):
            first_step(world, config, registry)
    else:
        assert first_step(world, config, registry) == (step or "Wait(duration=1.0)")


def test_actions_of_a_list_are_done_in_turn_or_not_at_all() -> None:
    """A plan has a step for each action; an agent that cannot have one of them gets none."""
    then = [{"kind": "take_cover"}, {"kind": "throw_smoke"}, {"kind": "block"}]
    assert first_step(snapshot(), rules({"kind": "always"}, then)) == "Wait(duration=1.0)"
    ready = snapshot(enemies=NEAR, me={"smokes": 1})
    assert first_step(ready, rules({"kind": "always"}, then)) == "TakeCover(), ThrowSmoke(x=6, y=5), Block()"


def test_a_rule_holds_only_where_none_of_unless_does() -> None:
    """`unless` takes one condition or a list, and any of them is enough."""
    rule = {"when": {"kind": "always"}, "unless": [{"kind": "enemy_visible"}, {"kind": "has_order"}]}
    config = HeuristicConfig.model_validate({"rules": [{**rule, "then": {"kind": "block"}}]})
    assert first_step(snapshot(), config) == "Block()"
    assert first_step(snapshot(enemies=NEAR), config) == "Wait(duration=1.0)"
    assert first_step(snapshot(orders=["hold"]), config) == "Wait(duration=1.0)"


def test_cover_is_the_nearest_cell_on_which_nobody_is_known() -> None:
    """Cells of cover are looked for by distance, then row, then column, past allies and enemies, on the map only."""
    cover = np.zeros((6, 20), np.bool_)
    cover[0, 4], cover[0, 6], cover[2, 5], cover[5, 15] = True, True, True, True
    batch = SnapshotBatch(keys=np.arange(4), map=SharedMap(20, 6, ~cover, cover))
    batch.x[:], batch.y[:] = 5, 0
    batch.x[3] = 19
    batch.ally[1, 0], batch.ally_x[1, 0], batch.ally_y[1, 0] = 9, 4, 0
    batch.enemy[2, :2], batch.enemy_x[2, :2], batch.enemy_y[2, :2] = (7, 8), (4, 6), (0, 0)
    plans = evaluate(rules({"kind": "always"}, {"kind": "do", "verb": "TakeCover", "at": "cover"}), batch, REGISTRY)
    assert [str(plans.steps(row, REGISTRY)[0]) for row in range(4)] == [
        "TakeCover(position={'x': 4, 'y': 0})",
        "TakeCover(position={'x': 6, 'y': 0})",
        "TakeCover(position={'x': 5, 'y': 2})",
        "TakeCover(position={'x': 15, 'y': 5})",
    ]
