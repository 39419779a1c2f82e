"""Data files: declared, read once, known by digest, and never outside of what a run may read."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field

from ai.errors import ContractError
from sim import Component, DataFile, Domain, Settings, Simulation, System, i32, load, verify
from sim.cli import invoke
from sim.errors import ScenarioError
from sim.replay import read
from sim.replay.format import TICK, canonical, split_line
from sim.replay.record import run_digest
from sim.run.data_files import digest_of
from tests.support.recording import rechain

MODEL = '''
"""Towns of a table."""
import csv
from pydantic import Field
from sim import Component, DataFile, Domain, Settings, System, i32

class TownSettings(Settings):
    towns: DataFile = Field("towns.csv", description="A table with a column `people`.")

class Town(Component):
    people: i32

class Grow(System):
    reads = writes = (Town,)
    def process(self, world, run):
        world[Town].people[:] += 1

class Towns(Domain):
    settings, components, systems = TownSettings, (Town,), (Grow,)
    def setup(self, world, run):
        rows = [int(row["people"]) for row in csv.DictReader(run.open(self.settings.towns))]
        world.spawn({Town: {"people": rows}}, count=len(rows))
'''
TABLE = "name,people\nA,3\nB,4\n"


@pytest.fixture
def recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a recording beside its model and its table, in the current folder."""
    monkeypatch.chdir(tmp_path)
    Path("towns.py").write_text(MODEL)
    Path("towns.csv").write_text(TABLE)
    assert invoke(["run", "towns.py", "--ticks", "6", "--keyframes", "2", "--quiet", "--out", "a.replay.jsonl"]) == 0
    return tmp_path / "a.replay.jsonl"


def torn(recording: Path) -> Path:
    """Return a recording of which the end is missing."""
    path = recording.with_name("torn.replay.jsonl")
    path.write_bytes(b"".join(recording.read_bytes().splitlines(keepends=True)[:5]))
    return path


COMMANDS: Any = [
    ["verify", "a.replay.jsonl"],
    ["verify", "a.replay.jsonl", "--jobs", "2"],
    ["fork", "a.replay.jsonl", "--at", "3"],
    ["show", "a.replay.jsonl", "--tick", "3"],
    ["export", "a.replay.jsonl", "--out", "t.csv"],
    ["run", "--resume", "torn.replay.jsonl"],
]


