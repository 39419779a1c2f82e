"""Looking into replays: what a tick shows, what became of a plan, and where two runs part."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from sim.cli import invoke
from sim.cli.common import OK
from sim.errors import ReplayError
from sim.replay import read
from sim.replay.diff import Difference, diff
from sim.replay.fork import Changes, fork
from sim.replay.replay_file import open_replay_file
from sim.replay.show import show_agent, show_tick
from tests.sim.replay.recordings import SCRIPT, TICKS, framed, model, record, rules, scenario


def shown(replay: bytes, tick: int, key: int | None = None) -> dict[str, Any]:
    with open_replay_file(replay) as file:
        return show_tick(file, tick) if key is None else show_agent(file, tick, key)


def parted(left: bytes, right: bytes) -> Difference | None:
    with open_replay_file(left) as one, open_replay_file(right) as two:
        return diff(one, two)


def test_tick_shows_what_its_record_and_its_run_have() -> None:
    """Inputs, refusals, plans by tier, failed attempts, outcome and root are the record's."""
    for tick, recorded in enumerate(read(framed()).ticks):
        found = shown(framed(), tick)
        assert (found["tick"], found["root"], found["agents"]) == (tick, recorded.root, recorded.agents)
        assert sum(len(keys) for keys in found["planned"].values()) == recorded.plans
        assert len(found["inputs"]) == len(recorded.inputs)
    assert shown(framed(), 3)["refused"][0]["why"] == "agent 99 is not in the world"
    assert [each["outcome"] for each in shown(framed(), 0)["attempts"]] == [
        each.outcome for each in read(framed()).ticks[0].attempts
    ]


def test_tick_shows_who_is_gone() -> None:
    """Agents that a tick took out of the world are named."""
    plan = scenario(inputs=[{"tick": 2, "input": {"kind": "remove", "agent": 4}}])
    assert shown(record(plan), 2)["gone"] == [4]


def test_agent_shows_prompt_and_reply_of_a_model() -> None:
    """Of a plan that a model made, what the agent knew, what the model was told, and what it said are shown."""
    key = int(next(iter(read(framed()).ticks[0].texts)))
    found = shown(framed(), 0, key)
    assert found["tier"] == "simplified_llm"
    assert found["reply"] == read(framed()).ticks[0].texts[str(key)]
    assert found["snapshot"]["me"]["id"] == key
    assert "Verbs:" in found["prompt"]["system"]
    assert found["planned_at"] == 0


def test_plan_is_followed_to_its_end() -> None:
    """Each step has the ticks in which it ran and what they changed; the end says how, and why if it was refused."""
    plan = SCRIPT[2]
    assert plan["steps"] == [{"act": "MoveTo", "x": 3, "y": 3}]
    found = shown(framed(), 3, 2)
    assert found["steps"][0]["act"] == "MoveTo"
    moved = [name for tick in found["steps"][0]["ticks"] for name in tick["changed"]]
    assert {"Position.x", "Position.y"} & set(moved)
    ends = [shown(framed(), tick, key)["ended"] for tick in range(0, TICKS, 3) for key in range(6)]
    whys = {end["why"] for end in ends if end is not None}
    assert whys & {"finished", "refused", "replaced by another plan"}
    assert all(end["refusal"] != "no" for end in ends if end is not None and end["why"] == "refused")


def test_an_agent_that_does_not_plan_is_shown_with_its_values(tmp_path: Path) -> None:
    """Its values after the tick, and what the tick changed of them."""
    target = tmp_path / "town.replay.jsonl"
    assert invoke(["run", "segregation", "--ticks", "2", "--quiet", "--out", str(target)]) == OK
    with open_replay_file(target) as file:
        found = [show_agent(file, 0, key) for key in range(50)]
    moved = [each for each in found if each["changed"]]
    assert moved
    for each in moved:
        assert set(each) == {"tick", "agent", "values", "changed"}
        for name, (old, new) in each["changed"].items():
            assert old != new == each["values"][name]


