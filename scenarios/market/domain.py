"""Villagers on a market day: they trade goods at prices that follow demand, talk to people they meet, and rest."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from ai.actions import PromptText, known, name, number, pick, words
from ai.observation import AgentId, Entry, Observation, fact
from ai.rules import Rule
from sim import (
    Act,
    Action,
    Component,
    Domain,
    Each,
    Inputs,
    Observe,
    Plan,
    Resource,
    Settings,
    System,
    World,
    column,
    i16,
    i32,
    purpose,
)
from sim.run.portrayal import Look, Portrayal

TRADE, START = map(purpose, ("trade", "start"))


class Villager(Component):
    """A villager's trade (an index of `trades`), coins, mood (0 to 100), goods, and the last texts that it heard."""

    trade: i16
    coins: i32 = column(default=20, unit="coins")
    mood: i16 = column(default=60)
    stock: i32 = column(per="goods", default=1)
    spoken_to: i32
    heard: tuple[str, ...] = column(limit=6)


class Stalls(Resource):
    """The market: the price of each good, and the pieces bought minus those sold since the last change of price."""

    price: i32 = column(per="goods", default=5, unit="coins")
    demand: i32 = column(per="goods")


class Demand(Each):
    """Pieces bought, by good."""

    @classmethod
    def apply(cls, world: World, run: Any, targets: Any, values: Any) -> None:
        """Add them to the demand."""
        world.scatter_add(world[Stalls].demand, targets, values)


class Speech(Each):
    """Words, by listener."""

    @classmethod
    def apply(cls, world: World, run: Any, targets: Any, values: Any) -> None:
        """Store them in the listener's memory and make it plan again, unless it is gone."""
        there = targets >= 0
        world.remember(world[Villager].heard, targets[there], values[there])
        world.scatter_add(world[Villager].spoken_to, targets[there], 1)


class Person(Entry):
    """Another villager."""

    id: AgentId
    trade: str = fact(table="trades", say="{}")
    mood: int = fact(say="mood {}", dtype="i2")


class Knowledge(Observation):
    """The knowledge of a villager."""

    trade: str = fact(table="trades")
    coins: int = fact(unit="coins", say="{} coins")
    mood: int = fact(say="mood {} of 100", dtype="i2", low=0, high=100)
    stock: dict[str, int] = fact(default={}, table="goods", quiet=0, say="has {} {name}")
    price: dict[str, int] = fact(default={}, table="goods", say="{name} costs {}")
    heard: tuple[str, ...] = fact(default=(), limit=6)
    people: tuple[Person, ...] = fact(default=(), limit=8)


class Buy(Action):
    """Buy pieces of a good at its price."""

    reasons: ClassVar[tuple[str, ...]] = ("too dear",)
    good: str = name("goods")
    count: int = number(1, 20)

    @classmethod
    def refused(cls, turn: Any, rows: Any, args: Any) -> Any:
        """Refuse purchases that the villager cannot pay for."""
        return {"too dear": turn[Villager].coins[rows] < args.count * turn[Stalls].price[args.good]}

    @classmethod
    def apply(cls, turn: Any, rows: Any, args: Any) -> None:
        """Pay the coins and take the goods."""
        turn[Villager].coins[rows] -= args.count * turn[Stalls].price[args.good]
        turn[Villager].stock[args.good, rows] += args.count
        turn.send(Demand, rows, args.count, at=args.good)


class Sell(Action):
    """Sell pieces of a good at its price."""

    reasons: ClassVar[tuple[str, ...]] = ("not enough",)
    good: str = name("goods")
    count: int = number(1, 20)

    @classmethod
    def refused(cls, turn: Any, rows: Any, args: Any) -> Any:
        """Refuse to sell more pieces than the villager has."""
        return {"not enough": turn[Villager].stock[args.good, rows] < args.count}

    @classmethod
    def apply(cls, turn: Any, rows: Any, args: Any) -> None:
        """Give the goods and take the coins."""
        turn[Villager].coins[rows] += args.count * turn[Stalls].price[args.good]
        turn[Villager].stock[args.good, rows] -= args.count
        turn.send(Demand, rows, -args.count, at=args.good)


class Talk(Action):
    """Say something to somebody you meet; it lifts your mood."""

    to: int = known("people")
    words: str = words(80)

    @classmethod
    def apply(cls, turn: Any, rows: Any, args: Any) -> None:
        """Send the words with the name of the speaker."""
        said = zip(turn.world.keys[rows].tolist(), args.payload("words"), strict=True)
        texts = [turn.world.texts.intern(f"{speaker} said: {text}") for speaker, text in said]
        turn.send(Speech, rows, texts, at=turn.target_rows(args.to))
        cheer(turn[Villager].mood, rows, 3)


