"""`tickweave new`: write a working domain or a copy of a shipped one, with its test, as a start."""

from __future__ import annotations

import inspect
import keyword
import re
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Final

import typer

from sim.cli.common import usage, write_whole
from sim.cli.consent import remember
from sim.messages import shown
from sim.run.domains import find_domain
from sim.run.files import read_text
from sim.run.scenario_file import file_of, head_of, python_files

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


COPY_TEST: Final = '''"""Tests of {file}: run them with `python -m pytest`."""

from pathlib import Path

from sim.testing import assert_deterministic, check_scenario

MODEL = Path(__file__).with_name("{file}")


def test_every_run_is_the_same():
    """Settings, seed and inputs alone decide a run."""
    assert_deterministic(MODEL, ticks=20)


def test_invariants_hold():
    """The model's own invariants hold in every tick."""
    check_scenario(MODEL, ticks=20)
'''


def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the domain in lower case, such as wealth.")],
    *,
    source: Annotated[
        str | None,
        typer.Option("--from", metavar="SCENARIO", help="Copy this scenario or domain instead of a small model."),
    ] = None,
) -> None:
    """Write a working domain with its test into a new folder."""
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", name) or keyword.iskeyword(name):
        raise usage(f"new: {shown(name)} is not a name for a Python module; use lower case, digits and _, as in wealth")
    if find_spec(name) is not None:
        raise usage(f"new: there is a Python module {name} already; choose another name")
    folder = Path(name)
    if folder.exists():
        raise usage(f"new: {shown(name)} exists already; choose another name")
    title = "".join(part.capitalize() for part in name.split("_"))
    if source is None:
        main = f"{name}.py"
        files = {main: MODEL.format(name=name, title=title), f"test_{name}.py": TEST.format(name=name)}
    else:
        main, files = copied(source, name)
        files[f"test_{name}.py"] = COPY_TEST.format(file=main)
    for file, text in files.items():
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        with write_whole(path, replace=False) as sink:
            sink.write(text.encode())
    remember([folder.absolute()])
    needs = "" if find_spec("pytest") else "  (needs pytest: pip install pytest)"
    sys.stdout.write(
        f"made {folder}/{main} and its test\n  tickweave run {folder}/{main}\n  python -m pytest {folder}{needs}\n"
    )


def copied(source: str, name: str) -> tuple[str, dict[str, str]]:
    """Return the name of the file to run, and the texts of all files of a copy by name.

    Raises:
        ScenarioError: no scenario or domain has this name.
        ExitError: it is a package of several files.
    """
    path = file_of(source)
    if path is not None and path.suffix == ".toml":
        text = read_text(path)
        head = head_of(text, shown(source))
        named = re.sub(r"(?m)^name *=.*$", f'name = "{name}"', text, count=1)
        local = {each: read_text(path.parent / each) for each in python_files(dict(head))}
        return f"{name}.toml", {f"{name}.toml": named, **local}
    if path is None:
        kind = find_domain(source).kind
        path = Path(inspect.getfile(kind))
        others = [each for each in path.parent.rglob("*.py") if each.name != "__init__.py" and each != path]
        if others:
            raise usage(f"new: the domain {source} is a package of several files; copy one of its scenarios instead")
    return f"{name}.py", {f"{name}.py": read_text(path)}
