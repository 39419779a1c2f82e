"""The inputs phase: what came from outside takes effect before anyone looks at the world."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ai.actions import NONE
from sim.columns import Component
from sim.components import AGENT, ActionSteps, Goal, Health, Position, Progress, Squad, Status
from sim.frame import Frame
from sim.grid import UNREACHABLE, Terrain
from sim.inputs import Input, Move, Order, Remove, SetCells, Spawn
from sim.lore import TEXTS_MAX
from sim.population import aim, promote, starting_values
from sim.scenario import AGENTS_MAX
from sim.world import System, World


class Inputs(System):
    """Applies the tick's inputs in the order given, each whole or not at all, and flushes.

    Reads: every component of an agent.
    Writes: ActionSteps, Goal, Progress, Squad; the population and the map.
    Order: first.
    """

    name = "inputs"
    reads: ClassVar[tuple[type[Component], ...]] = AGENT
    writes: ClassVar[tuple[type[Component], ...]] = (ActionSteps, Goal, Progress, Squad)

    def process(self, world: World, frame: Frame) -> None:
        """Apply `frame.inputs`; what cannot be done is refused with a sentence."""
        for place, item in enumerate(frame.inputs):
            reason = self._apply(world, frame, item)
            if reason is not None:
                frame.refused[place] = reason
            # Each input meets the world that the ones before it left.
            world.flush()
        if any(isinstance(item, Spawn | Remove) for item in frame.inputs):
            promote(world)

    def _apply(self, world: World, frame: Frame, item: Input) -> str | None:
        """Apply one input, or return why not."""
        match item:
            case Move():
                return self._move(world, frame, item)
            case Order():
                return self._order(world, frame, item)
            case SetCells():
                return self._set_cells(world, frame, item)
            case Spawn():
                return self._spawn(world, frame, item)
            case Remove():
                if world.row_of(item.agent) < 0:
                    return f"agent {item.agent} is not in the world"
                world.kill_keys([item.agent])
                return None

    def _move(self, world: World, frame: Frame, item: Move) -> str | None:
        grid, row = frame.stage.grid, world.row_of(item.agent)
        if row < 0:
            return f"agent {item.agent} is not in the world"
        if world[Health].hp[row] <= 0:
            return f"agent {item.agent} is down"
        if item.x >= grid.width or item.y >= grid.height:
            return f"({item.x}, {item.y}) is outside the {grid.width} by {grid.height} map"
        position = world[Position]
        here = grid.cell_at(int(position.x[row]), int(position.y[row]))
        if grid.field(grid.cell_at(item.x, item.y))[here] == UNREACHABLE:
            return f"agent {item.agent} cannot walk to ({item.x}, {item.y})"
        steps, progress = world[ActionSteps], world[Progress]
        steps.kind[:, row] = 0
        steps.args[:, :, row] = 0
        steps.length[row] = 1
        steps.kind[0, row] = frame.stage.registry.code("MoveTo")
        steps.args[0, :, row] = (item.x, item.y, NONE, NONE)
        progress.status[row] = Status.RUNNING
        progress.step[row] = 0
        progress.started_at[row] = progress.until[row] = -1
        progress.tier[row] = -1
        progress.planned_at[row] = frame.tick
        progress.tries[row] = progress.refusal[row] = 0
        return None

    def _order(self, world: World, frame: Frame, item: Order) -> str | None:
        stage = frame.stage
        info = stage.squads.get(item.squad)
        if info is None:
            return f"there is no squad {item.squad!r}; known: {', '.join(stage.squads)}"
        members = world[Squad].id == info.id
        if not members.any():
            return f"nobody is left of squad {item.squad!r}"
        if (item.x is None) != (item.y is None):
            return "an order's place needs both x and y"
        if item.x is not None and item.y is not None and not (item.x < stage.grid.width and item.y < stage.grid.height):
            return f"({item.x}, {item.y}) is outside the {stage.grid.width} by {stage.grid.height} map"
        if item.text not in stage.lore.texts.all and len(stage.lore.texts.all) >= TEXTS_MAX:
            return f"a run holds at most {TEXTS_MAX} different texts"
        goal, progress = world[Goal], world[Progress]
        goal.order[members] = stage.lore.texts.index(item.text)
        if item.x is not None and item.y is not None:
            goal.x[members], goal.y[members] = item.x, item.y
        progress.status[members] = Status.STALE
        progress.waiting_since[members] = frame.tick
        return None

    def _set_cells(self, world: World, frame: Frame, item: SetCells) -> str | None:
        grid = frame.stage.grid
        if item.x + item.width > grid.width or item.y + item.height > grid.height:
            return f"the rectangle reaches outside the {grid.width} by {grid.height} map"
        terrain = Terrain[item.cell.upper()]
        if terrain is Terrain.WALL:
            position = world[Position]
            inside = (position.x >= item.x) & (position.x < item.x + item.width)
            inside &= (position.y >= item.y) & (position.y < item.y + item.height)
            if inside.any():
                key = int(world.keys[inside][0])
                return f"agent {key} stands where the wall would be"
        grid.set_cells(item.x, item.y, item.width, item.height, terrain)
        return None

    def _spawn(self, world: World, frame: Frame, item: Spawn) -> str | None:
        stage, grid = frame.stage, frame.stage.grid
        info = stage.squads.get(item.squad)
        if info is None:
            return f"there is no squad {item.squad!r}; known: {', '.join(stage.squads)}"
        if item.x >= grid.width or item.y >= grid.height:
            return f"({item.x}, {item.y}) is outside the {grid.width} by {grid.height} map"
        if world.n + item.count > AGENTS_MAX:
            return f"a world holds at most {AGENTS_MAX} agents"
        position = world[Position]
        free = ~grid.blocked_map
        free[position.y, position.x] = False
        ys, xs = np.nonzero(free)
        if len(ys) < item.count:
            return f"only {len(ys)} cells are free for {item.count} agents"
        distance2 = (ys.astype(np.int64) - item.y) ** 2 + (xs.astype(np.int64) - item.x) ** 2
        nearest = np.lexsort((xs, ys, distance2))[: item.count]
        waiting = frame.tick + np.arange(item.count) % stage.scenario.planning.stagger_ticks
        after = aim(info, stage.objectives, stage.lore.texts)
        world.spawn(starting_values(info, after, xs[nearest], ys[nearest], waiting), count=item.count)
        return None
