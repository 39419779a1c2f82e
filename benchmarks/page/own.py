"""The model of `wander.py` on other frameworks, each as its users would write it: one step function a peer.

Each agent counts the agents on the eight cells around its own, then moves to a random one of these cells. Agents fill a
quarter of a torus. Frameworks with agents as objects do it agent by agent, those with tables by column.
"""

from __future__ import annotations

import math
import random  # noqa: TID251 - as a plain esper program would draw
import statistics
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from recorded import Recorded
from timing import Step, in_turn, ratio
from wander import MOVE, Wandering, WanderSettings
from wander_by_hand import WanderingByHand, sensed

from sim.engine.rng import Rng

Sense = Callable[[Any, Any, int], Any]
AROUND = [(dx, dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1) if dx or dy]
AROUND_ARRAY = np.array(AROUND)
GOALS = {100: 1.0, 1_000: 0.4, 10_000: 0.45, 100_000: 0.55}
"""Time of ours as a part of the best peer's, by number of agents."""
SAME_SENSING, DRAWS = "ambr, same sensing", "draws"
OBJECTS_MAX = 10_000
"""Agents up to which frameworks with agents as objects are timed."""


def side_of(agents: int) -> int:
    return max(4, math.ceil(math.sqrt(4 * agents)))


def rolled(x: Any, y: Any, side: int) -> Any:
    """Return how many agents are around each, from eight rolled maps, as a user of NumPy writes it first."""
    count = np.bincount(x * side + y, minlength=side * side).reshape(side, side)
    return sum(np.roll(np.roll(count, -dx, 0), -dy, 1) for dx, dy in AROUND)[x, y]


def mesa_step(agents: int) -> Step:
    import mesa
    from mesa.discrete_space import CellAgent, OrthogonalMooreGrid

    class Walker(CellAgent):
        def step(self) -> None:
            self.seen = sum(len(cell.agents) for cell in self.cell.connections.values())
            self.cell = self.cell.neighborhood.select_random_cell()

    class Model(mesa.Model):
        def __init__(self) -> None:
            super().__init__(seed=1)
            side = side_of(agents)
            self.grid = OrthogonalMooreGrid((side, side), torus=True, random=self.random)
            for cell in self.random.choices(self.grid.all_cells.cells, k=agents):
                Walker(self).cell = cell

        def step(self) -> None:
            self.agents.shuffle_do("step")

    return Model().step


def esper_step(agents: int) -> Step:
    import esper

    class Place:
        __slots__ = ("x", "y")

        def __init__(self, x: int, y: int) -> None:
            self.x, self.y = x, y

    class Sense:
        __slots__ = ("seen",)

        def __init__(self) -> None:
            self.seen = 0

    side, draws = side_of(agents), random.Random(1)

    class Wander(esper.Processor):
        def process(self) -> None:
            everybody, count = esper.get_components(Place, Sense), {}
            for _, (place, _sense) in everybody:
                cell = place.x * side + place.y
                count[cell] = count.get(cell, 0) + 1
            get, choice = count.get, draws.choice
            for _, (place, sense) in everybody:
                x, y, seen = place.x, place.y, 0
                for dx, dy in AROUND:
                    seen += get((x + dx) % side * side + (y + dy) % side, 0)
                sense.seen = seen
                dx, dy = choice(AROUND)
                place.x, place.y = (x + dx) % side, (y + dy) % side

    before, name = esper.current_world, f"wander {agents}"
    esper.switch_world(name)
    for _ in range(agents):
        esper.create_entity(Place(draws.randrange(side), draws.randrange(side)), Sense())
    esper.add_processor(Wander())
    esper.switch_world(before)

    def step() -> None:
        esper.switch_world(name)
        esper.process()
        esper.switch_world(before)

    return step


