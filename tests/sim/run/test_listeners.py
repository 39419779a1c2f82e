"""Listeners hear what a run does, each in the thread it is promised, and cannot disturb it."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from ai.testing import MockBatchLlm
from sim.run.listeners import Arrival, Listener, RoundBegun
from sim.run.scenario_file import load
from sim.run.simulation import Simulation, TickReport

SCENARIO = load("foraging").replaced(planning={"every": 3})
EVENTS = ("on_round", "on_call_begun", "on_call", "on_plan", "on_arrival", "on_tick")


def simulation(*listeners: object) -> Simulation:
    registry = SCENARIO.domain.registry()
    assert registry is not None
    return Simulation(SCENARIO, client=MockBatchLlm.for_agents(100, registry), listeners=listeners)


class Noting(Listener):
    """Notes every event with its thread."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, int, tuple[Any, ...]]] = []

    def note(self, event: str, *values: Any) -> None:
        self.heard.append((event, threading.get_ident(), values))

    def on_round(self, begun: RoundBegun) -> None:
        self.note("on_round", begun)

    def on_call_begun(self, tick: int, call: Any) -> None:
        self.note("on_call_begun", tick, call)

    def on_call(self, tick: int, call: Any) -> None:
        self.note("on_call", tick, call)

    def on_plan(self, tick: int, key: int, steps: tuple[Any, ...]) -> None:
        self.note("on_plan", tick, key, steps)

    def on_arrival(self, arrival: Arrival) -> None:
        self.note("on_arrival", arrival)

    def on_tick(self, report: TickReport) -> None:
        self.note("on_tick", report)


def test_a_listener_hears_of_rounds_calls_plans_arrivals_and_ticks() -> None:
    """Progress comes from the client's thread, what the world took in from its own, and arrivals in key order."""
    noting = Noting()
    with simulation(noting) as run:
        run.run(4)
    threads = {event: {thread for name, thread, _ in noting.heard if name == event} for event in EVENTS}
    here = {threading.get_ident()}
    assert threads["on_arrival"] == threads["on_tick"] == here
    assert threads["on_round"] == threads["on_call"] == threads["on_plan"]
    assert not threads["on_round"] & here
    rounds = [values[0] for name, _, values in noting.heard if name == "on_round"]
    assert (rounds[0].tick, rounds[0].keys) == (0, tuple(range(15)))
    arrived = [values[0] for name, _, values in noting.heard if name == "on_arrival"]
    assert [each.key for each in arrived if each.tick == 0] == list(range(15))
    assert {(each.fate, each.tier, each.asked_at) for each in arrived if each.tick == 0} == {
        ("started", "simplified_llm", 0)
    }
    begun = [values[1] for name, _, values in noting.heard if name == "on_call_begun" and values[0] == 0]
    assert sorted(key for call in begun for key in call.agents) == list(range(15))
    assert len(begun) == sum(name == "on_call" and values[0] == 0 for name, _, values in noting.heard)
    planned = sorted(values[1] for name, _, values in noting.heard if name == "on_plan" and values[0] == 0)
    assert planned == list(range(15))
    assert [values[0].tick for name, _, values in noting.heard if name == "on_tick"] == [0, 1, 2, 3]


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("raised", [RuntimeError("broken"), SystemExit(3)])
def test_a_listener_that_raises_is_a_warning_that_names_it(
    event: str, raised: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever a method raises, the run goes on to the same state, and one warning names the author."""

    def broken(*_: object) -> None:
        raise raised

    listener = type("Rude", (), {event: staticmethod(broken)})()
    with simulation() as quiet, simulation(listener) as loud:
        assert [each.digest for each in loud.reports(4)] == [each.digest for each in quiet.reports(4)]
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(warnings) == 1
    assert f"Rude.{event}" in warnings[0]
