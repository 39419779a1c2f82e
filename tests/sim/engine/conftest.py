"""A small world, empty or with five entities."""

from __future__ import annotations

import numpy as np
import pytest

from sim.engine.world import World
from tests.sim.engine.small_world import ALL, Position, everything


@pytest.fixture
def world():
    with World(ALL, debug=True) as world:
        yield world


@pytest.fixture
def five(world):
    """Five entities, keys 0 to 4, x = 10 * key."""
    world.spawn(everything({Position: {"x": np.arange(5) * 10}}), count=5)
    world.flush()
    return world
