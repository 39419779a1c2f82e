"""The result of a run: sums over its tick reports, as a table for people or as one JSON object for programs.

Times are measured and stand here and in the report beside a replay, never in a replay.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sim.messages import number
from sim.replay.format import Tick, count_of
from sim.replay.record import usage_of
from sim.run.checks import checked_details
from sim.run.llm_usage import ModelTally
from sim.run.pace import Pace
from sim.run.scenario_file import Scenario
from sim.run.simulation import Simulation, TickReport

RECORDING = "recording"
"""The name under which the time spent on writing the replay is shown beside the phases."""


class Tally:
    """Adds up a run: call `add` after every tick, then read or show the sums.

    Args:
        scenario: the scenario of the run.
        seed: the seed in use.
        replay: the path of the replay, None if none is written.
    """

    def __init__(self, scenario: Scenario, seed: int, replay: Path | None) -> None:
        self.scenario = scenario
        self.seed = seed
        self.replay = replay
        self.ticks = 0
        self.recorded = 0
        self.alive = scenario.agents
        self.root: str | None = None
        self.outcome: str | None = None
        self.metrics: dict[str, Any] = {}
        self.scores: dict[str, float] = {}
        self.details: dict[str, Any] = {}
        self.tiers: Counter[str] = Counter()
        self.model = ModelTally()
        self.phases: Counter[str] = Counter()
        self.run_s = 0.0
        self.wall_s = 0.0
        self.unused_inputs = 0
        self.pace: Pace | None = None

    def add(self, report: TickReport, *, tick_s: float, record_s: float) -> None:
        """Add one tick and the time that it and its recording took, seconds."""
        self.ticks = report.tick + 1
        self.alive = report.agents
        self.root = report.digest.root
        self.outcome = report.outcome
        self.run_s += tick_s + record_s
        self.phases.update(report.durations)
        self.phases[RECORDING] += record_s  # type: ignore[assignment] # a Counter adds floats as well
        if report.plans is not None:
            self.tiers.update(report.plans.counts())
        self.model.add(report.tick, report.plans, report.round)

    def look(self, simulation: Simulation) -> None:
        """Read metrics, scores and details of the domain from the current world."""
        self.metrics = {name: _plain(value) for name, value in simulation.metrics().items()}
        self.scores = simulation.scores()
        self.model.budget = getattr(simulation.run_context.source, "budget", None)
        self.details = checked_details(simulation.domain.details(simulation.world), simulation.domain)

    def add_recorded(self, tick: Tick) -> None:
        """Add one tick from its record; it took no time."""
        self.ticks = tick.t + 1
        self.recorded += 1
        self.alive, self.root, self.outcome = tick.agents, tick.root, tick.outcome
        given = {tier: count_of(keys) for tier, keys in tick.planned.items()}
        self.tiers.update(given)
        if tick.held:
            self.model.note(asked=bool(tick.asked), held=tick.held, started=tick.started)
        self.model.take(tick.t, usage_of(tick.usage), tick.shards, tick.model, given)

    @property
    def plans(self) -> int:
        """Plans made."""
        return self.tiers.total()

    @property
    def ticks_per_s(self) -> float:
        """Ticks per second of running and recording, without the set-up."""
        return (self.ticks - self.recorded) / self.run_s if self.run_s else 0.0

    def as_json(self) -> dict[str, Any]:
        """Return the object that `tickweave run --json` prints."""
        return {
            "scenario": self.scenario.name,
            "seed": self.seed,
            "ticks": self.ticks,
            "agents": self.scenario.agents,
            "replay": None if self.replay is None else str(self.replay),
            "root": self.root,
            "outcome": self.outcome,
            "score": self.scores,
            **self.details,
            "metrics": self.metrics,
            "plans": self.plans,
            "tiers": dict(self.tiers),
            "llm": self.model.as_json(),
            **({} if self.pace is None else {"pace": self.pace.as_json()}),
            "wall_s": round(self.wall_s, 3),
            "ticks_per_s": round(self.ticks_per_s, 1),
        }

    def as_report(self) -> dict[str, Any]:
        """Return the content of the `*.report.json` beside a replay: the same, and the times."""
        seconds = {name: round(value, 6) for name, value in self.phases.items()}
        return {
            **self.as_json(),
            "alive": self.alive,
            "phases_s": seconds,
            "first_plan_s": self.model.times(),
            "llm_rounds": self.model.rounds_json(),
            "unused_inputs": self.unused_inputs,
        }

    def rows(self) -> Sequence[tuple[str, str]]:
        """Return the summary for people."""
        tiers = ", ".join(f"{name} {count:,}" for name, count in self.tiers.items()) or "none"
        rows = [
            ("scenario", f"{self.scenario.name}, seed {self.seed}"),
            ("ticks", f"{self.ticks:,}"),
            ("agents", f"{self.alive:,} alive, {self.scenario.agents:,} at the start"),
            *([("tiers used", f"{tiers} ({self.plans:,} plans)")] if self.scenario.domain.plans else ()),
            *([("model", self.model.sentence())] if self.model.usage.calls else ()),
            ("outcome", self.outcome or "none (tick limit)"),
            *((name, _number(value)) for name, value in self.metrics.items()),
            *((f"score {name}", _number(value)) for name, value in self.scores.items() if name not in self.metrics),
            ("ticks a second", f"{self.ticks_per_s:,.1f}"),
            ("time by phase", self._shares()),
        ]
        if self.pace is not None:
            late = f"{self.pace.late:,} ticks began late" if self.pace.late else "no tick began late"
            rows.append(("pace", f"{self.pace.rate:,g} ticks a second, {late}"))
        if self.unused_inputs:
            rows.append(("inputs", f"{self.unused_inputs:,} not applied: the run ended before their tick"))
        if self.replay is not None:
            rows.append(("replay", f"{self.replay} ({_size(self.replay.stat().st_size)})"))
        return rows

    def _shares(self) -> str:
        total = sum(self.phases.values())
        if not total:
            return "not measured"
        return ", ".join(f"{name} {100 * value / total:.0f} %" for name, value in self.phases.items())


def _plain(value: Any) -> Any:
    """Return a metric as plain data: a Python number, or a list of them."""
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def _number(value: Any) -> str:
    if isinstance(value, bool | int):
        return f"{value:,}"
    return number(value) if isinstance(value, float) else str(value)


def _size(size: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:,.0f} {unit}" if unit == "B" else f"{size:,.1f} {unit}"
        size /= 1024
    return f"{size:,.1f} GiB"
