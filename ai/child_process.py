"""A server process that we start: its last output is kept, and it ends when this process ends, for any reason.

The file is also the supervisor that runs between the two: it starts the server as its child and has a pipe from us as
its standard input. When the pipe ends, the supervisor ends the server and all processes that it has started; the system
also closes the pipe of a parent that was killed. The file uses only the standard library.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

GRACE_S: Final = 3.0
"""The time that a server may take to end, seconds."""
WORDS_BYTES_MAX: Final = 8192
"""The number of bytes of a server's last output that are kept."""

_STOP_S: Final = GRACE_S + 5
_SECRETS: Final = "_API_KEY"


class ChildProcess:
    """Runs a command under a supervisor, which outlives this process just long enough to end the command.

    Keys in the environment are not passed on.

    Raises:
        OSError: no process can be started.
    """

    def __init__(self, command: Sequence[str]) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.endswith(_SECRETS)}
        self._process = subprocess.Popen(  # noqa: S603 - the program was found on PATH, the rest are our own arguments
            [sys.executable, "-I", str(Path(__file__)), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
        self._words = bytearray()
        self._reader = threading.Thread(target=self._read, name="child-output", daemon=True)
        self._reader.start()

    @property
    def ended(self) -> bool:
        """Return whether the server has ended."""
        return self._process.poll() is not None

    def last_words(self) -> str:
        """Return the last lines of the server's output as text."""
        if self.ended:
            self._reader.join(1.0)
        lines = self._words.decode("utf-8", "replace").strip().splitlines()
        return " ".join(lines[-3:])

    def stop(self) -> None:
        """End the server and wait for its end; a second call does nothing."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(1.0)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _read(self) -> None:
        """Read the output continuously, so that the server never waits for a full pipe."""
        output = self._process.stdout
        while output is not None and (data := os.read(output.fileno(), 4096)):
            self._words += data
            del self._words[:-WORDS_BYTES_MAX]


def main(command: list[str]) -> int:
    """Run the command until it ends or the parent is gone; return its exit code."""
    try:
        # The server has its own session: Ctrl-C in the terminal reaches only the parent, which then ends the server.
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)  # noqa: S603
    except OSError as error:
        sys.stderr.write(f"{command[0]} cannot be started: {error.strerror}\n")
        return 1
    threading.Thread(target=_end_with_parent, args=(server,), daemon=True).start()
    code = server.wait()
    _signal(server, signal.SIGKILL)  # children that a wrapper may have left
    return code


def _end_with_parent(server: subprocess.Popen[bytes]) -> None:
    while os.read(0, 1):  # not the text stream: the interpreter cannot end while a thread waits in it
        pass
    _signal(server, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        server.wait(GRACE_S)
    _signal(server, signal.SIGKILL)


def _signal(server: subprocess.Popen[bytes], number: int) -> None:
    """Signal the server's whole process group; it may be gone already."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(server.pid, number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
