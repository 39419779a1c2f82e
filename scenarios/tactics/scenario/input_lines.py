"""Timed inputs from outside, one JSON object a line: a file of them, or one at a time while a run goes on."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from scenarios.tactics.inputs import TimedInput
from scenarios.tactics.scenario.checks import check_input
from scenarios.tactics.scenario.model import INPUTS_MAX, Scenario
from sim.errors import ScenarioError
from sim.messages import one_line, sentence, told

_TIMED: Final = TypeAdapter(TimedInput)


@cache
def _timed_schema() -> dict[str, Any]:
    return _TIMED.json_schema()


def inputs_from_lines(text: str, source: str, scenario: Scenario) -> tuple[TimedInput, ...]:
    """Read timed inputs, one JSON object a line (`{"tick": 50, "input": {"kind": "order", ...}}`), in order of tick.

    Raises:
        ScenarioError: a line is no valid input for this scenario; one sentence that names the line.
    """
    squads = {squad.name for team in scenario.teams for squad in team.squads}
    found: list[TimedInput] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        if len(found) == INPUTS_MAX:
            raise ScenarioError(f"{source}, line {number}: more than {INPUTS_MAX} inputs; split the run")
        found.append(input_from_line(line, f"{source}, line {number}", scenario, squads))
    return tuple(sorted(found, key=lambda timed: timed.tick))


def input_from_line(line: str, place: str, scenario: Scenario, squads: set[str]) -> TimedInput:
    """Read one timed input from a line of JSON; `place` stands first in a refusal, `squads` are the scenario's.

    Raises:
        ScenarioError: it is no valid input for this scenario; one sentence.
    """
    try:
        timed = _TIMED.validate_json(line)
        check_input(scenario, timed, "input", squads)
    except ValidationError as error:
        raise ScenarioError(one_line(f"{place}: {sentence(error, _timed_schema())}")) from None
    except PydanticCustomError as error:
        raise ScenarioError(one_line(f"{place}: {told(error)}")) from None
    return timed
