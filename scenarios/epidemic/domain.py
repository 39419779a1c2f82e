"""A virus on a network, after the model of F. Stonedahl and U. Wilensky (NetLogo, 2008).

Infected people infect their neighbours; at a check some of them recover, and some of those become resistant.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from sim import Component, Domain, Network, Run, Settings, System, World, column, i8, purpose

INFECT, CHECK, RECOVER, RESIST, FIRST, LINK = map(purpose, ("infect", "check", "recover", "resist", "first", "link"))


class State(IntEnum):
    """How a person stands to the virus."""

    SUSCEPTIBLE = 0
    INFECTED = 1
    RESISTANT = 2


class Person(Component):
    """A person is a node of the network: row and node are the same, as nobody is born or dies."""

    state: i8 = column(enum=State)


class EpidemicSettings(Settings):
    """People, links and chances."""

    agents: int = Field(1000, ge=2, le=1_000_000, description="People.")
    links: int = Field(1500, ge=0, le=5_000_000, description="Links between them.")
    infected: int = Field(3, ge=0, le=1_000_000, description="Infected people at the start.")
    spread: int = Field(400, ge=0, le=1000, description="Chance to infect a neighbour in a tick, per-mille.")
    check: int = Field(400, ge=0, le=1000, description="Chance to be checked in a tick, per-mille.")
    recover: int = Field(300, ge=0, le=1000, description="Chance to recover at a check, per-mille.")
    resist: int = Field(500, ge=0, le=1000, description="Chance to be resistant after recovery, per-mille.")


class Spread(System):
    """The infected infect their neighbours, and some recover. Reads and writes Person. Order: alone."""

    reads: ClassVar = (Person,)
    writes: ClassVar = (Person,)

    def process(self, world: World, run: Run) -> None:
        """Judge all by the state before; who is infected now is checked in the next tick."""
        state, network, settings = world[Person].state, run.space, run.settings
        ill = state == State.INFECTED
        risk = network.count(ill)
        exposed = ((state == State.SUSCEPTIBLE) & (risk > 0)).nonzero()[0]
        # One draw stands for all infected neighbours: the chance that at least one of them infects.
        miss = 1000 - settings.spread
        spared = np.array([miss**k * 2**32 // 1000**k for k in range(int(risk.max(initial=0)) + 1)])
        caught = world.draws(exposed, INFECT)[:, 0] >= spared[risk[exposed]]
        sick = ill.nonzero()[0]
        well = sick[world.chance(sick, CHECK, settings.check) & world.chance(sick, RECOVER, settings.recover)]
        state[well] = np.where(world.chance(well, RESIST, settings.resist), State.RESISTANT, State.SUSCEPTIBLE)
        state[exposed[caught]] = State.INFECTED


def share(state: State) -> Any:
    """Return the metric that counts people in a state."""
    return lambda world: int((world[Person].state == state).sum())


class Epidemic(Domain):
    """A virus on a random network."""

    settings: Any = EpidemicSettings
    components, systems = (Person,), (Spread,)
    metrics: ClassVar = {state.name.lower(): share(state) for state in State}

    def spaces(self, run: Run) -> dict[str, Any]:
        """Return a network in which each link joins two random people."""
        return {"network": Network.erdos_renyi(self.settings.agents, self.settings.links, run.words(LINK))}

    def setup(self, world: World, run: Run) -> None:
        """Infect some random people."""
        world.spawn({Person: {}}, count=self.settings.agents)
        world.flush()
        world[Person].state[world.order(slice(None), FIRST)[: self.settings.infected]] = State.INFECTED

    def outcome(self, world: World) -> str | None:
        """End when nobody is infected."""
        return None if (world[Person].state == State.INFECTED).any() else "the virus is gone"
