"""Sweeps: every cell is what running it alone gives, wherever it ran and however often the sweep was stopped."""

from __future__ import annotations

import gc
import io
import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ai.fake.server import FakeSettings, serving
from ai.llm.price import price_of
from sim import Simulation, load, verify
from sim.cli import invoke
from sim.cli.common import OK
from sim.errors import ScenarioError
from sim.replay import read
from sim.run.choices import with_tiers, with_values
from sim.sweep import Results, seeds_of, sweep
from sim.sweep.cell import FAILED, Job, run_cell
from sim.sweep.results import RESULTS, TABLE
from sim.sweep.run import MANIFEST, RUNNING, read_results, run_sweep
from sim.sweep.spec import sweep_of
from tests.support.optional import needs

ROOT = Path(__file__).parents[3]
WEALTH = ROOT / "tests" / "models" / "wealth.py"
WAIT_S = 120.0
PLAN = """
scenario = "market"
ticks = 8
seeds = "3:8"
[grid]
agents = [4, 8]
"planning.ttl_s" = [2, 20]
[planners]
rules = "heuristic"
idle = "emergency"
"""
CELLS = 40


def open_files() -> int:
    """Return how many files this process has open for raw writing."""
    return sum(isinstance(each, io.FileIO) and not each.closed and each.mode == "wb" for each in gc.get_objects())


def started(folder: Path, out: str, *words: str) -> subprocess.Popen[str]:
    """Start a sweep as a process of its own, which hands cells to others from the second one on."""
    code = "from sim.run import workers as w; w.PAYS_S = w.START_S = w.SHARE = 0.0; from sim.cli import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", code, "sweep", "plan.toml", "--out", out, *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
    )


