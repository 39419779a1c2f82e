"""A whole scenario: map, archetypes, teams, squads, planning and timed inputs.

It is complete: its canonical JSON stands in every replay's header, so a replay needs no other file. Whatever is wrong
with a file, `load` says it in one sentence: the file, the dotted key, the reason.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, ValidationError, model_validator

from ai.actions import NAMES_MAX
from ai.heuristics import HeuristicConfig
from ai.planners.scripted import Script
from scenarios.tactics.components import ABILITIES_MAX, ITEMS_MAX
from scenarios.tactics.equipment import AbilitySpec, ItemSpec, WeaponSpec
from scenarios.tactics.inputs import (
    Name,
    TimedInput,
)
from scenarios.tactics.objectives import Text
from scenarios.tactics.scenario.checks import check_together
from scenarios.tactics.scenario.map import Map
from scenarios.tactics.scenario.part import Part
from scenarios.tactics.scenario.rules import AtLimit, CombatRules, Director, MoraleRules, Planning
from scenarios.tactics.scenario.teams import Archetype, Team
from sim.errors import ScenarioError
from sim.messages import one_line, sentence, shown

TICKS_MAX: Final = 10_000_000
"""Ticks a run may last."""
PLUGINS_MAX: Final = 16
"""Plug-ins of a scenario."""
INPUTS_MAX: Final = 100_000
"""Timed inputs of a scenario or of a file of inputs."""
PluginName = Annotated[str, Field(max_length=128, pattern=r"^(?:[A-Za-z0-9_-]+/)*[A-Za-z0-9_-]+(?:\.py)?$")]
"""A Python file beside the scenario's own or in a folder there, or the name of an installed plug-in."""


class Scenario(Part):
    """A whole run's start. `load` reads one from a name or a path."""

    name: Name
    description: Text
    ticks: Annotated[int, Field(ge=1, le=TICKS_MAX)] = 300
    ticks_per_second: Annotated[int, Field(ge=1, le=1000)] = 10
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 1
    map: Map
    archetypes: Annotated[dict[Name, Archetype], Field(min_length=1, max_length=1000)]
    weapons: Annotated[dict[Name, WeaponSpec], Field(max_length=NAMES_MAX)] = Field(default={})
    items: Annotated[dict[Name, ItemSpec], Field(max_length=ITEMS_MAX)] = Field(default={})
    abilities: Annotated[dict[Name, AbilitySpec], Field(max_length=ABILITIES_MAX)] = Field(default={})
    teams: Annotated[tuple[Team, ...], Field(min_length=1, max_length=64)]
    planning: Planning = Planning()
    heuristics: HeuristicConfig = HeuristicConfig()
    combat: CombatRules = CombatRules()
    morale: MoraleRules = MoraleRules()
    script: Script = Script()
    inputs: Annotated[tuple[TimedInput, ...], Field(max_length=INPUTS_MAX)] = ()
    ends: Literal["last_team", "objectives", "never"] = "last_team"
    at_limit: AtLimit = AtLimit()
    director: Director | None = None
    plugins: Annotated[tuple[PluginName, ...], Field(max_length=PLUGINS_MAX)] = ()
    downed_s: Annotated[int, Field(ge=0, le=3600)] = 0

    @property
    def agents(self) -> int:
        """Agents the run starts with."""
        return sum(team.count for team in self.teams)

    @property
    def digest(self) -> str:
        """Thirty-two hex digits that name this scenario: equal digests, equal scenarios."""
        text = json.dumps(self.canonical(), sort_keys=True, separators=(",", ":"))
        return hashlib.blake2b(text.encode(), digest_size=16, person=b"tickweave-scen").hexdigest()

    def canonical(self) -> dict[str, Any]:
        """Return the scenario as plain JSON data, defaults included; what a replay's header holds."""
        return self.model_dump(mode="json")

    @classmethod
    def from_canonical(cls, data: object, source: str = "scenario") -> Scenario:
        """Read what `canonical` returned; `source` stands first in a refusal.

        Raises:
            ScenarioError: the data is no valid scenario; one sentence.
        """
        try:
            return cls.model_validate_json(json.dumps(data, allow_nan=False))
        except ValidationError as error:
            raise ScenarioError(one_line(f"{source}: {sentence(error, _schema())}")) from None
        except (TypeError, ValueError, RecursionError) as error:
            # Dates and times, integers thousands of digits long, NaN: TOML can write them, JSON cannot.
            key = _unwritable(data)
            raise ScenarioError(one_line(f"{source}: {key}holds a value that no key takes ({error})")) from None

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        check_together(self)
        return self


@cache
def _schema() -> dict[str, Any]:
    return Scenario.model_json_schema()


def _unwritable(data: object) -> str:
    """Return the dotted key of the first value that JSON has no form for, and a colon; empty for all of the data."""
    left: list[tuple[str, object]] = [("", data)]
    while left:
        key, value = left.pop()
        if isinstance(value, dict):
            left += [(f"{key}.{shown(str(name))}" if key else shown(str(name)), each) for name, each in value.items()]
        elif isinstance(value, list):
            left += [(f"{key}[{place}]", each) for place, each in enumerate(value)]
        elif not isinstance(value, str | int | float | None) or _is_unwritable_number(value):
            return f"{key}: " if key else ""
    return ""


def _is_unwritable_number(value: str | float | None) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return True
    return False
