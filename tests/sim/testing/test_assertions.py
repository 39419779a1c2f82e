"""What `sim.testing` says about a user's systems and scenarios: nothing where all is well, else one sentence."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import zlib
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar

import pytest

from scenarios.tactics.components import Health, Morale, Stamina
from scenarios.tactics.testing.flat import flat, flattened
from sim.engine.columns import Component, i32
from sim.engine.rng import purpose
from sim.engine.system import System
from sim.engine.world import World
from sim.run.plugins import Plugin, from_file
from sim.run.scenario_file import available, load
from sim.testing import assert_deterministic, check_scenario, check_system

MUTANTS = Path(__file__).parents[2] / "mutants"
BASE_LINE: list[int] = []


class Mood(Component):
    """What the systems here write to."""

    value: i32


class Fatigue(System):
    """Every tick one agent in ten loses all its stamina."""

    writes: ClassVar[tuple[type, ...]] = (Stamina,)

    def process(self, world: World, run: Any) -> None:
        drawn = run.rng.below(world.keys, run.tick, purpose("test"), 10)
        world[Stamina].value[drawn == 0] = 0


class Counting(System):
    """Counts in an attribute."""

    writes: ClassVar[tuple[type, ...]] = (Mood,)

    def __init__(self) -> None:
        self.ticks = 0

    def process(self, world: World, run: Any) -> None:
        self.ticks += 1
        world[Mood].value[:] = self.ticks


class Hurried(Counting):
    """Reads the clock."""

    def process(self, world: World, run: Any) -> None:
        world[Mood].value[:] = time.time_ns() % 7


class Crowded(Counting):
    """Lets the number of all agents into everyone's state."""

    def process(self, world: World, run: Any) -> None:
        world[Mood].value[:] = world.n


class Ranked(Counting):
    """Notes esper's ids, which are given in the order of creation."""

    def process(self, world: World, run: Any) -> None:
        world[Mood].value[:] = [world._mirror._ids[key] for key in world.keys.tolist()]


class Undeclared(Counting):
    """Writes what it does not declare."""

    def process(self, world: World, run: Any) -> None:
        world[Morale].value[:] = 1 + run.tick


class Peeking(Counting):
    """Reads what it does not declare."""

    def process(self, world: World, run: Any) -> None:
        world[Mood].value[:] = world[Health].hp + run.tick


class Peering(Counting):
    """Reads one agent's component, which it does not declare."""

    def process(self, world: World, run: Any) -> None:
        world[Mood].value[:] = world.entity(int(world.keys[0]))[Health].hp + run.tick


class Idle(Counting):
    """Declares what it never writes."""

    def process(self, world: World, run: Any) -> None:
        """Do nothing."""


def test_a_sound_system_passes() -> None:
    """A system that draws by key and writes what it declares gets no complaint."""
    check_system(Fatigue, scenario=load("skirmish"), ticks=5, processes=False)


class Aging(System):
    """Counts the ticks that an agent has lived, in a domain that knows nothing but agents."""

    reads = (Mood,)
    writes = (Mood,)

    def process(self, world: World, run: Any) -> None:
        world[Mood].value[:] += 1


class Remembering(Aging):
    """Keeps a base line in the module."""

    def process(self, world: World, run: Any) -> None:
        if run.tick == 0:
            BASE_LINE[:] = [7]
        world[Mood].value[:] = run.tick + sum(BASE_LINE)


class Way(Enum):
    """Members are hashed by their names."""

    NORTH, EAST, SOUTH, WEST = range(4)


class Sets(Aging):
    """Goes through a set of members of an enumeration."""

    def process(self, world: World, run: Any) -> None:
        world[Mood].value[:] = next(way.value for way in set(Way))


class Weather(Aging):
    """Reads a variable of the environment."""

    def process(self, world: World, run: Any) -> None:
        world[Mood].value[:] = run.tick + int(os.environ.get("TICKWEAVE_TEST_WEATHER", "0"))


class Relative(Aging):
    """Looks for a file by a relative path."""

    def process(self, world: World, run: Any) -> None:
        world[Mood].value[:] = run.tick + Path("pyproject.toml").exists()


class Folder(Aging):
    """Depends on the working folder."""

    def process(self, world: World, run: Any) -> None:
        world[Mood].value[:] = zlib.crc32(str(Path.cwd()).encode()) % 1_000_000


def test_a_system_is_checked_without_a_scenario() -> None:
    """By default there are agents that have the components given, and nothing of any domain."""
    check_system(Aging, components=(Mood,), ticks=4)


