"""The parts of the game's settings.

What may stand in them is in `map`, `teams` and `rules`, and what must fit together in `checks`; `placement` says where
agents and things start. Everything public is imported from here.
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
