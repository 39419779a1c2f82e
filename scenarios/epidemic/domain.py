"""A virus on a network, after the model of F. Stonedahl and U. Wilensky (NetLogo, 2008).

In each tick people take turns in a random order. On its turn, an infected person may infect its neighbours, and then it
may be checked. Some recover at a check, and some of those become resistant. This is Mesa's example, computed for all
people at once.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from sim import Component, Domain, Look, Network, Portrayal, Run, Settings, System, World, column, i8, purpose

ACT, INFECT, FIRST, LINK = map(purpose, ("act", "infect", "first", "link"))
WORDS = 2**32
"""The number of random words of a draw."""


class State(IntEnum):
    """The state of a person in the epidemic."""

    SUSCEPTIBLE = 0
    INFECTED = 1
    RESISTANT = 2


class Person(Component):
    """A person is a node of the network: row and node are the same number, because nobody is born or dies."""

    state: i8 = column(enum=State)


class EpidemicSettings(Settings):
    """The people, their neighbours, and the chances of each event."""

    agents: int = Field(1000, ge=2, le=1_000_000, description="People.")
    neighbours: int = Field(3, ge=0, le=1000, description="Neighbours of a person, on average.")
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
        """Give every person a random turn; a person infected before its turn also acts in this tick."""
        state, network, settings = world[Person].state, run.space, run.settings
        susceptible = State.SUSCEPTIBLE
        turn, check, recover, resist = world.draws(slice(None), ACT).T.astype(np.int64)
        heals = (check < WORDS * settings.check // 1000) & (recover < WORDS * settings.recover // 1000)
        healed = np.where(resist < WORDS * settings.resist // 1000, State.RESISTANT, susceptible)
        acting = state == State.INFECTED
        # For each person, the turn in which the virus last reached it; and the people that the virus can affect.
        wave, caught = acting.nonzero()[0], np.full(world.n, -1)
        exposed = (state == susceptible) | (acting & heals & (healed == susceptible))
        while len(wave):
            which, to = network.neighbours(wave)
            # Each direction of a link has its own draw, by its number in the network.
            degree = network.degree[wave]
            link = np.arange(len(to)) + (network.starts[wave] - degree.cumsum() + degree)[which]
            infects = exposed[to].nonzero()[0]
            infects = infects[world.chance_at(link[infects], INFECT, settings.spread)]
            source, to = wave[which[infects]], to[infects]
            np.maximum.at(caught, to, turn[source])
            wave = np.unique(to[~acting[to] & (turn[source] < turn[to])])
            acting[wave] = True
        state[acting] = np.where(heals, healed, State.INFECTED)[acting]
        # A turn ends with the check; a virus that arrives after the check acts in the next tick.
        state[(state == susceptible) & (caught > np.where(acting, turn, -1))] = State.INFECTED


def share(state: State) -> Any:
    """Return the metric that counts people in a state."""
    return lambda world: int((world[Person].state == state).sum())


class Epidemic(Domain):
    """A virus on a random network."""

    settings: Any = EpidemicSettings
    components, systems = (Person,), (Spread,)
    metrics: ClassVar = {state.name.lower(): share(state) for state in State}
    portrayal = Portrayal(looks=(Look(place="key", colour="Person.state", name="Person"),))

    def spaces(self, run: Run) -> dict[str, Any]:
        """Return a network in which each link joins two random people, with at most one link per pair."""
        agents = self.settings.agents
        links = min(agents * self.settings.neighbours // 2, agents * (agents - 1) // 2)
        return {"network": Network.erdos_renyi(agents, links, run.words(LINK))}

    def setup(self, world: World, run: Run) -> None:
        """Infect some random people."""
        world.spawn({Person: {}}, count=self.settings.agents)
        world.flush()
        world[Person].state[world.order(slice(None), FIRST)[: self.settings.infected]] = State.INFECTED

    def outcome(self, world: World) -> str | None:
        """End when nobody is infected."""
        return None if (world[Person].state == State.INFECTED).any() else "the virus is gone"
