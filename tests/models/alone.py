"""People of a town in a plain esper world: of Tickweave only `ai`, with observations, verbs and rules of their own."""

import asyncio
from dataclasses import dataclass, field

import esper

from ai import (
    Action,
    AgentId,
    Entry,
    FallbackOrchestrator,
    Observation,
    Playbook,
    PromptText,
    Rule,
    ToolRegistry,
    default_tiers,
    fact,
    known,
    name,
    number,
    pick,
    words,
)

GOODS = ("bread", "fish")


class Neighbour(Entry):
    """Somebody else."""

    id: AgentId


class Townsman(Observation):
    """What a person knows."""

    role: str = fact()
    money: float = fact(scale=100, unit="coins")
    mood: int = fact()
    stock: dict[str, int] = fact(default={}, table="goods", quiet=0)
    price: dict[str, int] = fact(default={}, table="goods")
    heard: tuple[str, ...] = fact(default=(), limit=3)
    people: tuple[Neighbour, ...] = fact(default=(), limit=10)


class Buy(Action):
    """Buy some pieces of a good."""

    good: str = name("goods")
    count: int = number(1, 9)


class Talk(Action):
    """Say something to somebody."""

    to: int = known("people")
    words: str = words(60)


class Sleep(Action):
    """Sleep for an hour."""


REGISTRY = ToolRegistry(
    [Buy, Talk, Sleep],
    idle=Sleep(),
    prompt=PromptText(role="You are the people of a town on a market day."),
    tables={"goods": GOODS},
)
PLAYBOOK = Playbook(
    rules=(
        Rule("mood < 30", Sleep()),
        Rule(("stock.bread < 1", "money >= price.bread"), Buy("bread", 1)),
        Rule("people", Talk(pick("first"), "Good morning.")),
    )
)


@dataclass
class Person:
    role: str
    money: float = 20.5
    mood: int = 50
    stock: dict[str, int] = field(default_factory=lambda: {"bread": 0, "fish": 2})
    heard: list[str] = field(default_factory=list)


class Day(esper.Processor):
    """Asks for everybody's plan in one batch, and carries out the first step of each."""

    def __init__(self, client=None):
        self.client = client
        self.orchestrator = FallbackOrchestrator(default_tiers(PLAYBOOK))
        self.price = {"bread": 5, "fish": 4}
        self.tiers = []

    def process(self):
        people = dict(esper.get_component(Person))
        asked = [(key, self.known(key, person, people)) for key, person in people.items()]
        results = asyncio.run(self.orchestrator.plan_batch_with_fallback(self.client, asked, REGISTRY))
        assert list(results) == sorted(people)
        self.tiers = [str(result.tier) for result in results.values()]
        for key, result in results.items():
            match result.plan.steps[0]:
                case Buy(good=good, count=count):
                    people[key].money -= self.price[good] * count
                    people[key].stock[good] += count
                case Talk(to=to, words=said):
                    people[to].heard.append(said)
                case Sleep():
                    people[key].mood += 10

    def known(self, key, person, people):
        return Townsman(
            role=person.role,
            money=person.money,
            mood=person.mood,
            stock=person.stock,
            price=self.price,
            heard=tuple(person.heard[-3:]),
            people=tuple(Neighbour(id=other) for other in people if other != key),
        )
