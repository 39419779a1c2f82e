"""The objectives phase: it judges each team's objectives; extracted agents leave."""

from __future__ import annotations

from typing import ClassVar

from scenarios.tactics.components import Control, Goal, Health, Position, Progress, Squad, Team
from scenarios.tactics.spawning import current_goal
from sim.engine.columns import Component
from sim.engine.system import System
from sim.run.context import Run
from sim.run.world import World


class ObjectiveSystem(System):
    """Judges the open objectives; agents of a team with a new aim get its goal and plan again.

    Reads: Control, Health, Position, Squad, Team.
    Writes: Goal, Progress; the population, and the objectives' resource.
    Order: after upkeep, before cleanup, whose flush removes the extracted together with the dead.
    """

    name = "objectives"
    reads: ClassVar[tuple[type[Component], ...]] = (Control, Health, Position, Squad, Team)
    writes: ClassVar[tuple[type[Component], ...]] = (Goal, Progress)

    def process(self, world: World, run: Run) -> None:
        """Advance the objectives by one tick."""
        stage = run.game
        if not stage.objectives.listed:
            return
        leaving, turned = stage.objectives.advance(world)
        if len(leaving):
            world.events.emit("extracted", key=world.keys[leaving])
            run.notes.leaving = leaving
        if not turned:
            return
        squad, goal, taken = world[Squad].id, world[Goal], world[Control].taken
        for info in stage.squads.values():
            if info.team not in turned or info.is_fixed:
                continue
            members = squad == info.id
            goal.objective[members], goal.x[members], goal.y[members] = current_goal(
                info, stage.objectives, stage.lore.texts
            )
            world.invalidate(members & ~taken, "aim")
