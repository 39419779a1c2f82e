"""Files that are written: never over another one unasked, never through a link, whole or not at all, by one process."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from sim.errors import FileExists, InUse, MachineError
from sim.run import writing
from sim.run.writing import appended, recording, whole

posix = pytest.mark.skipif(os.name != "posix", reason="rights, links and locks are as on POSIX systems")


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    """While it is written nothing has its name, and after an error nothing is left."""
    path = tmp_path / "a"
    with whole(path) as file:
        file.write(b"all")
        assert not path.exists()
    assert path.read_bytes() == b"all"
    with pytest.raises(ZeroDivisionError), whole(path, replace=True) as file:
        file.write(b"half" * (1 // 0))
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("a", b"all")]


@pytest.mark.parametrize("write", [whole, recording])
def test_no_file_is_replaced_unasked(write: type[whole], tmp_path: Path) -> None:
    """A name that is taken is refused, by a file that came while another one was written too."""
    path = tmp_path / "a"
    path.write_bytes(b"mine")
    with pytest.raises(FileExists, match="--force"), write(path):
        pass
    assert path.read_bytes() == b"mine"
    with write(path, replace=True) as file:
        file.write(b"new")
    assert path.read_bytes() == b"new"


def test_a_file_that_came_meanwhile_stays(tmp_path: Path) -> None:
    """Of two writers of one name the one that is done first wins."""
    path = tmp_path / "a"
    with pytest.raises(FileExists), whole(path), whole(path) as first:
        first.write(b"first")
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("a", b"first")]


@posix
@pytest.mark.parametrize("write", [whole, recording])
@pytest.mark.parametrize("replace", [False, True])
def test_no_link_is_followed(write: type[whole], tmp_path: Path, *, replace: bool) -> None:
    """A link under the name counts as a file: what it points at is never written, whether or not it exists."""
    for target in (tmp_path / "valued", tmp_path / "not there"):
        path = tmp_path / "a"
        path.symlink_to(target)
        (tmp_path / "valued").write_bytes(b"valued")
        if replace:
            with write(path, replace=True) as file:
                file.write(b"new")
            assert path.read_bytes() == b"new"
            assert not path.is_symlink()
        else:
            with pytest.raises(FileExists), write(path):
                pass
        assert (tmp_path / "valued").read_bytes() == b"valued"
        assert not (tmp_path / "not there").exists()
        path.unlink()


@posix
def test_temporary_names_cannot_be_foreseen(tmp_path: Path) -> None:
    """A file of the user with the name that temporary files had once is not touched, and names differ."""
    (tmp_path / "a.partial").write_bytes(b"mine")
    seen = set()
    for _ in range(3):
        with whole(tmp_path / "a", replace=True):
            seen |= {each.name for each in tmp_path.iterdir()}
    assert len(seen - {"a", "a.partial"}) == 3
    assert (tmp_path / "a.partial").read_bytes() == b"mine"


@posix
def test_rights_are_those_of_any_new_file(tmp_path: Path) -> None:
    """A new file gets the rights that the process gives; one that is replaced keeps its own."""
    before = os.umask(0o027)
    try:
        with whole(tmp_path / "a"), recording(tmp_path / "b"):
            pass
    finally:
        os.umask(before)
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in "ab"] == [0o640, 0o640]
    (tmp_path / "a").chmod(0o600)
    with whole(tmp_path / "a", replace=True):
        pass
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600


@posix
def test_a_recording_is_locked_while_it_is_written(tmp_path: Path) -> None:
    """Neither does another run replace it, nor go on in it; afterwards both may."""
    path = tmp_path / "a"
    with recording(path) as file:
        file.write(b"one")
        for other in (recording(path, replace=True), appended(path)):
            with pytest.raises(InUse, match="another run"), other:
                pass
        assert path.read_bytes() == b"one"
    with appended(path) as cut:
        cut(1).write(b"ur")
        with pytest.raises(InUse), recording(path, replace=True):
            pass
    assert path.read_bytes() == b"our"


@posix
def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    """Whoever is killed leaves a recording that can be gone on with."""
    path = tmp_path / "a"
    code = f"import os\nfrom sim.run.writing import recording\nwith recording({str(path)!r}): os.kill(os.getpid(), 9)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    with appended(path):
        pass


def test_without_locks_exclusive_creation_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a system without these locks, two runs still do not begin one file."""
    monkeypatch.setattr(writing, "_LOCKS", False)
    with recording(tmp_path / "a"), pytest.raises(FileExists), recording(tmp_path / "a"):
        pass
    with appended(tmp_path / "a"):
        pass


@posix
def test_a_file_system_without_links_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a file cannot get a second name, it is renamed."""

    def refuse(*_args: object, **_options: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    with whole(tmp_path / "a") as file:
        file.write(b"all")
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("a", b"all")]


@posix
def test_a_full_disk_is_told_with_the_name(tmp_path: Path) -> None:
    """The sentence names the file; what was written before stays in a recording and not in any other file."""
    code = f"""
import resource, sys
from sim.errors import MachineError
from sim.run.writing import recording, whole
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
for write, name in ((recording, {str(tmp_path / "a")!r}), (whole, {str(tmp_path / "b")!r})):
    try:
        with write(name) as file:
            file.write(b"x" * 600)
            file.write(b"y" * 600)
    except MachineError as error:
        print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.stdout.splitlines() == [f"{tmp_path}/{name}: cannot be written: File too large" for name in "ab"]
    assert [(each.name, each.stat().st_size) for each in tmp_path.iterdir()] == [("a", 1000)]


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    """Both ways of writing say which file cannot be written."""
    for write in (whole, recording):
        with pytest.raises(MachineError, match="no/a: cannot be written: No such file"), write(tmp_path / "no" / "a"):
            pass
