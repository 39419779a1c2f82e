"""`tickweave new`: write a working domain with its test, to start from."""

from __future__ import annotations

import keyword
import re
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from sim.cli.common import usage, write_whole
from sim.cli.consent import remember
from sim.messages import shown

MODEL: Final = '''"""{title}: everyone who has a coin gives one to a random agent.

    tickweave run {name}.py
    tickweave doctor {name}.py
"""

from pydantic import Field

from sim import Component, Domain, Settings, System, column, i32, purpose

GIVE = purpose("give")  # draws for different purposes are independent of each other


class {title}Settings(Settings):
    """What `--set agents=500` changes."""

    agents: int = Field(100, ge=1, le=100_000, description="Agents at the start.")


class Money(Component):
    """A component: one number for each agent. `world[Money].coins` is an array of all agents."""

    coins: i32 = column(default=1, unit="coins")


class Trade(System):
    """A system: one step of every tick. Reads and writes Money. Order: alone."""

    reads = (Money,)
    writes = (Money,)

    def process(self, world, run):
        coins = world[Money].coins
        givers = (coins > 0).nonzero()[0]
        coins[givers] -= 1
        world.scatter_add(coins, world.below(givers, GIVE, world.n), 1)


class {title}(Domain):
    """A domain binds settings, components and systems, and says what is measured."""

    settings, components, systems = {title}Settings, (Money,), (Trade,)
    metrics = {{
        "poorest": lambda world: int(world[Money].coins.min()),
        "richest": lambda world: int(world[Money].coins.max()),
        "without": lambda world: int((world[Money].coins == 0).sum()),
    }}

    def setup(self, world, run):
        world.spawn({{Money: {{}}}}, count=self.settings.agents)

    def invariants(self, world):
        assert world[Money].coins.sum() == self.settings.agents, "coins appear or vanish"
'''
TEST: Final = '''"""Tests of {name}.py: run them with `python -m pytest`."""

from pathlib import Path

from sim import Simulation, load
from sim.testing import assert_deterministic, check_scenario

MODEL = Path(__file__).with_name("{name}.py")


def test_every_run_is_the_same():
    """Settings, seed and inputs alone decide a run."""
    assert_deterministic(MODEL)


def test_invariants_hold():
    """No coin appears or vanishes."""
    check_scenario(MODEL, ticks=50)


def test_some_get_rich():
    """Trade alone makes agents unequal."""
    metrics = Simulation(load(MODEL), seed=1).run(50).metrics()
    assert metrics["poorest"] == 0
    assert metrics["richest"] > 2
'''


def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the domain, in lower case: `wealth`.")],
) -> None:
    """Write a working domain with its test into a folder of its own."""
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", name) or keyword.iskeyword(name):
        raise usage(f"new: {shown(name)} is not a name for a Python module; use lower case, digits and _, as in wealth")
    folder = Path(name)
    if folder.exists():
        raise usage(f"new: {shown(name)} is there already; choose another name")
    title = "".join(part.capitalize() for part in name.split("_"))
    folder.mkdir()
    for file, text in ((f"{name}.py", MODEL), (f"test_{name}.py", TEST)):
        with write_whole(folder / file, replace=False) as sink:
            sink.write(text.format(name=name, title=title).encode())
    remember([folder.absolute()])
    sys.stdout.write(
        f"made {folder}/{name}.py and its test\n  tickweave run {folder}/{name}.py\n  python -m pytest {folder}\n"
    )
