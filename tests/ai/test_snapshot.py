"""What agents know: the source's JSON, objects to arrays and back, order, morale, and hostile values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ai.errors import ContractError
from ai.snapshot import AgentId, Point, SharedMap, SnapshotBatch, WorldSnapshot
from scenarios.tactics.testing.planning import batches
from tests.ai.strategies import enemy, one_row, snapshot

SOURCE: dict[str, Any] = {
    "t": 1.5,
    "player": {"hp": 90, "pos": {"x": 3, "y": 4}, "stance": "crouch", "orders": ["hold"]},
    "me": {"ammo": 12, "cooldowns": {"attack": 0.25}, "morale": 0.8, "pos": {"x": 5, "y": 5}},
    "enemies": [{"id": 7, "pos": {"x": 9, "y": 5}, "hp": 60, "cover": "low", "last_seen": 1.25}],
    "pois": [{"k": "gate", "pos": {"x": 20, "y": 1}}],
    "obstacles": [{"x": 6, "y": 6}],
    "objective": "reach the gate",
}


def test_the_sources_json_is_taken_as_it_stands() -> None:
    """A snapshot in the source's shape validates, and what we added has a default that forbids nothing."""
    world = WorldSnapshot.model_validate(SOURCE)
    assert world.me.pos == Point(x=5, y=5)
    assert world.obstacles == (Point(x=6, y=6),)
    batch = one_row(world)
    assert (batch.ammo[0], batch.reserve[0] > 0, batch.medkits[0] > 0, batch.hp[0]) == (12, True, True, 100)
    assert (batch.goal_x[0], batch.goal_y[0]) == (20, 1)
    assert batch.texts[batch.objective[0]] == "reach the gate"
    assert (batch.enemy[0, 0], batch.enemy_cover[0, 0]) == (7, 1)


@pytest.mark.parametrize(("context", "morale"), [(None, 0.8), ({"morale": "unit"}, 80), ({"morale": "percent"}, 0.8)])
def test_morale_is_scaled_only_on_request(context: dict[str, str] | None, morale: float) -> None:
    """Morale of 0 to 1 is scaled by 100 where the caller says so, and never guessed."""
    assert WorldSnapshot.model_validate(SOURCE, context=context).me.morale == morale


def test_enemies_and_allies_are_nearest_first() -> None:
    """Whatever order they are listed in, rows hold the nearest first, ties by id."""
    world = snapshot(
        enemies=[enemy(9, 9, 5), enemy(8, 5, 7), enemy(2, 5, 3), enemy(1, 5, 9)],
        allies=[enemy(4, 0, 0), enemy(3, 5, 6)],
    )
    batch = one_row(world)
    assert batch.enemy[0, :5].tolist() == [2, 8, 1, 9, -1]
    assert batch.ally[0, :3].tolist() == [3, 4, -1]


def test_more_enemies_than_places_keeps_the_nearest() -> None:
    """The nearest eight enemies are kept, the rest is not known."""
    batch = one_row(snapshot(enemies=[enemy(k, 5, 5 + k) for k in range(12, 0, -1)]))
    assert batch.enemy[0].tolist() == list(range(1, 9))


def test_cooldowns_become_ticks() -> None:
    """Seconds left become whole ticks, rounded up, in one column a group."""
    pairs = [
        (AgentId(1), snapshot(me={"cooldowns": {"throw": 0.05}})),
        (AgentId(2), snapshot(me={"cooldowns": {"attack": 2.5, "throw": -1}})),
        (AgentId(3), snapshot(me={"cooldowns": {"throw": 1e300}})),
    ]
    batch = SnapshotBatch.from_snapshots(pairs)
    assert batch.cooldown_names == ("attack", "throw")
    assert batch.ready.tolist() == [[0, 1], [25, 0], [0, 2**31 - 1]]


@settings(max_examples=80, deadline=None)
@given(batches(), st.randoms(use_true_random=False))
def test_the_order_of_agents_does_not_matter(who: list[tuple[AgentId, WorldSnapshot]], chance: Any) -> None:
    """The same agents in another order make the same batch, and taking all its rows changes nothing."""
    other = list(who)
    chance.shuffle(other)
    batch = SnapshotBatch.from_snapshots(who)
    assert batch.keys.tolist() == sorted(key for key, _ in who)
    assert SnapshotBatch.from_snapshots(other).digest() == batch.digest()
    assert batch.take(np.arange(len(batch))).digest() == batch.digest()
    assert [batch.snapshot(row) for row in range(len(batch))] == [world for _, world in sorted(who, key=lambda p: p[0])]