def frames_step(agents: int) -> Step:
    import polars as pl
    from mesa_frames import AgentSetPolars, ModelDF

    side, draws = side_of(agents), np.random.default_rng(1)

    class Walkers(AgentSetPolars):
        def __init__(self, model: Any) -> None:
            super().__init__(model)
            x, y = draws.integers(0, side, (2, agents))
            self += pl.DataFrame({"unique_id": np.arange(agents), "x": x, "y": y, "seen": np.zeros(agents, np.int64)})

        def step(self) -> None:
            x, y = self.agents["x"].to_numpy(), self.agents["y"].to_numpy()
            way = AROUND_ARRAY[draws.integers(0, 8, agents)]
            self["seen"] = rolled(x, y, side)
            self["x"], self["y"] = (x + way[:, 0]) % side, (y + way[:, 1]) % side

    model = ModelDF()
    walkers = Walkers(model)
    model.agents += walkers
    return walkers.step


def ambr_step(agents: int, sense: Sense = rolled) -> Step:
    import ambr

    class Model(ambr.Model):
        def setup(self) -> None:
            self.side = side_of(agents)
            x, y = self.rng.integers(0, self.side, (2, agents))
            self.add_agents(agents, x=x, y=y, seen=np.zeros(agents, np.int64))

        def step_vectorized(self) -> None:
            x, y, side = self.agents.x.to_numpy(), self.agents.y.to_numpy(), self.side
            way = AROUND_ARRAY[self.rng.integers(0, 8, agents)]
            self.agents.seen = sense(x, y, side)
            self.agents.x, self.agents.y = (x + way[:, 0]) % side, (y + way[:, 1]) % side

    model = Model({"steps": 1, "seed": 1, "show_progress": False})
    model.setup()
    return model.step_vectorized


PEERS: dict[str, Callable[[int], Step]] = {
    "esper": esper_step,
    "Mesa": mesa_step,
    "mesa-frames": frames_step,
    "ambr": ambr_step,
}
OBJECTS = ("esper", "Mesa")


def peers(agents: int) -> Iterator[tuple[str, Step]]:
    for name, build in PEERS.items():
        if name in OBJECTS and agents > OBJECTS_MAX:
            continue
        try:
            yield name, build(agents)
        except ImportError:
            continue


def draw_step(agents: int) -> Step:
    """Return what our models draw in a tick, alone."""
    rng, keys, ticks = Rng(1), np.arange(agents), count()

    def step() -> None:
        rng.below(keys, next(ticks), MOVE, 8)

    return step


def same_sensing(agents: int) -> dict[str, Step]:
    """Return ambr with the sensing of `wandering-by-hand`, if it is installed."""
    try:
        return {SAME_SENSING: ambr_step(agents, sensed)}
    except ImportError:
        return {}


def own(folder: Path, *, quick: bool) -> list[dict[str, Any]]:
    rows = []
    for agents, goal in [*GOALS.items()][: 2 if quick else None]:
        settings = WanderSettings(agents=agents)
        runs = {
            kind.name: Recorded(kind(settings), 1, folder / f"{kind.name}.replay.jsonl", counted=False)
            for kind in (Wandering, WanderingByHand)
        }
        others = dict(peers(agents))
        beside = {DRAWS: draw_step(agents)} | same_sensing(agents)
        steps = {**{name: run.step for name, run in runs.items()}, **others, **beside}
        times = in_turn(steps, turns=3 if quick else 9, block=0.05 if quick else 0.15)
        for name, run in runs.items():
            tick_s = statistics.median(times[name])
            start = time.process_time()
            verdict = run.verdict()
            verify_s = (time.process_time() - start) / run.simulation.world.tick
            if verdict != "match":
                raise SystemExit(f"{name}, {agents} agents: a recording does not verify: {verdict}")
            ratios = {other: ratio(times[name], times[other]) for other in others}
            best = max(ratios, key=lambda other: ratios[other])
            rows.append(
                {
                    "model": name,
                    "agents": agents,
                    "ratios": ratios,
                    "best": best,
                    "ratio": ratios[best],
                    "even": {other: ratio(times[name], times[other]) for other in beside if other != DRAWS},
                    "draws": ratio(times[DRAWS], times[best]),
                    "goal": goal,
                    "tick_us": {name: tick_s * 1e6}
                    | {other: statistics.median(times[other]) * 1e6 for other in others},
                    "verify": verify_s / tick_s,
                }
            )
    return rows
