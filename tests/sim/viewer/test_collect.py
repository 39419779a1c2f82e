"""Frames: they hold what the world held, as differences, and nothing of them changes a run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from sim import Component, Domain, Simulation, f64, i64
from sim.replay import frames
from sim.replay.format import keys_of
from sim.replay.record import header_of
from sim.run.domains import available_domains, find_domain
from sim.run.plan_columns import PLANNING
from sim.viewer.collect import CELLS_MAX, Collector, numbers_of
from sim.viewer.page import recording
from sim.viewer.series import StringTable
from tests.support.recording import recorded as record

PLANS = [component.__name__ for component in PLANNING]


class Decoder:
    """Reads frames as the page does."""

    def __init__(self, about: dict[str, Any]) -> None:
        self.about = about
        self.values: list[dict[int, Any]] = [{} for _ in about["series"]]
        self.cells = [np.zeros(layer["width"] * layer["height"]) for layer in about["layers"]]
        self.alive: list[int] = []
        self.strings: list[str] = []

    def add(self, frame: dict[str, Any]) -> None:
        self.strings += frame.get("s", [])
        gone = np.cumsum(frame.get("d", [])).tolist()
        born = np.cumsum(frame.get("b", [])).tolist()
        self.alive = sorted({*self.alive, *born} - set(gone))
        for number, gaps, values, *absolute in frame.get("c", []):
            keys = self.alive if gaps is None else np.cumsum(gaps).tolist()
            known = self.values[number]
            for key, value in zip(keys, values, strict=True):
                known[key] = value if absolute else (known.get(key) or 0) + value
        for number, gaps, values, *absolute in frame.get("l", []):
            places = np.arange(len(values)) if gaps is None else np.cumsum(gaps)
            self.cells[number][places] = values if absolute else self.cells[number][places] + values

    def of(self, name: str) -> list[Any]:
        number = [series["name"] for series in self.about["series"]].index(name)
        return [self.values[number].get(key) for key in self.alive]


@pytest.mark.parametrize("name", available_domains())
def test_frames_hold_what_the_world_held(name: str, recorded: Callable[..., Path]) -> None:
    """Keys, every flat column, plans by tier, metrics and layers are those of the run, tick by tick."""
    replay = recorded({"tactics": "skirmish"}.get(name, name), "--ticks", "20", "--seed", "1")
    found = recording(replay)
    decoder = Decoder(found.about)
    decoder.add(found.frames[0])
    assert json.loads(json.dumps(found.data(), allow_nan=False)) == found.data()
    for frame, seen in zip(found.frames[1:], frames(replay), strict=True):
        decoder.add(frame)
        world, simulation = seen.world, seen.playback.simulation
        assert (frame["t"], decoder.alive) == (seen.tick, world.keys.tolist())
        for component in world.components:
            has = world.has(component).tolist()
            for spec in world.storage.table(component).schema.columns:
                if spec.shape or spec.is_text or component.__name__ in PLANS:
                    continue
                values = getattr(world[component], spec.name).tolist()
                assert decoder.of(spec.label) == [v if h else None for v, h in zip(values, has, strict=True)]
        planned = {tier: keys_of(runs).tolist() for tier, runs in frame.get("p", {}).items()}
        assert planned == {tier: keys_of(runs).tolist() for tier, runs in seen.record.planned.items()}
        now = {"agents": world.n, **(simulation.metrics() or simulation.scores())}
        assert frame["m"] == [pytest.approx(now[metric], rel=1e-5) for metric in found.about["metrics"]]
        for layer, cells in zip(simulation.portrayal.layers, decoder.cells, strict=True):
            resource, column = layer.values.split(".")
            assert cells.tolist() == world.resources[resource].columns()[column].ravel().tolist()


def test_memories_and_values_by_name_are_read(recorded: Callable[..., Path]) -> None:
    """A column for each name of a table has a series for each name; texts are texts and memories are lists."""
    replay = recorded("market", "--ticks", "20", "--seed", "1")
    found = recording(replay)
    decoder = Decoder(found.about)
    for frame in found.frames:
        decoder.add(frame)
    *_, last = frames(replay)
    villager: Any = next(each for each in last.world.components if each.__name__ == "Villager")
    assert decoder.of("Villager.stock.bread") == last.world[villager].stock[0].tolist()
    heard = [json.loads(decoder.strings[number]) for number in decoder.of("Villager.heard")]
    assert heard == [list(last.world.texts_of(last.world[villager].heard, row)) for row in range(last.world.n)]


def test_plans_of_models_come_with_what_they_came_from(modelled: Path) -> None:
    """Knowledge, prompt and reply are in the frames for plans of models; each text stands there once."""
    found = recording(modelled)
    strings = [text for frame in found.frames for text in frame.get("s", [])]
    assert len(strings) == len(set(strings))
    origins = [each for frame in found.frames for each in frame.get("o", {}).values()]
    assert origins
    assert {name for each in origins for name in each} == {"knowledge", "system", "user", "reply"}
    assert len({each["system"] for each in origins}) == 1


class Loose(Component):
    """Values that are not small integers."""

    share: f64
    large: i64


class Odd(Domain):
    """Values at the edge of what a browser takes."""

    components = (Loose,)

    def setup(self, world: Any, run: Any) -> None:
        world.spawn({Loose: {"share": [0.5, np.inf, -1e300], "large": [2**62, -(2**60), 7]}}, count=3)


def test_values_that_a_browser_cannot_hold_are_texts_or_nothing() -> None:
    """Infinity has no value, integers of more than 52 bits are texts, and the rest is as it is."""
    with Simulation(Odd()) as simulation:
        collector = Collector(simulation, header_of(simulation, ticks=1))
        frame = collector.start(simulation)
    decoder = Decoder(collector.about)
    json.dumps(frame, allow_nan=False)
    decoder.add(frame)
    assert decoder.of("Loose.large") == [str(2**62), str(-(2**60)), 7]
    assert decoder.of("Loose.share") == [0.5, None, -1e300]


def test_a_metric_that_fails_has_no_value() -> None:
    """A metric that raises, or is not finite, leaves a gap; one that returns an array is none of the curves."""

    class Sums(Odd):
        """Odd numbers have odd metrics."""

        metrics: ClassVar[dict[str, Any]] = {
            "broken": lambda world: 1 // 0,
            "endless": lambda world: np.inf,
            "several": lambda world: [1, 2],
            "fine": lambda world: 0.1234567,
        }

    with Simulation(Sums()) as simulation:
        assert numbers_of(simulation) == {"agents": 3, "broken": None, "endless": None, "fine": 0.123457}


def test_large_maps_are_thinned() -> None:
    """A layer of more cells than a page takes shows every second, third ... row and column."""
    with Simulation(find_domain("ecology").kind(width=700, height=600)) as simulation:
        collector = Collector(simulation, header_of(simulation, ticks=1))
        about = collector.about["layers"][0]
        assert about["width"] * about["height"] <= CELLS_MAX
        assert len(collector.start(simulation)["l"][0][2]) == about["width"] * about["height"]


def test_collecting_changes_nothing() -> None:
    """A run that is collected has the same roots as one that is not."""
    kind = find_domain("foraging").kind

    def roots(*, collected: bool) -> list[str]:
        with Simulation(kind(), seed=3) as simulation:
            collector = Collector(simulation, header_of(simulation, ticks=15)) if collected else None
            found = []
            for report in simulation.reports(15):
                found.append(report.digest.root)
                if collector is not None:
                    collector.start(simulation)
            return found

    assert roots(collected=True) == roots(collected=False)


def test_what_was_recorded_in_memory_can_be_collected() -> None:
    """The bytes of a replay are as good as its path."""
    found = recording(record(find_domain("epidemic").kind(agents=20), seed=1, ticks=3))
    assert [frame["t"] for frame in found.frames] == [-1, 0, 1, 2]


def test_texts_are_numbered_once() -> None:
    """A text keeps its number, and is given out as new once."""
    table = StringTable()
    assert [table("a"), table("b"), table("a")] == [0, 1, 0]
    assert table.take() == ["a", "b"]
    assert [table("b"), table("c")] == [1, 2]
    assert (table.take(), table.take()) == (["c"], [])
