"""Objects belong to keys, need an encoding, and make a world exact where they hold a float."""

from __future__ import annotations

import pytest

from sim.engine.world import World
from sim.errors import WorldError
from tests.sim.engine.small_world import Board, Feeling, Memory, Position


def test_objects_belong_to_keys_and_die_with_them(five):
    """User code that is not hot may use plain dataclasses."""
    for key in (3, 1):
        five.attach_object(key, Memory(f"of {key}", [key]))
    assert [key for key, _ in five.objects(Memory)] == [1, 3]
    assert five.object(3, Memory).note == "of 3"
    assert five.entity(3)[Memory].seen == [3]
    five.detach_object(1, Memory)
    five.kill_keys([3])
    five.flush()
    assert five.objects(Memory) == []
    for call in (lambda: five.object(1, Memory), lambda: five.detach_object(1, Memory)):
        with pytest.raises(WorldError, match="entity 1 has no Memory"):
            call()


def test_objects_without_an_encoding_or_an_owner_are_refused(five):
    """What could not be hashed or would belong to nobody does not come in."""
    with pytest.raises(WorldError, match=r"Memory\.seen holds a set"):
        five.attach_object(0, Memory("x", {1}))
    with pytest.raises(WorldError, match="no living entity has key 9"):
        five.attach_object(9, Memory("x", []))


def test_one_float_makes_a_world_exact(five):
    """The domain follows declarations, values and resources."""
    assert five.domain == "portable"
    five.attach_object(0, Memory("x", [0.5]))
    assert five.domain == "exact"
    with World([Position], objects=[Feeling]) as world:
        assert world.domain == "exact"
    with World([Position]) as world:
        board = Board()
        world.add_resource(board)
        assert world.domain == "portable"
        board.cells = board.cells / 2
        assert world.domain == "exact"