def rows_written(folder: Path) -> int:
    return sum(file.read_bytes().count(b"\n") for file in (folder / RESULTS).glob("*.jsonl"))


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Return the sweep run in this process, one cell after the other."""
    return sweep(
        "market",
        seeds="3:8",
        ticks=8,
        grid={"agents": [4, 8], "planning.ttl_s": [2, 20]},
        planners={"rules": "heuristic", "idle": "emergency"},
        out=tmp_path_factory.mktemp("serial"),
    )


def test_every_cell_is_the_run_that_it_says(reference: Results) -> None:
    """A row has the settings of its cell, and the values that this run alone comes to."""
    assert len(reference.rows) == CELLS
    assert [row["cell"] for row in reference.rows] == list(range(CELLS))
    assert not reference.failed
    assert len({(row["agents"], row["planning.ttl_s"], row["planner"], row["seed"]) for row in reference.rows}) == CELLS
    for row in reference.rows[::7]:
        plan = with_values(load("market"), {"agents": row["agents"], "planning.ttl_s": row["planning.ttl_s"]})
        tiers = {"rules": ["heuristic", "emergency"], "idle": ["emergency"]}[row["planner"]]
        with Simulation(with_tiers(plan, tiers), seed=row["seed"]) as alone:
            root = [report.digest.root for report in alone.reports(8)][-1]
            metrics = alone.metrics()
        assert (row["root"], row["alive"], row["ticks"]) == (root, row["agents"], 8)
        assert {name: row[name] for name in metrics} == pytest.approx(metrics)


@pytest.mark.usefixtures("processes_pay")
def test_any_executor_gives_the_same_table(reference: Results, tmp_path: Path) -> None:
    """Processes, and any executor of the form of concurrent.futures, give the serial table, byte for byte."""
    arguments: dict[str, Any] = {
        "seeds": "3:8",
        "ticks": 8,
        "grid": {"agents": [4, 8], "planning.ttl_s": [2, 20]},
        "planners": {"rules": "heuristic", "idle": "emergency"},
    }
    told: list[tuple[int, int]] = []
    processes = sweep("market", **arguments, jobs=2, out=tmp_path / "a", progress=lambda *done: told.append(done))
    assert processes.csv() == reference.csv() == (tmp_path / "a" / TABLE).read_text()
    assert told == [(done, CELLS) for done in range(CELLS + 1)]
    assert len(list((tmp_path / "a" / RESULTS).iterdir())) <= 3  # of this process and of two others
    before = open_files()
    with ThreadPoolExecutor(1) as pool:
        assert sweep("market", **arguments, jobs=1, out=tmp_path / "b", executor=pool).csv() == reference.csv()
    assert open_files() == before
    assert sweep("market", **arguments).csv() == reference.csv()


@pytest.mark.parametrize(
    "words",
    [("--jobs", "2"), pytest.param(("--jobs", "2", "--executor", "ray"), marks=needs("ray"))],
)
def test_a_sweep_killed_twice_gives_the_same_table(reference: Results, tmp_path: Path, words: tuple[str, ...]) -> None:
    """40 cells, killed twice in the middle and gone on with, come to the table of a sweep that nobody stopped."""
    (tmp_path / "plan.toml").write_text(PLAN)
    out = tmp_path / "out"
    seen = 0
    for least in (3, 12):
        process = started(tmp_path, "out", *words)
        give_up = time.monotonic() + WAIT_S
        while rows_written(out) < max(least, seen + 1) and time.monotonic() < give_up and process.poll() is None:
            time.sleep(0.01)
        workers = children_of(process.pid)
        process.kill()
        process.communicate()
        while any(map(alive, workers)) and time.monotonic() < give_up:
            time.sleep(0.02)
        assert not [worker for worker in workers if alive(worker)], "a killed sweep leaves processes behind"
        seen = rows_written(out)
    assert 3 <= seen < CELLS, "the sweep was not killed in the middle"
    torn = next((out / RESULTS).glob("*.jsonl"))
    torn.write_bytes(torn.read_bytes() + b'{"cell": 39, "seed"')
    last = started(tmp_path, "out", *words)
    said, errors = last.communicate(timeout=WAIT_S)
    assert last.returncode == 0, errors
    assert f"{CELLS} cells, 0 failed" in said
    assert (out / TABLE).read_text() == reference.csv()
    assert rows_written(out) < CELLS + 12, "cells that were done ran again"


def children_of(pid: int) -> list[int]:
    """Return the processes that a process has started, and those that they have, where the system says it."""
    file = Path(f"/proc/{pid}/task/{pid}/children")
    found = [int(each) for each in file.read_text().split()] if file.exists() else []
    return found + [other for each in found for other in children_of(each)]


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):  # it ended before the file was opened, or while it was read
        return False
    return state != "Z"


def test_a_failed_cell_is_a_row(tmp_path: Path) -> None:
    """A cell that cannot run says why in its row; the others are there; `retry` runs it again."""
    results = sweep("market", seeds=2, ticks=3, cases=[{"agents": 4}, {"agents": 0}], out=tmp_path)
    assert [row["status"] for row in results.rows] == ["done", "done", FAILED, FAILED]
    assert "greater than or equal to 1" in results.failed[0]["error"]
    assert results.failed[0]["agents"] == 0
    assert [runs for _, runs, _ in results.summary()] == [2]
    before = len(list((tmp_path / RESULTS).iterdir()))
    assert sweep("market", seeds=2, ticks=3, cases=[{"agents": 4}, {"agents": 0}], out=tmp_path).csv() == results.csv()
    assert len(list((tmp_path / RESULTS).iterdir())) == before
    with pytest.raises(ScenarioError, match="did you mean 'agents'"):
        sweep("market", seeds=2, grid={"agnts": [3, 4]}, out=tmp_path / "other")


@pytest.fixture
def deadly(tmp_path: Path) -> Path:
    """Return a model that kills its process in the run with seed 2."""
    first = "        coins = world[Money].coins\n        givers"
    end = "        if self_destruct(run):\n            import os\n            os._exit(7)\n"
    model = WEALTH.read_text().replace(first, end + first)
    model = model.replace(
        "class Trade", "def self_destruct(run):\n    return run.seed == 2 and run.tick == 1\n\n\nclass Trade"
    )
    file = tmp_path / "deadly.py"
    file.write_text(model)
    return file


@pytest.mark.usefixtures("processes_pay")
def test_a_process_that_ends_is_a_row(deadly: Path, tmp_path: Path) -> None:
    """A model that kills its process fails its own cell; the other cells are run."""
    results = sweep(deadly, seeds=4, ticks=4, jobs=2, out=tmp_path / "out")
    assert [row["status"] for row in results.rows] == ["done", "done", FAILED, "done"]
    assert "the process that ran it ended" in results.failed[0]["error"]


def test_a_cell_that_ends_the_command_does_so_once(deadly: Path, tmp_path: Path) -> None:
    """The next command runs that cell in another process: it is a row then, and the other cells are run."""
    out = tmp_path / "out"
    code = f"from sim.sweep import sweep; sweep({str(deadly)!r}, seeds=4, ticks=4, out={str(out)!r})"
    for command, rows in ((7, 2), (0, 4)):
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, check=False, timeout=WAIT_S, capture_output=True, text=True
        )
        assert done.returncode == command, done.stderr
        assert rows_written(out) == rows
    results = read_results(out)
    assert [row["status"] for row in results.rows] == ["done", "done", FAILED, "done"]
    assert "the process that ran it ended" in results.failed[0]["error"]
    assert not (out / RUNNING).exists()


def test_a_link_in_the_place_of_the_running_cells_is_not_followed(tmp_path: Path) -> None:
    """A file elsewhere keeps its content, whatever link a stranger's folder has, and its content starts nothing."""
    elsewhere, out = tmp_path / "notes.txt", tmp_path / "out"
    elsewhere.write_text("[[[[")
    sweep("market", seeds=2, ticks=2, out=out)
    for file in (out / RESULTS).iterdir():
        file.unlink()
    (out / RUNNING).symlink_to(elsewhere)
    assert [row["status"] for row in sweep("market", seeds=2, ticks=2, out=out).rows] == ["done", "done"]
    assert elsewhere.read_text() == "[[[["


