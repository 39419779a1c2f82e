"""Things on the map and changes of the ground: effects, refusals, who is first, and what is conserved."""

from __future__ import annotations

from typing import Any

import pytest

from scenarios.tactics.actions.base import Refused
from scenarios.tactics.components import Status
from scenarios.tactics.inputs import Order
from scenarios.tactics.testing.flat import flat, flattened
from sim.errors import ScenarioError
from tests.reference.stage import Stage
from tests.support.marks import covers


def thing(kind: str, x: int, y: int, effect: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return one object of a map."""
    return {"kind": kind, "x": x, "y": y, "effect": effect, **more}


ORE = thing("ore", 1, 0, {"kind": "yield", "each": 3}, stock=7)
STORE = thing("store", 1, 0, {"kind": "take"})


def use(made: Stage, key: int, target: int) -> Refused:
    """Let an agent use a thing and return why it was refused (NO if it was not)."""
    made.plan(key, ("Interact", target))
    made.cool(key, gear=0)
    squads = [squad.name for team in made.scenario.settings.teams for squad in team.squads]
    made.give(Order(squad=squads[made[key, "Squad.id"]], text="use it"))
    for _ in range(9):
        if made.status(key) is Status.REFUSED:
            break
        made.tick()
    return made.refusal(key)


def item(made: Stage, name: str) -> int:
    """Return the position of an item in its table."""
    return made.sim.run_context.game.gear.items.index(name)


def pieces(made: Stage, name: str) -> int:
    """Return how many of an item there are in the world, held or lying."""
    objects = made.sim.run_context.game.objects
    lying = int(objects.left[objects.what == -1 - item(made, name)].sum())
    return lying + sum(made.held(int(key), name) for key in made.sim.world.keys)


# Dropping, throwing, taking up.


def test_a_dropped_item_lies_there_until_someone_takes_it_up() -> None:
    """It gets an id, shows in what others see, and pieces are neither made nor lost."""
    with Stage("ab") as made:
        made.plan(0, ("DropItem", item(made, "medkits")))
        made.tick()
        assert made.held(0, "medkits") == 0
        assert made.sim.run_context.game.objects.id.tolist() == [0]
        assert pieces(made, "medkits") == 2
        made.give(Order(squad="b", text="look"))
        seen = made.sim.run_context.source.batch.to_object(0).objects  # type: ignore[attr-defined]
        assert [(it.id, it.kind, it.pos.x, it.state) for it in seen] == [(0, "medkits", 0, 1)]
        made.plan(1, ("Interact", 0))
        made.give(Order(squad="b", text="take"))
        made.tick(10)
        assert made.held(1, "medkits") == 2
        assert pieces(made, "medkits") == 2
        assert len(made.sim.run_context.game.objects) == 0
        assert made.sim.run_context.game.objects.next_id == 1


def test_of_two_who_want_the_same_piece_the_lower_key_gets_it() -> None:
    """The other comes away with nothing."""
    with Stage("a.a") as made:
        made.sim.run_context.game.objects.lay(*[made.sim.world.keys[:1] * 0 + v for v in (item(made, "smokes"), 1, 0)])
        for key in (0, 1):
            made.plan(key, ("Interact", 0))
        made.tick(10)
        assert (made.held(0, "smokes"), made.held(1, "smokes")) == (2, 1)
        assert made.status(1) is Status.FINISHED


def test_thrown_things_go_off_or_lie_where_they_land() -> None:
    """Smoke spreads, explosives harm, a medkit lies on the cell; each throw costs one piece and the arm's rest."""
    with Stage("a...b") as made:
        made.plan(0, ("Throw", item(made, "explosives"), 4, 0))
        made.tick()
        assert (made[1, "Health.hp"], made.held(0, "explosives")) == (70, 0)
        assert made.cooldowns(0) == {"throw": 80}
    with Stage("a...b") as made:
        made.plan(0, ("Throw", item(made, "smokes"), 3, 0))
        made.tick()
        assert len(made.sim.run_context.game.smoke.cell) > 0
    with Stage("a...b") as made:
        made.plan(0, ("Throw", item(made, "medkits"), 3, 0))
        made.tick()
        assert made.sim.run_context.game.objects.x.tolist() == [3]
        assert pieces(made, "medkits") == 2


def test_what_is_not_held_or_out_of_reach_is_not_dropped_or_thrown() -> None:
    """Each has its reason."""
    with Stage("a", medkits=0) as made:
        made.plan(0, ("DropItem", item(made, "medkits")))
        made.tick()
        assert made.refusal(0) is Refused.NO_ITEM
    for rows, x, why, kit in (
        ("a..........b", 11, Refused.OUT_OF_RANGE, 1),
        ("a#.b", 2, Refused.NO_SIGHT, 1),
        ("a..b", 2, Refused.NO_ITEM, 0),
    ):
        with Stage(rows, medkits=kit) as made:
            made.plan(0, ("Throw", item(made, "medkits"), x, 0))
            made.tick()
            assert made.refusal(0) is why


# What stands on the map.


@covers(Refused.FULL, Refused.NOTHING_TO_DO)
def test_resources_are_gathered_and_delivered() -> None:
    """Units go from the stock into what is carried, up to what fits, and from there to the team's count."""
    with Stage("a.", objects=[ORE, {**STORE, "x": 0}], carry=4) as made:
        assert use(made, 0, 0) is Refused.NO
        assert (made[0, "Inventory.cargo"], made.sim.run_context.game.objects.left.tolist()) == (3, [4, -1])
        use(made, 0, 0)
        assert (made[0, "Inventory.cargo"], made.sim.run_context.game.objects.left.tolist()) == (4, [3, -1])
        assert use(made, 0, 0) is Refused.FULL
    with Stage("a.", objects=[{**ORE, "stock": 0}]) as made:
        assert use(made, 0, 0) is Refused.NOTHING_TO_DO
    with Stage("ab", objects=[STORE]) as made:
        made[0, "Inventory.cargo"] = 6
        made[1, "Inventory.cargo"] = 2
        made.plan(1, ("Interact", 0))
        assert use(made, 0, 0) is Refused.NO
        assert made.sim.run_context.game.objectives.delivered.tolist() == [6, 2]
        assert made[0, "Inventory.cargo"] == 0
    with Stage("a.", objects=[STORE]) as made:
        assert use(made, 0, 0) is Refused.NOTHING_TO_DO


def test_the_last_units_go_to_the_lowest_keys() -> None:
    """Seven units, three each: the third agent gets the one that is left, and nothing is made up."""
    with Stage("aaa", "aa.", objects=[{**ORE, "stock": 7}]) as made:
        for key in range(5):
            made.plan(key, ("Interact", 0))
        made.tick(10)
        assert [made[key, "Inventory.cargo"] for key in range(5)] == [3, 3, 1, 0, 0]
        assert made.sim.run_context.game.objects.left.tolist() == [0]


def test_doors_crates_and_posts() -> None:
    """A lever opens walls, a crate gives items until it is empty, a post heals whoever is hurt."""
    door = thing("lever", 0, 0, {"kind": "open", "x": 2, "y": 0}, stock=1)
    with Stage("a.#.", objects=[door]) as made:
        assert use(made, 0, 0) is Refused.NO
        assert made.sim.run_context.game.grid.terrain[0, 2] == 0
        assert use(made, 0, 0) is Refused.NOTHING_TO_DO
    crate = thing("crate", 1, 0, {"kind": "give", "item": "smokes", "each": 2}, stock=3)
    with Stage("a.", objects=[crate]) as made:
        use(made, 0, 0)
        assert made.held(0, "smokes") == 3
        use(made, 0, 0)
        assert made.held(0, "smokes") == 4
    post = thing("post", 1, 0, {"kind": "heal", "amount": 15})
    with Stage("a.", objects=[post]) as made:
        assert use(made, 0, 0) is Refused.NOTHING_TO_DO
        made[0, "Health.hp"] = 50
        assert use(made, 0, 0) is Refused.NO
        assert made[0, "Health.hp"] == 65


@covers(Refused.TARGET_GONE, Refused.OUT_OF_RANGE, Refused.UNUSABLE)
def test_things_that_are_gone_far_or_of_others_are_refused() -> None:
    """Each has its reason."""
    with Stage("a.") as made:
        assert use(made, 0, 5) is Refused.TARGET_GONE
    with Stage("a.", objects=[ORE]) as made:
        assert use(made, 0, 5) is Refused.TARGET_GONE
    with Stage("a...", objects=[{**ORE, "x": 3}]) as made:
        assert use(made, 0, 0) is Refused.OUT_OF_RANGE
    with Stage("ab", objects=[{**STORE, "effect": {"kind": "take", "team": "b"}}]) as made:
        made[0, "Inventory.cargo"] = 1
        assert use(made, 0, 0) is Refused.UNUSABLE


def test_things_survive_a_snapshot() -> None:
    """Ids, stocks and the next id come back, and the hash with them."""
    with Stage("a.", objects=[ORE]) as made:
        before = made.sim.snapshot()
        made.plan(0, ("DropItem", item(made, "smokes")), ("Interact", 0))
        made.tick(15)
        assert made.sim.snapshot() != before
        made.sim.restore(before)
        assert made.sim.snapshot() == before
        assert made.sim.run_context.game.objects.next_id == 1


@pytest.mark.parametrize(
    ("objects", "message"),
    [
        ([{**ORE, "x": 9}], "outside the 2 by 1 map"),
        ([thing("door", 0, 0, {"kind": "open", "x": 1, "y": 0, "width": 2})], "outside the 2 by 1 map"),
        ([thing("crate", 0, 0, {"kind": "give", "item": "gold"})], "no item 'gold'"),
        ([thing("store", 0, 0, {"kind": "take", "team": "c"})], "no team 'c'"),
        ([thing("store", 0, 0, {"kind": "sing"})], "map.objects"),
    ],
)
def test_things_that_do_not_fit_the_scenario_are_told(objects: list[dict[str, Any]], message: str) -> None:
    """Cells lie on the map, and items and teams exist."""
    with Stage("ab") as made:
        data = flattened(made.scenario)
    data["map"]["objects"] = objects
    with pytest.raises(ScenarioError, match=message):
        flat(data)


# The ground.


def dig(made: Stage, feature: str, x: int, y: int, intensity: float = 0.0, **location: Any) -> tuple[Any, ...]:
    """Return a change of terrain as a step; by coordinates unless another method is given."""
    where = location or {"method": "Coordinates", "cell": {"x": x, "y": y}}
    request = {"feature_type": {"type": feature}, "relative_location": where, "intensity": intensity}
    return ("ModifyTerrain", made.payload("ModifyTerrain", request_id="r1", payload=request))


def ground(made: Stage) -> list[str]:
    """Return the map as text."""
    return ["".join(".+#"[code] for code in row) for row in made.sim.run_context.game.grid.terrain.tolist()]


@pytest.mark.parametrize(
    ("feature", "expected"),
    [
        ("Cave", []),
        ("Lake", []),
        ("Forest", ["..+....", ".+++...", "..+...."]),
        ("Custom", ["..+....", ".+++...", "..+...."]),
        ("Crater", ["..+....", ".+.+...", "..+...."]),
        ("Ruins", [".......", "..+....", "......."]),
        ("Cliff", ["..#....", "..#....", "..#...."]),
    ],
)
def test_each_feature_changes_the_ground_in_its_way(feature: str, expected: list[str]) -> None:
    """Radius one around a cell; it takes three seconds, a rest of twenty, and one of the team's changes."""
    wall = feature in ("Cave", "Lake")
    with Stage(".......", "..#...a" if wall else "......a", ".......", ".......") as made:
        made.plan(0, dig(made, feature, 2, 1))
        made.tick(29)
        assert ground(made)[1][2] == ("#" if wall else ".")
        made.tick()
        assert made.refusal(0) is Refused.NO
        rows = ground(made)[:3]
        assert rows == (["." * 7] * 3 if wall else expected)
        assert made.sim.run_context.game.edits.left.tolist() == [2]
        assert made.cooldowns(0) == {"terrain": 29 + 200}


def test_walls_rise_neither_on_agents_nor_where_they_would_part_the_map() -> None:
    """Around an agent the cells stay open, and a wall that would shut a way becomes cover."""
    with Stage(".......", "..b...a", ".......", ".......") as made:
        made.plan(0, dig(made, "Cliff", 2, 1))
        made.tick(30)
        assert ground(made) == ["......."] * 4
    with Stage(".......", "......a", ".......") as made:
        made.plan(0, dig(made, "Cliff", 2, 1))
        made.tick(30)
        assert ground(made) == ["..+....", "..+....", "..+...."]


def test_a_place_can_be_said_in_three_ways() -> None:
    """By its cell, in a direction, and straight ahead up to a wall."""
    with Stage("........", ".......a", "........") as made:
        made.plan(0, dig(made, "Forest", 0, 0, method="DirectionFrom", cardinal="west", distance="medium"))
        made.tick(30)
        assert ground(made)[1] == "+++....."
    with Stage("#", ".", ".", "a") as made:
        made.plan(0, dig(made, "Ruins", 0, 0, method="LineOfSight", look_distance=9))
        made.tick(30)
        assert ground(made) == ["#", "+", ".", "."]


@covers(Refused.NO_BUDGET, Refused.OUT_OF_RANGE, Refused.NO_SIGHT)
def test_changes_of_the_ground_have_limits() -> None:
    """No change is left, or the place is nowhere, too far, or hidden."""
    with Stage("a..") as made:
        made.sim.run_context.game.edits.left[0] = 0
        made.plan(0, dig(made, "Cave", 1, 0))
        made.tick()
        assert made.refusal(0) is Refused.NO_BUDGET
    for rows, step, why in (
        ("a" + "." * 18, ("Cave", 18, 0), Refused.OUT_OF_RANGE),
        ("a#..", ("Cave", 3, 0), Refused.NO_SIGHT),
    ):
        with Stage(rows) as made:
            made.plan(0, dig(made, *step))
            made.tick()
            assert made.refusal(0) is why
    with Stage("a..") as made:
        made.plan(0, dig(made, "Cave", 0, 0, method="Coordinates"))
        made.tick()
        assert made.refusal(0) is Refused.OUT_OF_RANGE


def test_the_last_change_of_a_team_goes_to_the_lowest_key() -> None:
    """Two ask with one change left: the lower key's ground changes, the other's does not."""
    with Stage("a...a", ".....", ".....") as made:
        made.sim.run_context.game.edits.left[0] = 1
        made.plan(0, dig(made, "Ruins", 0, 2))
        made.plan(1, dig(made, "Ruins", 4, 2))
        made.tick(30)
        assert ground(made)[2] == "+...."
        assert made.sim.run_context.game.edits.left.tolist() == [0]
