"""Mistakes in a domain: each gets one sentence with file, place and what to do, the documented exit code, no traceback.

The corpus is one table. A case is the sound model below with some text replaced, and what the sentence must hold.
"""

# ruff: noqa: E501 - a case is a line of the table

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import pytest

from sim.cli import invoke
from sim.cli.common import FAILED, INCONCLUSIVE, OK, USAGE

MODEL = '''
"""A shop."""
import numpy as np
from enum import IntEnum
from pydantic import Field
from ai.actions import PromptText, known, name, number, on, words
from ai.observation import AgentId, Entry, Observation, fact
from ai.rules import Rule
from sim import (
    Act, Action, Component, Domain, Grid, Input, Inputs, Observe, Plan, Resource, Settings, Sum, System, column, f64,
    i8, i16, i32,
)


class Purse(Component):
    coins: i32 = column(default=5)
    stock: i32 = column(per="goods")


class Stall(Resource):
    price: i32 = column(per="goods", default=2)


class Sold(Sum):
    @classmethod
    def apply(cls, world, run, targets, values):
        world[Stall].price[targets] += values


class Person(Entry):
    id: AgentId
    coins: int = fact()


class Knowledge(Observation):
    coins: int = fact()
    stock: dict[str, int] = fact(default={}, table="goods")
    people: tuple[Person, ...] = fact(default=(), limit=4)


class Buy(Action):
    """Buy something."""

    reasons = ("too dear",)
    good: str = name("goods")
    count: int = number(1, 5)

    @classmethod
    def refused(cls, turn, rows, args):
        return {"too dear": turn[Purse].coins[rows] < args.count}

    @classmethod
    def apply(cls, turn, rows, args):
        turn[Purse].coins[rows] -= args.count
        turn.send(Sold, rows, args.count, at=args.good)


class Greet(Action):
    """Greet somebody."""

    to: int = known("people")


class Rest(Action):
    """Do nothing."""


class Grow(System):
    def process(self, world, run):
        world[Purse].coins[:] += 1


class ShopSettings(Settings):
    agents: int = Field(4, ge=1, le=100, description="People.")


class Shop(Domain):
    settings = ShopSettings
    tables = {"goods": ("bread", "fish")}
    components, resources, observation = (Purse,), (Stall,), Knowledge
    actions, idle = (Buy, Greet, Rest), Rest()
    systems = (Inputs, Grow, Observe, Plan, Act)
    rules = (Rule("coins > 3", Buy("bread", 1)), Rule("always", Rest()))
    metrics = {"coins": lambda world: int(world[Purse].coins.sum())}

    def setup(self, world, run):
        world.spawn({Purse: {}}, count=self.settings.agents)

    def observe(self, world, rows):
        purse = world[Purse]
        people = {"rows": np.arange(len(rows)), "id": world.keys[rows], "coins": purse.coins[rows]}
        return world.observed(
            Knowledge, rows, coins=purse.coins[rows], stock=purse.stock[:, rows], people=people
        )
'''
"""A model without a mistake."""


class Case(NamedTuple):
    """A mistake: what is replaced by what, what the sentence holds, and how the command ends."""

    name: str
    changes: dict[str, str]
    said: tuple[str, ...]
    code: int = FAILED


HOOK = "    def setup(self, world, run):"
"""Where methods of the domain are added."""


def method(text: str) -> dict[str, str]:
    """Return the change that adds a method to the domain."""
    return {HOOK: f"    {text}\n\n{HOOK}"}


def attribute(text: str) -> dict[str, str]:
    """Return the change that adds an attribute to the domain."""
    return {"    settings = ShopSettings": f"    {text}\n    settings = ShopSettings"}


def verb(text: str) -> dict[str, str]:
    """Return the change that adds a method to the verb `Buy`."""
    return {'reasons = ("too dear",)': f'reasons = ("too dear",)\n\n    @classmethod\n    {text}'}