@pytest.mark.parametrize(
    ("system", "sentence"),
    [
        (Remembering, r"check 'resume' .*Mood\.value.*look at: what earlier ticks left in a module"),
        (Sets, r"check 'hash seed' .*Mood\.value"),
        (Weather, r"check 'surroundings' .*test_assertions\.py, line .*'TICKWEAVE_TEST_WEATHER'"),
        (Relative, r"check 'guard' .*exists\(\).*the type DataFile"),
        (Folder, r"check 'surroundings' .*a relative path"),
    ],
)
def test_what_another_process_shows_is_said(
    system: type[System], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """State in a module, orders of sets and what is read from outside are found, each by the check that can know it."""
    monkeypatch.chdir(Path(__file__).parents[3])
    with pytest.raises(AssertionError, match=sentence):
        check_system(system, components=(Mood,), ticks=4)


def test_a_system_of_a_plug_in_is_checked_in_its_own_scenario(tmp_path: Path) -> None:
    """It is not run twice, whether it comes from the file that the scenario names or from another load of it."""
    (tmp_path / "rules.py").write_text((MUTANTS / "planted" / "hidden_state.py").read_text())
    text = (MUTANTS / "arena.toml").read_text().replace("ticks = 24", 'ticks = 24\nplugins = ["rules.py"]')
    (tmp_path / "ill.toml").write_text(text)
    bug = from_file(tmp_path / "rules.py").systems[0]
    with pytest.raises(AssertionError, match=r"system 'bug' .*check 'restore'"):
        check_system(bug, scenario=load(tmp_path / "ill.toml"), ticks=5)


@pytest.mark.parametrize(
    ("system", "sentence"),
    [
        (
            Counting,
            r"system 'counting' is not deterministic; check 'restore' .*Mood\.value, agent 0.*: state in no",
        ),
        (Hurried, r"system 'hurried' is not deterministic; check 'guard' .*system 'hurried' called time\.time_ns\(\)"),
        (Crowded, r"system 'crowded' is not deterministic; check 'bystanders' .*Mood\.value.*look at: a count"),
        (Ranked, r"system 'ranked' is not deterministic; check '(restore|spawning)' .*Mood\.value"),
        (Undeclared, r"system 'undeclared' writes Morale in tick 0; name it in `writes`"),
        (Peeking, r"system 'peeking' reads Health in tick 0; name it in `reads`"),
        (Peering, r"system 'peering' reads Health in tick 0; name it in `reads`"),
        (Idle, r"system 'idle' declares writes and changed nothing in 5 ticks of 'skirmish'; give a scenario"),
    ],
)
def test_what_is_wrong_with_a_system_is_said(
    system: type[System], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sentence names the system, the check, the field or the component, and where to look."""
    monkeypatch.setitem(World.__init__.__kwdefaults__, "esper_entities", True)  # type: ignore[arg-type]
    with pytest.raises(AssertionError, match=sentence):
        check_system(system, components=(Mood,), scenario=load("skirmish"), ticks=5, processes=False)


def test_a_scenario_file_is_asserted_with_its_plug_ins(tmp_path: Path) -> None:
    """A path is enough: the plug-in stands beside the file, and other processes find it too."""
    (tmp_path / "rules.py").write_text((MUTANTS / "planted" / "set_of_text.py").read_text())
    text = (MUTANTS / "arena.toml").read_text().replace("ticks = 24", 'ticks = 24\nplugins = ["rules.py"]')
    (tmp_path / "ill.toml").write_text(text)
    with pytest.raises(AssertionError, match=r"scenario 'arena' is not deterministic; check 'hash seed' .*Mood\.value"):
        assert_deterministic(tmp_path / "ill.toml", ticks=4, checks=["hash seed"])


def test_plug_ins_that_are_no_files_stay_in_this_process() -> None:
    """Checks that need another process are left out instead of failing."""
    scenario = load("skirmish").replaced(plugins=["mine.py"])
    plugins = [Plugin("mine.py", "", systems=(Fatigue,))]
    assert_deterministic(scenario, plugins=plugins, ticks=2, checks=["rerun", "hash seed"])


def test_an_unknown_check_is_told() -> None:
    """The sentence has the name that was meant."""
    with pytest.raises(ValueError, match="no check 'restor'; did you mean 'restore'"):
        assert_deterministic("skirmish", checks=["restor"])


@pytest.mark.parametrize("name", [name for name, plan in available() if plan.agents < 100])
def test_shipped_scenarios_can_be_played(name: str) -> None:
    """They run, their inputs have an effect, and nobody is left to the emergency tier."""
    check_scenario(name, ticks=30)


def test_an_input_without_effect_is_told() -> None:
    """The sentence has the tick, the input and the reason."""
    data = flattened(load("skirmish"))
    data["inputs"] = [{"tick": 3, "input": {"kind": "remove", "agent": 7000}}]
    with pytest.raises(AssertionError, match=r"scenario 'skirmish', tick 3: input Remove\(.*7000\) has no effect: "):
        check_scenario(flat(data), ticks=5)


def test_a_tier_that_leaves_agents_to_the_emergency_tier_is_told() -> None:
    """The tiers that had no plan are named, with how many agents."""
    data = flattened(load("skirmish"))
    data["planning"]["tiers"] = ["simplified_llm", "emergency"]
    with pytest.raises(AssertionError, match=r"tick 0: \d+ agents got no legal plan from simplified_llm"):
        check_scenario(flat(data), ticks=5)


def test_hypothesis_is_imported_only_when_it_is_used() -> None:
    """The checkers come without it; the first strategy brings it in."""
    program = (
        "import sys; from sim.testing import check_system; assert 'hypothesis' not in sys.modules; "
        "from sim.testing import faults; assert 'hypothesis' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)


def test_a_script_that_is_imported_again_starts_no_checks_again(tmp_path: Path) -> None:
    """Another process imports the script of a class; checks at its top level do not start processes without end."""
    script = tmp_path / "script.py"
    script.write_text(
        "from sim import System\nfrom sim.testing import check_system\n"
        "class Nothing(System):\n    def process(self, world, run): pass\n"
        "check_system(Nothing, ticks=2)\n"
    )
    subprocess.run([sys.executable, "-P", script], check=True, timeout=120, capture_output=True)
