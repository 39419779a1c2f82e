"""Tables of a run: what they hold is what the run was, live or from a replay, and other tools read it."""

from __future__ import annotations

import gc
import json
import sys
from enum import IntEnum
from pathlib import Path
from typing import Any, ClassVar

import duckdb
import numpy as np
import pandas as pd
import pytest

from sim import Component, Domain, Simulation, System, column, i32, load
from sim.replay import read
from sim.replay.replay_file import open_replay_file
from sim.replay.show import show_agent, show_tick
from sim.tables import NAMES, collected, export
from sim.tables.columns import SPREAD_MAX
from sim.tables.export import DESCRIPTION
from tests.sim.replay.recordings import TICKS, model

ROOT = Path(__file__).parents[3]


class Mood(IntEnum):
    CALM = 0
    LOUD = 5


class Bird(Component):
    height: float = column(scale=10, unit="m", default=1.5)
    mood: Mood
    song: str
    heard: tuple[str, ...] = column(limit=2)
    seeds: i32 = column(per="kinds", default=3)
    map: i32 = column(shape=(SPREAD_MAX + 1,), default=7)


class Nest(Component):
    eggs: i32 = column(default=2)


class Sing(System):
    """Reads and writes Bird."""

    def process(self, world: Any, run: Any) -> None:
        bird = world[Bird]
        bird.height += 5
        bird.mood[0] = Mood.LOUD
        world.remember(bird.heard, np.array([0]), [world.texts.intern(f"song {run.tick}")])
        if run.tick == 1:
            world.kill(np.array([1]))


class Birds(Domain):
    """A world without a place, health, teams or plans."""

    components, systems, tables = (Bird, Nest), (Sing,), {"kinds": ("oat", "rye")}
    metrics: ClassVar[Any] = {
        "height": lambda world: float(world[Bird].height.mean()),
        "seeds": lambda world: world[Bird].seeds.sum(1),
    }

    def setup(self, world: Any, run: Any) -> None:
        world.spawn({Bird: {"song": "tuit"}, Nest: {}}, count=1)
        world.spawn({Bird: {}}, count=2)


def test_every_kind_of_column_is_readable() -> None:
    """Fixed point, enumerations, texts, memories, names and long arrays come as people read them, or not at all."""
    with Simulation(Birds(), seed=1) as simulation:
        data = simulation.collect(3, metrics={"n": lambda world: world.n})
    agents = data.agents
    assert list(agents["tick"]) == [0, 0, 0, 1, 1, 2, 2]
    assert list(agents["key"]) == [0, 1, 2, 0, 2, 0, 2]
    first = agents.iloc[0]
    assert (first["Bird.height"], first["Bird.mood"], first["Bird.song"]) == (2.0, "loud", "tuit")
    assert list(agents.iloc[5]["Bird.heard"]) == ["song 1", "song 2"]
    assert (first["Bird.seeds.oat"], first["Bird.seeds.rye"]) == (3, 3)
    assert list(first["Bird.map"]) == [7] * (SPREAD_MAX + 1)
    assert agents["Nest.eggs"].isna().tolist() == [key != 0 for key in agents["key"]]
    metrics = data.metrics
    assert metrics["n"].tolist() == [3, 2, 2]
    assert metrics["height"].tolist() == [20.0, 25.0, 30.0]
    assert [list(each) for each in metrics["seeds"]] == [[9, 9], [6, 6], [6, 6]]
    assert data.arrow("agents").schema.field("Bird.height").metadata == {b"unit": b"m"}
    assert len(data.plans) == 0
    assert "agents: 7 rows" in repr(data)


def test_tables_of_a_replay_are_those_of_the_run() -> None:
    """A replay gives the tables of the live run, model gone, and they say what `show` says."""
    source = model()
    data = collected(source)
    replay = read(source)
    assert data.metrics["tick"].tolist() == list(range(TICKS))
    with open_replay_file(source) as file:
        for tick in (0, 5, TICKS - 1):
            planned = show_tick(file, tick)["planned"]
            rows = data.plans[data.plans["tick"] == tick]
            assert {tier: group["key"].tolist() for tier, group in rows.groupby("tier")} == planned
            inputs = data.inputs[data.inputs["tick"] == tick]
            assert [json.loads(each) for each in inputs["input"]] == show_tick(file, tick)["inputs"]
        shown = show_agent(file, 3, 2)["values"]
        row = data.agents[(data.agents["tick"] == 3) & (data.agents["key"] == 2)].iloc[0]
        assert shown
        compared = [
            name for name in shown if name in row and isinstance(shown[name], int) and not isinstance(row[name], str)
        ]
        assert len(compared) > 5
        assert {name: int(row[name]) for name in compared} == {name: shown[name] for name in compared}
    calls = data.calls
    assert len(calls) == sum(len(tick.shards) for tick in replay.ticks) > 0
    assert data.plans["reply"].notna().sum() == sum(len(tick.texts) for tick in replay.ticks) > 0
    assert set(data.attempts["outcome"]) >= {"invalid", "missing"}
    assert data.inputs["refused"].notna().sum() == sum(len(tick.refused) for tick in replay.ticks) > 0
    pd.testing.assert_frame_equal(replay.to_pandas("metrics"), data.metrics)
    with Simulation(load("market"), seed=3) as live:
        ran = live.collect(6)
    with Simulation(load("market"), seed=3) as again:
        assert again.collect(6, every=2, tables=("agents",)).agents["tick"].unique().tolist() == [0, 2, 4]
    assert len(ran.plans) > 0
    assert not len(ran.attempts)  # without a model, its tiers are not tried


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_an_export_that_is_stopped_leaves_nothing(form: Any, tmp_path: Path) -> None:
    """Ctrl-C in the middle: no file, and no complaint of the library that writes them."""

    def stop(done: int, planned: int) -> None:
        if done > TICKS // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(model(), tmp_path, form=form, progress=stop)
    gc.collect()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_other_tools_read_an_export(form: Any, tmp_path: Path) -> None:
    """DuckDB and pandas read what was written, with the same rows; one file says units and version."""
    source = model()
    made = export(source, tmp_path, form=form, more={"alive": lambda world: world.n})
    data = collected(source, metrics={"alive": lambda world: world.n})
    about = json.loads((tmp_path / DESCRIPTION).read_text())
    assert about["tickweave_tables"] == 1
    assert set(about["tables"]) == set(NAMES) == set(made.rows)
    for name in NAMES:
        file = tmp_path / f"{name}.{form}"
        whole = data.arrow(name)
        assert made.rows[name] == whole.num_rows
        back = pd.read_parquet(file) if form == "parquet" else pd.read_csv(file)
        assert (len(back), list(back.columns)) == (whole.num_rows, whole.column_names)
        reader = "read_parquet" if form == "parquet" else "read_csv"
        assert duckdb.sql(f"select count(*) from {reader}('{file}')").fetchall() == [(whole.num_rows,)]
    kept = duckdb.sql(f"select sum(alive), max(tick) from '{tmp_path}/metrics.{form}'").fetchall()
    assert kept == [(int(data.metrics["alive"].sum()), TICKS - 1)]


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_an_export_that_fails_leaves_nothing_behind(form: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither files, nor a writer that its library closes later and complains about on stderr."""
    complaints: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", complaints.append)

    def fails(world: Any) -> int:
        return 1 // (world.tick - 4)

    with pytest.raises(ZeroDivisionError):
        export(model(), tmp_path, form=form, more={"fails": fails})
    gc.collect()
    assert not complaints
    assert not list(tmp_path.iterdir())
