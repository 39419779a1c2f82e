"""Timed inputs from outside, one JSON object per line: a file of them, or one at a time during a run."""

from __future__ import annotations

import json

from sim.errors import ScenarioError
from sim.messages import one_line
from sim.run.inputs import TimedInput
from sim.run.scenario_file import INPUTS_MAX, Scenario


def inputs_from_lines(text: str, source: str, scenario: Scenario) -> tuple[TimedInput, ...]:
    """Read timed inputs, one JSON object per line (`{"tick": 50, "input": {"kind": "order", ...}}`), in order of tick.

    Raises:
        ScenarioError: a line is not a valid input for this scenario; the message is one sentence that names the line.
    """
    found: list[TimedInput] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        if len(found) == INPUTS_MAX:
            raise ScenarioError(f"{source}, line {number}: more than {INPUTS_MAX} inputs; split the run")
        found.append(input_from_line(line, f"{source}, line {number}", scenario))
    return tuple(sorted(found, key=lambda timed: timed.tick))


def input_from_line(line: str, place: str, scenario: Scenario) -> TimedInput:
    """Read one timed input from a line of JSON; error messages start with `place`.

    Raises:
        ScenarioError: the line is not a valid input for this scenario; the message is one sentence.
    """
    try:
        return scenario.timed_input(json.loads(line))
    except ScenarioError as error:
        raise ScenarioError(one_line(f"{place}: {error}")) from None
    except (ValueError, RecursionError) as error:
        raise ScenarioError(one_line(f"{place}: is not JSON: {error}")) from None
