"""Rounds: who is asked of the model tiers when, who is bridged meanwhile, and when a plan of a model takes over."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest

from ai.clients.scripted import ScriptedClient
from ai.llm_types import LlmChunk, LlmRequest
from ai.plans import FallbackTier
from sim.replay import read, verify
from sim.replay.format import Tick, keys_of
from sim.replay.writer import Recorder, ReplayWriter
from sim.run.plan_columns import Progress, Status
from sim.run.rounds import Rounds
from sim.run.scenario_file import Scenario, load
from sim.run.simulation import Simulation
from sim.run.systems import REFUSED_PAUSE_S

FORAGERS = 15
REST = {"act": "Rest", "ticks": 20}
STEADY: list[dict[str, Any]] = [{"agent": "*", "steps": [REST]}]
IMPOSSIBLE: list[dict[str, Any]] = [{"agent": "*", "steps": [{"act": "Unload"}]}]
"""Legal for everyone, and refused by the world: nobody has anything to unload."""


def scenario(every: int = 4, **planning: Any) -> Scenario:
    return load("foraging").replaced(planning={"every": every, **planning})


def run(plan: Scenario, script: list[dict[str, Any]] | None, ticks: int) -> list[Tick]:
    """Record a run, prove its recording, and return the ticks."""
    sink = io.BytesIO()
    client = None if script is None else ScriptedClient(script)
    with Simulation(plan, client=client) as simulation:
        recorder = Recorder(simulation, ReplayWriter(sink), ticks=ticks)
        recorder.header()
        for report in simulation.reports(ticks):
            recorder.tick(report)
        recorder.end()
    assert verify(sink.getvalue()).verdict == "match"
    return list(read(sink.getvalue()).ticks)


def asked(ticks: list[Tick], key: int) -> list[int]:
    """Return the ticks in which an agent was asked."""
    return [tick.t for tick in ticks if tick.asked and key in keys_of(tick.asked)]


def test_the_first_round_asks_everybody_and_later_ones_fall_on_tick_numbers() -> None:
    """Rounds are at ticks divisible by `every`, whatever became of those before; between them nobody is asked."""
    ticks = run(scenario(), [], 13)
    assert ticks[0].asked == "0-14"
    assert [tick.t for tick in ticks if tick.asked is not None] == [0, 4, 8, 12]


def test_between_rounds_other_tiers_bridge_at_once_and_the_record_says_so() -> None:
    """Whoever comes to be without a plan has one of the next tier in the next tick, recorded as bridged."""
    ticks = run(scenario(), [{"agent": "*", "steps": [{"act": "Rest", "ticks": 1}]}], 4)
    assert ticks[0].planned == {"simplified_llm": "0-14"}
    assert (ticks[1].planned, ticks[1].bridged, ticks[1].asked) == ({"heuristic": "0-14"}, "0-14", None)
    assert [tick.held for tick in ticks[:2]] == [[0, 0, 15], [0, 15, 0]]


def test_a_plan_of_a_model_ends_a_bridge_at_any_step() -> None:
    """The model leaves agents out in the first round; in the next one its plans replace what the rules began."""
    client = Late(ScriptedClient(STEADY))
    with Simulation(scenario(), client=client) as simulation:
        simulation.run(4)
        before = simulation.world[Progress]
        assert np.count_nonzero(before.status[:FORAGERS] == Status.RUNNING) > 3
        assert {simulation.tiers[tier] for tier in before.tier[:FORAGERS]} == {"heuristic"}
        client.silent = False
        simulation.run(5)
        after = simulation.world[Progress]
        assert {simulation.tiers[tier] for tier in after.tier[:FORAGERS]} == {"simplified_llm"}
        assert (after.planned_at[:FORAGERS] == 4).all()


class Late:
    """Answers nothing while it is silent."""

    def __init__(self, client: ScriptedClient) -> None:
        self.label = client.label
        self.client = client
        self.silent = True

    async def stream(self, request: LlmRequest) -> AsyncIterator[LlmChunk]:
        source = ScriptedClient([]) if self.silent else self.client
        async for chunk in source.stream(request):
            yield chunk


def test_a_bridge_is_kept_where_no_model_gives_a_plan() -> None:
    """A round without a plan starts no bridge anew: a step that takes longer than a round comes to its end."""
    plan = scenario(2).replaced(planning={"every": 2}, rules=[{"when": "always", "then": {"act": "Rest", "ticks": 7}}])
    ticks = run(plan, [], 8)
    assert [tick.t for tick in ticks if "heuristic" in tick.planned] == [0, 7]


def test_refusals_in_a_row_back_off_to_eight_rounds_and_no_further() -> None:
    """An agent that the model leaves out is asked after 1, 2, 4, 8, 8 rounds; others are not kept from theirs."""
    ticks = run(scenario(1), [], 30)
    assert asked(ticks, 3) == [0, 1, 3, 7, 15, 23]


def test_a_refused_plan_of_a_model_is_bridged_at_once_and_backs_off() -> None:
    """The pause after a refusal holds for whoever gave the plan: the next tier does not wait for it."""
    ticks = run(scenario(), IMPOSSIBLE, 20)
    assert ticks[1].bridged == "0-14"
    assert asked(ticks, 0) == [0, 4, 12]


def test_an_invalidation_ends_the_waiting_and_goes_first() -> None:
    """Whoever is invalidated is asked in the next round, before those that wait longer."""
    with Simulation(scenario(2, per_tick_max=3), client=ScriptedClient([])) as simulation:
        simulation.run(6)
        assert simulation.world[Progress].refusals[:FORAGERS].max() == 1
        simulation.world.invalidate(np.array([14]), "news")
        assert simulation.world[Progress].refusals[14] == 0
        report = simulation.tick()
        assert report.round is not None
        assert report.round.asked is not None
        assert 14 in report.round.asked


def test_a_round_asks_at_most_per_tick_max_those_that_wait_longest_first() -> None:
    """The others are bridged and come in the next round."""
    ticks = run(scenario(2, per_tick_max=6), STEADY, 5)
    assert [tick.asked for tick in ticks] == ["0-5", None, "6-11", None, "12-14"]
    assert ticks[0].bridged == "6-11"
    assert ticks[1].bridged == "12-14"


def test_rules_alone_need_no_rounds() -> None:
    """Without a model nothing is asked, nothing is a bridge, and agents plan in every tick as they need it."""
    ticks = run(scenario(50), None, 12)
    assert all((tick.asked, tick.bridged, tick.held) == (None, "", []) for tick in ticks)
    assert sum("heuristic" in tick.planned for tick in ticks) > 6


def test_a_group_without_a_model_tier_waits_for_no_round() -> None:
    """Only those are asked and bridged whose group has a model tier."""
    groups = {"Ash": {"tiers": ["heuristic", "emergency"]}}
    ticks = run(scenario(groups=groups), [{"agent": "*", "steps": [{"act": "Rest", "ticks": 1}]}], 6)
    assert ticks[0].asked == "5-14"
    assert ticks[0].planned == {"heuristic": "0-4", "simplified_llm": "5-14"}
    assert all(set(keys_of(tick.bridged).tolist()) <= set(range(5, 15)) for tick in ticks)
    assert sum(ticks[3].held) == 10


@pytest.mark.parametrize(("given", "own", "expected"), [(None, None, 1), (None, 3, 3), (7, 3, 7)])
def test_every_is_the_scenario_s_or_the_domain_s_or_a_second(given: int | None, own: int | None, expected: int) -> None:
    """`planning.every` comes first, then the domain's `every`, then the ticks of one second."""
    plan = load("market").replaced(planning={"every": given})
    plan.domain.__class__.every, before = own, plan.domain.__class__.every
    try:
        with Simulation(plan, client=ScriptedClient([])) as simulation:
            assert simulation.run_context.rounds is not None
            assert simulation.run_context.rounds.every == expected
    finally:
        plan.domain.__class__.every = before


def test_a_wait_ends_on_a_round() -> None:
    """Waits are rounds on tick numbers: from tick 5 with rounds every 4 ticks they end at 8, 12, 20 and 36."""
    rounds = Rounds.of(load("market").planning, 4, ("m", FallbackTier.EMERGENCY), ("m",), ())
    assert rounds is not None
    refusals = np.array([1, 2, 3, 4, 5], np.int8)
    assert rounds.back_off(5, refusals).tolist() == [8, 12, 20, 36, 36]
    assert REFUSED_PAUSE_S < 1
