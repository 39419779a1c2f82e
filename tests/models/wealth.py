"""Boltzmann wealth: everyone who has a coin gives one to a random agent."""

from sim import Component, Domain, Settings, System, column, i32, purpose

GIVE = purpose("give")


class WealthSettings(Settings):
    agents: int = 100


class Money(Component):
    coins: i32 = column(default=1)


class Trade(System):
    def process(self, world, run):
        coins = world[Money].coins
        givers = (coins > 0).nonzero()[0]
        coins[givers] -= 1
        world.scatter_add(coins, world.below(givers, GIVE, world.n), 1)


class Wealth(Domain):
    settings, components, systems = WealthSettings, (Money,), (Trade,)
    metrics = {"richest": lambda world: world[Money].coins.max(), "poor": lambda world: (world[Money].coins == 0).sum()}

    def setup(self, world, run):
        world.spawn({Money: {}}, count=self.settings.agents)
