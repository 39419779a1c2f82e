"""Thinking time: a plan takes effect in its tick and no other, unless something voids it before."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np

from ai.clients.faulty import Fault, FaultyClient
from ai.clients.scripted import ScriptedClient
from ai.fake.client import StandInClient
from ai.llm_types import Endpoint
from sim.run.inputs import Control
from sim.run.plan_columns import Ask, NextPlan, Progress
from sim.run.planning_service import ModelOptions
from sim.run.scenario_file import Scenario, load
from sim.run.simulation import Simulation, TickReport

FORAGERS = 15
EVERYONE = list(range(FORAGERS))
REST: list[dict[str, Any]] = [{"agent": "*", "steps": [{"act": "Rest", "ticks": 1}]}]
LONG: list[dict[str, Any]] = [{"agent": "*", "steps": [{"act": "Rest", "ticks": 6}]}]


def scenario(every: int = 4, think: int = 6, **planning: Any) -> Scenario:
    return load("foraging").replaced(planning={"every": every, "think": think, **planning})


def simulation(script: list[dict[str, Any]], every: int = 4, think: int = 6, **options: Any) -> Simulation:
    return Simulation(scenario(every, think), client=ScriptedClient(script), **options)


def fates(report: TickReport) -> dict[int, str]:
    """Return what became of each agent whose ask fell due in a tick."""
    assert report.round is not None
    return {
        int(key): fate for each in report.round.arrived for fate, keys in each.fates.items() for key in keys.tolist()
    }


def test_a_plan_takes_effect_think_ticks_after_its_round() -> None:
    """The first round is waited for; then a reply that is there at once waits for its tick, and ends a bridge."""
    with simulation(REST) as run:
        reports = list(run.reports(11))
        assert reports[0].round is not None
        assert reports[0].round.started == FORAGERS
        assert [report.tick for report in reports if fates(report)] == [10]
        assert set(fates(reports[10]).values()) == {"started"}
        progress = run.world[Progress]
        started = list(fates(reports[10]))
        assert {run.tiers[tier] for tier in progress.tier[started]} == {"simplified_llm"}
        assert (progress.planned_at[started] == 4).all()


def test_whatever_invalidates_a_plan_voids_its_open_ask() -> None:
    """The reply to what an agent was asked in peace never starts; the agent is asked anew, before others."""
    with simulation(REST) as run:
        run.run(6)
        assert (run.world[Ask].asked_at[:FORAGERS] == 4).all()
        run.world.invalidate(np.array([3]), "news")
        report = [*run.reports(11)][-1]
        assert 3 not in fates(report)
        assert 5 in fates(report)
        assert run.world[Ask].asked_at[3] == 8


def test_a_player_who_takes_an_agent_over_voids_its_ask() -> None:
    """What a model thinks about for an agent is nothing to the player who controls it."""
    with simulation(REST) as run:
        run.run(6)
        run.inject(Control(agent=2, on=True))
        reports = [*run.reports(13)]
        assert all(2 not in fates(report) for report in reports)
        assert run.world[Ask].asked_at[2] == -1


def test_a_plan_asked_for_ahead_waits_for_the_end_of_the_current_one() -> None:
    """A timed last step that ends in time is asked ahead; its plan is stored, and starts without a bridge between."""
    with simulation(LONG, every=2, think=2) as run:
        stored: dict[int, int] = {}
        for report in run.reports(14):
            assert report.round is not None
            assert not len(report.round.bridged)
            stored |= {key: report.tick for key, fate in fates(report).items() if fate == "stored"}
            for key in report.round.begun:
                assert report.tick > stored[key]
                assert run.world[NextPlan].length[key] == 0
        assert sorted(stored) == EVERYONE


def test_a_plan_that_is_not_legal_any_more_is_refused_when_it_starts() -> None:
    """A bush that an agent was to pick is out of its sight by then: refused with the reason, and bridged at once."""
    refused = 0
    rules = StandInClient("rules", Endpoint(reachable=True, slots=8, wants_rules=True))
    with Simulation(scenario(3, 12), client=rules) as run:
        for report in run.reports(90):
            late = (
                {}
                if report.plans is None
                else {
                    key: error
                    for each in report.plans.attempts
                    for key, error in each.errors.items()
                    if error.startswith("late: ")
                }
            )
            assert {key for key, fate in fates(report).items() if fate == "refused"} <= late.keys()
            refused += len(late)
            for key in late:
                assert report.round is not None
                assert key in report.round.bridged or run.world[Progress].tier[key] >= 0
    assert refused > 0


def test_an_alert_that_changed_meanwhile_voids_the_plan_on_arrival(monkeypatch: Any) -> None:
    """No alert was looked at between: the value at the ask is compared with the one on arrival."""
    plan = scenario(every=4, think=6, alert_every=1000)
    with Simulation(plan, client=ScriptedClient(REST)) as run:
        run.run(7)

        def alert(world: Any, rows: Any) -> Any:
            return np.where(world.keys[rows] == 3, 9, 0)

        monkeypatch.setattr(run.domain, "alert", alert)
        report = [*run.reports(11)][-1]
        assert fates(report)[3] == "outdated"
        assert fates(report)[5] == "started"


def test_a_restored_world_has_lost_its_open_asks() -> None:
    """The calls belong to a run, not to a state: the asks are lost in their tick, and the agents are asked again."""
    with simulation(REST) as run:
        state = run.run(6).snapshot()
        run.run(8)
        run.restore(state)
        reports = [*run.reports(13)]
        assert set(fates(reports[10 - 6]).values()) == {"lost"}
        assert run.world[Ask].asked_at[:FORAGERS].max() >= 8


def slow(seconds: float) -> FaultyClient:
    """Return a client that answers late."""
    return FaultyClient(ScriptedClient(REST), [Fault(wait_s=seconds)] * 100)


def test_the_deadline_counts_from_when_the_world_begins_to_wait() -> None:
    """A reply that takes longer than the deadline is in time if the world did not have to wait for it."""
    options = ModelOptions(deadline_s=0.3, retries=0)
    with Simulation(scenario(2, 4), client=slow(0.4), model=options) as run:
        for report in run.reports(6):
            if report.tick == 5:
                break
            if report.tick >= 2:
                threading_wait(0.25)
            last = report
        assert last.tick == 4
        run_fates = fates(report) or fates([*run.reports(7)][-1])
        assert "started" in run_fates.values()
    with Simulation(scenario(2, 4), client=slow(5.0), model=ModelOptions(deadline_s=0.05, retries=0)) as run:
        reports = [*run.reports(7)]
        assert set(fates(reports[6]).values()) == {"failed"}
        assert reports[6].plans is not None
        assert reports[6].plans.usage.errors["timeout"] > 0


def threading_wait(seconds: float) -> None:
    """Let time pass in the world's thread."""
    asyncio.run(asyncio.sleep(seconds))
