"""Advice on scenarios: sentences about settings that are valid but probably mistakes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ai.plans import FallbackTier
from ai.rules import Rule, verb_of
from scenarios.tactics.grid import Terrain
from scenarios.tactics.scenario import place_agents, terrain
from scenarios.tactics.settings import TacticsSettings
from sim.run.scenario_file import Scenario


def advice(scenario: Scenario) -> tuple[str, ...]:
    """Return a sentence for each probable mistake, starting with its key; none for a sound scenario."""
    return (*_tiers(scenario), *_rules(scenario), *_inputs(scenario), *_ways(scenario))


def _tiers(scenario: Scenario) -> Iterator[str]:
    lists = {"planning.tiers": scenario.planning.tiers}
    groups = scenario.planning.groups.items()
    lists.update({f"planning.groups.{name}.tiers": group.tiers for name, group in groups if group.tiers})
    for key, tiers in lists.items():
        if FallbackTier.HEURISTIC in tiers:
            after = tiers[tiers.index(FallbackTier.HEURISTIC) + 1 :]
            for tier in after:
                if tier != FallbackTier.EMERGENCY:
                    yield f"{key}: {tier!r} is hardly ever reached: rules give every agent a plan"


def _rules(scenario: Scenario) -> Iterator[str]:
    every = {"rules": scenario.rules}
    every |= {
        f"planning.groups.{name}.rules": each.rules for name, each in scenario.planning.groups.items() if each.rules
    }
    for key, rules in every.items():
        last = _first_certain(rules)
        if last is not None and last + 1 < len(rules):
            yield f"{key}[{last + 1}]: is never reached: rule {last} always holds, and its steps are always possible"


def _first_certain(rules: Sequence[Rule]) -> int | None:
    """Return the first rule that serves all agents: it always holds, and its step (scan or wait) is always possible."""
    for place, rule in enumerate(rules):
        if (
            set(rule.when) == {"always"}
            and not rule.unless
            and {verb_of(step) for step in rule.then} <= {"Scan", "Wait"}
        ):
            return place
    return None


def _inputs(scenario: Scenario) -> Iterator[str]:
    for place, timed in enumerate(scenario.inputs):
        if timed.tick >= scenario.ticks:
            yield f"inputs[{place}].tick: {timed.tick} comes after the last tick, {scenario.ticks - 1}"


def _ways(scenario: Scenario) -> Iterator[str]:
    """Name goals that squads cannot reach on foot on the map at the start."""
    settings: TacticsSettings = scenario.settings
    cells = terrain(settings)
    from scipy import ndimage  # loading it takes longer than a short run

    regions, _ = ndimage.label(cells != Terrain.WALL)
    places = {place.name: (place.x, place.y) for place in settings.map.places}
    placed = place_agents(settings, cells == Terrain.WALL, scenario.seed)
    number = 0
    for t, team in enumerate(settings.teams):
        for s, squad in enumerate(team.squads):
            goal = squad.goal or team.goal
            rows = placed[placed[:, 3] == number]
            number += 1
            if goal is None or not len(rows):
                continue
            x, y = places[goal]
            if (regions[rows[:, 1], rows[:, 0]] != regions[y, x]).any():
                yield f"settings.teams[{t}].squads[{s}]: {squad.name!r} cannot reach its goal {goal!r} on foot"