@settings(max_examples=60, deadline=None)
@given(batches(upto=3))
def test_arrays_tell_a_person_what_they_hold(who: list[tuple[AgentId, WorldSnapshot]]) -> None:
    """A batch without its objects gives snapshots that make the same columns again."""
    from dataclasses import fields, replace

    batch = replace(SnapshotBatch.from_snapshots(who), originals=None)
    told = SnapshotBatch.from_snapshots(
        [(AgentId(int(key)), batch.snapshot(row)) for row, key in enumerate(batch.keys)]
    )
    for column in (spec.name for spec in fields(SnapshotBatch) if "dtype" in spec.metadata):
        if column in ("goal_x", "goal_y", "ready"):  # places without names, and ready groups, are not listed
            continue
        assert np.array_equal(getattr(batch, column), getattr(told, column)), column


def test_the_digest_sees_every_column() -> None:
    """A change in what an agent knows changes the digest; more room for enemies does not."""
    batch = one_row(WorldSnapshot.model_validate(SOURCE))
    seen = {batch.digest()}
    for column in (
        "x",
        "hp",
        "ammo",
        "reserve",
        "morale",
        "medkits",
        "leader_x",
        "goal_x",
        "order",
        "enemy_hp",
        "ready",
    ):
        changed = batch.take(np.array([0]))
        getattr(changed, column)[0] += 1
        seen.add(changed.digest())
    assert len(seen) == 12


def test_taking_rows_keeps_agents_and_objects_together() -> None:
    """A part of a batch holds its agents' columns and objects, and is a copy."""
    batch = SnapshotBatch.from_snapshots([(AgentId(k), snapshot(x=k)) for k in range(5)])
    part = batch.take(np.array([1, 4]))
    assert part.keys.tolist() == [1, 4]
    assert part.snapshot(1) == batch.snapshot(4)
    part.x[0] = 99
    assert batch.x[1] == 1


def test_a_batch_on_a_map_lists_walls_nearby() -> None:
    """A snapshot made from arrays lists blocked cells near the agent, nearest first."""
    blocked = np.zeros((12, 16), np.bool_)
    blocked[5, 7] = blocked[5, 6] = blocked[0, 15] = True
    batch = SnapshotBatch(keys=np.array([1]), map=SharedMap(16, 12, blocked))
    batch.x[:], batch.y[:] = 5, 5
    assert batch.snapshot(0).obstacles == (Point(x=6, y=5), Point(x=7, y=5))


@pytest.mark.parametrize("key", [-1, 2**63, True, "1", 1.0])
def test_agent_ids_are_whole_numbers(key: Any) -> None:
    """An id that cannot be a key is an error that shows it."""
    with pytest.raises(ContractError, match="agent ids are whole numbers"):
        SnapshotBatch.from_snapshots([(key, snapshot())])


@pytest.mark.parametrize(
    "change",
    [
        {"me": {"pos": {"x": 2**31, "y": 0}}},
        {"me": {"pos": {"x": 1.5, "y": 0}}},
        {"me": {"pos": {"x": True, "y": 0}}},
        {"me": {"pos": {"x": 0, "y": 0}, "morale": 101}},
        {"me": {"pos": {"x": 0, "y": 0}, "morale": float("nan")}},
        {"me": {"pos": {"x": 0, "y": 0}, "cooldowns": {"a": float("inf")}}},
        {"enemies": [{"id": -1, "pos": {"x": 0, "y": 0}}]},
        {"allies": [{"id": 2**64, "pos": {"x": 0, "y": 0}}]},
        {"player": {"id": 2**64, "pos": {"x": 0, "y": 0}}},
        {"objective": "x" * 501},
        {"bounds": {"width": 0, "height": 3}},
    ],
)
def test_hostile_values_are_refused_at_the_door(change: dict[str, Any]) -> None:
    """Numbers that fit no column and texts without end are validation errors, not crashes later."""
    with pytest.raises(ValidationError):
        WorldSnapshot.model_validate({**SOURCE, **change})


def test_extreme_values_that_fit_make_a_batch() -> None:
    """The largest coordinates, ids and amounts are kept or clipped without an error."""
    far = {"x": 2**31 - 1, "y": -(2**31) + 1}
    me = {"pos": far, "hp": 10**12, "ammo": -(10**12)}
    batch = one_row(
        WorldSnapshot.model_validate({"me": me, "enemies": [{"id": 2**31 - 1, "pos": far, "hp": -(10**15)}]})
    )
    assert (batch.hp[0], batch.ammo[0]) == (2**31 - 1, -(2**31) + 1)
    assert (batch.enemy[0, 0], batch.enemy_hp[0, 0]) == (2**31 - 1, -(2**31) + 1)
