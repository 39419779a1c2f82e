"""A town whose people buy, sell, talk and sleep; rules or a language model plan for them."""

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
    Sum,
    System,
    column,
    i16,
    i32,
)


class Purse(Component):
    """What a person has, how it feels, and what it has heard."""

    money: i32 = column(default=20)
    mood: i16 = column(default=50)
    stock: i32 = column(per="goods", default=2)
    heard: tuple[str, ...] = column(limit=3)


class Market(Resource):
    """The price of each good, and how many more were bought than sold in this tick."""

    price: i32 = column(per="goods", default=5)
    demand: i32 = column(per="goods")


class Demand(Sum):
    """Pieces bought, by good."""

    @classmethod
    def apply(cls, world, run, targets, values):
        world[Market].demand[targets] += values


class Voice(Each):
    """What is said, by listener."""

    @classmethod
    def apply(cls, world, run, targets, values):
        world.remember(world[Purse].heard, targets, values)


class Neighbour(Entry):
    """Somebody else."""

    id: AgentId
    mood: int = fact(dtype="i2")


class Known(Observation):
    """What a person knows."""

    money: int = fact(unit="coins")
    mood: int = fact(dtype="i2", low=0, high=100)
    stock: dict[str, int] = fact(default={}, table="goods", quiet=0)
    price: dict[str, int] = fact(default={}, table="goods")
    heard: tuple[str, ...] = fact(default=(), limit=3)
    people: tuple[Neighbour, ...] = fact(default=(), limit=10)


class Buy(Action):
    """Buy some pieces of a good."""

    reasons = ("no money",)
    good: str = name("goods")
    count: int = number(1, 9)

    @classmethod
    def refused(cls, turn, rows, args):
        return {"no money": turn[Purse].money[rows] < args.count * turn[Market].price[args.good]}

    @classmethod
    def apply(cls, turn, rows, args):
        turn[Purse].money[rows] -= args.count * turn[Market].price[args.good]
        turn[Purse].stock[args.good, rows] += args.count
        turn.send(Demand, rows, args.count, at=args.good)


class Sell(Action):
    """Sell some pieces of a good."""

    reasons = ("not that many",)
    good: str = name("goods")
    count: int = number(1, 9)

    @classmethod
    def refused(cls, turn, rows, args):
        return {"not that many": turn[Purse].stock[args.good, rows] < args.count}

    @classmethod
    def apply(cls, turn, rows, args):
        turn[Purse].money[rows] += args.count * turn[Market].price[args.good]
        turn[Purse].stock[args.good, rows] -= args.count
        turn.send(Demand, rows, -args.count, at=args.good)


class Talk(Action):
    """Say something to somebody."""

    reasons = ("gone",)
    to: int = known("people")
    words: str = words(60)

    @classmethod
    def refused(cls, turn, rows, args):
        return {"gone": turn.target_rows(args.to) < 0}

    @classmethod
    def apply(cls, turn, rows, args):
        texts = [turn.world.texts.intern(text) for text in args.payload("words")]
        turn.send(Voice, rows, texts, at=turn.target_rows(args.to))


class Sleep(Action):
    """Sleep for some hours."""

    hours: int = number(1, 8, default=1)

    @classmethod
    def duration_ticks(cls, turn, rows, args):
        return args.hours

    @classmethod
    def apply(cls, turn, rows, args):
        turn[Purse].mood[rows] = np.minimum(turn[Purse].mood[rows] + 10, 100)


class Clear(System):
    """Prices follow demand, and days pass. Reads and writes Market and Purse."""

    reads, writes = (Market, Purse), (Market, Purse)

    def process(self, world, run):
        market, purse = world[Market], world[Purse]
        market.price[:] = np.maximum(market.price + np.sign(market.demand), 1)
        market.demand[:] = 0
        purse.mood[:] = np.maximum(purse.mood - 1, 0)
        if run.tick % 10 == 0:
            purse.stock[0] = np.maximum(purse.stock[0] - 1, 0)


class TownSettings(Settings):
    """The town."""

    agents: int = Field(6, ge=1, le=10_000, description="People.")


class Town(Domain):
    """A market day in a town."""

    settings, ticks, tables = TownSettings, 40, {"goods": ("bread", "fish")}
    components, resources, observation = (Purse,), (Market,), Known
    actions, idle = (Buy, Sell, Talk, Sleep), Sleep(1)
    systems = (Inputs, Observe, Plan, Act, Clear)
    prompt = PromptText(role="You are the people of a town on a market day. Trade well, eat, and keep a good mood.")
    rules = (
        Rule("mood < 30", Sleep(2)),
        Rule(("stock.bread < 1", "money >= price.bread"), Buy("bread", 1)),
        Rule("stock.fish > 1", Sell("fish", 1)),
        Rule("people", Talk(pick("first"), "Good morning.")),
    )
    metrics = {
        "money": lambda world: int(world[Purse].money.sum()),
        "mood": lambda world: float(world[Purse].mood.mean()),
        "bread": lambda world: int(world[Market].price[0]),
    }

    def setup(self, world, run):
        world.spawn({Purse: {}}, count=self.settings.agents)

    def observe(self, world, rows):
        purse, n = world[Purse], world.n
        met = min(n - 1, 4)
        others = ((rows[:, None] + np.arange(1, met + 1)) % n).ravel()
        return world.observed(
            Known,
            rows,
            money=purse.money[rows],
            mood=purse.mood[rows],
            stock=purse.stock[:, rows],
            price=world[Market].price,
            heard=purse.heard[:, rows],
            people={"rows": np.repeat(np.arange(len(rows)), met), "id": world.keys[others], "mood": purse.mood[others]},
        )

    def invariants(self, world):
        assert (world[Purse].money >= 0).all(), "somebody is in debt"
        assert (world[Purse].stock >= 0).all(), "somebody owes goods"