# fmt: off
CASES: tuple[Case, ...] = (
    # -- parts ----------------------------------------------------------------------------------------------------
    Case("components is one class", {"components, resources, observation = (Purse,), ": "components, resources, observation = Purse, "}, ("Shop", "model.py, line", "components is", "write a tuple")),
    Case("a component that is none", {"= (Purse,), (Stall,)": "= (Purse, int), (Stall,)"}, ("Shop", "components holds", "int", "extend sim.Component")),
    Case("a resource among components", {"= (Purse,), (Stall,)": "= (Purse, Stall), ()"}, ("components holds", "Stall", "extend sim.Component")),
    Case("an instance of a system", {"(Inputs, Grow, Observe": "(Inputs, Grow(), Observe"}, ("systems holds", "list the class, not an instance")),
    Case("two systems of one name", {"(Inputs, Grow, Observe": "(Inputs, Grow, Grow, Observe"}, ("systems lists two classes named Grow", "rename one")),
    Case("two systems with one label", {"(Inputs, Grow, Observe": "(Inputs, Grow, Shrink, Observe", "class ShopSettings": "class Shrink(System):\n    name = 'grow'\n    def process(self, world, run):\n        pass\n\n\nclass ShopSettings"}, ("Shop", "'grow'", "rename Shrink")),
    Case("no Inputs", {"(Inputs, Grow, Observe": "(Grow, Observe"}, ("Shop", "systems", "Inputs", "add")),
    Case("no Plan", {"Observe, Plan, Act)": "Observe, Act)"}, ("Shop", "systems", "Plan", "add")),
    Case("no Observe", {"Observe, Plan, Act)": "Plan, Act)"}, ("Shop", "systems", "Observe", "add")),
    Case("no Act", {"Observe, Plan, Act)": "Observe, Plan)"}, ("Shop", "systems", "Act", "add")),
    Case("Plan before Observe", {"Observe, Plan, Act)": "Plan, Observe, Act)"}, ("Shop", "systems", "Observe", "before", "Plan")),
    Case("no systems", {"systems = (Inputs, Grow, Observe, Plan, Act)": "systems = ()"}, ("Shop", "systems", "add")),
    Case("a misspelt part", {"    metrics = {": "    metrcs = {"}, ("Shop", "metrcs", "did you mean metrics?")),
    Case("a misspelt hook", {"def observe(self": "def obsreve(self"}, ("obsreve", "did you mean observe?")),
    Case("no observation", {"components, resources, observation = (Purse,), (Stall,), Knowledge": "components, resources = (Purse,), (Stall,)"}, ("Shop", "observation", "actions")),
    Case("observation is not an Observation", {"(Stall,), Knowledge": "(Stall,), Person"}, ("Shop", "observation is", "extends Observation")),
    Case("no observe", {"def observe(self": "def _observe(self"}, ("Shop", "observe")),
    Case("no idle step", {"actions, idle = (Buy, Greet, Rest), Rest()": "actions = (Buy, Greet, Rest)"}, ("Shop", "idle")),
    Case("idle is a class", {"Rest), Rest()": "Rest), Rest"}, ("Shop", "idle", "Rest()")),
    Case("settings are no class", {"settings = ShopSettings": "settings = ShopSettings()"}, ("shop", "settings is", "extends Settings")),
    Case("settings are another class", {"class ShopSettings(Settings)": "class ShopSettings"}, ("shop", "settings is", "extends Settings")),
    Case("tables is a tuple", {'tables = {"goods": ("bread", "fish")}': 'tables = ("bread", "fish")'}, ("Shop", "tables is", "goods")),
    Case("a table of numbers", {'("bread", "fish")}': "(1, 2)}"}, ("Shop", "tables", "goods")),
    Case("a table as one text", {'("bread", "fish")}': '"bread"}'}, ("Shop", "tables", "goods")),
    Case("metrics that are numbers", {"lambda world: int(world[Purse].coins.sum())": "5"}, ("Shop", "metrics['coins']", "function of the world")),
    Case("metrics is a function", {'metrics = {"coins": lambda': "metrics = (lambda", ".sum())}": ".sum()))"}, ("Shop", "metrics is")),
    Case("a rule that is a text", {'Rule("always", Rest())': '"always"'}, ("Shop", "rules holds", "Rule")),
    # -- a file and its name --------------------------------------------------------------------------------------
    Case("a syntax error", {"class Grow(System):": "class Grow(System)"}, ("model.py", "line", "SyntaxError")),
    Case("an import error", {"import numpy as np": "import numpyy as np"}, ("model.py", "line 3", "numpyy")),
    Case("a name that is not there", {"class Grow(System)": "class Grow(Sytem)"}, ("model.py", "line", "Sytem")),
    Case("no name of sim", {"Act, Action,": "Act, Acton,"}, ("model.py", "line 9", "Acton")),
    Case("a file without a domain", {"class Shop(Domain)": "class Shop"}, ("model.py", "one Domain", "none")),
    Case("a file with two domains", {"class ShopSettings": "class Other(Domain):\n    pass\n\n\nclass ShopSettings"}, ("model.py", "one Domain", "Other", "Shop")),
    Case("exits while it loads", {'"""A shop."""': "import sys; sys.exit(3)"}, ("model.py", "SystemExit")),
    # -- columns --------------------------------------------------------------------------------------------------
    Case("a column that is an int", {"coins: i32 = column(default=5)": "coins: int = column(default=5)"}, ("model.py", "line", "Purse.coins", "i8, i16")),
    Case("a float without a scale", {"coins: i32 = column(default=5)": "coins: float = column(default=5)"}, ("model.py", "Purse.coins", "scale")),
    Case("a bare default", {"coins: i32 = column(default=5)": "coins: i32 = 5"}, ("model.py", "Purse.coins", "column(default=5)")),
    Case("a default that does not fit", {"coins: i32 = column(default=5)": "coins: i8 = column(default=500)"}, ("model.py", "Purse.coins", "500")),
    Case("a table that is not there", {'stock: i32 = column(per="goods")': 'stock: i32 = column(per="gods")'}, ("Purse.stock", "'gods'", "goods")),
    Case("a memory too large", {'stock: i32 = column(per="goods")': 'stock: i32 = column(per="goods")\n    heard: tuple[str, ...] = column(limit=100_000)'}, ("Purse.heard", "limit 100000", "1024")),
    Case("two components of one name", {"(Purse,), (Stall,)": "(Purse, type('Purse', (Component,), {})), (Stall,)"}, ("components lists two classes named Purse", "rename one")),
    Case("a component called as a resource", {"class Stall(Resource)": "class Stock(Component):\n    n: i8\n\n\nclass Stall(Resource)", "(Purse,), (Stall,)": "(Purse, type('Stall', (Component,), {})), (Stall,)"}, ("Shop", "Stall", "rename one")),
    Case("a column called as the world's own", {"(Purse,), (Stall,)": "(Purse, type('Progress', (Component,), {})), (Stall,)"}, ("Shop", "Progress", "rename")),
    # -- what agents know -----------------------------------------------------------------------------------------
    Case("a field that nobody fills", {"coins=purse.coins[rows], stock": "stock"}, ("model.py, line", "observe", "Knowledge.coins", "default")),
    Case("a field that is not declared", {"coins=purse.coins[rows], stock": "coins=purse.coins[rows], cions=1, stock"}, ("model.py, line", "observe", "cions", "coins")),
    Case("a field of another dtype", {"coins=purse.coins[rows], stock": "coins=purse.coins[rows] / 2, stock"}, ("model.py, line", "observe", "Knowledge.coins", "float64")),
    Case("a field of another shape", {"coins=purse.coins[rows], stock": "coins=purse.coins[:1], stock"}, ("model.py, line", "observe", "Knowledge.coins", "int32[1]", "4 agents")),
    Case("an observation of the wrong kind", {"return world.observed(\n            Knowledge, rows, coins=purse.coins[rows], stock=purse.stock[:, rows], people=people\n        )": "return None"}, ("Shop", "observe", "None", "world.observed")),
    Case("a float fact without a scale", {"    coins: int = fact()\n    stock": "    coins: float = fact()\n    stock"}, ("model.py", "line", "Knowledge.coins", "scale")),
    Case("a fact of an unknown type", {"    coins: int = fact()\n    stock": "    coins: set = fact()\n    stock"}, ("model.py", "line", "Knowledge.coins")),
    Case("an entry that is written below", {"people: tuple[Person, ...]": "people: tuple['Purchaser', ...]"}, ("model.py", "line", "Knowledge.people", "write its class above Knowledge")),
    Case("a list of facts without a limit", {"fact(default=(), limit=4)": "fact(default=())"}, ("model.py", "line", "Knowledge.people", "limit")),
    Case("a fact with a name that is taken", {"    coins: int = fact()\n    stock": "    coins: int = fact()\n    tick: int = fact(default=0)\n    stock"}, ("model.py", "line", "tick")),
    Case("entries of a row that is not there", {'"rows": np.arange(len(rows))': '"rows": np.arange(len(rows)) + 9'}, ("model.py, line", "observe", "people")),
    Case("no id where one must be", {'"id": world.keys[rows], ': ""}, ("model.py, line", "observe", "Knowledge.people", "'id'")),
    # -- verbs ----------------------------------------------------------------------------------------------------
    Case("a target of no list", {'known("people")': "known()"}, ("model.py", "known(")),
    Case("a target of an unknown list", {'known("people")': 'known("peple")'}, ("Greet", "peple", "people")),
    Case("a name of an unknown table", {'good: str = name("goods")': 'good: str = name("gods")'}, ("Buy", "gods", "goods")),
    Case("a cell of an unknown space", {'to: int = known("people")': 'to: int = known("people")\n    x: int = on("field")'}, ("Greet", "x")),
    Case("an argument without a kind", {"count: int = number(1, 5)": "count: int = 1"}, ("Buy", "count", "number(...)")),
    Case("a verb without a sentence", {'    """Do nothing."""': "    pass"}, ("Rest", "docstring")),
    Case("two verbs of one name", {"(Buy, Greet, Rest)": "(Buy, Greet, Rest, type('Buy', (Rest,), {'__doc__': 'Buy.'}))"}, ("actions lists two classes named Buy", "rename one")),
    Case("a reason that is not declared", {'return {"too dear"': 'return {"too far"'}, ("Buy", "'too far'", "reasons")),
    Case("a rule on an unknown field", {'Rule("coins > 3"': 'Rule("cions > 3"'}, ("rules", "cions", "coins"), USAGE),
    Case("a rule that cannot be read", {'Rule("coins > 3"': 'Rule("coins >> 3"'}, ("model.py", "line", "coins >> 3")),
    Case("a rule with an unknown name", {'Buy("bread", 1)': 'Buy("bred", 1)'}, ("rules", "bred", "bread"), USAGE),
    Case("a rule with a number out of range", {'Buy("bread", 1)': 'Buy("bread", 9)'}, ("model.py", "line", "count")),
    Case("a verb that fails", {"turn[Purse].coins[rows] -= args.count": "raise KeyError(args.count)"}, ("tick 0", "system 'act'", "model.py, line", "Buy.apply")),
    Case("an argument that the verb has not", {"coins[rows] -= args.count": "coins[rows] -= args.cuont"}, ("tick 0", "Buy.apply", "cuont", "count")),
    Case("a text among the numbers", {"    count: int = number(1, 5)": "    count: int = number(1, 5)\n    why: str = words(20)", 'Buy("bread", 1)': 'Buy("bread", 1, "so")', "coins[rows] -= args.count": "coins[rows] -= args.why"}, ("tick 0", "Buy.apply", "args.payload('why')")),
    Case("an agent that is gone", {"turn.send(Sold, rows, args.count, at=args.good)": "turn.world.kill(rows - 1)"}, ("tick 0", "Buy.apply", "-1 stands for an agent that is gone")),
    # -- hooks ----------------------------------------------------------------------------------------------------
    Case("process without arguments", {"def process(self, world, run)": "def process(self)"}, ("Shop", "Grow.process", "process(self, world, run)")),
    Case("no process", {"def process(self, world, run)": "def proceed(self, world, run)"}, ("Grow", "process(self, world, run)")),
    Case("a system that wants arguments", {"class Grow(System):": "class Grow(System):\n    def __init__(self, rate):\n        self.rate = rate\n"}, ("Grow", "__init__")),
    Case("a system that fails", {"world[Purse].coins[:] += 1": "world[Purse].coins[99] += 1"}, ("tick 0", "system 'grow'", "model.py, line", "Grow.process", "IndexError")),
    Case("a column that is not there", {"world[Purse].coins[:] += 1": "world[Purse].cions[:] += 1"}, ("tick 0", "Grow.process", "cions")),
    Case("a component that is not listed", {"world[Purse].coins[:] += 1": "world[Other].n[:] += 1", "class Grow": "class Other(Component):\n    n: i8\n\n\nclass Grow"}, ("tick 0", "Grow.process", "Other")),
    Case("an assigned column", {"world[Purse].coins[:] += 1": "world[Purse].coins = world[Purse].coins + 1"}, ("tick 0", "Grow.process", "coins")),
    Case("setup fails", {"count=self.settings.agents": "count=self.settings.people"}, ("model.py, line", "Shop.setup", "people")),
    Case("setup spawns unknown columns", {"{Purse: {}}": '{Purse: {"cions": 3}}'}, ("model.py, line", "Shop.setup", "Purse", "cions")),
    Case("setup spawns too large numbers", {"{Purse: {}}": '{Purse: {"coins": 2**40}}'}, ("model.py, line", "Shop.setup", "Purse.coins")),
    Case("setup spawns far too many", {"count=self.settings.agents": "count=10**12"}, ("model.py, line", "Shop.setup", "entities")),
    Case("spaces fails", method("def spaces(self, run):\n        return {'field': Grid(0, 5)}"), ("model.py, line", "Shop.spaces")),
    Case("spaces is not a mapping", method("def spaces(self, run):\n        return Grid(5, 5)"), ("Shop", "spaces", "by name")),
    Case("observe fails", {"purse = world[Purse]": "purse = world[Purse].nothing"}, ("tick 0", "system 'observe'", "model.py, line", "Shop.observe")),
    Case("a metric that fails", {"int(world[Purse].coins.sum())": "1 // 0"}, ("model.py, line", "ZeroDivisionError")),
    Case("a metric that is a text", {"int(world[Purse].coins.sum())": "'many'"}, ("Shop", "metric 'coins'", "number")),
    Case("outcome fails", method("def outcome(self, world):\n        return world.nothing"), ("model.py, line", "Shop.outcome")),
    Case("outcome is true", method("def outcome(self, world):\n        return True"), ("Shop", "outcome", "True", "or None")),
    Case("scores are texts", method("def scores(self, world):\n        return {'wealth': 'much'}"), ("Shop", "scores", "number")),
    Case("scores are a number", method("def scores(self, world):\n        return 5"), ("Shop", "scores", "by name")),
    Case("groups fails", method("def groups(self, world):\n        return world.nothing"), ("model.py, line", "Shop.groups")),
    Case("groups gives names alone", method("def groups(self, world):\n        return ('rich', 'poor')"), ("Shop", "groups", "names")),
    Case("groups gives one index", method("def groups(self, world):\n        return ('rich', 'poor'), np.zeros(1, int)"), ("Shop", "groups", "row")),
    Case("plannable gives one answer", method("def plannable(self, world):\n        return True"), ("Shop", "plannable", "one boolean for each")),
    Case("plannable fails", method("def plannable(self, world):\n        return world.nothing"), ("tick 0", "Shop.plannable")),
    Case("alert gives floats", method("def alert(self, world, rows):\n        return rows * 0.5"), ("Shop", "alert", "one integer for each")),
    Case("alert fails", method("def alert(self, world, rows):\n        return world.nothing"), ("tick 0", "Shop.alert")),
    Case("details cannot be written", method("def details(self, world):\n        return {'purse': world[Purse]}"), ("Shop", "details", "plain data")),
    Case("check fails", method("def check(self, scenario):\n        return scenario.nothing"), ("model.py, line", "Shop.check")),
    Case("registry is not a registry", method("def registry(self, more=()):\n        return 5"), ("Shop", "registry", "ToolRegistry")),
    Case("a channel without apply", {"    @classmethod\n    def apply(cls, world, run, targets, values):\n        world[Stall].price[targets] += values": "    pass"}, ("Sold", "apply")),
    Case("what is sent is not a channel", {"turn.send(Sold,": "turn.send(Stall,"}, ("Buy.apply", "Stall", "Channel")),
    Case("__init__ of the domain fails", method("def __init__(self, settings=None):\n        super().__init__(settings)\n        self.x = 1 // 0"), ("model.py, line", "Shop.__init__")),
    Case("every is negative", {"    settings = ShopSettings": "    ticks = -5\n    settings = ShopSettings"}, ("Shop", "ticks", "-5")),
    Case("clock is a text", {"    settings = ShopSettings": "    ticks_per_second = 'ten'\n    settings = ShopSettings"}, ("Shop", "ticks_per_second", "'ten'")),
    Case("prompt is a text", {"    settings = ShopSettings": "    prompt = 'You shop.'\n    settings = ShopSettings"}, ("Shop", "prompt", "PromptText")),
    Case("inputs of the wrong kind", {"    settings = ShopSettings": "    inputs = (Rest,)\n    settings = ShopSettings"}, ("Shop", "inputs holds", "Rest")),
    # -- methods and their results ---------------------------------------------------------------------------------
    Case("spaces is a tuple", attribute("spaces = (Grid(3, 3),)"), ("Shop.spaces", "write a method spaces(self, run)")),
    Case("setup without run", {"def setup(self, world, run)": "def setup(self, world)"}, ("Shop.setup", "setup(self, world, run)")),
    Case("observe without rows", {"def observe(self, world, rows)": "def observe(self, world)"}, ("Shop.observe", "observe(self, world, rows)")),
    Case("outcome without world", method("def outcome(self):\n        return None"), ("Shop.outcome", "outcome(self, world)")),
    Case("observe leaves agents out", {"purse = world[Purse]\n        people": "purse, rows = world[Purse], rows[:1]\n        people"}, ("Shop", "observe", "1 agents", "the 4 agents")),
    Case("agents first", {"stock=purse.stock[:, rows]": "stock=purse.stock[:, rows].T"}, ("Shop.observe", "Knowledge.stock is int32[4, 2]", "4 agents last")),
    Case("a group that has no name", method("group_names = ('rich',)\n\n    def groups(self, world):\n        return ('rich',), np.full(world.n, 7)"), ("Shop", "groups", "7", "1 names")),
    Case("groups of other names", method("group_names = ('rich',)\n\n    def groups(self, world):\n        return ('poor',), np.zeros(world.n, int)"), ("Shop", "groups", "poor", "rich")),
    Case("__init__ without settings", method("def __init__(self, agents):\n        self.agents_at_start = agents"), ("Shop", "super().__init__")),
    Case("far too many agents by default", {"Field(4, ge=1, le=100,": "Field(4_000_000_000, ge=1,"}, ("Shop.setup", "4000000000 entities")),
    Case("a purpose that is a text", {"world[Purse].coins[:] += 1": "world.below(world.rows(Purse), 'give', 5)"}, ("Grow.process", "purpose: 'give' is not a whole number")),
    Case("no space", {"world[Purse].coins[:] += 1": "run.space"}, ("Grow.process", "one space", "none")),
    # -- attributes ------------------------------------------------------------------------------------------------
    Case("every is a text", attribute("every = 'often'"), ("Shop", "every is 'often'", "whole number")),
    Case("every is zero", attribute("every = 0"), ("Shop", "every is 0", "from 1")),
    Case("version is a text", attribute("version = '2'"), ("Shop", "version is '2'", "whole number")),
    Case("name is a path", attribute("name = '../shop'"), ("Shop", "name is '../shop'", "letters")),
    Case("facts is a tuple", attribute("facts = ('coins > 3',)"), ("Shop", "facts is", "write {")),
    Case("a fact that is a number", attribute("facts = {'rich': 5}"), ("Shop", "facts['rich'] is 5", "condition")),
    Case("a fact on an unknown field", attribute("facts = {'rich': 'cions > 3'}"), ("Shop", "cions", "'coins'")),
    Case("a move that is a number", attribute("moves = {'run': 5}"), ("Shop", "moves['run'] is 5", "function")),
    Case("a tree of steps", attribute("tree = (Rest(),)"), ("Shop", "tree holds", "Branch(...)")),
    Case("an example with an unknown name", attribute("prompt = PromptText(role='Shop.', examples=((Buy('bred', 1),),))"), ("Shop", "example 1 of the prompt", "'bred'", "bread")),
    Case("a table of knowledge that is not there", {'fact(default={}, table="goods")': 'fact(default={}, table="gods")'}, ("Shop.observe", "Knowledge.stock", "table 'gods'")),
    Case("an input without apply", {"class ShopSettings": "class Tax(Input):\n    n: int = 1\n\n\nclass ShopSettings", "    settings = ShopSettings": "    inputs = (Tax,)\n    settings = ShopSettings"}, ("Shop", "input Tax", "apply(self, world, run)")),
    Case("an input with another apply", {"class ShopSettings": "class Tax(Input):\n    n: int = 1\n\n    def apply(self, world):\n        return None\n\n\nclass ShopSettings", "    settings = ShopSettings": "    inputs = (Tax,)\n    settings = ShopSettings"}, ("Shop", "Tax.apply", "apply(self, world, run)")),
    # -- what verbs say and send -----------------------------------------------------------------------------------
    Case("a misspelt method of a verb", {"def refused(cls": "def refuse(cls"}, ("Buy.refuse", "did you mean refused?")),
    Case("a verb without classmethod", {"    @classmethod\n    def refused(cls": "    def refused(self"}, ("Buy.refused", "@classmethod")),
    Case("refused with other arguments", {"def refused(cls, turn, rows, args)": "def refused(cls, turn, rows)"}, ("Buy.refused", "refused(turn, rows, args)")),
    Case("refused is a mask", {'return {"too dear": turn[Purse].coins[rows] < args.count}': "return turn[Purse].coins[rows] < args.count"}, ("Buy", "refused()", "masks by reason")),
    Case("refused is not boolean", {'return {"too dear": turn[Purse].coins[rows] < args.count}': 'return {"too dear": turn[Purse].coins[rows]}'}, ("Buy", "refused()", "int32[4]", "one boolean for each")),
    Case("reasons is a text", {'reasons = ("too dear",)': 'reasons = "too dear"'}, ("Buy.reasons", "tuple of texts")),
    Case("a step that takes half ticks", verb("def duration_ticks(cls, turn, rows, args):\n        return args.count / 2"), ("Buy", "duration_ticks()", "float64[4]", "whole numbers")),
    Case("a step that takes no tick", verb("def duration_ticks(cls, turn, rows, args):\n        return 0"), ("Buy", "duration_ticks()", "0 to 0 ticks", "takes 1 to")),
    Case("a step that never ends", verb("def duration_ticks(cls, turn, rows, args):\n        return 2**60"), ("Buy", "duration_ticks()", "1152921504606846976 ticks")),
    Case("seconds that are a text", {'reasons = ("too dear",)': 'reasons = ("too dear",)\n    duration_s = "1"'}, ("Buy.duration_s is '1'", "seconds from 0")),
    Case("advance returns rows", {'reasons = ("too dear",)': 'reasons = ("too dear",)\n    timed = False\n\n    @classmethod\n    def advance(cls, turn, rows, args):\n        return rows'}, ("Buy", "advance()", "int64[4]", "one boolean for each of the 4")),
    Case("no time and no advance", {'reasons = ("too dear",)': 'reasons = ("too dear",)\n    timed = False'}, ("Buy", "timed = False", "advance(turn, rows, args)")),
    Case("keep is a text", {'reasons = ("too dear",)': 'reasons = ("too dear",)\n    keep = "last"'}, ("Buy", "keep is 'last'", "whole number")),
    Case("first_tier is a text", {'reasons = ("too dear",)': 'reasons = ("too dear",)\n    first_tier = "yes"'}, ("Buy", "first_tier is 'yes'", "True or False")),
    Case("a verb of ai alone", {"    Act, Action, Component": "    Act, Component", "from enum import IntEnum": "from enum import IntEnum\nfrom ai import Action"}, ("Shop", "actions holds Buy", "extend sim.Action")),
    Case("the greatest number first", {"number(1, 5)": "number(5, 1)"}, ("model.py", "line", "from 5 to 1", "low bound first")),
    Case("a bound that is a text", {"number(1, 5)": "number('1', 5)"}, ("model.py", "line", "from '1' to 5", "give three numbers")),
    Case("an endless bound", {"number(1, 5)": "number(1, float('inf'))"}, ("model.py", "line", "from 1 to inf", "give three numbers")),
    Case("a number too large", {"number(1, 5)": "number(1, 2**40)"}, ("model.py", "line", "1099511627776", "2147483647")),
    Case("sent to fractions", {"at=args.good)": "at=args.good * 0.5)"}, ("Buy.apply", "send(Sold)", "indices as targets", "float64[4]")),
    Case("sent by a mask", {"turn.send(Sold, rows,": "turn.send(Sold, rows > 0,"}, ("Buy.apply", "send(Sold)", "rows as senders", "bool[4]")),
    Case("texts are sent", {"turn.send(Sold, rows, args.count,": "turn.send(Sold, rows, 'all',"}, ("Buy.apply", "send(Sold)", "numbers as values")),
    Case("too many are sent", {"turn.send(Sold, rows, args.count,": "turn.send(Sold, rows, np.ones(77, int),"}, ("Buy.apply", "send(Sold)", "one or 4", "int64[77]")),
    Case("a channel with another apply", {"def apply(cls, world, run, targets, values)": "def apply(cls, world, targets, values)"}, ("Sold", "apply(world, run, targets, values)")),
    Case("a misspelt method of a channel", {"def apply(cls, world, run, targets, values)": "def aply(cls, world, run, targets, values)"}, ("Sold.aply", "did you mean apply?")),
    # -- what is declared and what is written into it --------------------------------------------------------------
    Case("a column without a type", {"coins: i32 = column(default=5)": "coins = column(default=5)"}, ("model.py", "line", "Purse.coins has no type", "coins: i32")),
    Case("a shape that is a number", {'stock: i32 = column(per="goods")': 'stock: i32 = column(per="goods", shape=6)'}, ("model.py", "line", "shape=6", "shape=(6,)")),
    Case("a limit that is a text", {"fact(default=(), limit=4)": "fact(default=(), limit='4')"}, ("model.py", "line", "fact(limit='4')", "number")),
    Case("low above high", {"    coins: int = fact()\n    stock": "    coins: int = fact(low=9, high=1)\n    stock"}, ("model.py", "line", "Knowledge.coins", "low 9 is above high 1")),
    Case("a default out of range", {"    coins: int = fact()\n    stock": "    coins: int = fact(default=9, high=1)\n    stock"}, ("model.py", "line", "Knowledge.coins", "default 9 is not from -inf to 1")),
    Case("a default that is a text", {"    coins: int = fact()\n    stock": "    coins: int = fact(default='many')\n    stock"}, ("model.py", "line", "Knowledge.coins", "default 'many' does not fit int")),
    Case("a default too large", {"    coins: int = fact()\n    stock": "    coins: int = fact(default=900, dtype='i1')\n    stock"}, ("model.py", "line", "Knowledge.coins", "default 900 does not fit int, i1")),
    Case("an argument with a default out of range", {"count: int = number(1, 5)": "count: int = number(1, 5, default=9)"}, ("Buy", "count", "default 9 must be from 1 to 5")),
    Case("an argument with no default", {"count: int = number(1, 5)": "count: int = number(1, 5, default=None)"}, ("Buy", "count", "default None must be a number")),
    Case("an argument called act", {"count: int = number(1, 5)": "count: int = number(1, 5)\n    act: int = number(1, 5, default=1)"}, ("model.py", "line", "Buy", "called act")),
    Case("entries of half an agent", {'"rows": np.arange(len(rows))': '"rows": np.arange(len(rows)) * 0.5'}, ("Shop.observe", "Knowledge.people", "rows of float64", "index")),
    Case("observed is an entry", {"            Knowledge, rows,": "            Person, rows,"}, ("Shop.observe", "extends Observation, not Person")),
    Case("a chance that is a fraction", {"world[Purse].coins[:] += 1": "world.chance(world.rows(Purse), 5, 0.5)"}, ("Grow.process", "0.5 is a fraction", "500 for one half")),
    Case("a file that no setting declares", {"world[Purse].coins[:] += 1": "run.open('prices.csv')"}, ("Grow.process", "'prices.csv'", "DataFile")),
    Case("a system ends an iteration", {"world[Purse].coins[:] += 1": "next(iter(()))"}, ("tick 0", "Grow.process", "StopIteration")),
    Case("a system ends the program", {"world[Purse].coins[:] += 1": "raise SystemExit(3)"}, ("tick 0", "Grow.process", "SystemExit")),
    Case("a step that is a class", {'Rule("always", Rest())': 'Rule("always", Rest)'}, ("model.py", "line", "Rest is a class", "Rest(...)")),
)
# fmt: on


