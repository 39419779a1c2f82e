"""Choices of a person for one run that replace those of a scenario: settings, tiers of planners, plug-ins."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from ai.planners.base import Planner
from ai.planners.outside import Choose, handed_over
from ai.plans import FallbackTier
from sim.errors import ScenarioError
from sim.messages import alternatives, one_line, quoted, shown, suggestion
from sim.run.domain import Domain
from sim.run.files import parsed_toml
from sim.run.planning import Planning
from sim.run.scenario_file import Scenario

CHOICE_CHARS_MAX: Final = 10_000
"""The longest value of one choice, characters."""
MODEL: Final = "llm:"
"""The beginning of a planner that is a model, in place of a list of tiers."""
PLANNING: Final = "planning"
"""The prefix of the engine's keys; all other keys are the domain's settings."""

TIER_DATA: Final = {
    "heuristic": "rules",
    "goap": "goals",
    "utility": "options",
    "behaviour": "tree",
    "scripted": "script",
}
"""The part of a playbook that each shipped planner plans with."""


def with_values(scenario: Scenario, values: Mapping[str, Any]) -> Scenario:
    """Return a scenario with other settings.

    Args:
        scenario: the scenario to change.
        values: values by dotted key: `agents`, `map.width`, `teams.0.name`; `planning.ttl_s` is a key of the engine.

    Raises:
        ScenarioError: there is no such key, or a value does not fit; the sentence names the key.

    >>> from sim.run.scenario_file import load
    >>> with_values(load("market"), {"agents": 5}).settings.agents
    5
    """
    if not values:
        return scenario
    data = scenario.canonical()
    parts: dict[str, Any] = {"settings": copy.deepcopy(data["settings"]), PLANNING: copy.deepcopy(data[PLANNING])}
    for key, value in values.items():
        part, path = _place(key)
        _put(parts[part], path, value, key)
    return scenario.replaced(**parts)


def read_choice(scenario: Scenario, text: str) -> tuple[str, Any]:
    """Return the key and the value of `KEY=VALUE`; the schema decides how the text of the value is read.

    Raises:
        ScenarioError: the text is not of that form, or there is no such key.

    >>> from sim.run.scenario_file import load
    >>> read_choice(load("market"), "agents=5")
    ('agents', 5)
    """
    key, equals, value = text.partition("=")
    key, value = key.strip(), value.strip()
    if not equals or not key:
        raise ScenarioError(one_line(f"{quoted(text)} is not of the form KEY=VALUE, as in agents=50"))
    if len(value) > CHOICE_CHARS_MAX:
        raise ScenarioError(f"{shown(key)}: the value is longer than {CHOICE_CHARS_MAX} characters")
    part, path = _place(key)
    schema = Planning.model_json_schema() if part == PLANNING else type(scenario.settings).model_json_schema()
    return key, _typed(value, _level(key, path, schema))


def without_data(scenario: Scenario, tiers: Iterable[str]) -> Iterator[str]:
    """Yield a sentence for each tier that the domain and the file give nothing to plan with."""
    playbook = scenario.playbook()
    for tier in tiers:
        part = TIER_DATA.get(tier)
        if part is not None and not getattr(playbook, part) and not (part == "rules" and playbook.group_rules):
            yield f"planner {tier!r} makes no plans here: {scenario.head.domain!r} has no {part}"


def with_tiers(
    scenario: Scenario, tiers: Sequence[str] | None = None, groups: Mapping[str, Sequence[str]] | None = None
) -> Scenario:
    """Return a scenario with other tiers, for all agents or for single groups.

    Raises:
        ScenarioError: its agents do not plan, there is no such group, or a list of tiers is not valid.
    """
    if tiers is None and not groups:
        return scenario
    if not scenario.domain.plans:
        raise ScenarioError(f"agents of {scenario.name!r} do not plan; it has no tiers to choose")
    planning = scenario.planning.model_dump(mode="json")
    for sentence in without_data(scenario, tiers or ()):
        raise ScenarioError(sentence)
    if tiers is not None:
        planning |= {"tiers": list(tiers), "start": None}
        for group in planning["groups"].values():
            group["tiers"] = None
    names = scenario.domain.group_names
    for group, own in (groups or {}).items():
        if not names:
            known = type(scenario.domain).groups is not Domain.groups
            hint = "list their names in group_names" if known else "choose tiers for all of them with --tiers"
            raise ScenarioError(f"{scenario.name!r} has no groups of agents by name; {hint}")
        if group not in names:
            raise ScenarioError(one_line(f"no group {quoted(group)}; {suggestion(group, names, 'groups')}"))
        planning["groups"][group] = {**planning["groups"].get(group, {}), "tiers": list(own)}
        planning["start"] = None
    return scenario.replaced(planning=planning)


def tiers_of(text: str) -> list[str]:
    """Return the tiers of a list with commas; the tier that cannot fail is added if it is missing.

    >>> tiers_of("goap, heuristic")
    ['goap', 'heuristic', 'emergency']
    """
    tiers = [tier.strip() for tier in text.split(",")]
    return tiers if FallbackTier.EMERGENCY in tiers else [*tiers, str(FallbackTier.EMERGENCY)]


def named_tiers(
    tiers: Iterable[str | Planner | type[Planner] | Choose],
) -> tuple[list[str], list[Planner]]:
    """Return the names of tiers given as names or as objects, and the objects as planners whose plans are recorded."""
    names: list[str] = []
    planners: list[Planner] = []
    for tier in tiers:
        if isinstance(tier, str):
            names.append(str(tier))
            continue
        planner = handed_over(tier)
        planners.append(planner)
        names.append(planner.name)
    return names if FallbackTier.EMERGENCY in names else [*names, str(FallbackTier.EMERGENCY)], planners


def _place(key: str) -> tuple[str, list[str]]:
    first, *rest = key.split(".")
    return (PLANNING, rest) if first == PLANNING and rest else ("settings", [first, *rest])


def _put(data: Any, path: Sequence[str], value: Any, key: str) -> None:
    """Write a value into nested plain data; models check later whether it is valid there."""
    *parents, last = path
    for name in parents:
        data = _inside(data, name, key)
        if data is None:
            raise ScenarioError(f"{shown(key)}: there is nothing in {shown(name)}; give all of it as a table")
    if isinstance(data, list):
        data[_index(data, last, key)] = value
    elif isinstance(data, dict):
        data[last] = value
    else:
        raise ScenarioError(f"{shown(key)}: {quoted(data)} has no parts")


def _inside(data: Any, name: str, key: str) -> Any:
    if isinstance(data, list):
        return data[_index(data, name, key)]
    if not isinstance(data, dict):
        raise ScenarioError(f"{shown(key)}: {quoted(data)} has no parts")
    return data.setdefault(name, {})


def _index(data: Sequence[Any], name: str, key: str) -> int:
    if not (name.isascii() and name.isdecimal() and len(name) < 10 and int(name) < len(data)):
        raise ScenarioError(f"{shown(key)}: the list has the places 0 to {len(data) - 1}, not {shown(name)}")
    return int(name)


Level = list[Mapping[str, Any]]


def _level(key: str, path: Sequence[str], schema: Mapping[str, Any]) -> Level:
    """Return the schemas that hold at a dotted key.

    Raises:
        ScenarioError: there is no such key.
    """
    definitions = schema.get("$defs", {})
    level = list(alternatives(schema, definitions))
    at = "" if not key.startswith(f"{PLANNING}.") else f"{PLANNING}."
    for name in path:
        inner = [each["properties"][name] for each in level if name in each.get("properties", {})]
        inner += [
            each["additionalProperties"] for each in level if isinstance(each.get("additionalProperties"), Mapping)
        ]
        inner += [each["items"] for each in level if "items" in each and name.isdecimal()]
        if not inner:
            known = sorted({f"{at}{each}" for part in level for each in part.get("properties", {})})
            if not at and not known:
                raise ScenarioError(one_line(f"no key {quoted(name)}; the domain declares no settings"))
            raise ScenarioError(one_line(f"no key {quoted(at + name)}; {suggestion(at + name, known, 'keys')}"))
        level = [below for each in inner for below in alternatives(each, definitions)]
        at += f"{name}."
    return level


def _typed(text: str, level: Level) -> Any:
    kinds = {kind for each in level for kind in _kinds(each)}
    if "null" in kinds and text.lower() in ("none", "null"):
        return None
    value = next(_readings(text), text)
    if "string" in kinds and not isinstance(value, str) and (kinds <= {"string", "null"}):
        return text
    return value


def _kinds(schema: Mapping[str, Any]) -> Iterator[str]:
    if "type" in schema:
        yield str(schema["type"])
    for value in (*schema.get("enum", ()), *([schema["const"]] if "const" in schema else [])):
        yield "string" if isinstance(value, str) else "other"


def _readings(text: str) -> Iterator[Any]:
    """Yield the values of a text as TOML and as Python: 5, 0.5, .5, true, [1, 2], {x = 1}, "a b"."""
    with suppress(ScenarioError, KeyError):
        yield parsed_toml(f"value = {text}", "value")["value"]
    if text in ("True", "False"):
        yield text == "True"
    with suppress(ValueError):
        yield float(text)