def test_another_sweep_in_the_folder_is_refused(tmp_path: Path) -> None:
    """A folder keeps one sweep: other settings, another scenario or other code of the domain do not mix."""
    (tmp_path / "wealth.py").write_text(WEALTH.read_text())
    run = {"ticks": 2, "out": tmp_path / "out"}
    sweep(tmp_path / "wealth.py", seeds=2, **run)
    manifest = json.loads((tmp_path / "out" / MANIFEST).read_text())
    assert manifest["cells"] == 2
    assert {"scenario", "source", "tickweave", "environment", "seeds"} <= manifest.keys()
    with pytest.raises(ScenarioError, match="another sweep"):
        sweep(tmp_path / "wealth.py", seeds=3, **run)
    (tmp_path / "wealth.py").write_text(WEALTH.read_text() + "\n# changed\n")
    with pytest.raises(ScenarioError, match="other code of the domain"):
        sweep(tmp_path / "wealth.py", seeds=2, **run)
    (tmp_path / "out" / MANIFEST).write_text("{")
    with pytest.raises(ScenarioError, match="is not the manifest"):
        sweep(tmp_path / "wealth.py", seeds=2, **run)


def test_a_cell_leaves_a_replay(tmp_path: Path) -> None:
    """Kept replays verify, and end in the root that the table has."""
    results = sweep("market", seeds=2, ticks=4, out=tmp_path, keep_replays=True)
    for row in results.rows:
        replay = tmp_path / "replays" / f"cell-{row['cell']:06d}.replay.jsonl"
        verdict = verify(replay)
        assert (verdict.verdict, verdict.ticks) == ("match", 4)
        assert row["root"] in replay.read_text()


@pytest.mark.parametrize("given", ["", "x", "1:1", "5:1", "1,1", "-1", "0:9999999", 0, [], [-1], "9" * 40])
def test_seeds_that_are_none_are_refused(given: Any) -> None:
    """Seeds are a number of them, a list or a range, each once and in range."""
    with pytest.raises(ScenarioError, match=r"seed"):
        seeds_of(given)


def test_ctrl_c_keeps_what_is_done(tmp_path: Path) -> None:
    """Ctrl-C ends a sweep between cells with 130, and says how to go on."""
    (tmp_path / "plan.toml").write_text(PLAN.replace("ticks = 8", "ticks = 300"))
    process = started(tmp_path, "out")
    give_up = time.monotonic() + WAIT_S
    while rows_written(tmp_path / "out") < 1 and time.monotonic() < give_up:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=WAIT_S)
    assert process.returncode == 130
    assert "the same command continues" in errors
    assert (tmp_path / "out" / TABLE).exists()


