"""What must fit together in a scenario, beyond what each part checks of itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from ai.heuristics import HeuristicConfig
from scenarios.tactics.equipment import DEFAULT_ITEMS
from scenarios.tactics.grid import Terrain
from scenarios.tactics.inputs import (
    Act,
    Collapse,
    Control,
    Fortify,
    Move,
    Order,
    Remove,
    SetCells,
    SetParameter,
    Spawn,
    SpawnWave,
    TimedInput,
)
from scenarios.tactics.map_objects import Gives, Takes
from scenarios.tactics.objectives import Eliminate, Escort, Extract, Objective
from scenarios.tactics.scenario.map import terrain
from scenarios.tactics.scenario.part import AGENTS_MAX
from scenarios.tactics.scenario.placement import overlapping, place_agents, place_things
from scenarios.tactics.scenario.tiers import tier_order
from sim.errors import ScenarioError
from sim.messages import problem, suggestion

if TYPE_CHECKING:
    from scenarios.tactics.scenario.model import Scenario
    from scenarios.tactics.scenario.teams import Area, Squad, Team

SQUADS_MAX: Final = 1000
"""Squads of a scenario."""


def check_together(scenario: Scenario) -> None:
    """Check what no part can know alone: names that are used exist, areas are on the map, everyone finds a cell.

    Raises:
        PydanticCustomError: it does not hold together; the message names the key.
    """
    if not 1 <= scenario.agents <= AGENTS_MAX:
        raise problem("teams", f"have {scenario.agents} agents in all; 1 to at most {AGENTS_MAX} are possible")
    _check_gear(scenario)
    places = [place.name for place in scenario.map.places]
    teams: set[str] = set()
    squads: set[str] = set()
    for t, team in enumerate(scenario.teams):
        if team.name in teams:
            raise problem(f"teams[{t}].name", f"{team.name!r} is used twice; names are unique")
        teams.add(team.name)
        _check_name(f"teams[{t}].goal", team.goal, places, "place")
        for s, squad in enumerate(team.squads):
            _check_squad(scenario, f"teams[{t}].squads[{s}]", squad, squads)
            _check_name(f"teams[{t}].squads[{s}].goal", squad.goal, places, "place")
        if team.reinforcements is not None:
            _check_area(scenario, f"teams[{t}].reinforcements.area", team.reinforcements.area)
    for t, team in enumerate(scenario.teams):
        for o, objective in enumerate(team.objectives):
            _check_objective(scenario, f"teams[{t}].objectives[{o}]", team, objective)
    _check_name("at_limit.team", scenario.at_limit.team, [team.name for team in scenario.teams], "team")
    if scenario.director is not None:
        _check_name("director.squad", scenario.director.squad, sorted(squads), "squad")
    tier_order(scenario)
    _check_rules(scenario, "heuristics", scenario.heuristics)
    for t, team in enumerate(scenario.teams):
        _check_rules(scenario, f"teams[{t}].heuristics", team.heuristics or HeuristicConfig())
    _check_inputs(scenario, squads)
    if len(squads) > SQUADS_MAX:
        raise problem("teams", f"have {len(squads)} squads in all; at most {SQUADS_MAX} are possible")
    _check_starts(scenario)


def _check_starts(scenario: Scenario) -> None:
    """Check that everyone and everything finds a cell, whatever the seed."""
    squads = [squad for team in scenario.teams for squad in team.squads]
    drawn = [number for number, squad in enumerate(squads) if squad.start == "drawn"]
    for one, other in overlapping([squad.area for squad in squads], drawn):
        raise problem("teams", f"let the area of {squads[one].name!r} overlap that of {squads[other].name!r}; "
                      "agents whose cells are drawn need an area of their own")  # fmt: skip
    walls = terrain(scenario) == Terrain.WALL
    try:
        place_agents(scenario, walls, scenario.seed)
        place_things(scenario.map, walls, scenario.seed)
    except ScenarioError as error:
        raise problem("", str(error)) from None


def _check_gear(scenario: Scenario) -> None:
    taken: dict[str, str] = dict.fromkeys(DEFAULT_ITEMS, "items")
    for table in ("weapons", "items", "abilities"):
        for name in getattr(scenario, table):
            if name in taken:
                raise problem(f"{table}.{name}", f"is a name of {taken[name]} already; weapons, items and "
                              "abilities share one set of names")  # fmt: skip
            taken[name] = table
    listed = {"objects": scenario.map.objects, "scattered": scenario.map.scattered}
    things = [(f"map.{part}[{n}].effect", thing) for part, many in listed.items() for n, thing in enumerate(many)]
    for key, thing in things:
        if isinstance(thing.effect, Gives):
            _check_name(f"{key}.item", thing.effect.item, sorted({*DEFAULT_ITEMS, *scenario.items}), "item")
        if isinstance(thing.effect, Takes):
            _check_name(f"{key}.team", thing.effect.team, [team.name for team in scenario.teams], "team")
    for name, archetype in scenario.archetypes.items():
        for table, what in (("weapons", "weapon"), ("items", "item"), ("abilities", "ability")):
            wanted = list(getattr(archetype, table))
            for index, thing in enumerate(wanted):
                _check_name(f"archetypes.{name}.{table}", thing, sorted(getattr(scenario, table)), what)
                if thing in wanted[:index]:
                    raise problem(f"archetypes.{name}.{table}[{index}]", f"{thing!r} is listed twice")


def _check_rules(scenario: Scenario, key: str, config: HeuristicConfig) -> None:
    """Check that the places, things and items that rules name are there."""
    items = {*DEFAULT_ITEMS, *scenario.items}
    known = {
        "place": sorted(place.name for place in scenario.map.places),
        "object": sorted({thing.kind for thing in (*scenario.map.objects, *scenario.map.scattered)} | items),
        "item": sorted(items | {"cargo", *scenario.weapons, *scenario.abilities}),
    }
    for number, rule in enumerate(config.rules):
        for part in ("when", "unless", "then"):
            for index, each in enumerate(getattr(rule, part)):
                for what, names in known.items():
                    where = f"{key}.rules[{number}].{part}[{index}].{what}"
                    _check_name(where, getattr(each, what, None), names, what)


def _check_squad(scenario: Scenario, key: str, squad: Squad, names: set[str]) -> None:
    if squad.name in names:
        raise problem(f"{key}.name", f"{squad.name!r} is used twice; names are unique in the whole scenario")
    names.add(squad.name)
    if squad.archetype not in scenario.archetypes:
        hint = suggestion(squad.archetype, sorted(scenario.archetypes), "archetypes")
        raise problem(f"{key}.archetype", f"no archetype {squad.archetype!r}; {hint}")
    _check_area(scenario, f"{key}.area", squad.area)


def _check_area(scenario: Scenario, key: str, area: Area) -> None:
    if area.x + area.width > scenario.map.width or area.y + area.height > scenario.map.height:
        raise problem(
            key,
            f"reaches to ({area.x + area.width - 1}, {area.y + area.height - 1}), outside the "
            f"{scenario.map.width} by {scenario.map.height} map",
        )


def _check_objective(scenario: Scenario, key: str, team: Team, objective: Objective) -> None:
    """Check that the places, squads and teams it names are there, and that it can be done at all."""
    places, own = [place.name for place in scenario.map.places], {squad.name: squad for squad in team.squads}
    _check_name(f"{key}.place", getattr(objective, "place", None), places, "place")
    squad: str | None = getattr(objective, "squad", None)
    _check_name(f"{key}.squad", squad, list(own), "squad of the team")
    if isinstance(objective, Eliminate):
        others = [other.name for other in scenario.teams if other is not team]
        _check_name(f"{key}.team", objective.team, others, "other team")
    if isinstance(objective, Escort | Extract):
        counted = team.count if squad is None else own[squad].count
        if counted < objective.count:
            raise problem(f"{key}.count", f"is {objective.count}, but there are {counted} agents to begin with")


def _check_inputs(scenario: Scenario, squads: set[str]) -> None:
    for index, timed in enumerate(scenario.inputs):
        check_input(scenario, timed, f"inputs[{index}].input", squads)


def _check_name(key: str, name: str | None, known: Sequence[str], what: str) -> None:
    if name is not None and name not in known:
        raise problem(key, f"no {what} {name!r}; {suggestion(name, known, f'{what}s')}")


def check_input(scenario: Scenario, timed: TimedInput, key: str, squads: set[str] | None = None) -> None:
    """Check what can be known of an input before the run: names that it uses exist and its cells are on the map.

    Raises:
        PydanticCustomError: it does not fit the scenario; `key` is where it stands.
    """
    item = timed.input
    if squads is None:
        squads = {squad.name for team in scenario.teams for squad in team.squads}
    _check_name(f"{key}.squad", getattr(item, "squad", None), sorted(squads), "squad")
    match item:
        case Move() | Order() | SetCells() | Spawn():
            cells = [(f"{key}.", item.x, item.y)]
        case Fortify():
            cells = [(f"{key}.rect.", item.rect.x, item.rect.y)]
        case SpawnWave():
            _check_name(f"{key}.archetype", item.archetype, sorted(scenario.archetypes), "archetype")
            cells = [(f"{key}.origin.", item.origin.x, item.origin.y)]
        case Collapse():
            cells = [(f"{key}.a.", item.a.x, item.a.y), (f"{key}.b.", item.b.x, item.b.y)]
        case Control() | Act() | Remove() | SetParameter():
            cells = []
    if isinstance(item, Fortify | SpawnWave | Collapse) and scenario.director is None:
        raise problem(key, f"{item.kind} needs a director; add [director] with a squad and a budget")
    for at, x, y in cells:
        for axis, value, size in (("x", x, scenario.map.width), ("y", y, scenario.map.height)):
            if value is not None and value >= size:
                raise problem(
                    f"{at}{axis}", f"{value} is outside the {scenario.map.width} by {scenario.map.height} map"
                )
