"""Writing replays: one write and one flush a record, nothing measured, nothing secret."""

from __future__ import annotations

import io
import json
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

from ai.canonical import without_empty
from ai.clients.scripted import ScriptedClient
from ai.plans import Attempts, BatchPlans, Outcome, PlanBatch
from sim.errors import FileExists, MachineError, ReplayError
from sim.replay.format import Tick, canonical
from sim.replay.reader import read, scan
from sim.replay.record import PACKAGES, declared_fields, environment, header_of, tick_of, without_places
from sim.replay.verify import verify
from sim.replay.writer import Recorder, ReplayWriter, open_replay
from sim.run.simulation import Simulation
from tests.sim.replay.recordings import SCRIPT, TICKS, model, record, rules, scenario


class CountingSink(io.BytesIO):
    """Keeps every write apart and counts flushes."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []

    def write(self, data: bytes) -> int:  # type: ignore[override]
        assert data.endswith(b"\n")
        assert data.count(b"\n") == 1
        self.calls.append("write")
        return super().write(data)

    def flush(self) -> None:
        self.calls.append("flush")


class FullDisk(io.BytesIO):
    """Takes no bytes."""

    def write(self, data: bytes) -> int:  # type: ignore[override]
        raise OSError(28, "No space left on device")


def test_one_write_and_one_flush_a_record() -> None:
    """A line is handed over whole and at once, so a killed run leaves whole lines."""
    sink = CountingSink()
    with Simulation(scenario()) as simulation:
        recorder = Recorder(simulation, ReplayWriter(sink))
        recorder.header()
        for report in simulation.reports(3):
            recorder.tick(report)
        recorder.end()
    assert sink.calls == ["write", "flush"] * 5


def test_header_holds_the_whole_run() -> None:
    """The header has all that making the run again needs, and names the client only by its label."""
    header = read(model()).header
    assert header is not None
    assert header.scenario == scenario().canonical()
    assert (header.seed, header.ticks, header.llm, header.determinism) == (1, TICKS, "scripted", "portable")
    assert header.tiers == ["simplified_llm", "full_llm", "heuristic", "emergency"]
    assert set(header.env) == {"arch", "byteorder", "esper", "numpy", "python", "scipy", "tickweave", "zstandard"}


def test_two_recordings_are_the_same_bytes() -> None:
    """Nothing measured and nothing of the process gets into a replay."""
    assert record(scenario()) == rules()
    assert record(scenario(), client=ScriptedClient(SCRIPT)) == model()


def test_no_durations_are_written() -> None:
    """No key of a tick or an end record speaks of seconds: what was measured is not there."""
    for line in model("full").splitlines()[1:]:
        assert not [key for key in _keys(json.loads(line)) if key.endswith("_s") or "duration" in key]


def _keys(value: object) -> list[str]:
    if isinstance(value, dict):
        return [*value, *(key for item in value.values() for key in _keys(item))]
    return [key for item in value for key in _keys(item)] if isinstance(value, list) else []


def test_raw_texts_of_model_tiers_are_kept() -> None:
    """Each plan of a model tier has its raw text beside it, and no other agent has one."""
    for tick in read(model()).ticks:
        by_model = [text for tier, text in tick.planned.items() if tier.endswith("llm")]
        assert bool(by_model) == bool(tick.texts)
    assert read(model()).ticks[0].texts["0"].startswith('{"steps":[{"act":"Scan"')


def test_fixed_part_of_a_tick_is_small() -> None:
    """What every tick has takes less than a kilobyte at detail `hash`, for all the columns an agent has."""
    for tick in read(rules()).ticks:
        fixed = Tick(t=tick.t, components=tick.components, columns=tick.columns, root=tick.root, agents=tick.agents)
        assert len(canonical(fixed.data())) <= 1000


def test_end_sums_up_the_ticks() -> None:
    """The end record has the last root and the plans by tier, and says whether the run was completed."""
    replay = read(model())
    assert replay.end is not None
    assert replay.end.root == replay.ticks[-1].root
    assert sum(replay.end.plans.values()) == sum(tick.plans for tick in replay.ticks)
    assert replay.end.reason == "limit"


def test_run_that_stops_early_says_so() -> None:
    """A run that ends before its planned ticks, and undecided, is recorded as interrupted."""
    sink = io.BytesIO()
    with Simulation(scenario()) as simulation:
        recorder = Recorder(simulation, ReplayWriter(sink), ticks=9)
        recorder.header()
        recorder.tick(simulation.tick())
        end = recorder.end()
    assert (end.ticks, end.reason) == (1, "interrupted")
    assert read(sink.getvalue()).end == end


def test_killed_run_leaves_a_valid_prefix(tmp_path: Path) -> None:
    """A file whose run raised has every whole tick and no end."""
    path = tmp_path / "killed.replay.jsonl"
    with pytest.raises(KeyboardInterrupt):
        _run_and_die(path, ticks=4)
    replay = scan(path)
    assert (replay.status, len(replay.ticks)) == ("incomplete", 4)


def _run_and_die(path: Path, ticks: int) -> None:
    with Simulation(scenario()) as simulation, open_replay(path) as writer:
        recorder = Recorder(simulation, writer)
        recorder.header()
        for report in simulation.reports(ticks):
            recorder.tick(report)
        raise KeyboardInterrupt


def test_new_replay_replaces_a_file_only_where_it_may(tmp_path: Path) -> None:
    """What stood in the file is gone, also where it was longer; unasked it stays."""
    path = tmp_path / "a.replay.jsonl"
    path.write_bytes(b"x" * 100_000)
    with pytest.raises(FileExists), open_replay(path):
        pass
    assert path.stat().st_size == 100_000
    with Simulation(scenario()) as simulation, open_replay(path, replace=True) as writer:
        recorder = Recorder(simulation, writer, ticks=0)
        recorder.header()
        recorder.end()
    assert read(path).end is not None


def test_unwritable_places_are_one_sentence(tmp_path: Path) -> None:
    """A file that cannot be opened and a disk that is full are trouble of the machine."""
    with pytest.raises(MachineError, match="folder: cannot be written"), open_replay(tmp_path / "no" / "folder"):
        pass
    with Simulation(scenario()) as simulation, pytest.raises(MachineError, match="No space left"):
        Recorder(simulation, ReplayWriter(FullDisk())).header()


def test_only_planned_ticks_are_recorded() -> None:
    """A tick beyond those that the header promises is refused, as `verify` would; counts may be numbers of NumPy."""
    sink = io.BytesIO()
    with Simulation(scenario()) as simulation:
        recorder = Recorder(simulation, ReplayWriter(sink), ticks=np.int64(2), keyframes=np.int8(1))
        recorder.header()
        for report in simulation.reports(2):
            recorder.tick(report)
        with pytest.raises(ReplayError, match="beyond the 2 ticks planned"):
            recorder.tick(simulation.tick())
        recorder.end()
    assert verify(sink.getvalue()).verdict == "match"


def test_changed_columns_are_refused() -> None:
    """A world whose columns are not those of the header cannot be recorded on."""
    with Simulation(scenario()) as simulation:
        header = header_of(simulation, ticks=1)
        report = simulation.tick()
    with pytest.raises(ReplayError, match=r"tick 0: the parts of the world.*\(Fuel\.left\)"):
        tick_of(report, header.model_copy(update={"columns": [*header.columns, "Fuel.left"]}))


def test_attempts_are_grouped_by_runs() -> None:
    """Agents that share tier, outcome and error are one record, in the order of first keys; successes are left out."""
    keys = np.arange(10, 16, dtype=np.int64)
    plans = PlanBatch.empty(keys)
    plans.tier[:] = 1
    outcomes = [Outcome.INVALID, Outcome.OK, Outcome.MISSING, Outcome.MISSING, Outcome.INVALID, Outcome.MISSING]
    errors = {10: "bad", 14: "bad", 12: "none", 13: "none", 15: "other"}
    batch = BatchPlans(plans, ("a", "b"), [Attempts("a", np.arange(6), np.array(outcomes, np.int8), errors)])
    with Simulation(scenario()) as simulation:
        header = header_of(simulation, ticks=1)
        report = simulation.tick()
    report.plans = batch
    tick = tick_of(report, header)
    assert [(each.outcome, each.keys, each.error) for each in tick.attempts] == [
        ("invalid", "10,14", "bad"),
        ("missing", "12-13", "none"),
        ("missing", "15", "other"),
    ]
    assert tick.planned == {"b": "10-15"}


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("cannot reach http://user:key@10.1.2.3:8080/v1/x?y (refused)", "cannot reach <address> (refused)"),
        ("connect to localhost:11434 failed", "connect to <address> failed"),
        ("connect to [::1]:80 failed", "connect to <address> failed"),
        ("no file /home/me/models/a.gguf here", "no file <path> here"),
        ("step 2: and/or is not a verb", "step 2: and/or is not a verb"),
        ("half \ud83d of a pair", "half \ufffd of a pair"),
    ],
)
def test_places_are_kept_out_of_errors(text: str, kept: str) -> None:
    """Addresses, paths and half characters do not reach a file; doing it twice changes nothing."""
    assert without_places(text) == kept
    assert without_places(kept) == kept
    long = without_places("/a/b " * 200)
    assert len(long) == 300
    assert without_places(long) == long


def test_the_environment_has_the_versions_that_are_installed() -> None:
    """They are those that `importlib.metadata` reads out of the whole description of a package."""
    found = environment()
    assert {name: found[name] for name in PACKAGES} == {name: metadata.version(name) for name in PACKAGES}


def test_declared_fields_do_not_depend_on_the_maker_of_a_schema() -> None:
    """Words, references and two spellings of one value are no declaration, so that pydantic may change."""
    one = {
        "title": "A",
        "$defs": {"Kind": {"enum": ["a"], "title": "Kind", "type": "string"}},
        "properties": {"kind": {"$ref": "#/$defs/Kind", "description": "words"}, "more": {"anyOf": [{"type": "null"}]}},
        "additionalProperties": False,
        "type": "object",
    }
    two = {
        "properties": {"kind": {"const": "a", "type": "string"}, "more": {"anyOf": [{"type": "null"}]}},
        "type": "object",
    }
    assert without_empty(declared_fields(one)) == without_empty(declared_fields(two))
    endless = {"$defs": {"A": {"items": {"$ref": "#/$defs/A"}}}, "$ref": "#/$defs/A"}
    assert declared_fields(endless) == {"items": {"is": "A"}}