def tell(folder: Path, source: str, capsys: pytest.CaptureFixture[str], *command: str) -> tuple[int, str]:
    """Run a command in process on a model's source; return its exit code and what it says on stderr."""
    (folder / "model.py").write_text(source)
    code = invoke([*command])
    return code, capsys.readouterr().err


def changed(case: Case) -> str:
    """Return the sound model with the mistake of a case."""
    source = MODEL
    for old, new in case.changes.items():
        assert source.count(old) == 1, f"{old!r} occurs {source.count(old)} times"
        source = source.replace(old, new)
    return source


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_sound_model_runs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The model without a mistake is recorded and verified, so each case fails for its mistake alone."""
    assert tell(folder, MODEL, capsys, "run", "model.py", "--ticks", "5", "--quiet")[0] == OK
    assert invoke(["verify", "model-1.replay.jsonl"]) == OK


def test_a_static_method_may_advance(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A verb without a time of its own needs `advance`, of whatever kind of method."""
    reasons = 'reasons = ("too dear",)'
    advance = "@staticmethod\n    def advance(turn, rows, args):\n        return np.ones(len(rows), bool)"
    model = MODEL.replace(reasons, f"{reasons}\n    timed = False\n\n    {advance}")
    assert tell(folder, model, capsys, "run", "model.py", "--ticks", "5", "--quiet") == (OK, "")


