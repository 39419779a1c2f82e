"""The inputs phase: inputs take effect before any other system reads the world."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np

from ai.actions import Kind, values_in
from ai.errors import ParseError
from scenarios.tactics.components import AGENT, ActionSteps, Goal, Health, Morale, Position, Progress, Squad
from scenarios.tactics.components import Control as ControlColumns
from scenarios.tactics.director import line
from scenarios.tactics.equipment import starting_gear
from scenarios.tactics.grid import Grid, Terrain
from scenarios.tactics.inputs import (
    Act,
    Collapse,
    Control,
    Fortify,
    Input,
    Move,
    Order,
    Remove,
    SetCells,
    SetParameter,
    Spawn,
    SpawnWave,
)
from scenarios.tactics.scenario import Archetype
from scenarios.tactics.shared_knowledge import TEXTS_MAX
from scenarios.tactics.spawning import SquadInfo, current_goal, elect_leaders, spawn, starting_values
from sim.engine.columns import Component
from sim.run import systems
from sim.run.context import Run
from sim.run.inputs import Kill
from sim.run.settings import AGENTS_MAX
from sim.run.world import World
from sim.space import UNREACHABLE


class Inputs(systems.Inputs):
    """Applies the tick's inputs in the order given, each completely or not at all, and flushes.

    Reads: every component of an agent.
    Writes: ActionSteps, Control, Goal, Morale, Progress, Squad; the population, the map, budgets and parameters.
    Order: first.
    """

    name = "inputs"
    reads: ClassVar[tuple[type[Component], ...]] = AGENT
    writes: ClassVar[tuple[type[Component], ...]] = (
        ActionSteps, ControlColumns, Goal, Morale, Progress, Squad,
    )  # fmt: skip

    def process(self, world: World, run: Run) -> None:
        """Apply `run.inputs`; an input that cannot be applied is refused with a sentence."""
        for place, item in enumerate(run.inputs):
            reason = self._apply(world, run, item)
            if reason is not None:
                run.refused[place] = reason
            # Each input sees the changes of the inputs before it.
            world.flush()
        if any(isinstance(item, Spawn | SpawnWave | Remove | Kill) for item in run.inputs):
            elect_leaders(world)

    def _apply(self, world: World, run: Run, item: Input) -> str | None:
        """Apply one input, or return the reason why it is refused."""
        match item:
            case Move():
                return self._move(world, run, item)
            case Control():
                return self._control(world, run, item)
            case Act():
                return self._act(world, run, item)
            case SetParameter():
                reason: str | None = run.game.parameters.set(item.name, item.value)
                return reason
            case Fortify() | SpawnWave() | Collapse():
                return self._direct(world, run, item)
            case Order():
                return self._order(world, run, item)
            case SetCells():
                return self._set_cells(world, run, item)
            case Spawn():
                return self._spawn(world, run, item)
            case Remove():
                if world.row_of(item.agent) < 0:
                    return f"agent {item.agent} is not in the world"
                world.kill_keys([item.agent])
                return None
            case _:
                return item.apply(world, run)

    def _move(self, world: World, run: Run, item: Move) -> str | None:
        grid, row = run.game.grid, world.row_of(item.agent)
        if row < 0:
            return f"agent {item.agent} is not in the world"
        if world[Health].hp[row] <= 0:
            return f"agent {item.agent} is down"
        if item.x >= grid.width or item.y >= grid.height:
            return f"({item.x}, {item.y}) is outside the {_size(grid)} map"
        position = world[Position]
        here = grid.cell_at(int(position.x[row]), int(position.y[row]))
        if grid.field(grid.cell_at(item.x, item.y))[here] == UNREACHABLE:
            return f"agent {item.agent} cannot walk to ({item.x}, {item.y})"
        run.write_plan(world, row, [run.game.registry.make("MoveTo", x=item.x, y=item.y)])
        return None

    def _control(self, world: World, run: Run, item: Control) -> str | None:
        row, taken = world.row_of(item.agent), world[ControlColumns].taken
        if row < 0:
            return f"agent {item.agent} is not in the world"
        if taken[row] == item.on:
            return f"agent {item.agent} is taken over already" if item.on else f"agent {item.agent} is not taken over"
        taken[row] = item.on
        world[Morale].broken[row] = False
        run.write_plan(world, row, [])
        return None

    def _act(self, world: World, run: Run, item: Act) -> str | None:
        grid, registry, row = run.game.grid, run.game.registry, world.row_of(item.agent)
        if row < 0:
            return f"agent {item.agent} is not in the world"
        if world[Health].hp[row] <= 0:
            return f"agent {item.agent} is down"
        if not world[ControlColumns].taken[row]:
            return f"agent {item.agent} is not taken over; send a control input first"
        try:
            step = registry.parse_step(item.step)
        except ParseError as error:
            return f"the step of agent {item.agent}: {error}"
        sides = {Kind.CELL_X: grid.width, Kind.CELL_Y: grid.height}
        spec = registry.spec(step.act)
        for arg, value in zip(spec.args, registry.encode(step).args, strict=False):
            if value >= sides.get(arg.kind, value + 1):
                return f"the step of agent {item.agent}: {arg.name} {value} is outside the {_size(grid)} map"
        for arg, cell in values_in(spec, step):
            if arg.kind is Kind.CELL and (cell.x >= grid.width or cell.y >= grid.height):
                return f"the step of agent {item.agent}: ({cell.x}, {cell.y}) is outside the {_size(grid)} map"
        run.write_plan(world, row, [step])
        return None

    def _direct(self, world: World, run: Run, item: Fortify | SpawnWave | Collapse) -> str | None:
        """Carry out one operation of the director, if its budget allows it."""
        if run.game.settings.director is None:
            return "the scenario has no director"
        budgets = run.game.budgets
        match item:
            case Fortify():
                reason = budgets.lacks("terrain_edits") or self._fortify(run, item)
                spent = "terrain_edits"
            case SpawnWave():
                reason = budgets.lacks("spawns") or self._wave(world, run, item, run.game.settings.director.squad)
                spent = "spawns"
            case Collapse():
                reason = budgets.lacks("traps") or self._collapse(world, run, item)
                spent = "traps"
        if reason is None:
            budgets.spend(spent)
        return reason

    def _fortify(self, run: Run, item: Fortify) -> str | None:
        grid, rect = run.game.grid, item.rect
        if rect.x + rect.width > grid.width or rect.y + rect.height > grid.height:
            return f"the rectangle reaches outside the {_size(grid)} map"
        cells = np.zeros((grid.height, grid.width), np.bool_)
        cells[rect.y : rect.y + rect.height, rect.x : rect.x + rect.width] = True
        cells &= grid.terrain == Terrain.FLOOR
        if not cells.any():
            return "there is no floor in the rectangle to make cover of"
        grid.set_where(cells, Terrain.COVER)
        return None

    def _wave(self, world: World, run: Run, item: SpawnWave, standard: str) -> str | None:
        stage = run.game
        archetype = stage.settings.archetypes.get(item.archetype)
        if archetype is None:
            return f"there is no archetype {item.archetype!r}; known: {', '.join(sorted(stage.settings.archetypes))}"
        own, info = stage.squads[standard], stage.squads.get(item.squad or standard)
        if info is None or info.team != own.team:
            known = ", ".join(name for name, each in stage.squads.items() if each.team == own.team)
            return f"the director has no squad {item.squad!r}; known: {known}"
        if archetype.weapons != info.archetype.weapons:
            return (
                f"agents of {item.archetype!r} carry {_armed(archetype)}, their squad {_armed(info.archetype)}; "
                "send them to a squad armed alike"
            )
        info = replace(info, archetype=archetype, gear=starting_gear(stage.settings, archetype))
        return self._arrive(world, run, info, item.count, item.origin.x, item.origin.y)

    def _collapse(self, world: World, run: Run, item: Collapse) -> str | None:
        grid, position = run.game.grid, world[Position]
        for end in (item.a, item.b):
            if end.x >= grid.width or end.y >= grid.height:
                return f"({end.x}, {end.y}) is outside the {_size(grid)} map"
        cells = np.zeros((grid.height, grid.width), np.bool_)
        for x, y in line((item.a.x, item.a.y), (item.b.x, item.b.y)):
            cells[y, x] = True
        buried = cells[position.y, position.x]
        if buried.any():
            return f"agent {int(world.keys[buried][0])} stands where the wall would be"
        if grid.blocked_map[cells].all():
            return "there is nothing but wall on the line"
        grid.set_where(cells, Terrain.WALL)
        return None

    def _order(self, world: World, run: Run, item: Order) -> str | None:
        stage = run.game
        info = stage.squads.get(item.squad)
        if info is None:
            return f"there is no squad {item.squad!r}; known: {', '.join(stage.squads)}"
        members = world[Squad].id == info.id
        if not members.any():
            return f"nobody is left of squad {item.squad!r}"
        if (item.x is None) != (item.y is None):
            return "an order's place needs both x and y"
        if item.x is not None and item.y is not None and not (item.x < stage.grid.width and item.y < stage.grid.height):
            return f"({item.x}, {item.y}) is outside the {_size(stage.grid)} map"
        if item.text not in stage.lore.texts.all and len(stage.lore.texts.all) >= TEXTS_MAX:
            return f"a run holds at most {TEXTS_MAX} different texts"
        goal = world[Goal]
        goal.order[members] = stage.lore.texts.index(item.text)
        if item.x is not None and item.y is not None:
            goal.x[members], goal.y[members] = item.x, item.y
        world.invalidate(members & ~world[ControlColumns].taken, "order")
        return None

    def _set_cells(self, world: World, run: Run, item: SetCells) -> str | None:
        grid = run.game.grid
        if item.x + item.width > grid.width or item.y + item.height > grid.height:
            return f"the rectangle reaches outside the {_size(grid)} map"
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

    def _spawn(self, world: World, run: Run, item: Spawn) -> str | None:
        stage = run.game
        info = stage.squads.get(item.squad)
        if info is None:
            return f"there is no squad {item.squad!r}; known: {', '.join(stage.squads)}"
        return self._arrive(world, run, info, item.count, item.x, item.y)

    def _arrive(self, world: World, run: Run, info: SquadInfo, count: int, x: int, y: int) -> str | None:
        """Add new agents to a squad on the free cells nearest to a place."""
        stage, grid = run.game, run.game.grid
        if x >= grid.width or y >= grid.height:
            return f"({x}, {y}) is outside the {_size(grid)} map"
        if world.n + count > AGENTS_MAX:
            return f"a world holds at most {AGENTS_MAX} agents"
        position = world[Position]
        free = ~grid.blocked_map
        free[position.y, position.x] = False
        ys, xs = np.nonzero(free)
        if len(ys) < count:
            return f"only {len(ys)} cells are free for {count} agents"
        distance2 = (ys.astype(np.int64) - y) ** 2 + (xs.astype(np.int64) - x) ** 2
        nearest = np.lexsort((xs, ys, distance2))[:count]
        after = current_goal(info, stage.objectives, stage.lore.texts)
        spawn(world, starting_values(info, after, xs[nearest], ys[nearest], run.tick), count)
        return None


def _armed(archetype: Archetype) -> str:
    return " and ".join(archetype.weapons) or "no weapon by name"


def _size(grid: Grid) -> str:
    return f"{grid.width} by {grid.height}"
