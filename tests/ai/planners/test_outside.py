"""Planners that a program hands over as objects: their plans are recorded, and replay without them."""

from __future__ import annotations

import io
from typing import Any

import pytest

from ai.errors import ContractError
from ai.planners.heuristic import Heuristic
from ai.planners.outside import handed_over
from ai.rules import Rule
from scenarios.market.domain import Market, Sell, Sleep
from sim.replay import Recorder, ReplayWriter, frames, read, verify
from sim.run.scenario_file import load
from sim.run.simulation import Simulation
from tests.support.recording import rechain

TICKS = 12


def recorded(tiers: list[Any]) -> bytes:
    sink = io.BytesIO()
    with Simulation(load("market"), tiers=tiers) as simulation:
        recorder = Recorder(simulation, ReplayWriter(sink), ticks=TICKS, keyframes=4)
        recorder.header()
        for report in simulation.reports(TICKS):
            recorder.tick(report)
        recorder.end()
    return sink.getvalue()


class Moody:
    """A planner with an argument and a state that no replay could make again."""

    name = "moody"
    deterministic = False

    def __init__(self, mood: int) -> None:
        self.mood = mood
        self.asked = 0

    def __call__(self, agent: Any) -> Any:
        self.asked += 1
        return [Sleep(1), Sleep(1)] if agent.mood < self.mood and self.asked % 3 else None


def test_a_function_of_one_agent_plans() -> None:
    """Three lines are a planner; what it leaves out goes to the next tier; the replay needs no such function."""

    def wool(agent: Any) -> Any:
        return Sell("wool", 1) if agent.stock.get("wool", 0) > 0 else None

    replay = recorded([wool, "heuristic"])
    header = read(replay).header
    assert header is not None
    assert (header.tiers, header.outside) == (["wool", "heuristic", "emergency"], ["wool"])
    assert {tier for tick in read(replay).ticks for tier in tick.planned} == {"wool", "heuristic"}
    assert verify(replay).verdict == "match"
    assert len(list(frames(replay))) == TICKS


def test_an_instance_keeps_its_arguments() -> None:
    """A planner with arguments and state plans, and the run verifies without it; so does a rule list of one's own."""
    replay = recorded([Moody(80), Heuristic([Rule("mood >= 0", Sleep(2))])])
    assert {tier for tick in read(replay).ticks for tier in tick.planned} == {"Moody", "heuristic"}
    assert verify(replay).verdict == "match"
    assert verify(recorded([Heuristic])).verdict == "match"


def test_a_changed_choice_is_a_difference() -> None:
    """What an outside planner chose is evidence: another text in its place is found."""
    replay = recorded([lambda agent: Sleep(1)])

    changed = b"".join(
        rechain(line.replace(b'\\"hours\\":1', b'\\"hours\\":2') for line in replay.splitlines(keepends=True))
    )
    assert changed != replay
    assert verify(changed).verdict == "diverged"


def test_what_is_not_a_planner_is_refused() -> None:
    """A number, a class that needs arguments, and a function that returns something else get a sentence."""
    with pytest.raises(ContractError, match="is not a planner"):
        handed_over(5)  # type: ignore[arg-type]
    with pytest.raises(ContractError, match="Moody needs arguments"):
        handed_over(Moody)  # type: ignore[arg-type]
    with Simulation(Market(), tiers=[lambda agent: "Sleep", "heuristic"]) as simulation:
        report = simulation.tick()
    assert report.plans is not None
    assert any(
        "a function returns an Action" in text for attempt in report.plans.attempts for text in attempt.errors.values()
    )
