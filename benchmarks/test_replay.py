"""What replays cost: bytes a tick and a plan, entering a tick, verifying (also runs of a model), packing."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from scaled import scaled
from test_orchestrator import Instant

from ai.actions import Action, ToolRegistry
from ai.llm.encodings import encoding_of
from ai.llm_types import LlmChunk, LlmRequest
from scenarios.tactics.testing.flat import flat, flattened
from sim.replay.format import TICK, Tick, canonical, split_line
from sim.replay.reader import read
from sim.replay.replay_file import open_replay_file
from sim.replay.verify import verify
from sim.replay.writer import Recorder, open_replay
from sim.replay.zst import pack
from sim.run.planning_service import ModelOptions
from sim.run.scenario_file import Scenario, load
from sim.run.simulation import Simulation

LONG_TICKS = 10_000
"""Ticks of the run that is entered."""
FIXED_BYTES_MAX = 1000
"""What a tick line may have beside its plans."""
PLAN_BYTES_MAX = 8
"""What a plan by rules may add, at 1,000 agents."""
MODEL_PLAN_BYTES_MAX = 90
"""What a plan by a model may add in the terse encoding, at 1,000 agents."""
VERIFY_RATIO_MAX = 1.2
"""What verifying a run of a model may take, for each second that the run took beside the model."""
TERSE = "line"
MODEL_AGENTS = 1_000
MODEL_TICKS = 100


def recorded(scenario: Scenario, ticks: int, path: Path, keyframes: int = 100) -> Path:
    with Simulation(scenario) as simulation, open_replay(path) as writer:
        recorder = Recorder(simulation, writer, ticks=ticks, keyframes=keyframes)
        recorder.header()
        for report in simulation.reports(ticks):
            recorder.tick(report)
        recorder.end()
    return path


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a long replay of a skirmish that goes on after it is decided."""
    scenario = flat({**flattened(load("skirmish")), "ends": "never", "ticks": LONG_TICKS})
    return recorded(scenario, LONG_TICKS, tmp_path_factory.mktemp("long") / "a.replay.jsonl")


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "packed"])
def test_entering_any_tick(benchmark, long: Path, *, packed: bool) -> None:
    """The state before a tick of a run of 10,000: the worst are those just before a keyframe."""
    if packed:
        target = long.with_suffix(".zst")
        with long.open("rb") as lines, target.open("wb") as sink:
            pack(lines, sink)
        long = target
    ticks = itertools.cycle([9_999, 99, 4_999, 7_777, 5_000])

    def enter() -> None:
        with open_replay_file(long) as replay, replay.at(next(ticks)):
            pass

    benchmark.pedantic(enter, rounds=15, warmup_rounds=1)
    benchmark.extra_info.update(replay_bytes=long.stat().st_size)
    assert benchmark.stats.stats.max < 1


@pytest.mark.parametrize("jobs", [1, 2])
def test_verifying(benchmark, tmp_path: Path, jobs: int) -> None:
    """A skirmish of 1,000 ticks, by one process and by two."""
    scenario = flat({**flattened(load("skirmish")), "ends": "never", "ticks": 1000})
    path = recorded(scenario, 1000, tmp_path / "a.replay.jsonl")
    verdict = benchmark.pedantic(lambda: verify(path, jobs=jobs), rounds=3)
    assert verdict.verdict == "match"


def test_bytes_of_a_thousand_agents(benchmark, tmp_path: Path) -> None:
    """What a tick line has beside its plans, what each plan adds, and what keyframes add."""
    path = benchmark.pedantic(lambda: recorded(scaled(1000), 200, tmp_path / "a.replay.jsonl"), rounds=1)
    lines = path.read_bytes().splitlines(keepends=True)
    ticks = read(path).ticks
    bare = [len(canonical(fixed(tick).data())) + 40 for tick in ticks]
    plans = sum(tick.plans for tick in ticks)
    whole = sum(len(line) for line in lines if split_line(line).kind == TICK)
    benchmark.extra_info.update(
        fixed_bytes=max(bare),
        plan_bytes=(whole - sum(bare)) / plans,
        plans_a_tick=plans / len(ticks),
        tick_bytes=whole / len(ticks),
        keyframe_bytes=[len(line) for line in lines if split_line(line).kind == "K"],
    )
    assert max(bare) <= FIXED_BYTES_MAX
    assert (whole - sum(bare)) / plans <= PLAN_BYTES_MAX


def fixed(tick: Tick) -> Tick:
    """Return a tick's record without who planned, what was tried and what a model said: what every tick has."""
    left_out = {"inputs": [], "refused": [], "texts": {}, "shards": [], "attempts": []}
    return tick.model_copy(update={"planned": dict.fromkeys(tick.planned, ""), **left_out})


class Brief(Instant):
    """Answers with four steps, and counts its own time on the processor."""

    label = "brief"
    seconds = 0.0

    @staticmethod
    def plan(key: int, registry: ToolRegistry) -> list[Action]:
        """Return an agent's four steps."""
        look = [registry.make("Scan", radius=1 + (key + n) % 64) for n in range(2)]
        return [look[0], registry.make("Wait", duration=0.7), look[1], registry.make("Wait", duration=1.4)]

    async def stream(self, request: LlmRequest) -> AsyncIterator[LlmChunk]:
        """Yield the reply."""
        begun = time.thread_time()
        async for chunk in super().stream(request):
            self.seconds += time.thread_time() - begun
            yield chunk
            begun = time.thread_time()


def modelled(agents: int, ticks: int, path: Path) -> float:
    """Record a run that a model plans in the terse encoding; returns its time on the processor, without the model's."""
    plan = scaled(agents)
    with Simulation(plan) as idle:
        client = Brief(list(range(agents)), encoding_of(TERSE), idle.registry)
    begun = time.process_time()
    with (
        Simulation(plan, client=client, model=ModelOptions(encoding=TERSE)) as simulation,
        open_replay(path) as writer,
    ):
        recorder = Recorder(simulation, writer, ticks=ticks)
        recorder.header()
        for report in simulation.reports(ticks):
            recorder.tick(report)
        recorder.end()
    return time.process_time() - begun - client.seconds


def test_verifying_a_run_of_a_model(benchmark, tmp_path: Path) -> None:
    """Run and verification in turn, in time on the processor; and what each plan of the model takes in the file."""
    path = tmp_path / "a.replay.jsonl"
    ratios, runs, proofs = [], [], []

    def both() -> None:
        runs.append(modelled(MODEL_AGENTS, MODEL_TICKS, path))
        begun = time.process_time()
        assert verify(path).verdict == "match"
        proofs.append(time.process_time() - begun)
        ratios.append(proofs[-1] / runs[-1])

    benchmark.pedantic(both, rounds=5, warmup_rounds=1)
    ticks = [tick for tick in read(path).ticks if tick.texts]
    plans = sum(len(tick.texts) for tick in ticks)
    added = sum(len(canonical(tick.data())) - len(canonical(fixed(tick).data())) for tick in ticks)
    benchmark.extra_info.update(
        verify_ratio=statistics.median(ratios[1:]),
        run_s=statistics.median(runs[1:]),
        verify_s=statistics.median(proofs[1:]),
        model_plan_bytes=added / plans,
        model_plans=plans,
    )
    assert added / plans <= MODEL_PLAN_BYTES_MAX
    assert benchmark.extra_info["verify_ratio"] <= VERIFY_RATIO_MAX