def test_cells_with_a_model_share_its_server(tmp_path: Path) -> None:
    """Cells with a model count tokens, their replays verify alone, and large calls cost fewer tokens a plan."""
    tokens = {}
    with serving(FakeSettings(slots=4)) as fake:
        for prefer in ("cost", "balanced"):
            spec = f"openai:fake@{fake.openai_url}"
            models = ["none", spec]
            plan = sweep_of({"scenario": "market", "ticks": 6, "seeds": 2, "models": models, "prefer": prefer})
            results = run_sweep(plan, tmp_path, tmp_path / prefer, keep_replays=True)
            assert not results.failed
            assert [row["model"] for row in results.rows] == ["none", "none", spec, spec]
            assert [row["calls"] for row in results.rows[:2]] == [0, 0]
            planned = 0
            for row in results.rows[2:]:
                replay = tmp_path / prefer / "replays" / f"cell-{row['cell']:06d}.replay.jsonl"
                assert verify(replay).verdict == "match"
                planned += sum(len(tick.texts) for tick in read(replay).ticks)
                assert row["calls"] > 0
            tokens[prefer] = sum(row["prompt_tokens"] for row in results.rows[2:]) / planned
    assert tokens["cost"] < tokens["balanced"]


def test_tokens_and_cost_stand_in_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A cell's cost is that of its tokens where the price is known, and empty where it is not; groups have sums."""
    price = price_of("openai:gpt-4o-mini")
    assert price is not None
    with serving(FakeSettings(slots=4)) as one, serving(FakeSettings(slots=4)) as two:
        specs = [f"openai:fake@{fake.openai_url}" for fake in (one, two)]
        monkeypatch.setattr("ai.llm.price.price_of", lambda spec: price if spec == specs[0] else None)
        (tmp_path / "s.toml").write_text(
            f'scenario = "market"\nticks = 4\nseeds = 2\nmodels = {["none", *specs]}\n[settings]\nagents = 4\n'
        )
        assert invoke(["sweep", str(tmp_path / "s.toml"), "--out", str(tmp_path / "out"), "--json"]) == OK
    groups = json.loads(capsys.readouterr().out)["groups"]
    rows = read_results(tmp_path / "out").rows
    for row in rows:
        known = row["model"] == specs[0]
        assert row["cost"] == (price.of(row["prompt_tokens"], row["completion_tokens"]) if known else None)
    assert [(group["tokens"] > 0, group["cost"] is None) for group in groups] == [
        (False, False), (True, False), (True, True),
    ]  # fmt: skip
    assert groups[1]["cost"] == pytest.approx(sum(row["cost"] for row in rows[2:4]))
    assert invoke(["sweep", str(tmp_path / "s.toml"), "--out", str(tmp_path / "out")]) == OK
    said = capsys.readouterr().out
    assert "US dollars" in said
    assert "unknown" in said


def test_a_server_that_is_down_is_a_row(tmp_path: Path) -> None:
    """A model that nobody serves fails its cells with a sentence, and the cells without a model are there."""
    down = "openai:fake@http://127.0.0.1:9/v1"
    results = sweep("market", ticks=2, seeds=1, models=["none", down], out=tmp_path)
    assert [row["status"] for row in results.rows] == ["done", FAILED]
    assert "no connection" in results.failed[0]["error"]


def test_cells_side_by_side_are_the_cells_alone(tmp_path: Path) -> None:
    """Cells of one model that share a planning service have the rows that each has alone, but for how calls are cut."""
    script = tmp_path / "plans.jsonl"
    script.write_text(json.dumps({"agent": "*", "steps": [{"act": "Sleep", "hours": 2}]}) + "\n")
    spec = f"scripted:{script}"
    plan = sweep_of({"scenario": "market", "ticks": 8, "seeds": 4, "models": [spec], "grid": {"agents": [4, 9]}})
    together = run_sweep(plan, tmp_path, tmp_path / "out", keep_replays=True)
    alone = [run_cell(Job(plan, tmp_path, None), number) for number in range(plan.count)]
    assert not together.failed
    assert [row["calls"] > 0 for row in together.rows] == [True] * 8
    shared = ("root", "plans", "alive", "ticks", "coins", "mood", "bread_price")
    assert [[row[name] for name in shared] for row in together.rows] == [
        [row[name] for name in shared] for row in alone
    ]
    for number in range(plan.count):
        assert verify(tmp_path / "out" / "replays" / f"cell-{number:06d}.replay.jsonl").verdict == "match"
