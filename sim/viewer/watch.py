"""A run in a terminal while it goes on: the map, plans as they arrive, rounds and calls, tiers, tokens, time."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from rich.console import Group, RenderableType
from rich.text import Text

from ai.llm.models import kind_and_model
from ai.plans import LlmUsage
from sim.messages import one_line
from sim.viewer.calls import Calls
from sim.viewer.collect import numbers_of, words_of
from sim.viewer.share import Share
from sim.viewer.terminal import Drawn, drawn, legend

if TYPE_CHECKING:
    from ai.actions import Action
    from ai.llm.price import Price
    from sim.run.simulation import Simulation, TickReport

LOOK_S: Final = 0.5
"""Seconds from one look at the world to the next, at least; a terminal is drawn as often."""
PLANS_MAX: Final = 6
"""Plans that are listed, the newest last."""


class Watch(Calls):
    """Shows a run in a terminal; `rich.live.Live` draws what `__rich__` gives, in a thread of its own.

    Args:
        width: characters of a line.
        height: lines of the map.
        prices: of the models by name, None where it is not known; the empty name is the run's own model.
        clock: seconds.
    """

    def __init__(
        self,
        width: int = 78,
        height: int = 20,
        *,
        prices: Mapping[str, Price | None] | None = None,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        super().__init__()
        self._prices = prices or {}
        self._cost: float | None = 0.0
        self._width, self._height, self._clock = width, height, clock
        self._share = Share(clock, LOOK_S)
        self._began = clock()
        self._lock = threading.Lock()
        self._simulation: Simulation | None = None
        self._ticks = self._tick = self._first = self._agents = 0
        self._picture = Drawn()
        self._metrics: dict[str, Any] = {}
        self._tiers: Counter[str] = Counter()
        self._usage = LlmUsage()
        self._plans: deque[str] = deque(maxlen=PLANS_MAX)

    def begin(self, simulation: Simulation, ticks: int) -> None:
        """Take in the run before its first tick, with the number of planned ticks."""
        self._simulation, self._ticks, self._began = simulation, ticks, self._clock()
        self._tick = self._first = simulation.world.tick
        self._look()

    def on_tick(self, report: TickReport) -> None:
        """Count the tick, and look at the world if it is time to."""
        super().on_tick(report)
        with self._lock:
            self._tick, self._agents = report.tick + 1, report.agents
            if report.plans is not None:
                for tier, count in report.plans.counts().items():
                    self._tiers[tier] += count
                if report.plans.usage.calls:
                    self._usage.add(report.plans.usage)
                    self._add_costs(report.plans.shards)
        if self._share.due():
            with self._share.spent():
                self._look()

    def _add_costs(self, calls: Sequence[Mapping[str, Any]]) -> None:
        """Add what calls cost; where a price is not known, the whole is not."""
        for call in calls:
            price = self._prices.get(kind_and_model(call["tier"])[1], self._prices.get(""))
            used = call.get("usage") or {}
            tokens = (used.get(name, 0) for name in ("prompt_tokens", "completion_tokens", "cached_tokens"))
            self._cost = None if price is None or self._cost is None else self._cost + price.of(*tokens)

    def end(self, how: str) -> None:
        """Show the last tick."""
        del how
        self._look()

    def on_plan(self, tick: int, key: int, steps: tuple[Action, ...]) -> None:
        """Count and list a plan that has arrived."""
        super().on_plan(tick, key, steps)
        words = "; ".join(words_of(step.model_dump(mode="json")) for step in steps)
        with self._lock:
            self._plans.append(one_line(f"agent {key}: {words}")[: self._width])

    def _look(self) -> None:
        assert self._simulation is not None
        picture = drawn(self._simulation, self._width, self._height)
        metrics = {name: value for name, value in numbers_of(self._simulation).items() if name != "agents"}
        with self._lock:
            self._picture, self._metrics, self._agents = picture, metrics, self._simulation.world.n

    def __rich__(self) -> RenderableType:
        """Return all that is known now."""
        with self._lock:
            elapsed = self._clock() - self._began
            speed = (self._tick - self._first) / elapsed if elapsed > 0 else 0.0
            name = "" if self._simulation is None else self._simulation.scenario.name
            lines: list[RenderableType] = [
                Text.assemble(
                    (one_line(name), "bold"),
                    f"  tick {self._tick:,} of {self._ticks:,}  {timedelta(seconds=int(elapsed))}  {speed:,.1f} ticks/s"
                    f"  {self._agents:,} agents",
                    no_wrap=True,
                ),
                *self._picture.lines,
            ]
            if self._picture.counts:
                lines.append(legend(self._picture.counts))
            if self._metrics:
                lines.append(
                    Text(
                        "  ".join(
                            f"{one_line(name)} {'-' if value is None else f'{value:g}'}"
                            for name, value in self._metrics.items()
                        )
                    )
                )
            if self._tiers:
                lines.append(Text("plans  " + "  ".join(f"{tier} {n:,}" for tier, n in self._tiers.items() if n)))
            if self._usage.calls:
                read, written = self._usage.prompt_tokens or 0, self._usage.completion_tokens or 0
                cost = "" if self._cost is None else f", {self._cost:,.4f} US dollars"
                lines.append(
                    Text(f"model  {self._usage.calls:,} calls, {read:,} tokens read, {written:,} written{cost}")
                )
            going_on = self.sentence()
            if going_on:
                lines.append(Text(going_on, style="bold"))
            lines += [Text(plan, style="dim", no_wrap=True) for plan in self._plans]
            return Group(*lines)
