"""What replays cost: bytes a tick, entering a tick, verifying, packing."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from scaled import scaled

from sim.replay.format import TICK, Tick, canonical, split_line
from sim.replay.packed import pack
from sim.replay.reader import read
from sim.replay.seek import open_replay_file
from sim.replay.verify import verify
from sim.replay.writer import Recorder, open_replay
from sim.scenario import Scenario, load
from sim.simulation import Simulation

LONG_TICKS = 10_000
"""Ticks of the run that is entered."""
FIXED_BYTES_MAX = 1000
"""What a tick line may have beside its plans."""
PLAN_BYTES_MAX = 8
"""What a plan by rules may add, at 1,000 agents."""


def recorded(scenario: Scenario, ticks: int, path: Path, keyframes: int = 100) -> Path:
    with Simulation(scenario) as simulation, open_replay(path) as writer:
        recorder = Recorder(simulation, writer, ticks=ticks, keyframes=keyframes)
        recorder.header()
        for report in simulation.run(ticks):
            recorder.tick(report)
        recorder.end()
    return path


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a long replay of a skirmish that goes on after it is decided."""
    scenario = Scenario.from_canonical({**load("skirmish").canonical(), "ends": "never", "ticks": LONG_TICKS})
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
    scenario = Scenario.from_canonical({**load("skirmish").canonical(), "ends": "never", "ticks": 1000})
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
    """Return a tick's record without who planned: what every tick has that plans at all."""
    return tick.model_copy(update={"planned": dict.fromkeys(tick.planned, ""), "inputs": [], "refused": []})
