"""A small scenario in which much happens within a few ticks, and recordings of it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cache
from typing import Any, Literal

from ai.clients.scripted import ScriptedClient
from ai.llm_types import LlmClient
from scenarios.tactics.testing.flat import INPUTS_OF_TACTICS, flat
from sim.replay.writer import Recorder, ReplayWriter
from sim.run.planning_service import ModelOptions
from sim.run.plugins import Plugin
from sim.run.scenario_file import Scenario
from sim.run.simulation import Simulation

TICKS = 12

SCENARIO: dict[str, Any] = {
    "name": "yard",
    "description": "Six against each other in a yard",
    "ticks": TICKS,
    "map": {
        "rows": ["............", "....+..+....", "............", "....#.......", "............", "............"],
        "places": [{"name": "middle", "x": 5, "y": 2}],
    },
    "archetypes": {"rifle": {"hp": 60, "accuracy": 900, "reach": 12, "sight": 14}},
    "teams": [
        {
            "name": "red",
            "objectives": [{"kind": "hold", "place": "middle", "ticks": 30, "points_each": 1}],
            "squads": [
                {"name": "one", "archetype": "rifle", "count": 3, "area": {"x": 0, "y": 0, "width": 2, "height": 3}}
            ],
        },
        {
            "name": "blue",
            "squads": [
                {"name": "two", "archetype": "rifle", "count": 3, "area": {"x": 7, "y": 1, "width": 2, "height": 3}}
            ],
        },
    ],
    "planning": {"every": 2},
    "director": {"squad": "two", "budget": {"traps": 1, "terrain_edits": 1, "spawns": 1}},
    "inputs": [
        {"tick": 2, "input": {"kind": "order", "squad": "one", "text": "fall back", "x": 1, "y": 1}},
        {"tick": 4, "input": {"kind": "set_cells", "cell": "cover", "x": 6, "y": 5}},
        {"tick": 5, "input": {"kind": "control", "agent": 0}},
        {"tick": 6, "input": {"kind": "act", "agent": 0, "step": {"act": "MoveTo", "x": 1, "y": 4}}},
        {"tick": 6, "input": {"kind": "fortify", "rect": {"x": 9, "y": 4, "width": 2, "height": 2}}},
        {
            "tick": 10,
            "input": {"kind": "spawn_wave", "archetype": "rifle", "count": 1, "origin": {"x": 11, "y": 5}},
        },
        {"tick": 8, "input": {"kind": "collapse", "a": {"x": 5, "y": 4}, "b": {"x": 6, "y": 4}}},
        {"tick": 9, "input": {"kind": "control", "agent": 0, "on": False}},
        {"tick": 9, "input": {"kind": "set", "name": "morale.break_below", "value": 40}},
    ],
}

SCRIPT: list[dict[str, Any]] = [
    {"agent": 0, "steps": [{"act": "Scan", "radius": 4}, {"act": "Wait", "duration": 0.2}]},
    {"agent": 1, "text": '{"steps":['},
    {"agent": 2, "steps": [{"act": "MoveTo", "x": 3, "y": 3}]},
    {"agent": 3, "steps": [{"act": "Attack", "target_id": 1}]},
    {"agent": 4, "tier": "simplified_llm", "steps": [{"act": "Dance"}]},
    {"agent": 4, "tier": "full_llm", "steps": [{"act": "Wait", "duration": 0.3}]},
]
"""Agent 5 has no line, so the model leaves it out and the rules plan for it."""


def scenario(**changes: Any) -> Scenario:
    """Return the scenario, with other values for some of its keys."""
    return flat({**SCENARIO, **changes})


def record(
    plan: Scenario,
    *,
    client: LlmClient | None = None,
    detail: Literal["hash", "full"] = "hash",
    ticks: int = TICKS,
    keyframes: int = 0,
    model: ModelOptions | None = None,
    plugins: Sequence[Plugin] = (),
) -> bytes:
    """Run a scenario, with two inputs from outside of which one is refused, and return its replay."""
    sink = io.BytesIO()
    with Simulation(plan, client=client, detail=detail, model=model, plugins=plugins) as simulation:
        recorder = Recorder(simulation, ReplayWriter(sink), ticks=ticks, keyframes=keyframes)
        recorder.header()
        for report in simulation.reports(ticks):
            recorder.tick(report)
            if report.tick == 2:
                simulation.inject(INPUTS_OF_TACTICS.read({"kind": "move", "agent": 99, "x": 1, "y": 1}))
                simulation.inject(INPUTS_OF_TACTICS.read({"kind": "move", "agent": 1, "x": 2, "y": 4}))
        recorder.end()
    return sink.getvalue()


@cache
def rules(detail: Literal["hash", "full"] = "hash") -> bytes:
    """Return a recording of a run that rules planned."""
    return record(scenario(), detail=detail)


@cache
def model(detail: Literal["hash", "full"] = "hash") -> bytes:
    """Return a recording of a run for which a scripted model planned where it could."""
    return record(scenario(), client=ScriptedClient(SCRIPT), detail=detail)


@cache
def framed(detail: Literal["hash", "full"] = "hash") -> bytes:
    """Return the same recording with a keyframe every four ticks."""
    return record(scenario(), client=ScriptedClient(SCRIPT), detail=detail, keyframes=4)
