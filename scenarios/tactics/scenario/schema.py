"""The JSON schema of scenario files, for editors: what the models say, and for each key what it means and its unit.

The models (`scenarios.tactics.scenario`) say what a file may hold and refuse what it may not. From their schema this
one is made by taking out what only programs need and putting in what a person wants to see while typing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from ai.plan import FallbackTier
from ai.planners import discover
from ai.roles import ROLE_NAMES
from scenarios.tactics.parameters import NAMES
from scenarios.tactics.scenario import GLYPHS, Scenario

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
"""The version of JSON Schema."""
ROOT: Final = "Scenario"
"""How `KEYS` calls the file itself."""

KEYS: Final[Mapping[str, str]] = {
    "Scenario.name": "What the scenario is called; replays are named after it.",
    "Scenario.description": "One sentence for `tickweave scenarios`.",
    "Scenario.ticks": "Ticks that a run lasts at most.",
    "Scenario.ticks_per_second": "Ticks of one simulated second.",
    "Scenario.seed": "Seed of all random draws, unless `run --seed` gives another.",
    "Scenario.map": "Where it happens: drawn or made from a seed.",
    "Scenario.archetypes": "Kinds of agents by name.",
    "Scenario.weapons": "Weapons by name. Weapons, items and abilities share one set of names.",
    "Scenario.items": "Items by name, besides `smokes`, `explosives` and `medkits`, which are always there.",
    "Scenario.abilities": "Abilities by name.",
    "Scenario.teams": "Who plays, in the order in which agents get their keys.",
    "Scenario.planning": "How plans are made.",
    "Scenario.heuristics": "Rules by which agents plan where no model answers; without it the seven default rules.",
    "Scenario.combat": "Rules of hitting.",
    "Scenario.morale": "Rules of morale.",
    "Scenario.script": "Plans written down beforehand, for the tier `scripted`.",
    "Scenario.inputs": "What happens from outside, and at which tick.",
    "Scenario.ends": "When a run is decided: one team is left (or by objectives), by objectives alone, or never.",
    "Scenario.at_limit": "What a run comes to that is open after its last tick.",
    "Scenario.director": "Who plays against the teams from outside.",
    "Scenario.plugins": "Python files beside this one (`rules.py`), or names of installed plug-ins.",
    "Scenario.downed_s": "Seconds for which an agent without hit points lies and can be revived; 0: it leaves at once.",
    "Map.rows": "The map as text, rows of equal length: `.` floor, `+` cover, `#` wall. Instead of `generate`.",
    "Map.generate": "A map made from a seed. Instead of `rows`.",
    "Map.places": "Named cells that everyone knows: goals, objectives.",
    "Map.objects": "Things that agents can use: doors, crates, posts, resources, stores.",
    "Map.scattered": "Such things on cells that the run's seed draws.",
    "GeneratedMap.width": "Cells from west to east.",
    "GeneratedMap.height": "Cells from north to south.",
    "GeneratedMap.walls_permille": "Chance of each cell to be a wall, per-mille.",
    "GeneratedMap.cover_permille": "Chance of each cell to be cover, per-mille.",
    "GeneratedMap.seed": "Seed of the map alone.",
    "GeneratedMap.mirrored": "Whether the east is the mirror image of the west.",
    "Place.name": "What the place is called.",
    "MapObject.kind": "What the thing is called, as agents see it.",
    "MapObject.effect": "What happens when someone interacts with it.",
    "MapObject.stock": "How much is in it: uses, pieces or units; without it, no end.",
    "Scattered.kind": "What the things are called, as agents see them.",
    "Scattered.effect": "What happens when someone interacts with one.",
    "Scattered.stock": "How much is in each: uses, pieces or units; without it, no end.",
    "Scattered.area": "Where they may stand.",
    "Scattered.count": "How many there are.",
    "Opens.x": "West edge of the rectangle that becomes floor, cells from the west.",
    "Opens.y": "North edge of it, cells from the north.",
    "Gives.item": "Name of the item.",
    "Gives.each": "Pieces for each use.",
    "Heals.amount": "Hit points for each use.",
    "Yields.each": "Units of cargo for each use.",
    "Takes.team": "The one team that may deliver here; without it, every team.",
    "Archetype.hp": "Hit points, at the start and at most.",
    "Archetype.morale": "Morale at the start, 0 to 100.",
    "Archetype.magazine": "Rounds in the weapon when it is full.",
    "Archetype.reserve": "Rounds carried besides.",
    "Archetype.smokes": "Smoke grenades.",
    "Archetype.explosives": "Explosives.",
    "Archetype.medkits": "Medkits.",
    "Archetype.sight": "How far the agent sees, cells.",
    "Archetype.reach": "How far the weapon reaches, cells.",
    "Archetype.accuracy": "Chance to hit, per-mille, before cover, morale and the like.",
    "Archetype.carry": "Units of cargo that fit.",
    "Archetype.weapons": "Names of the weapons carried; the first is in hand, and replaces reach, accuracy, magazine.",
    "Archetype.items": "Items held, by name: how many.",
    "Archetype.abilities": "Names of the abilities that the agent has.",
    "Archetype.role": "What the agent cares for, as language models read it.",
    "WeaponSpec.reach": "How far it reaches, cells.",
    "WeaponSpec.accuracy": "Chance to hit, per-mille.",
    "WeaponSpec.damage_permille": "What becomes of a kind's damage, per-mille: 2000 doubles it.",
    "WeaponSpec.magazine": "Rounds in it when it is full.",
    "ItemSpec.effect": "What it does for who uses it; `smoke` and `blast` where it is used or lands.",
    "ItemSpec.amount": "Hit points, stamina, morale or rounds that it gives.",
    "AbilitySpec.kind": "`defensive` ones are used by UseDefensiveAbility, the others by UseAbility.",
    "AbilitySpec.effect": "What it does.",
    "AbilitySpec.amount": "Hit points, stamina or morale that it gives.",
    "AbilitySpec.seconds": "How long it holds, seconds.",
    "AbilitySpec.cells": "How far around it works, cells.",
    "AbilitySpec.stamina": "Stamina that it costs.",
    "AbilitySpec.cooldown_s": "How long it rests after use, seconds.",
    "Team.name": "What the team is called.",
    "Team.objective": "What its agents read that they are after; without it, their first open objective.",
    "Team.goal": "Name of the place where that is.",
    "Team.objectives": "What it has to do to win.",
    "Team.reinforcements": "Who may still be called in.",
    "Team.tiers": "How this team plans, if not as `planning.tiers` says.",
    "Team.heuristics": "This team's rules, if not the scenario's.",
    "Team.squads": "Its agents.",
    "Team.terrain_edits": "Changes of the ground that its agents may make.",
    "Squad.name": "What the squad is called, once in the whole scenario.",
    "Squad.archetype": "Name of the archetype of its agents.",
    "Squad.count": "Agents at the start; 0 waits for those who come later.",
    "Squad.area": "Where they start.",
    "Squad.start": "On which free cells: the first in row order, or some that the run's seed draws.",
    "Squad.objective": "What its agents read that they are after, if not the team's.",
    "Squad.goal": "Name of the place where that is, if not the team's.",
    "Squad.role": "What its agents care for, if not the archetype's.",
    "Reinforcements.count": "Agents in all.",
    "Reinforcements.area": "Where they enter: on its free cells, in row order.",
    "Planning.tiers": "Planners, each asked for the agents that those before it gave no legal plan.",
    "Planning.start": "The tier to begin with; without it, the first.",
    "Planning.per_tick_max": "Agents that plan in one tick at most.",
    "Planning.stagger_ticks": "Ticks over which first plans are spread.",
    "Planning.ttl_s": "Seconds after which a plan is too old.",
    "Planning.alert_every_ticks": "Ticks between looks around of agents at peace.",
    "CombatRules.hit_bonus": "Added to every chance to hit, per-mille.",
    "MoraleRules.harm_percent": "Morale lost, in percent of the hit points lost.",
    "MoraleRules.squad_loss": "Morale lost for each of the squad who dies.",
    "MoraleRules.sight_loss": "Morale lost for each other friend seen dying.",
    "MoraleRules.outnumbered_loss": "Morale lost with each plan made seeing two enemies for each friend.",
    "MoraleRules.victory_gain": "Morale gained for each enemy seen dying.",
    "MoraleRules.rest_gain": "Morale gained each second by those who know of no enemy.",
    "MoraleRules.leader_gain": "Morale gained each second near the leader.",
    "MoraleRules.leader_cells": "How near that is, cells.",
    "MoraleRules.aim_permille": "What each point of morale above or below 50 is worth on the chance to hit, per-mille.",
    "MoraleRules.slow_below": "Morale below which an agent walks at half its pace.",
    "MoraleRules.break_below": "Morale below which an agent breaks and flees; 0: nobody does.",
    "MoraleRules.rally_at": "Morale from which it plans again.",
    "Director.squad": "Name of the squad that its waves join.",
    "Director.budget": "How often it may do what.",
    "Budget.traps": "Collapses.",
    "Budget.terrain_edits": "Fortifications.",
    "Budget.spawns": "Waves.",
    "AtLimit.rule": "Nothing, a draw, the highest score wins, or the named team wins.",
    "AtLimit.team": "The team that wins, with rule = \"team\".",
    "Objective.text": "What agents read; without it, a short sentence made from the other keys.",
    "Objective.required": "Whether victory needs it, and defeat follows when it fails.",
    "Objective.points": "Points for its being done.",
    "Objective.points_each": "Points for each unit of progress: an agent, a tick, a unit.",
    "Objective.place": "Name of the place.",
    "Objective.radius": "How near counts as there, cells.",
    "Objective.squad": "Name of the squad that counts; without it, the whole team.",
    "Objective.count": "How many: agents, or units delivered.",
    "Eliminate.team": "Name of the team; without it, all others.",
    "Reach.share_percent": "Percent of those alive, in place of `count`.",
    "Hold.ticks": "Ticks in all.",
    "Hold.contested": "Whether ticks with an enemy there count.",
    "Defend.ticks": "The tick until which it must be kept.",
    "HeuristicConfig.rules": "Tried in order for each agent; the first that holds and can be done gives its plan.",
    "Rule.when": "Conditions that must all hold: one, or a list.",
    "Rule.unless": "Conditions of which none may hold: one, or a list.",
    "Rule.then": "Actions, done in turn: one, or a list.",
    "Condition.below": "Morale, 0 to 100.",
    "Condition.below_percent": "Percent of full health.",
    "Condition.at_most": "Rounds.",
    "Condition.cells": "Cells, measured straight.",
    "Condition.count": "How many.",
    "Condition.offset": "The first key that counts.",
    "Condition.condition": "What someone is under.",
    "Condition.item": "Name of an item, a weapon, an ability, or `cargo`.",
    "Condition.at_least": "How many.",
    "Condition.group": "A cooldown group: `weapon`, `throw`, `heal` and so on.",
    "Condition.object": "What the thing is called.",
    "Condition.place": "Name of the place.",
    "Condition.text": "The text, in upper or lower case.",
    "Condition.stance": "How the leader holds itself.",
    "Condition.seconds": "Seconds since the start of the run.",
    "AttackNearest.verb": "The kind of attack.",
    "ApproachNearest.distance": "How near, cells.",
    "Retreat.distance": "How far, cells.",
    "Scan.radius": "How far, cells.",
    "Wait.duration": "Seconds.",
    "Do.verb": "Any verb, of a plug-in too.",
    "Do.enemy": "Which enemy it is done to, or stands where `at` says.",
    "Do.ally": "Which ally.",
    "Do.object": "What the thing is called.",
    "Do.at": "The cell: the goal, one's own, someone's, the nearest cover, or what draws one's attention.",
    "Do.place": "Name of a place, in place of `at`.",
    "Do.values": "The verb's other fields by name.",
    "Script.lines": "In any order; of two for the same tick the later one in the list counts.",
    "Line.agent": "Key of the agent, counted from 0 as the file places them; without it, everyone.",
    "Line.tick": "From which tick on.",
    "Line.steps": "Steps as planners write them: `{ act = \"Wait\", duration = 2 }`.",
    "TimedInput.tick": "The tick at whose start it is applied, counted from 0.",
    "TimedInput.input": "What happens.",
    "Input.agent": "Key of the agent, counted from 0 as the file places them.",
    "Input.squad": "Name of the squad.",
    "Input.count": "How many agents.",
    "Control.on": "Take it over, or give it back.",
    "Act.step": "One step as planners write them: `{ act = \"Attack\", target_id = 7 }`.",
    "Order.text": "The words of the order.",
    "SetCells.cell": "What the cells become.",
    "SetParameter.name": "Which number of the rules.",
    "SetParameter.value": "What it becomes, within the bounds of its key.",
    "Fortify.rect": "The cells whose floor becomes cover.",
    "SpawnWave.archetype": "Name of the archetype.",
    "SpawnWave.origin": "The cell near which they appear.",
    "Collapse.a": "First cell of the line that becomes wall.",
    "Collapse.b": "Last cell of it.",
    "*.x": "Cells from the west edge, counted from 0.",
    "*.y": "Cells from the north edge, counted from 0.",
    "*.width": "Cells from west to east.",
    "*.height": "Cells from north to south.",
    "*.kind": "Which kind this is.",
}  # fmt: skip
"""What each key means and its unit, by `Model.key`; by family (`FAMILIES`) or `*` where several models share it."""
FAMILIES: Final[Mapping[str, tuple[str, str, str]]] = {
    "Objective": ("Team", "objectives", "What a team has to do; `kind` says which."),
    "Condition": ("Rule", "when", "What must hold for an agent; `kind` says which."),
    "Action": ("Rule", "then", "What an agent does; `kind` says which."),
    "Input": ("TimedInput", "input", "What happens from outside; `kind` says which."),
    "Effect": ("MapObject", "effect", "What a thing is for; `kind` says which."),
}
"""Families of models: a key that takes any of them, and what they are."""

Json = dict[str, Any]


def scenario_schema() -> Json:
    """Return the JSON schema of scenario files, for editors and validators."""
    made = Scenario.model_json_schema()
    models: dict[str, Json] = {**made.pop("$defs"), ROOT: made}
    del models["JsonValue"]
    families = {name: _members(models[model]["properties"][key]) for name, (model, key, _) in FAMILIES.items()}
    for name, model in models.items():
        own = [name, *(family for family, members in families.items() if name in members), "*"]
        for key, value in model.get("properties", {}).items():
            described = next((KEYS[f"{each}.{key}"] for each in own if f"{each}.{key}" in KEYS), None)
            model["properties"][key] = _plain(value, families) | ({"description": described} if described else {})
        if any("const" in value for value in model.get("properties", {}).values()):
            # Which of a family it is stands in `kind`, which is therefore never left out.
            model["required"] = ["kind", *model.get("required", ())]
    _add_what_code_checks(models)
    for name, members in families.items():
        refs = [{"$ref": f"#/$defs/{member}"} for member in members]
        models[name] = {"title": name, "description": FAMILIES[name][2], "oneOf": refs}
    del models[ROOT]
    return {"$schema": DIALECT, **made, "title": "Tickweave scenario", "$defs": models}


def _members(value: Json) -> list[str]:
    """Return the names of the models that a key takes, by itself or in its list."""
    return [branch["$ref"].rpartition("/")[2] for branch in value.get("items", value)["oneOf"]]


def _plain(value: Json, families: Mapping[str, list[str]]) -> Json:
    """Return a key's schema without what says nothing to a person, and without null, for which TOML has no word."""
    if "oneOf" in value:
        family = next(name for name, members in families.items() if members == _members(value))
        return {"$ref": f"#/$defs/{family}"}
    value = {name: part for name, part in value.items() if name != "title" and (name, part) != ("default", None)}
    if "anyOf" in value:
        (only,) = [branch for branch in value.pop("anyOf") if branch != {"type": "null"}]
        value |= _plain(only, families)
    if "items" in value:
        value["items"] = _plain(value["items"], families)
    if "patternProperties" in value:
        value["additionalProperties"] = False
    if value.get("additionalProperties") == {"$ref": "#/$defs/JsonValue"}:
        value["additionalProperties"] = True
    return value


def _add_what_code_checks(models: Mapping[str, Json]) -> None:
    """Say what the models check by code: what rows are drawn with, which roles there are, and one or a list."""
    models["Map"]["properties"]["rows"]["items"]["pattern"] = f"^[{re.escape(''.join(GLYPHS))}]+$"
    for model in ("Archetype", "Squad"):
        models[model]["properties"]["role"]["enum"] = list(ROLE_NAMES)
    models["SetParameter"]["properties"]["name"]["examples"] = list(NAMES)
    for model in ("Planning", "Team"):
        models[model]["properties"]["tiers"]["items"]["examples"] = sorted({*FallbackTier, *discover()})
    for key in ("when", "unless", "then"):
        value = models["Rule"]["properties"][key]
        several = {name: value.pop(name) for name in ("type", "items")}
        several |= {f"{end}Items": value.pop(f"{end}Length") for end in ("min", "max") if f"{end}Length" in value}
        value["anyOf"] = [{"title": "one", **several["items"]}, {"title": "several", **several}]
