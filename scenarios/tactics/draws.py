"""The purposes of the game's random draws. Their numbers are part of every replay and never change."""

from typing import Final

from sim.engine.rng import purpose

HIT: Final = purpose("hit", 1)
MAP: Final = purpose("map", 4)
START: Final = purpose("start", 5)
THING: Final = purpose("thing", 6)
