"""SIR on a random network: the links are a network, and people are its nodes."""

from enum import IntEnum

import numpy as np
from pydantic import Field, model_validator

from sim import Component, Domain, Network, Settings, System, purpose
from sim.messages import problem

LINKS, FIRST, INFECT, RECOVER = map(purpose, ("links", "first", "infect", "recover"))


class State(IntEnum):
    """How a person is."""

    SUSCEPTIBLE = 0
    INFECTED = 1
    RESISTANT = 2


class Person(Component):
    """A person."""

    state: State


class SirSettings(Settings):
    """People and their neighbours."""

    agents: int = Field(200, ge=1, le=100_000, description="People.")
    links: int = Field(600, ge=0, le=1_000_000, description="Links between them.")
    ill: int = Field(3, ge=0, le=1000, description="Infected people at the start.")

    @model_validator(mode="after")
    def _fits(self):
        if self.links > self.agents * (self.agents - 1) // 2:
            raise problem("links", "so few people cannot have so many links; lower it")
        return self


class Spread(System):
    """The infected infect their neighbours, and recover. Reads and writes Person."""

    reads, writes = (Person,), (Person,)

    def process(self, world, run):
        state = world[Person].state
        ill = (state == State.INFECTED).nonzero()[0]
        who, neighbour = run.space.neighbours(ill)
        met = neighbour[world.chance_at(ill[who] * world.n + neighbour, INFECT, 60)]
        well = ill[world.chance(ill, RECOVER, 100)]
        state[well] = State.RESISTANT
        state[met[state[met] == State.SUSCEPTIBLE]] = State.INFECTED


class Sir(Domain):
    """An infection."""

    settings, components, systems = SirSettings, (Person,), (Spread,)
    metrics = {
        state.name.lower(): lambda world, state=state: int((world[Person].state == state).sum()) for state in State
    }

    def spaces(self, run):
        return {"network": Network.erdos_renyi(self.settings.agents, self.settings.links, run.words(LINKS))}

    def setup(self, world, run):
        world.spawn({Person: {}}, count=self.settings.agents)
        world.flush()
        world[Person].state[world.order(slice(None), FIRST)[: self.settings.ill]] = State.INFECTED

    def outcome(self, world):
        return None if np.any(world[Person].state == State.INFECTED) else "nobody is infected"
