"""Checks across the parts of a scenario; each part also checks itself."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from ai.rules import Condition, Rule
from scenarios.tactics.equipment import DEFAULT_ITEMS
from scenarios.tactics.grid import Terrain
from scenarios.tactics.inputs import (
    Collapse,
    Fortify,
    Move,
    Order,
    SetCells,
    Spawn,
    SpawnWave,
)
from scenarios.tactics.map_objects import Crate, Depot
from scenarios.tactics.objectives import Eliminate, Escort, Extract, Objective
from scenarios.tactics.scenario.map import terrain
from scenarios.tactics.scenario.placement import overlapping, place_agents, place_things
from sim.errors import ScenarioError
from sim.messages import problem, suggestion
from sim.run.inputs import Input
from sim.run.settings import AGENTS_MAX

if TYPE_CHECKING:
    from scenarios.tactics.scenario.teams import Area, Squad, Team
    from scenarios.tactics.settings import TacticsSettings
    from sim.run.scenario_file import Scenario

SQUADS_MAX: Final = 1000
"""The most squads of a scenario."""


def check_together(settings: TacticsSettings) -> None:
    """Check the parts together: names exist, areas are on the map, all agents find a cell.

    Raises:
        PydanticCustomError: two parts contradict each other; the message names the key.
    """
    if not 1 <= settings.agents <= AGENTS_MAX:
        raise problem("teams", f"have {settings.agents} agents in all; 1 to at most {AGENTS_MAX} are possible")
    _check_gear(settings)
    places = [place.name for place in settings.map.places]
    teams: set[str] = set()
    squads: set[str] = set()
    for t, team in enumerate(settings.teams):
        if team.name in teams:
            raise problem(f"teams[{t}].name", f"{team.name!r} is used twice; names are unique")
        teams.add(team.name)
        _check_name(f"teams[{t}].goal", team.goal, places, "place")
        for s, squad in enumerate(team.squads):
            _check_squad(settings, f"teams[{t}].squads[{s}]", squad, squads)
            _check_name(f"teams[{t}].squads[{s}].goal", squad.goal, places, "place")
        if team.reinforcements is not None:
            _check_area(settings, f"teams[{t}].reinforcements.area", team.reinforcements.area)
    for t, team in enumerate(settings.teams):
        for o, objective in enumerate(team.objectives):
            _check_objective(settings, f"teams[{t}].objectives[{o}]", team, objective)
    _check_name("at_limit.team", settings.at_limit.team, [team.name for team in settings.teams], "team")
    if settings.director is not None:
        _check_name("director.squad", settings.director.squad, sorted(squads), "squad")
    if len(squads) > SQUADS_MAX:
        raise problem("teams", f"have {len(squads)} squads in all; at most {SQUADS_MAX} are possible")
    drawn_areas_are_apart(settings)


def check_scenario(scenario: Scenario) -> None:
    """Check the settings with the rest of the scenario: names in rules exist, and agents and objects find a cell.

    Raises:
        PydanticCustomError: a part does not fit; the message names the key.
    """
    settings: TacticsSettings = scenario.settings
    _check_rules(settings, "rules", scenario.rules)
    for name, group in scenario.planning.groups.items():
        _check_rules(settings, f"planning.groups.{name}.rules", group.rules or ())
    walls = terrain(settings) == Terrain.WALL
    try:
        place_agents(settings, walls, scenario.seed)
        place_things(settings.map, walls, scenario.seed)
    except ScenarioError as error:
        raise problem("", f"settings.{error}") from None


def drawn_areas_are_apart(settings: TacticsSettings) -> None:
    """Check that the areas of squads whose cells are drawn overlap no other squad's."""
    squads = [squad for team in settings.teams for squad in team.squads]
    drawn = [number for number, squad in enumerate(squads) if squad.start == "drawn"]
    for one, other in overlapping([squad.area for squad in squads], drawn):
        raise problem("teams", f"let the area of {squads[one].name!r} overlap that of {squads[other].name!r}; "
                      "agents whose cells are drawn need an area of their own")  # fmt: skip


def _check_gear(settings: TacticsSettings) -> None:
    taken: dict[str, str] = dict.fromkeys(DEFAULT_ITEMS, "items")
    for table in ("weapons", "items", "abilities"):
        for name in getattr(settings, table):
            if name in taken:
                raise problem(f"{table}.{name}", f"is a name of {taken[name]} already; weapons, items and "
                              "abilities share one set of names")  # fmt: skip
            taken[name] = table
    listed = {"objects": settings.map.objects, "scattered": settings.map.scattered}
    things = [(f"map.{part}[{n}].effect", thing) for part, many in listed.items() for n, thing in enumerate(many)]
    for key, thing in things:
        if isinstance(thing.effect, Crate):
            _check_name(f"{key}.item", thing.effect.item, sorted({*DEFAULT_ITEMS, *settings.items}), "item")
        if isinstance(thing.effect, Depot):
            _check_name(f"{key}.team", thing.effect.team, [team.name for team in settings.teams], "team")
    for name, archetype in settings.archetypes.items():
        for table, what in (("weapons", "weapon"), ("items", "item"), ("abilities", "ability")):
            wanted = list(getattr(archetype, table))
            for index, thing in enumerate(wanted):
                _check_name(f"archetypes.{name}.{table}", thing, sorted(getattr(settings, table)), what)
                if thing in wanted[:index]:
                    raise problem(f"archetypes.{name}.{table}[{index}]", f"{thing!r} is listed twice")


