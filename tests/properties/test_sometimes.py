"""What happens at least once over a small corpus, so that the properties above it are about something."""

from __future__ import annotations

import io
from functools import cache
from itertools import pairwise
from pathlib import Path

from ai.clients.scripted import ScriptedClient
from ai.llm_types import LlmClient
from scenarios.tactics.inputs import Spawn
from sim.replay import Replay, read
from sim.replay.record import failures, planned
from sim.replay.writer import Recorder, ReplayWriter
from sim.run.planning_service import ModelOptions
from sim.run.simulation import Simulation
from tests.sim.replay.recordings import SCRIPT, scenario

GOLDEN = Path(__file__).parents[2] / "replays" / "golden"
WALKERS = ("MoveTo", "Scan")
"""An offer in which the rules find nothing to do for some agents."""


def recorded(client: LlmClient | None, offered: tuple[str, ...] | None) -> Replay:
    """Record the small scenario with an offer, with newcomers half way."""
    run = scenario(ends="never")
    if offered is not None:
        registry = run.domain.registry().offering(offered)
        run.domain.registry = lambda _more=(): registry  # type: ignore[method-assign,assignment] # of this run alone
    sink = io.BytesIO()
    options = ModelOptions(shard_size=2)
    with Simulation(run, client=client, model=options) as simulation:
        recorder = Recorder(simulation, ReplayWriter(sink), ticks=12)
        recorder.header()
        for report in simulation.reports(12):
            recorder.tick(report)
            if report.tick == 5:
                simulation.inject(Spawn(squad="one", count=2, x=3, y=5))
        recorder.end()
    return read(sink.getvalue())


@cache
def corpus() -> list[Replay]:
    """Return the golden replays and two runs that go wrong in every way."""
    runs = [recorded(ScriptedClient(SCRIPT), None), recorded(None, ("MoveTo",)), recorded(None, WALKERS)]
    return [*(read(path) for path in sorted(GOLDEN.glob("*.replay.jsonl"))), *runs]


def ways_down() -> set[tuple[str, str]]:
    """Return every step from a tier that failed an agent to the one that was asked next."""
    found: set[tuple[str, str]] = set()
    for replay in corpus():
        assert replay.header is not None
        for tick in replay.ticks:
            failed = {tier: failures(tick, tier) for tier in replay.header.tiers}
            for key, last in planned(tick).items():
                asked = [tier for tier in replay.header.tiers if key in failed[tier]]
                found |= set(pairwise([*asked, last]))
    return found


def test_every_tier_plans_and_every_way_down_is_taken() -> None:
    """Each tier plans for someone, and from each the next one below is asked."""
    tiers = scenario().planning.tiers
    planners = {tier for replay in corpus() for tick in replay.ticks for tier in planned(tick).values()}
    assert planners >= set(tiers)
    assert ways_down() >= set(pairwise(tiers))


def test_newcomers_quiet_ticks_and_cut_batches_happen() -> None:
    """Agents come during a run, some tick asks nobody, and some batch takes more than one call."""
    ticks = [tick for replay in corpus() for tick in replay.ticks]
    assert any(after.agents > before.agents for before, after in pairwise(ticks))
    assert any(item["kind"] == "spawn" for tick in ticks for item in tick.inputs)
    assert any(tick.agents and not tick.planned for tick in ticks)
    assert any(len([shard for shard in tick.shards if shard["tier"] == tick.shards[0]["tier"]]) > 1 for tick in ticks)
