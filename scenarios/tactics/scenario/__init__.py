"""Scenarios: what a run starts from, as data. A TOML file in, a validated `Scenario` out.

What may stand in one is in `model`, `map`, `teams` and `rules`, and what must fit together in `checks`; `files` finds
and reads them, `input_lines` reads inputs that come as lines, `placement` says where agents and things start, `tiers`
settles the order of tiers. Everything public is imported from here.
"""

from scenarios.tactics.scenario.checks import check_input
from scenarios.tactics.scenario.files import FILE_BYTES_MAX, available, folder_of, from_toml, load, read_text
from scenarios.tactics.scenario.input_lines import input_from_line, inputs_from_lines
from scenarios.tactics.scenario.map import GLYPHS, GeneratedMap, generate_map, terrain
from scenarios.tactics.scenario.model import INPUTS_MAX, TICKS_MAX, Scenario
from scenarios.tactics.scenario.part import AGENTS_MAX
from scenarios.tactics.scenario.placement import place_agents, place_things
from scenarios.tactics.scenario.rules import CombatRules, MoraleRules, Planning
from scenarios.tactics.scenario.teams import Archetype
from scenarios.tactics.scenario.tiers import tier_order, tiers_of_teams

__all__ = [
    "AGENTS_MAX",
    "FILE_BYTES_MAX",
    "GLYPHS",
    "INPUTS_MAX",
    "TICKS_MAX",
    "Archetype",
    "CombatRules",
    "GeneratedMap",
    "MoraleRules",
    "Planning",
    "Scenario",
    "available",
    "check_input",
    "folder_of",
    "from_toml",
    "generate_map",
    "input_from_line",
    "inputs_from_lines",
    "load",
    "place_agents",
    "place_things",
    "read_text",
    "terrain",
    "tier_order",
    "tiers_of_teams",
]
