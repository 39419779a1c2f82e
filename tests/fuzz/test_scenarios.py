"""Scenarios and inputs of every domain, spoilt: refused in one sentence, or they run."""

from __future__ import annotations

import json
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import scenarios
from ai.errors import AIError
from sim.errors import SimError
from sim.run.input_sources import inputs_from_lines
from sim.run.scenario_file import Scenario, available, from_toml, load
from sim.run.simulation import Simulation
from tests.fuzz.harness import EDGES, Draw, as_json, fuzz, said_well, spoilt_bytes, spoilt_json

DOMAINS = ("ecology", "epidemic", "foraging", "market", "segregation")
AGENTS_MAX = 400
SIDE_MAX = 5_000


@cache
def texts() -> tuple[bytes, ...]:
    """Return the shipped scenario files."""
    return tuple(path.read_bytes() for path in sorted(Path(str(scenarios.__file__)).parent.glob("*/*.toml")))


@cache
def canonical() -> tuple[dict[str, Any], ...]:
    """Return every shipped scenario and domain as data."""
    names = [*DOMAINS, *(name for name, _ in available() if name not in ("stress-10k", "crowd"))]
    return tuple(load(name).canonical() for name in names)


def make(draw: Draw) -> bytes:
    if draw.chance(30):
        text = draw.one(texts())
        return b"T" + spoilt_bytes(draw, text)
    if draw.chance(20):
        return b"J" + as_json(spoilt_json(draw, tomllib.loads(draw.one(texts()).decode())))
    return b"J" + as_json(spoilt_json(draw, draw.one(canonical())))


def check(data: bytes) -> None:
    try:
        if data[:1] == b"T":
            scenario = from_toml(data[1:].decode("utf-8", "replace"), "f.toml")
        else:
            scenario = Scenario.from_canonical(json.loads(data[1:]), "f")
        if scenario.agents <= AGENTS_MAX and not scenario.plugins and not _is_large(scenario.canonical()["settings"]):
            with Simulation(scenario, seed=1) as simulation:
                simulation.run(min(2, simulation.scenario.ticks))
    except (SimError, AIError) as error:
        said_well(error)


def _is_large(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_is_large, value.values()))
    if isinstance(value, list):
        return any(map(_is_large, value))
    return isinstance(value, int) and abs(value) > SIDE_MAX


def test_spoilt_scenarios_are_refused_in_a_sentence_or_run() -> None:
    """No traceback and no silence, whatever a file of a shipped domain holds."""
    assert fuzz("scenarios", make, check)


LINES = (
    {"tick": 1, "input": {"kind": "kill", "agent": 3}},
    {"tick": 1, "input": {"kind": "control", "agent": 3, "on": True}},
    {"tick": 1, "input": {"kind": "act", "agent": 3, "step": {"act": "Sleep", "hours": 2}}},
    {"tick": 0, "input": {"kind": "spawn", "values": {"Purse": {"money": 3}}, "count": 2}},
    {"tick": 0, "input": {"kind": "spawn", "values": {"Forager": {"cell": [1, 2]}}, "count": 2}},
)


def make_inputs(draw: Draw) -> bytes:
    lines = [json.dumps(spoilt_json(draw, draw.one(LINES))).encode() for _ in range(draw.one((1, 2, 5)))]
    if draw.chance(10):
        lines.append(json.dumps(draw.one(EDGES)).encode())
    data = b"\n".join(lines)
    return bytes([draw.below(len(DOMAINS))]) + (spoilt_bytes(draw, data) if draw.chance(30) else data)


def check_inputs(data: bytes) -> None:
    scenario = _small(DOMAINS[data[0] % len(DOMAINS)])
    try:
        inputs = inputs_from_lines(data[1:].decode("utf-8", "replace"), "in.jsonl", scenario)
        with Simulation(scenario, seed=1) as simulation:
            for timed in inputs:
                simulation.inject(timed.input)
            for report in simulation.reports(2):
                assert all(reason and reason.isprintable() for reason in report.refused.values())
    except (SimError, AIError) as error:
        said_well(error)


@cache
def _small(name: str) -> Scenario:
    return load(name)


def test_spoilt_inputs_are_refused_in_a_sentence_or_applied() -> None:
    """Lines of inputs for domains that take them and domains that do not."""
    assert fuzz("inputs", make_inputs, check_inputs)
