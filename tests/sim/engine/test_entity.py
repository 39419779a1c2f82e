"""One entity as an object, by its key."""

from __future__ import annotations

import numpy as np
import pytest

from sim.engine.entity import EntityView
from sim.engine.world import World
from sim.errors import WorldError
from tests.sim.engine.small_world import Health, Position, Route


def test_an_entity_view_reads_and_writes_python_values(five):
    """One entity at a time is comfortable, and as strict as a spawn."""
    entity = five.entity(3)
    assert entity[Position].x == 30
    entity[Health].hp = 5
    entity[Health].shield = True
    assert five[Health].hp.tolist() == [100, 100, 100, 5, 100]
    assert entity[Health].shield is True
    entity[Route].length = 1
    entity[Route].cells[0] = [7, 8]
    assert five[Route].cells[0, :, 3].tolist() == [7, 8]
    entity[Route].cells = np.zeros((4, 2), dtype=int)
    assert not five[Route].cells.any()


@pytest.mark.parametrize(
    ("value", "message"),
    [(1.5, "1.5 is not an integer"), (128, "128 does not fit int8"), ([1, 2], r"shape \(2,\) is not \(\)")],
)
def test_an_entity_view_refuses_what_does_not_fit(five, value, message):
    """No truncation and no wrapping by assignment."""
    with pytest.raises(WorldError, match=message):
        five.entity(0)[Health].hp = value
    assert five.entity(0)[Health].hp == 100


def test_an_entity_view_follows_its_key_until_death(five):
    """The view is of the entity, not of a row."""
    entity = five.entity(3)
    five.kill([0, 1])
    five.detach([4], Health)
    five.flush()
    assert entity[Position].x == 30
    with pytest.raises(WorldError, match="entity 4 has no Health"):
        _ = five.entity(4)[Health]
    with pytest.raises(WorldError, match="no column 'pain'"):
        _ = entity[Health].pain
    five.kill_keys([3])
    five.flush()
    assert not entity.alive
    assert "dead" in repr(entity)
    with pytest.raises(WorldError, match="no living entity has key 3"):
        _ = entity[Position].x
    with pytest.raises(WorldError, match="no living entity has key 3"):
        five.entity(3)


def test_a_world_hands_out_the_entity_view_it_was_given():
    """Other parts add properties by subclassing."""

    class Named(EntityView):
        @property
        def label(self):
            return f"agent {self.key}"

    with World([Position], entity_view=Named) as world:
        world.spawn({Position: {}})
        world.flush()
        assert [agent.label for agent in world.agents(Position)] == ["agent 0"]
        assert world.entity(0).label == "agent 0"
        with world.fork() as twin:
            assert twin.entity(0).label == "agent 0"


def test_agents_come_in_key_order_and_have_the_components(five):
    """A loop visits who has all of the components, ascending by key, whatever their history."""
    five.detach([1, 3], Health)
    five.detach([4], Position)
    five.flush()
    assert [agent.key for agent in five.agents(Position, Health)] == [0, 2]
    assert [Health in agent for agent in five.agents()] == [True, False, True, False, True]


def test_an_agent_dies_at_the_end_of_the_system(five):
    """Killing inside a loop disturbs nobody's row; the killed are there until the flush."""
    for agent in five.agents(Position):
        agent[Position].x += 1
        if agent.key % 2:
            agent.kill()
            assert agent.alive
            five.spawn({Position: {"x": agent.key}}, like=agent.row)
    assert five[Position].x.tolist() == [1, 11, 21, 31, 41]
    five.flush()
    assert five.keys.tolist() == [0, 2, 4, 5, 6]
    assert five[Position].x.tolist() == [1, 21, 41, 1, 3]
    agent = five.entity(4)
    agent.kill()
    five.flush()
    with pytest.raises(WorldError, match="no living entity has key 4"):
        agent.kill()


def test_a_loop_survives_a_flush_inside_of_it(five):
    """Who is visited after a flush is still the entity with its key, not whoever moved into its row."""
    seen = []
    for agent in five.agents(Position):
        if agent.key == 1:
            five.kill([0])
            five.flush()
        seen.append((agent.key, agent[Position].x))
    assert seen == [(0, 0), (1, 10), (2, 20), (3, 30), (4, 40)]


def test_a_cell_kept_over_a_flush_follows_its_agent(five):
    """What was opened before a flush reads and writes the same entity after it."""
    health = five.entity(3)[Health]
    five.kill([0])
    five.flush()
    health.hp = 7
    assert five[Health].hp.tolist() == [100, 100, 7, 100]
    five.detach([2], Health)
    five.flush()
    with pytest.raises(WorldError, match="entity 3 has no Health"):
        _ = health.hp
    with pytest.raises(WorldError, match="no column 'pain'"):
        health.pain = 3
