"""Rounds, with and without thinking time: replies decide a run, and neither their order nor their delay does.

What is run is a fight in a yard: enemies come into sight, agents die, orders come, and a player takes one over, all of
it while plans are asked for.
"""

from __future__ import annotations

import asyncio
import io
import re
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai.clients.scripted import ScriptedClient
from ai.llm_types import LlmChunk, LlmRequest
from sim.errors import ScenarioError
from sim.replay import Replay, read, verify
from sim.replay.fork import Changes, Patch, fork
from sim.replay.format import keys_of
from sim.replay.recover import resume
from sim.replay.replay_file import open_replay_file
from sim.replay.show import show_agent
from sim.run.planning_service import ModelOptions
from sim.run.scenario_file import Scenario
from sim.run.simulation import Simulation
from sim.testing.checks import CHECKS, Case
from tests.sim.replay.recordings import SCENARIO, record, scenario

TICKS = 40
FEW = settings(max_examples=max(6, settings.default.max_examples // 10))
SCRIPT: list[dict[str, Any]] = [
    {"agent": 0, "steps": [{"act": "Scan", "radius": 4}, {"act": "Wait", "duration": 0.2}]},
    {"agent": 1, "steps": [{"act": "MoveTo", "x": 6, "y": 2}, {"act": "Wait", "duration": 0.5}]},
    {"agent": 3, "steps": [{"act": "Wait", "duration": 0.4}]},
    {"agent": 4, "steps": [{"act": "MoveTo", "x": 3, "y": 1}]},
    {"agent": 5, "steps": [{"act": "Wait", "duration": 2}]},
    {"agent": 6, "steps": [{"act": "Wait", "duration": 1}]},
]
"""Agent 2 has no line: a model leaves it out."""
GOING = ((13, 4), (22, 3), (31, 5))
"""Who leaves when."""
ROUNDS = st.tuples(st.integers(1, 6), st.integers(0, 9))
"""`every` and `think`."""


class Delayed:
    """A client whose calls wait for drawn milliseconds before each piece of their replies."""

    def __init__(self, waits: tuple[int, ...] = (0,)) -> None:
        self.client = ScriptedClient(SCRIPT)
        self.label = self.client.label
        self.waits = waits
        self.calls = 0

    async def stream(self, request: LlmRequest) -> AsyncIterator[LlmChunk]:
        wait = self.waits[self.calls % len(self.waits)]
        self.calls += 1
        async for chunk in self.client.stream(request):
            await asyncio.sleep(wait / 1000)
            yield chunk


def yard(every: int, think: int) -> Scenario:
    inputs = [*SCENARIO["inputs"], *({"tick": tick, "input": {"kind": "remove", "agent": key}} for tick, key in GOING)]
    planning = {"every": every, "think": think, "alert_every": 2}
    return scenario(ticks=TICKS, ends="never", planning=planning, inputs=inputs)


@cache
def recorded(every: int, think: int, waits: tuple[int, ...] = (0,), ticks: int = TICKS, size: int = 2) -> bytes:
    model = ModelOptions(shard_size=size, in_flight=3)
    return record(yard(every, think), client=Delayed(waits), model=model, ticks=ticks, keyframes=7)


def forked(parent: bytes, at: int, **changes: Any) -> Replay:
    sink = io.BytesIO()
    with open_replay_file(parent) as file:
        for _ in fork(file, at, sink, changes=Changes(**changes)):
            pass
    assert verify(sink.getvalue()).verdict == "match"
    return read(sink.getvalue())


WAITS = st.lists(st.integers(0, 4), min_size=1, max_size=6).map(tuple)


@FEW
@given(ROUNDS, WAITS, WAITS)
def test_neither_order_nor_delay_of_replies_changes_a_run(
    rounds: tuple[int, int], one: tuple[int, ...], two: tuple[int, ...]
) -> None:
    """The same replies give the same file to the byte, and the same ticks however the rounds are cut."""
    first = recorded(*rounds, one)
    assert recorded(*rounds, two) == first
    assert verify(first).verdict == "match"
    for tick, cut in zip(read(first).ticks, read(recorded(*rounds, two, size=7)).ticks, strict=True):
        assert (tick.root, tick.plan, tick.texts, tick.arrived) == (cut.root, cut.plan, cut.texts, cut.arrived)


def test_enough_happens_while_plans_are_asked_for() -> None:
    """In the runs that the other tests draw from agents die, asks are voided, and plans arrive, fail and wait."""
    fates: Counter[str] = Counter()
    for every, think in ((2, 5), (5, 9), (3, 3), (1, 2), (2, 9)):
        ticks = read(recorded(every, think)).ticks
        assert any(tick.agents < ticks[0].agents for tick in ticks)
        for tick in ticks:
            fates.update(fate for each in tick.arrived for keys in each.fates.items() for fate in [keys[0]])
            fates["voided"] += bool(tick.outdated)
            fates["begun"] += bool(tick.begun)
    assert {"started", "failed", "voided"} <= set(fates), fates


@FEW
@given(ROUNDS.filter(lambda rounds: rounds[1] > 0))
def test_every_ask_comes_to_one_end_at_its_tick(rounds: tuple[int, int]) -> None:
    """A plan takes effect exactly `think` ticks after its round, unless it was voided or its agent is gone."""
    every, think = rounds
    ticks = read(recorded(every, think)).ticks
    voided = {(tick.t, key) for tick in ticks for key in keys_of(tick.outdated).tolist()}
    for tick in ticks:
        for arrived in tick.arrived:
            assert tick.t == arrived.asked_at + think
            keys = [key for names in arrived.fates.values() for key in keys_of(names).tolist()]
            assert len(keys) == len(set(keys))
            assert set(keys) <= set(keys_of(ticks[arrived.asked_at].asked or "").tolist())
            for key in keys:
                assert not any((t, key) in voided for t in range(arrived.asked_at + 1, tick.t))
        if tick.asked and 0 < tick.t < TICKS - think:
            landed = [each for each in ticks[tick.t + think].arrived if each.asked_at == tick.t]
            told = {key for each in landed for names in each.fates.values() for key in keys_of(names).tolist()}
            for key in set(keys_of(tick.asked).tolist()) - told:
                gone = ticks[tick.t + think].agents < tick.agents
                assert gone or any((t, key) in voided for t in range(tick.t, tick.t + think + 1))


@FEW
@given(ROUNDS, st.integers(1, TICKS - 2))
def test_an_unchanged_fork_takes_the_recorded_replies(rounds: tuple[int, int], at: int) -> None:
    """Wherever it begins, asks that are open at the fork have the replies that the parent recorded."""
    parent = recorded(*rounds)
    assert forked(parent, at).ticks == read(parent).ticks


@FEW
@given(
    ROUNDS,
    st.integers(1, TICKS - 2),
    st.sampled_from([
        {"tiers": ("emergency",)},
        {"client": Delayed()},
        {"patch": Patch.model_validate({"planning": {"ttl_s": 1}})},
    ]),
)  # fmt: skip
def test_a_changed_fork_voids_what_is_open(rounds: tuple[int, int], at: int, changes: dict[str, Any]) -> None:
    """Other planners do not get the replies to questions that they were not asked; the fork proves itself."""
    parent = recorded(*rounds)
    child = forked(parent, at, **changes)
    assert child.ticks[:at] == read(parent).ticks[:at]
    for tick in child.ticks[at:]:
        assert all(each.asked_at >= at for each in tick.arrived)
        assert not (tick.t == at and tick.begun)


@FEW
@given(ROUNDS, st.integers(1, TICKS - 2))
def test_a_resumed_run_has_lost_its_open_asks_and_says_so(rounds: tuple[int, int], at: int) -> None:
    """The calls died with the run: each open ask is lost at its tick, the agent is asked again, the file verifies."""
    lines = [line for line in recorded(*rounds).splitlines(keepends=True) if b'"k":"E"' not in line]
    own = re.compile(rb'"k":"T".*"t":%d[,}]' % at)
    kept = b"".join(lines[: next(n for n, line in enumerate(lines) if own.search(line))])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "resumed.replay.jsonl"
        path.write_bytes(kept)
        with resume(path, client=Delayed(), model=ModelOptions(shard_size=2, in_flight=3)) as (simulation, recorder, _):
            for report in simulation.reports(TICKS):
                recorder.tick(report)
            recorder.end()
        replay = read(path)
        assert verify(path).verdict == "match"
    for tick in replay.ticks[at:]:
        for arrived in tick.arrived:
            assert ("lost" in arrived.fates) == (arrived.asked_at < at)


@pytest.mark.parametrize(("before", "after"), [(0, 4), (4, 0)])
def test_thinking_neither_begins_nor_ends_in_a_run(before: int, after: int) -> None:
    """What is open is state in columns that a run has from its first tick on, or not at all."""
    with pytest.raises(ScenarioError, match=r"planning\.think"):
        forked(recorded(2, before), 6, patch=Patch.model_validate({"planning": {"think": after}}))


def test_only_a_run_that_thinks_has_the_columns_for_it() -> None:
    """With think = 0 nothing of it is state."""
    for think, there in ((0, False), (3, True)):
        with Simulation(yard(2, think)) as simulation:
            names = {component.__name__ for component in simulation.world.components}
            assert ({"Ask", "NextPlan"} <= names) == there


def test_a_plan_is_shown_with_the_question_of_its_round_and_the_reply_of_its_arrival() -> None:
    """`show` finds both lines of a plan that was thought about, though a bridge was made in the tick of its round."""
    shown = 0
    replay = recorded(5, 9)
    with open_replay_file(replay) as file:
        for tick in read(replay).ticks:
            for arrived in tick.arrived:
                for key in keys_of(arrived.fates.get("started", "")).tolist():
                    found = show_agent(file, tick.t, key)
                    assert (found["planned_at"], found["tier"]) == (arrived.asked_at, "simplified_llm")
                    assert found["reply"] == tick.texts[str(key)]
                    assert found["prompt"] is not None
                    assert found["steps"]
                    shown += 1
    assert shown > 2


@pytest.mark.parametrize("rounds", [(4, 0), (3, 5)])
@pytest.mark.parametrize("check", ["guard", "restore", "parts", "replies"])
def test_the_doctor_examines_runs_with_a_model(check: str, rounds: tuple[int, int]) -> None:
    """With and without thinking time a run with a model passes the checks, open asks and all."""
    case = Case(yard(*rounds), ticks=24, client=Delayed)
    (found,) = [each.examine(case) for each in CHECKS if each.name == check]
    assert found.result == "same", found.finding
