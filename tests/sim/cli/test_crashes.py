"""Kills, full disks and races: nothing recorded is lost, every file goes on or says why, and one writer wins."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from sim.cli import invoke
from sim.errors import FileExists, InUse, SimError
from sim.replay import scan, verify
from sim.run.writing import recording

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals, limits and locks are as on POSIX systems")
COMMAND = Path(sys.executable).with_name("tickweave")
RUN = ("run", "foraging", "--ticks", "60", "--keyframes", "5", "--quiet", "--out")
WAIT_S = 120.0
KILLS = 500
RACES = 200
LIMITED = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
limit = int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
from sim.entry import main
main()
"""


@pytest.fixture
def whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Return the recording that nothing stopped; the current folder is empty afterwards."""
    monkeypatch.chdir(tmp_path)
    assert invoke([*RUN, "whole.replay.jsonl"]) == 0
    found = Path("whole.replay.jsonl").read_bytes()
    for path in Path().iterdir():
        path.unlink()
    return found


def goes_on(path: Path, whole: bytes) -> None:
    """Check that what is left of a recording is all that was written, and that it goes on to the whole one."""
    left = path.read_bytes()
    assert whole.startswith(left)
    assert scan(path).status == ("complete" if left == whole else "incomplete")
    if left == whole:
        return
    if scan(path).header is None:
        assert invoke(["run", "--resume", str(path), "--quiet"]) == 1  # and says that there is nothing
        return
    assert invoke(["run", "--resume", str(path), "--quiet"]) == 0
    assert path.read_bytes() == whole


def killed(number: int, whole: bytes) -> None:
    """Kill a run at a random moment, under the load of packing another recording, which is killed too."""
    draw = np.random.default_rng([7, number])
    target, other = Path(f"{number}.replay.jsonl"), Path("other.replay.jsonl")
    other.write_bytes(whole)
    run = subprocess.Popen([COMMAND, *RUN, target])
    packing = subprocess.Popen([COMMAND, "pack", other, "--out", "packed.zst"], stdout=subprocess.DEVNULL)
    limit = time.monotonic() + WAIT_S
    while not target.exists() and run.poll() is None and time.monotonic() < limit:
        time.sleep(0.005)
    time.sleep(float(draw.uniform(0, 0.5)))
    for process in (run, packing):
        process.send_signal(signal.SIGKILL)
        process.wait()
    if target.exists():
        goes_on(target, whole)
    if Path("packed.zst").exists():  # it has its name only when it is whole
        assert verify(Path("packed.zst")).verdict == "match"
    for path in Path().iterdir():
        path.unlink()


def test_a_killed_run_loses_nothing(whole: bytes) -> None:
    """Whatever was written before kill -9 is a prefix of the whole recording, and the run goes on to the whole."""
    for number in range(2):
        killed(number, whole)


@pytest.mark.nightly
@pytest.mark.parametrize("part", range(10))
def test_five_hundred_killed_runs_lose_nothing(whole: bytes, part: int) -> None:
    """The same at five hundred random moments."""
    for number in range(part, KILLS, 10):
        killed(number, whole)


def filled(limit: int, whole: bytes) -> None:
    """Run on a file system with so many bytes left."""
    path = Path("full.replay.jsonl")
    done = subprocess.run(
        [sys.executable, "-P", "-c", LIMITED, str(limit), *RUN, path], capture_output=True, text=True, check=False
    )
    if limit >= len(whole):
        assert done.returncode in (0, 2), done.stderr
    else:
        assert done.returncode == 2, done.stderr
        assert done.stderr.startswith("tickweave: full.replay.jsonl: cannot be written: ")
        assert done.stderr.count("\n") == 1
        assert path.stat().st_size == limit
    goes_on(path, whole)
    for each in Path().iterdir():
        each.unlink()


def test_a_full_disk_loses_nothing(whole: bytes) -> None:
    """The run ends with one sentence that names the file, and goes on where there is room again."""
    header = whole.index(b"\n")
    for limit in (header - 5, header + 1, header + 1000, len(whole) - 1):
        filled(limit, whole)


@pytest.mark.nightly
def test_a_disk_that_is_full_anywhere_loses_nothing(whole: bytes) -> None:
    """The same at a hundred places."""
    for limit in np.linspace(1, len(whole) - 1, 100).astype(int).tolist():
        filled(limit, whole)


def raced(number: int) -> None:
    """Start two runs for one file: one wins, the other is refused, and the file is whole."""
    path = Path(f"{number}.replay.jsonl")
    words = [COMMAND, "run", "segregation", "--ticks", "4", "--quiet", "--out", path]
    runs = [subprocess.Popen([*words, "--seed", str(seed)], stderr=subprocess.PIPE, text=True) for seed in (1, 2)]
    said = [run.communicate(timeout=WAIT_S)[1] for run in runs]
    assert sorted(run.returncode for run in runs) == [0, 64], said
    assert verify(path).verdict == "match"


def test_of_two_runs_for_one_file_one_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Started at once, they do not write into each other's file."""
    monkeypatch.chdir(tmp_path)
    raced(0)


@pytest.mark.nightly
def test_two_hundred_races_for_one_file_have_one_winner_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same two hundred times."""
    monkeypatch.chdir(tmp_path)
    for number in range(RACES):
        raced(number)


@pytest.mark.parametrize("replace", [False, True])
def test_two_hundred_races_of_writers_damage_nothing(tmp_path: Path, *, replace: bool) -> None:
    """Of writers that want one name at the same moment, whoever has it writes alone, with and without `--force`."""
    for number in range(RACES):
        path = tmp_path / f"{number}"
        if replace:
            path.write_bytes(b"older")
        start, won = threading.Barrier(2), []

        def write(name: bytes, path: Path = path, start: threading.Barrier = start, won: list[bytes] = won) -> None:
            start.wait()
            try:
                with recording(path, replace=replace) as file:
                    for _ in range(5):
                        file.write(name * 100)
                won.append(name * 500)
            except (FileExists, InUse, SimError):
                return

        writers = [threading.Thread(target=write, args=(name,)) for name in (b"a", b"b")]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        # With --force the second may come when the first is done; without, there is one winner.
        assert len(won) == 1 or (replace and len(won) == 2)
        assert path.read_bytes() in won
