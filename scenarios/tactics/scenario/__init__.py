"""The parts of the game's settings.

`map`, `teams` and `rules` declare them, `checks` checks them together, and `placement` places agents and objects at the
start. Import every public name from here.
"""

from scenarios.tactics.scenario.map import GLYPHS, GeneratedMap, generate_map, terrain
from scenarios.tactics.scenario.placement import place_agents, place_things
from scenarios.tactics.scenario.rules import CombatRules, MoraleRules
from scenarios.tactics.scenario.teams import Archetype

__all__ = [
    "GLYPHS",
    "Archetype",
    "CombatRules",
    "GeneratedMap",
    "MoraleRules",
    "generate_map",
    "place_agents",
    "place_things",
    "terrain",
]
