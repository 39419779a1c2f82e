"""Mesa's own examples, as Mesa ships them: built with given settings, stepped, and counted from outside."""

from __future__ import annotations

import random  # noqa: TID251 - networkx draws Mesa's network from it
from collections.abc import Callable
from typing import Any

from mesa.examples.advanced.wolf_sheep.agents import GrassPatch, Sheep, Wolf
from mesa.examples.advanced.wolf_sheep.model import WolfSheep
from mesa.examples.basic.schelling.model import Schelling
from mesa.examples.basic.virus_on_network.agents import State
from mesa.examples.basic.virus_on_network.model import VirusOnNetwork
from mesa.experimental.devs import ABMSimulator

from scenarios.ecology.domain import EcologySettings
from scenarios.epidemic.domain import EpidemicSettings
from scenarios.segregation.domain import SegregationSettings

Counts = dict[str, int]


class Model:
    """A model of Mesa's: `step` makes one tick, `count` says what our metrics say."""

    def __init__(self, model: Any, step: Callable[[], Any], count: Callable[[], Counts]) -> None:
        self.model, self.step, self.count = model, step, count

    def history(self, ticks: int, *, until: str | None = None) -> list[Counts]:
        """Return the counts before the first tick and after each; the run ends when the count named `until` is 0."""
        found = [self.count()]
        while len(found) <= ticks and (until is None or found[-1][until]):
            self.step()
            found.append(self.count())
        return found


def ecology(settings: EcologySettings, seed: int) -> Model:
    simulator = ABMSimulator()
    model = WolfSheep(
        width=settings.width,
        height=settings.height,
        initial_sheep=settings.sheep,
        initial_wolves=settings.wolves,
        sheep_reproduce=settings.sheep_breed / 1000,
        wolf_reproduce=settings.wolf_breed / 1000,
        sheep_gain_from_food=settings.sheep_gain,
        wolf_gain_from_food=settings.wolf_gain,
        grass_regrowth_time=settings.regrow,
        seed=seed,
        simulator=simulator,
    )

    def count() -> Counts:
        kinds = model.agents_by_type
        grown = sum(patch.fully_grown for patch in kinds[GrassPatch])
        return {"sheep": len(kinds[Sheep]), "wolves": len(kinds[Wolf]), "grass": grown}

    # Not `model.step`: the simulator calls it, and lets the grass grow after it.
    return Model(model, lambda: simulator.run_for(1), count)


def epidemic(settings: EpidemicSettings, seed: int) -> Model:
    random.seed(seed)
    model = VirusOnNetwork(
        num_nodes=settings.agents,
        avg_node_degree=settings.neighbours,
        initial_outbreak_size=settings.infected,
        virus_spread_chance=settings.spread / 1000,
        virus_check_frequency=settings.check / 1000,
        recovery_chance=settings.recover / 1000,
        gain_resistance_chance=settings.resist / 1000,
        seed=seed,
    )

    def count() -> Counts:
        found = dict.fromkeys(State, 0)
        for agent in model.agents:
            found[agent.state] += 1
        return {state.name.lower(): number for state, number in found.items()}

    return Model(model, model.step, count)


def segregation(settings: SegregationSettings, seed: int) -> Model:
    model = Schelling(
        width=settings.width,
        height=settings.height,
        density=settings.density / 1000,
        minority_pc=settings.minority / 1000,
        homophily=settings.wanted / 1000,
        seed=seed,
    )
    return Model(model, model.step, lambda: {"happy": model.happy, "people": len(model.agents)})