def test_a_metric_may_be_an_array(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Scores are single numbers, so such a metric is none of them, and the run ends as usual."""
    metric = '"coins": lambda world: int(world[Purse].coins.sum())'
    model = MODEL.replace(metric, f'{metric}, "each": lambda world: world[Purse].coins')
    assert tell(folder, model, capsys, "run", "model.py", "--ticks", "5", "--quiet") == (OK, "")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_a_mistake_gets_one_sentence(case: Case, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line on stderr says where the mistake is and what to do; nothing of it is a traceback."""
    code, said = tell(folder, changed(case), capsys, "run", "model.py", "--ticks", "3", "--quiet")
    assert code == case.code, said
    assert said.startswith("tickweave: ")
    assert said.count("\n") == 1
    assert "tickweave_local" not in said
    assert "Traceback" not in said
    for part in case.said:
        assert part in said
    if "model.py" not in said:
        assert any(f"{kind}" in said for kind in ("Shop", "Purse", "Buy", "Greet", "Rest", "Grow", "rules", "Sold"))


UNREADABLE = (
    "a syntax error",
    "no Plan",
    "two systems of one name",
    "setup fails",
    "spaces fails",
    "no observe",
    "exits while it loads",
)
"""Mistakes that keep a run from being set up."""


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_recording_is_not_called_diverged_for_a_model_that_cannot_be_set_up(
    name: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`verify` is inconclusive and says what is wrong with the model; `show`, `fork` and `check` say it in a line."""
    assert tell(folder, MODEL, capsys, "run", "model.py", "--ticks", "3", "--quiet")[0] == OK
    case = next(case for case in CASES if case.name == name)
    (folder / "model.py").write_text(changed(case))
    assert invoke(["verify", "model-1.replay.jsonl"]) == INCONCLUSIVE
    said = capsys.readouterr().out
    for part in case.said:
        assert part in said
    file = "model-1.replay.jsonl"
    for command in (("show", file, "--tick", "1"), ("fork", file, "--at", "1", "--quiet"), ("check", "model.py")):
        assert invoke([*command]) != OK
        told = capsys.readouterr()
        assert told.err.startswith("tickweave: ")
        assert told.err.count("\n") == 1


SCENARIOS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("a misspelt setting", "[settings]\nagnets = 5", ("model.toml", "settings.agnets", "did you mean 'agents'?")),
    (
        "a setting out of range",
        "[settings]\nagents = 0",
        ("model.toml", "settings.agents", "greater than or equal to 1"),
    ),
    ("a setting of another type", '[settings]\nagents = "many"', ("model.toml", "settings.agents", "integer")),
    ("a misspelt key", "tikcs = 5", ("model.toml", "tikcs", "did you mean 'ticks'?")),
    ("an unknown domain", 'domain = "epidemc"', ("model.toml", "domain", "'epidemc'", "did you mean 'epidemic'?")),
    ("a file that is not there", 'domain = "modle.py"', ("modle.py",)),
    (
        "an unknown input",
        'inputs = [{ tick = 1, input = { kind = "tax" } }]',
        ("model.toml", "inputs[0].input.kind", "tax"),
    ),
    (
        "an unknown group",
        '[planning.groups.rich]\ntiers = ["heuristic"]',
        ("model.toml", "planning.groups.rich", "no groups"),
    ),
    ("an unknown tier", '[planning]\ntiers = ["heuristc"]', ("planning.tiers", "heuristc", "heuristic")),
    (
        "a rule on an unknown field",
        '[[rules]]\nwhen = "cions > 3"\nthen = { act = "Rest" }',
        ("rules", "cions", "coins"),
    ),
    ("an unknown plug-in", 'plugins = ["nothing"]', ("'nothing'", "plug-in")),
)
"""Mistakes in a scenario of the sound model."""


@pytest.mark.parametrize(("name", "text", "parts"), SCENARIOS, ids=[each[0].replace(" ", "-") for each in SCENARIOS])
def test_a_mistake_in_a_scenario_gets_one_sentence(
    name: str, text: str, parts: tuple[str, ...], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What does not fit the domain ends the command with the code for wrong usage."""
    head = 'name = "model"\n' + ("" if text.startswith("domain") else 'domain = "model.py"\n')
    (folder / "model.toml").write_text(head + text + "\n")
    code, said = tell(folder, MODEL, capsys, "run", "model.toml", "--ticks", "3", "--quiet")
    assert code == USAGE, said
    assert said.count("\n") == 1
    for part in parts:
        assert part in said


def test_the_corpus_is_large_enough() -> None:
    """At least forty mistakes are in the table, each once."""
    assert len(CASES) >= 40
    assert len({case.name for case in CASES}) == len(CASES)


def test_a_recording_without_a_tick_proves_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What failed in its first tick is inconclusive, because nothing was compared."""
    broken = MODEL.replace("world[Purse].coins[:] += 1", "assert False")
    assert tell(folder, broken, capsys, "run", "model.py", "--quiet")[0] == FAILED
    assert invoke(["verify", "model-1.replay.jsonl"]) == INCONCLUSIVE
    assert "nothing was compared" in capsys.readouterr().out


def test_a_metric_that_is_no_number_is_null(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """JSON has no form for the mean of nothing: `run --json` prints null, which every reader takes."""
    (folder / "model.py").write_text(MODEL.replace("int(world[Purse].coins.sum())", "float('nan')"))
    assert invoke(["run", "model.py", "--ticks", "3", "--json"]) == OK
    said = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert said["metrics"] == said["score"] == {"coins": None}


def test_groups_without_names_cannot_have_tiers(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A sentence says how to name the groups of a domain that leaves their names out."""
    grouped = f"    def groups(self, world):\n        return ('rich',), np.zeros(world.n, int)\n\n{HOOK}"
    code, said = tell(folder, MODEL.replace(HOOK, grouped), capsys, "run", "model.py", "--group", "rich=emergency")
    assert code == USAGE
    assert said == "tickweave: 'model' has no groups of agents by name; list their names in group_names\n"