class Sleep(Action):
    """Rest for some hours; each lifts your mood."""

    hours: int = number(1, 8, default=1)

    @classmethod
    def duration_ticks(cls, turn: Any, rows: Any, args: Any) -> Any:
        """Return one tick per hour."""
        return args.hours

    @classmethod
    def apply(cls, turn: Any, rows: Any, args: Any) -> None:
        """Wake up rested."""
        cheer(turn[Villager].mood, rows, 4 * args.hours)


def cheer(mood: Any, rows: Any, by: Any) -> None:
    """Raise or lower moods within 0 to 100."""
    mood[rows] = np.clip(mood[rows] + by, 0, 100)


class Day(System):
    """Villagers work and eat. Reads and writes Villager. Order: before Observe."""

    def process(self, world: World, run: Any) -> None:
        """Every few hours, each villager makes a piece of its trade's good and eats bread, or goes hungry."""
        villager, everyone = world[Villager], np.arange(world.n)
        due = everyone[(world.keys + world.tick) % run.settings.meal == 0]
        villager.stock[villager.trade[due], due] += 1
        hungry = villager.stock[0, due] == 0
        villager.stock[0, due[~hungry]] -= 1
        cheer(villager.mood, due, np.where(hungry, -10, 2))


class Prices(System):
    """Prices follow demand. Reads and writes Stalls. Order: after Act."""

    def process(self, world: World, run: Any) -> None:
        """Move each price by one coin in the direction of demand, within 1 to 50."""
        stalls = world[Stalls]
        stalls.price[:] = np.clip(stalls.price + np.sign(stalls.demand), 1, 50)
        stalls.demand[:] = 0


class MarketSettings(Settings):
    """The village."""

    agents: int = Field(12, ge=1, le=100_000, description="Villagers.")
    meal: int = Field(6, ge=1, le=1000, description="Hours between two meals, and between two pieces of work.")
    meets: int = Field(4, ge=0, le=8, description="Other villagers that each one meets.")


class Market(Domain):
    """A market day."""

    tables: Any = {"goods": ("bread", "fish", "wool"), "trades": ("baker", "fisher", "shepherd")}
    settings, ticks, components, resources, observation = MarketSettings, 60, (Villager,), (Stalls,), Knowledge
    actions, idle, every, systems = (Buy, Sell, Talk, Sleep), Sleep(1), 5, (Inputs, Day, Observe, Plan, Act, Prices)
    prompt = PromptText(
        role="You plan the next hours of villagers on a market day. Each wants bread, some savings and a good mood.",
        rules=(
            "Buy bread before the last piece is eaten.",
            "Sell what your trade makes when its price is high.",
            "A talk with somebody you meet, or rest, lifts the mood.",
        ),
        examples=((Sell("bread", 1), Buy("fish", 1)), (Talk(2, "What does fish cost today?"), Sleep(2))),
    )
    rules = (
        Rule("mood < 30", Sleep(3)),
        Rule(("stock.bread < 1", "coins >= price.bread"), Buy("bread", 1)),
        *(Rule(f"stock.{good} > {most}", Sell(good, 1)) for good, most in (("fish", 2), ("wool", 2), ("bread", 3))),
        Rule(("people", "mood < 70"), Talk(pick("first"), "Good day to you.")),
        Rule("always", Sleep(1)),
    )
    metrics: ClassVar = {
        "mood": lambda world: round(float(world[Villager].mood.mean()), 2),
        "coins": lambda world: int(world[Villager].coins.sum()),
        "bread_price": lambda world: int(world[Stalls].price[0]),
    }
    portrayal = Portrayal(looks=(Look(colour="Villager.trade", names="trades", size="Villager.mood"),))

    def setup(self, world: World, run: Any) -> None:
        """Create villagers with a trade and coins."""
        world.spawn({Villager: {}}, count=self.settings.agents)
        world.flush()
        world[Villager].trade[:] = world.below(slice(None), TRADE, 3)
        world[Villager].coins[:] = 10 + world.below(slice(None), START, 30)

    def observe(self, world: World, rows: Any) -> Any:
        """Return the knowledge of villagers: each meets the villagers with the next keys."""
        villager: Any = world[Villager]
        met = min(self.settings.meets, world.n - 1)
        others = ((rows[:, None] + np.arange(1, met + 1)) % world.n).ravel()
        who = np.repeat(np.arange(len(rows)), met)
        people = {"rows": who, "id": world.keys[others], "trade": villager.trade[others], "mood": villager.mood[others]}
        own = {name: getattr(villager, name)[..., rows] for name in ("trade", "coins", "mood", "stock", "heard")}
        return world.observed(Knowledge, rows, price=world[Stalls].price, people=people, **own)

    def alert(self, world: World, rows: Any) -> Any:
        """Return a value that changes when somebody speaks to a villager, so that it plans again."""
        return world[Villager].spoken_to[rows]