def test_a_recording_has_the_digest_and_matches(recording: Path) -> None:
    """The header's digest is what `sha256sum` prints, and the run is made again from the same bytes."""
    header = read(recording).header
    assert header is not None
    assert header.files == {"towns.csv": digest_of(TABLE.encode())}
    assert invoke(["verify", str(recording)]) == 0
    assert invoke(["doctor", "towns.py", "--ticks", "3", "--check", "surroundings", "--check", "guard"]) == 0


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("how", ["changed", "missing", "a pipe", "a link to elsewhere"])
def test_another_file_is_inconclusive_and_named(
    recording: Path, command: list[str], how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """No command goes on with a file that is not the recorded one: exit code 2, one sentence that names it."""
    torn(recording)
    table = Path("towns.csv")
    table.unlink()
    if how == "changed":
        table.write_text("nobody can read this as a table")
    elif how == "a pipe":
        os.mkfifo(table)
    elif how == "a link to elsewhere":
        outside = recording.parent.parent / "outside.csv"
        outside.write_text(TABLE)
        table.symlink_to(outside)
    capsys.readouterr()
    assert invoke(command) == 2
    said = "".join(capsys.readouterr())
    assert said.count("\n") == 1
    assert "the run needs the data file 'towns.csv' as it was recorded" in said


def test_the_file_is_found_beside_recording_and_domain(recording: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may lie beside the recording, in the current folder, or beside the domain's file; others are passed over."""
    elsewhere = recording.parent / "elsewhere"
    (elsewhere / "own").mkdir(parents=True)
    moved = elsewhere / "own" / recording.name
    moved.write_bytes(recording.read_bytes())
    monkeypatch.chdir(elsewhere)
    model = recording.with_name("towns.py")
    assert verify(moved, plugin_files=[model]).verdict == "match"
    for folder in (elsewhere, elsewhere / "own"):
        recording.with_name("towns.csv").rename(folder / "towns.csv")
        recording.with_name("towns.csv").write_text("changed")
        assert verify(moved, plugin_files=[model]).verdict == "match"
        (folder / "towns.csv").rename(recording.with_name("towns.csv"))


@pytest.mark.parametrize("name", ["/etc/hostname", "../outside.csv", ".ssh/id", "a/../../outside.csv", "pipe", ""])
def test_a_recording_of_a_stranger_reads_nothing_outside(
    recording: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A name that leads out of the folder is refused before anything is opened, whatever digest stands beside it."""
    recording.parent.with_name("outside.csv").write_text(TABLE)
    os.mkfifo("pipe")
    lines = recording.read_bytes().splitlines(keepends=True)
    header = json.loads(split_line(lines[0]).body)
    header["scenario"]["settings"]["towns"] = name
    header["files"] = {name: digest_of(TABLE.encode())}
    header["run"] = run_digest(header["scenario"], header["seed"])
    lines[0] = b'{"c":"0123456789abcdef","k":"H","v":%s}\n' % canonical(header)
    hostile = Path("hostile.replay.jsonl")
    hostile.write_bytes(b"".join(rechain(lines)))
    capsys.readouterr()
    assert invoke(["verify", str(hostile)]) == 2
    assert "settings.towns" in (said := capsys.readouterr().out) or "data file 'pipe'" in said


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    ("before", "after", "check", "words"),
    [
        ("run.open(self.settings.towns)", "open(self.settings.towns)", "surroundings", "opens the file 'towns.csv'"),
        (
            "world[Town].people[:] += 1",
            "world[Town].people[:] += len(open('towns.csv').read())",
            "guard",
            "called open()",
        ),
    ],
)
def test_an_undeclared_file_is_named_with_the_way_to_declare_it(
    recording: Path, before: str, after: str, check: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The doctor finds it in the setup and in a system, and says what to do."""
    Path("towns.py").write_text(MODEL.replace(before, after))
    capsys.readouterr()
    assert invoke(["doctor", "towns.py", "--ticks", "3", "--check", check]) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert all(each in said for each in ("towns.py", words, "the type DataFile", "run.open")), said


def test_a_bundle_carries_the_files(recording: Path) -> None:
    """A report on a difference has the data that the run needs, so that its reader can make it again."""
    lines = recording.read_bytes().splitlines(keepends=True)
    place = next(at for at, line in enumerate(lines) if split_line(line).kind == TICK)
    body = json.loads(split_line(lines[place]).body)
    body["root"] = "0" * 16
    lines[place] = b'{"c":"0123456789abcdef","k":"T","v":%s}\n' % canonical(body)
    Path("bad.replay.jsonl").write_bytes(b"".join(rechain(lines)))
    assert invoke(["bundle", "bad.replay.jsonl", "--out", "b.zip"]) == 0
    with zipfile.ZipFile("b.zip") as archive:
        assert archive.read("data/towns.csv") == TABLE.encode()


def test_a_scenario_names_files_below_its_folder(recording: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A path is relative to the scenario file, and a file that is not there is usage: one sentence, exit code 64."""
    Path("data").mkdir()
    Path("data/other towns.csv").write_text("people\n7\n")
    Path("s.toml").write_text('domain = "towns.py"\nname = "s"\n[settings]\ntowns = "data/other towns.csv"\n')
    with Simulation(load(Path("s.toml"))) as simulation:
        assert simulation.world.n == 1
    Path("data/other towns.csv").unlink()
    assert invoke(["run", "s.toml", "--trust"]) == 64
    assert "there is no data file 'data/other towns.csv'" in capsys.readouterr().err


class Mark(Component):
    """Anything."""

    value: i32


class Part(Settings):
    """Settings in settings."""

    files: tuple[DataFile, ...] = ("b.bin", "a.txt")


class Deep(Settings):
    """Data files in every place that settings have."""

    one: DataFile | None = None
    parts: dict[str, Part] = Field(default_factory=lambda: {"x": Part()})


class Idle(System):
    """Does nothing."""

    def process(self, world: Any, run: Any) -> None:
        """Do nothing."""


class Reading(Domain):
    """Reads files in several ways."""

    settings, components, systems = Deep, (Mark,), (Idle,)

    def setup(self, world: Any, run: Any) -> None:
        """Read."""
        assert run.open("a.txt").read() == "é\n"
        assert run.open("b.bin", "rb").read() == b"\xff\r\n"
        with pytest.raises(ContractError, match=r"'c\.txt' \(did you mean 'a\.txt'\?\).*type DataFile"):
            run.open("c.txt")
        with pytest.raises(ScenarioError, match=r"b\.bin: is not UTF-8"):
            run.open("b.bin")


def test_files_are_declared_anywhere_in_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also by defaults, in parts and in tuples; text comes without a BOM and with newlines, bytes as they are."""
    monkeypatch.chdir(tmp_path)
    Path("a.txt").write_bytes(b"\xef\xbb\xbf\xc3\xa9\r\n")
    Path("b.bin").write_bytes(b"\xff\r\n")
    with Simulation(Reading()) as simulation:
        assert sorted(simulation.run_context.files) == ["a.txt", "b.bin"]


def test_sums_of_data_files_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too many bytes and too many files are refused with the figure."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sim.run.data_files.BYTES_MAX", 10)
    Path("a.txt").write_bytes(b"x" * 6)
    Path("b.bin").write_bytes(b"x" * 6)
    with pytest.raises(ScenarioError, match="6 bytes; at most 4 are read"), Simulation(Reading()):
        pass
    many = Reading(Deep(parts={str(n): Part(files=(f"f{n}",)) for n in range(65)}))
    with pytest.raises(ScenarioError, match="65 data files; at most 64"), Simulation(many):
        pass