def test_values_are_shown_as_the_model_declares_them(tmp_path: Path) -> None:
    """Units instead of steps, values of a table by name, members of an enumeration by theirs, texts as they are."""
    model = tmp_path / "drinks.py"
    model.write_text(
        """from enum import IntEnum
from sim import Component, Domain, System, column, i32
class Mood(IntEnum):
    CALM = 0
    MERRY = 1
class Guest(Component):
    mood: Mood
    money: float = column(scale=100, default=2.5)
    drinks: i32 = column(per="kinds")
    heard: tuple[str, ...] = column(limit=3)
class Serve(System):
    def process(self, world, run):
        world[Guest].mood[:] = Mood.MERRY
        world[Guest].money -= 125
        world[Guest].drinks[1] += 1
        world.remember(world[Guest].heard, slice(None), world.texts.intern("cheers"))
class Bar(Domain):
    components, systems, tables = (Guest,), (Serve,), {"kinds": ("tea", "wine")}
    def setup(self, world, run):
        world.spawn({Guest: {}}, count=2)
"""
    )
    target = tmp_path / "bar.replay.jsonl"
    assert invoke(["run", str(model), "--ticks", "1", "--quiet", "--out", str(target)]) == OK
    with open_replay_file(target, [model]) as file:
        found = show_agent(file, 0, 1)
    assert found["values"] == {
        "Guest.mood": "merry",
        "Guest.money": 1.25,
        "Guest.drinks": {"tea": 0, "wine": 1},
        "Guest.heard": ["cheers"],
    }
    assert found["changed"]["Guest.money"] == [2.5, 1.25]
    assert found["changed"]["Guest.mood"] == ["calm", "merry"]


def test_running_plan_is_shown_from_the_tick_it_was_made_in() -> None:
    """Any tick of a plan shows the same plan; an agent that is not there is refused."""
    first = shown(framed(), 0, 2)
    last = first["steps"][-1]["ticks"][-1]["tick"]
    for tick in range(last):
        later = shown(framed(), tick, 2)
        assert later == {**first, "tick": tick, "values": later["values"]}
    with pytest.raises(ReplayError, match="no agent 99"):
        shown(framed(), 3, 99)


def test_equal_runs_have_no_difference() -> None:
    """A replay, its packed or torn self up to the tear, and a fork without a change are the same run."""
    assert parted(rules(), rules()) is None
    sink = io.BytesIO()
    with open_replay_file(framed()) as file:
        list(fork(file, 5, sink))
    assert parted(framed(), sink.getvalue()) is None
    shorter = b"".join(framed().splitlines(keepends=True)[:8])
    found = parted(framed(), shorter)
    assert found is not None
    assert (found.where, found.names) == ("length", {"ticks": (TICKS, 6)})


def test_runs_that_part_are_named_with_values() -> None:
    """At detail `hash` too, the tick, the record's keys and every value that differs are named."""
    sink = io.BytesIO()
    with open_replay_file(framed()) as file:
        list(fork(file, 6, sink, changes=Changes(tiers=("emergency",))))
    found = parted(framed(), sink.getvalue())
    assert found is not None
    assert (found.where, found.tick) == ("tick", 6)
    assert "root" in found.names
    assert next(iter(found.names)) in ("known", "planned", "attempts")
    assert found.values
    with open_replay_file(framed()) as one, open_replay_file(sink.getvalue()) as two, one.at(7) as a, two.at(7) as b:
        for value in found.values:
            sides = [playback.simulation.world for playback in (a, b)]
            kind = next(kind for kind in sides[0].components if kind.__name__ == value.component)
            there = [world.entity(value.key)[kind] for world in sides]
            if value.component == "Progress":
                assert [getattr(row, value.field) for row in there] == [value.left, value.right]


def test_other_scenarios_part_in_their_headers() -> None:
    """Runs of other scenarios or seeds are not compared tick by tick."""
    found = parted(rules(), record(scenario(seed=2)))
    assert found is not None
    assert found.where == "header"
    assert {"seed", "run"} <= found.names.keys()
    assert parted(rules(), model()) is not None