def _check_rules(settings: TacticsSettings, key: str, rules: Sequence[Rule]) -> None:
    """Check that the places, objects and items that rules name exist."""
    items = {*DEFAULT_ITEMS, *settings.items}
    places = sorted(place.name for place in settings.map.places)
    kinds = sorted({thing.kind for thing in (*settings.map.objects, *settings.map.scattered)} | items)
    held = sorted({*settings.items, "cargo", *settings.weapons, *settings.abilities})
    for number, rule in enumerate(rules):
        texts = [(part, text) for part in ("when", "unless") for text in getattr(rule, part)]
        picks = [(name, text) for step in rule.then if isinstance(step, Mapping) for name, text in step.items()]
        for where, text in texts:
            for part in Condition.parse(text).parts:
                at = f"{key}[{number}].{where}"
                _check_name(at, part.named or None, places, "place")
                if part.field == "objects.kind":
                    _check_name(at, str(part.value), kinds, "object")
                if part.field.startswith("me.holdings."):
                    _check_name(at, part.field.removeprefix("me.holdings."), held, "item")
        for name, text in picks:
            place = _PLACE.fullmatch(text) if isinstance(text, str) else None
            if place is not None:
                _check_name(f"{key}[{number}].then.{name}", place[1], places, "place")


_PLACE: Final = re.compile(r"pois '([^']*)'")


def _check_squad(settings: TacticsSettings, key: str, squad: Squad, names: set[str]) -> None:
    if squad.name in names:
        raise problem(f"{key}.name", f"{squad.name!r} is used twice; names are unique in the whole scenario")
    names.add(squad.name)
    if squad.archetype not in settings.archetypes:
        hint = suggestion(squad.archetype, sorted(settings.archetypes), "archetypes")
        raise problem(f"{key}.archetype", f"no archetype {squad.archetype!r}; {hint}")
    _check_area(settings, f"{key}.area", squad.area)


def _check_area(settings: TacticsSettings, key: str, area: Area) -> None:
    if area.x + area.width > settings.map.width or area.y + area.height > settings.map.height:
        raise problem(
            key,
            f"reaches to ({area.x + area.width - 1}, {area.y + area.height - 1}), outside the "
            f"{settings.map.width} by {settings.map.height} map",
        )


def _check_objective(settings: TacticsSettings, key: str, team: Team, objective: Objective) -> None:
    """Check that the places, squads and teams that it names exist, and that it can be completed."""
    places, own = [place.name for place in settings.map.places], {squad.name: squad for squad in team.squads}
    _check_name(f"{key}.place", getattr(objective, "place", None), places, "place")
    squad: str | None = getattr(objective, "squad", None)
    _check_name(f"{key}.squad", squad, list(own), "squad of the team")
    if isinstance(objective, Eliminate):
        others = [other.name for other in settings.teams if other is not team]
        _check_name(f"{key}.team", objective.team, others, "other team")
    if isinstance(objective, Escort | Extract):
        counted = team.count if squad is None else own[squad].count
        if counted < objective.count:
            raise problem(f"{key}.count", f"is {objective.count}, but there are {counted} agents to begin with")


def _check_name(key: str, name: str | None, known: Sequence[str], what: str) -> None:
    if name is not None and name not in known:
        raise problem(key, f"no {what} {name!r}; {suggestion(name, known, f'{what}s')}")


def check_input(settings: TacticsSettings, item: Input) -> None:
    """Check an input before the run: the names that it uses exist and its cells are on the map.

    Raises:
        PydanticCustomError: the input does not fit the settings; the key is relative to the input.
    """
    squads = {squad.name for team in settings.teams for squad in team.squads}
    _check_name("squad", getattr(item, "squad", None), sorted(squads), "squad")
    match item:
        case Move() | Order() | SetCells() | Spawn():
            cells = [("", item.x, item.y)]
        case Fortify():
            cells = [("rect.", item.rect.x, item.rect.y)]
        case SpawnWave():
            _check_name("archetype", item.archetype, sorted(settings.archetypes), "archetype")
            cells = [("origin.", item.origin.x, item.origin.y)]
        case Collapse():
            cells = [("a.", item.a.x, item.a.y), ("b.", item.b.x, item.b.y)]
        case _:
            cells = []
    if isinstance(item, Fortify | SpawnWave | Collapse) and settings.director is None:
        raise problem("", f"{item.kind} needs a director; add [settings.director] with a squad and a budget")
    for at, x, y in cells:
        for axis, value, size in (("x", x, settings.map.width), ("y", y, settings.map.height)):
            if value is not None and value >= size:
                raise problem(
                    f"{at}{axis}", f"{value} is outside the {settings.map.width} by {settings.map.height} map"
                )
