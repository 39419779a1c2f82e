"""Files that Tickweave writes: one rule for all of them.

- A file that is there is replaced only where a person said so (`--force`).
- No symbolic link is followed: a link that stands under the name counts as a file that is there.
- A recording is created under its own name, for a killed run must leave it, and is locked while it is written. Every
  other file is written under an unpredictable name, and gets its own name when all of it is on the disk.
"""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO, Final

from sim.errors import FileExists, InUse, MachineError, ReplayError
from sim.messages import one_line, shown

_LOCKS: Final = find_spec("fcntl") is not None
"""Whether the system has locks that end with their process."""
_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL
_SAFE: Final = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


class Output:
    """A file being written, without a buffer: all bytes that `write` took are with the operating system."""

    def __init__(self, path: Path, number: int) -> None:
        self._path = path
        self._number = number

    def write(self, data: bytes, /) -> int:
        """Write all of the bytes.

        Raises:
            MachineError: the disk is full, or the like.
        """
        left = memoryview(data)
        try:
            while left:
                left = left[os.write(self._number, left) :]
        except OSError as error:
            raise unwritable(self._path, error) from error
        return len(data)

    def flush(self) -> None:
        """Do nothing: no byte waits here."""

    def sync(self) -> None:
        """Wait until the bytes are on the disk.

        Raises:
            MachineError: they cannot be put there.
        """
        try:
            os.fsync(self._number)
        except OSError as error:
            if error.errno != errno.EINVAL:  # a file system that has nothing to wait for
                raise unwritable(self._path, error) from error


def unwritable(path: Path, error: OSError) -> MachineError:
    """Return the error for a file that cannot be written."""
    return MachineError(one_line(f"{shown(str(path))}: cannot be written: {error.strerror or error}"))


def _taken(path: Path) -> FileExists:
    return FileExists(
        f"{shown(str(path))} exists already; name another file, or replace it with --force (in Python: replace=True)"
    )


def _in_use(path: Path) -> InUse:
    return InUse(f"{shown(str(path))}: another run is writing this recording; wait for it, or name another file")


def check_free(path: Path, *, replace: bool) -> None:
    """Check that a file may be written, before work is put into it.

    Raises:
        FileExists: the name is taken, and `replace` is False.
    """
    if not replace and os.path.lexists(path):
        raise _taken(path)


@contextmanager
def recording(path: str | Path, *, replace: bool = False) -> Iterator[Output]:
    """Create a recording under its own name, and hold its lock until it is closed.

    Raises:
        FileExists: the name is taken, and `replace` is False.
        InUse: the file that would be replaced is still being written.
        MachineError: it cannot be created.
    """
    path = Path(path)
    if replace:
        _remove(path)
    try:
        number = os.open(path, _CREATE | _SAFE, 0o666)
    except FileExistsError:
        raise _taken(path) from None
    except OSError as error:
        raise unwritable(path, error) from error
    try:
        _lock(path, number)
        output = Output(path, number)
        yield output
        output.sync()
    finally:
        os.close(number)


@contextmanager
def appended(path: Path) -> Iterator[Callable[[int], Output]]:
    """Hold the lock of a recording that goes on; yields what cuts it at a byte and opens it behind that.

    Raises:
        InUse: it is still being written.
        ReplayError: it cannot be opened, or is a link.
    """
    try:
        number = os.open(path, os.O_RDWR | _SAFE)
    except OSError as error:
        raise ReplayError(one_line(f"{shown(str(path))}: cannot be written: {error.strerror or error}")) from error
    output = Output(path, number)

    def cut(offset: int) -> Output:
        os.ftruncate(number, offset)
        os.lseek(number, offset, os.SEEK_SET)
        return output

    try:
        _lock(path, number)
        yield cut
        output.sync()
    finally:
        os.close(number)


@contextmanager
def whole(path: str | Path, *, replace: bool = False) -> Iterator[BinaryIO]:
    """Open a file that appears under its name when all of it is on the disk, and not at all if anything goes wrong.

    Raises:
        FileExists: the name is taken, and `replace` is False.
        MachineError: it cannot be written.
    """
    path = Path(path)
    check_free(path, replace=replace)
    try:
        number, name = tempfile.mkstemp(prefix=f".{path.name[:100]}.", suffix=".partial", dir=path.parent)
    except OSError as error:
        raise unwritable(path, error) from error
    partial = Path(name)
    try:
        with os.fdopen(number, "wb") as file:
            yield file
            file.flush()
            _like(path, number)
            Output(path, number).sync()
        _name(partial, path, replace=replace)
    except OSError as error:
        if error.filename not in (None, name, str(path)):
            raise  # the block's own
        raise unwritable(path, error) from error
    finally:
        partial.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _name(partial: Path, path: Path, *, replace: bool) -> None:
    """Give a file its name, which must still be unused unless the file may be replaced."""
    if replace:
        partial.replace(path)
        return
    try:
        os.link(partial, path, follow_symlinks=False)
    except FileExistsError:
        raise _taken(path) from None
    except (OSError, NotImplementedError):  # a file system without links
        if os.path.lexists(path):
            raise _taken(path) from None
        partial.rename(path)


def _like(path: Path, number: int) -> None:
    """Give a file the rights of the one that it replaces, or those of any new file."""
    if not hasattr(os, "fchmod"):
        return
    try:
        status = path.lstat()
        mode = stat.S_IMODE(status.st_mode) if stat.S_ISREG(status.st_mode) else None
    except OSError:
        mode = None
    if mode is None:
        mask = os.umask(0)
        os.umask(mask)
        mode = 0o666 & ~mask
    with suppress(OSError):
        os.fchmod(number, mode)


def _remove(path: Path) -> None:
    """Take a file away that a new recording replaces, unless it is still being written.

    Raises:
        InUse: it is.
        MachineError: it cannot be taken away.
    """
    try:
        number = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _SAFE)
    except FileNotFoundError:
        return
    except OSError:  # a link, or a file that may be replaced but not read
        number = -1
    try:
        if number >= 0:
            _lock(path, number)
        path.unlink()
    except FileNotFoundError:
        return
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        if number >= 0:
            os.close(number)


def _lock(path: Path, number: int) -> None:
    """Take the lock of an open file, which ends with the process at the latest.

    Raises:
        InUse: another process has it, or has put another file in its place.
    """
    if not _LOCKS:
        return  # two writers are then kept apart by exclusive creation alone
    fcntl = import_module("fcntl")
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise _in_use(path) from None
    except OSError:
        return  # a file system without locks
    mine, there = os.fstat(number), None
    with suppress(OSError):
        there = path.lstat()
    if there is None or not os.path.samestat(mine, there):
        raise _in_use(path)


def _sync_folder(folder: Path) -> None:
    """Wait until a folder's new name is on the disk; where folders cannot be asked for that, it is not waited for."""
    with suppress(OSError):
        number = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
        try:
            os.fsync(number)
        finally:
            os.close(number)
