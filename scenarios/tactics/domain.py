"""The tactical game as a domain: the parts of its world, the systems of a tick, and the end of a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ai.actions import ToolRegistry, ToolSpec
from ai.observation import ObservationBatch
from ai.planners.playbook import Playbook
from scenarios.tactics.actions import check_kinds, default_registry
from scenarios.tactics.bystanders import bystanders_of
from scenarios.tactics.components import AGENT, COOLDOWN_GROUPS, Ammo, Health, Morale, Position, Team
from scenarios.tactics.director import Budgets
from scenarios.tactics.equipment import EquipmentTables
from scenarios.tactics.game import Game, Notes
from scenarios.tactics.grid import Grid, Smoke, Terrain
from scenarios.tactics.inputs import INPUTS
from scenarios.tactics.map_objects import Objects, kinds_of
from scenarios.tactics.parameters import Parameters
from scenarios.tactics.perception import occupancy_of, perceive
from scenarios.tactics.playbook import PLAYBOOK
from scenarios.tactics.reinforcements import Reserves
from scenarios.tactics.scenario import place_things, terrain
from scenarios.tactics.scenario.checks import check_input, check_scenario
from scenarios.tactics.scenario.lint import advice
from scenarios.tactics.scoring import TeamStanding, decide, standings
from scenarios.tactics.settings import TacticsSettings
from scenarios.tactics.shared_knowledge import SharedKnowledge
from scenarios.tactics.snapshot import Bounds, WorldSnapshot
from scenarios.tactics.spawning import objectives_of, populate, squads_of, texts_of
from scenarios.tactics.systems.cleanup import Cleanup
from scenarios.tactics.systems.combat import Combat
from scenarios.tactics.systems.execution import Execution
from scenarios.tactics.systems.flight import Flight
from scenarios.tactics.systems.inputs import Inputs
from scenarios.tactics.systems.objectives import ObjectiveSystem
from scenarios.tactics.systems.perception import Perception
from scenarios.tactics.systems.planning import Planning
from scenarios.tactics.systems.upkeep import Upkeep
from scenarios.tactics.terrain_edits import TerrainEdits
from sim.run.actions import Action
from sim.run.domain import Domain, Metric
from sim.run.portrayal import Layer, Look, Portrayal
from sim.run.scenario_file import load

if TYPE_CHECKING:
    from sim.run.context import Run
    from sim.run.inputs import Input
    from sim.run.scenario_file import Scenario
    from sim.run.world import World


def _is_aimed(spec: ToolSpec) -> bool:
    return bool(spec.args) and spec.args[0].sources == ("enemies",)


def _alive(team: int, world: World) -> int:
    return int(np.count_nonzero((world[Team].id == team) & (world[Health].hp > 0)))


def _hit_points(team: int, world: World) -> int:
    return int(world[Health].hp[world[Team].id == team].clip(0).sum())


def _broken(world: World) -> int:
    return int(np.count_nonzero(world[Morale].broken))


def _rounds(world: World) -> int:
    return int(world[Ammo].rounds.sum() + world[Ammo].reserve.sum())


class Tactics(Domain):
    """Squads fight over objectives on a map, with weapons, items, abilities and morale."""

    name: ClassVar[str] = "tactics"
    ticks_per_second: ClassVar[int] = 10
    isolates: ClassVar[bool] = True
    settings: Any = TacticsSettings
    components = AGENT
    inputs = INPUTS
    systems = (Inputs, Perception, Planning, Flight, Execution, Combat, Upkeep, ObjectiveSystem, Cleanup)
    observation = WorldSnapshot
    notes = Notes
    portrayal = Portrayal(
        looks=(Look(place=("Position.x", "Position.y"), size="Health.hp", name="Agent"),),
        layers=(Layer(values="Grid.terrain", colours=("#f4f1e8", "#c9ba8e", "#57534b"), low=0, high=2),),
    )

    def setup(self, world: World, run: Run) -> None:
        """Make the map, its objects and the squads."""
        settings, tps = self.settings, run.ticks_per_second
        gear = EquipmentTables(settings, tps)
        ground = terrain(settings)
        objects = Objects(place_things(settings.map, ground == Terrain.WALL, run.seed), gear)
        height, width = ground.shape
        smoke, texts, squads = Smoke(), texts_of(settings), squads_of(settings)
        objectives = objectives_of(settings, squads)
        places = [(place.name, place.x, place.y) for place in settings.map.places]
        roles = [squad.role for squad in squads.values()]
        assert run.registry is not None
        run.game = game = Game(
            settings=settings,
            ticks=run.ticks,
            ticks_per_second=tps,
            registry=run.registry,
            grid=Grid(ground, smoke),
            smoke=smoke,
            rng=run.rng,
            lore=SharedKnowledge(
                texts, Bounds(width=width, height=height), places, tps, gear, objects, roles, self.group_names
            ),
            squads=squads,
            objectives=objectives,
            budgets=Budgets({} if settings.director is None else settings.director.budget.model_dump()),
            parameters=Parameters(settings, run.planning),
            payloads=run.payloads,
            gear=gear,
            objects=objects,
            edits=TerrainEdits([team.terrain_edits for team in settings.teams]),
            aimed=np.array([_is_aimed(spec) for spec in run.registry.specs], np.bool_),
        )
        reserves = Reserves(
            [0 if team.reinforcements is None else team.reinforcements.count for team in settings.teams]
        )
        for resource in (
            game.grid,
            reserves,
            smoke,
            texts,
            objectives,
            game.budgets,
            game.parameters,
            objects,
            game.edits,
        ):
            world.add_resource(resource)
        populate(world, settings, squads, objectives, texts, run.seed)

    def check(self, scenario: Scenario) -> None:
        """Check that names in rules exist, and that all agents and objects find a cell."""
        check_scenario(scenario)

    def advice(self, scenario: Scenario) -> Sequence[str]:
        """Return sentences about probable mistakes: tiers and rules never reached, late inputs, goals out of reach."""
        return advice(scenario)

    def check_input(self, item: Input) -> None:
        """Check that the names in an input exist and that its cells are on the map."""
        check_input(self.settings, item)

    @property
    def plans(self) -> bool:
        """Agents plan."""
        return True

    def plannable(self, world: World) -> NDArray[np.bool_]:
        """Return which agents are alive and have not broken."""
        may: NDArray[np.bool_] = (world[Health].hp > 0) & ~world[Morale].broken
        return may

    def registry(self, plugin_actions: Sequence[type[Action]] = ()) -> ToolRegistry:
        """Return the forty verbs and those of plug-ins, with the names of weapons, items and abilities."""
        registry = default_registry(plugin_actions)  # type: ignore[arg-type] # `check_kinds` refuses others
        check_kinds(registry)
        gear = EquipmentTables(self.settings, 1)
        own = {"holdings": gear.holding_names, "cooldowns": COOLDOWN_GROUPS, "kinds": kinds_of(self.settings, gear)}
        return registry.with_tables({**gear.names, **own})

    def playbook(self) -> Playbook:
        """Return rules, facts, goals, options and tree."""
        return PLAYBOOK

    def groups(self, world: World) -> tuple[Sequence[str], NDArray[np.integer[Any]]]:
        """Return the teams."""
        return self.group_names, world[Team].id

    @property
    def group_names(self) -> Sequence[str]:
        """The names of the teams."""
        return tuple(team.name for team in self.settings.teams)

    @property
    def agents(self) -> int:
        """The number of agents at the start of the run."""
        agents: int = self.settings.agents
        return agents

    def outcome(self, world: World) -> str | None:
        """Return the winner or loser, or None while the game is open."""
        game = self.game(world)
        return decide(self.settings, game.ticks, world, game.objectives).outcome

    def standings(self, world: World) -> tuple[TeamStanding, ...]:
        """Return the current standing of every team: result, score, agents on the map, objectives."""
        game = self.game(world)
        decision = decide(self.settings, game.ticks, world, game.objectives)
        return standings(self.settings, world, game.objectives, decision)

    @property
    def metrics(self) -> Mapping[str, Metric]:  # type: ignore[override] # teams are settings
        """Agents alive and their hit points for each team; agents that broke; rounds in weapons and in reserve."""
        found: dict[str, Metric] = {}
        for number, team in enumerate(self.group_names):
            found[f"alive_{team}"] = partial(_alive, number)
            found[f"hp_{team}"] = partial(_hit_points, number)
        return {**found, "broken": _broken, "rounds": _rounds}

    def scores(self, world: World) -> Mapping[str, float]:
        """Return each team's score."""
        return {team.team: team.score for team in self.standings(world)}

    def details(self, world: World) -> Mapping[str, Any]:
        """Return the standing of every team."""
        return {"teams": [team.data() for team in self.standings(world)]}

    def invariants(self, world: World) -> None:
        """Check that no agent stands in a wall, and that no two stand on one cell."""
        grid = self.game(world).grid
        cells = grid.cell(world[Position].x, world[Position].y)
        if grid.wall[cells].any():
            raise AssertionError(f"agent {world.keys[grid.wall[cells]][0]} stands in a wall")
        if len(np.unique(cells)) < len(cells):
            raise AssertionError("two agents stand on one cell")

    @classmethod
    def examples(cls) -> Iterator[TacticsSettings]:
        """Yield the settings of a shipped scenario, because a map has no default."""
        yield load("skirmish").settings

    def bystanders(self) -> tuple[TacticsSettings, TacticsSettings] | None:
        """Return the settings without ends of a run: first without, then with a walled-off team."""
        return bystanders_of(self.settings)

    def observe(self, world: World, rows: NDArray[np.intp]) -> ObservationBatch[WorldSnapshot]:
        """Return the knowledge of agents."""
        game = self.game(world)
        return perceive(world, game.grid, occupancy_of(world, game.grid), rows, game.lore)

    @staticmethod
    def game(world: World) -> Game:
        """Return the fixed parts of a world's run."""
        game: Game = world.run.game
        return game
