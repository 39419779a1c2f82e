"""Scenarios of the game from one flat dictionary, for tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from scenarios.tactics.inputs import INPUTS
from sim.run.inputs import InputSet, Kill
from sim.run.scenario_file import Head, Scenario

INPUTS_OF_TACTICS: Final = InputSet((*INPUTS, Kill))
"""Reads inputs of the game from data."""


def flat(data: Mapping[str, Any], source: str = "scenario") -> Scenario:
    """Return the scenario of one dictionary with engine keys and settings; a team may have `tiers` and `rules`.

    Raises:
        ScenarioError: the scenario is not valid.
    """
    return Scenario.from_canonical(nested(data), source)


def nested(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys in the structure of a scenario file."""
    head: dict[str, Any] = {"domain": "tactics"}
    settings: dict[str, Any] = {}
    for key, value in data.items():
        (head if key in Head.model_fields else settings)[key] = value
    planning: dict[str, Any] = dict(head.get("planning", {}))
    groups = dict(planning.get("groups", {}))
    teams = []
    for team in settings.get("teams", ()):
        own = {key: team[key] for key in ("tiers", "rules") if team.get(key) is not None}
        if own:
            groups[team["name"]] = own
        teams.append({key: value for key, value in team.items() if key not in ("tiers", "rules")})
    if "teams" in settings:
        settings["teams"] = teams
    if groups:
        planning["groups"] = groups
    return {**head, "planning": planning, "settings": {**head.get("settings", {}), **settings}}


def flattened(scenario: Scenario) -> dict[str, Any]:
    """Return a scenario as one flat dictionary, which `flat` accepts."""
    data = scenario.canonical()
    return {**data.pop("settings"), **data}
