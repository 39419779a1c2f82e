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
        world.spawn({})
        world.flush()
        assert world.entity(0).label == "agent 0"
        with world.fork() as twin:
            assert twin.entity(0).label == "agent 0"
