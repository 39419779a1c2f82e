"""The proof beside the figures: a short run with the model, recorded, is the same again without it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ai.llm_types import LlmClient
from sim.replay.recording import recorded
from sim.replay.verify import verify
from sim.run.scenario_file import Scenario
from sim.run.simulation import Simulation

PLANS_A_TICK: Final = 8
"""Most agents planned in one tick of the run, so that it stays short in a large scenario too."""


@dataclass(frozen=True, slots=True)
class Proof:
    """The run and the verdict on its replay; `tiers` counts plans by the tier that gave them."""

    ticks: int
    tiers: dict[str, int]
    verdict: str
    reason: str = ""


def prove(scenario: Scenario, client: LlmClient, replay: Path, *, seed: int, ticks: int) -> Proof:
    """Run some ticks with the model, record them, close the client, and verify the record.

    Raises:
        ReplayError: the file cannot be written.
    """
    planning = {**scenario.planning.model_dump(mode="json"), "per_tick_max": PLANS_A_TICK}
    bounded = scenario.replaced(planning=planning)
    tiers: Counter[str] = Counter()
    with Simulation(bounded, seed=seed, client=client) as simulation:
        for report in recorded(simulation, replay, ticks, replace=True):
            if report.plans is not None:
                tiers.update(report.plans.counts())
        made = simulation.world.tick
    verdict = verify(replay)
    return Proof(made, dict(tiers), verdict.verdict, verdict.reason)
