"""A server process of our own: started, watched, its last words kept, and ended however this process ends.

The file is also the program that runs between the two: it starts the server as its child and holds a pipe from us as
its standard input. That the pipe ends is the sign to end the server and all that it has started; the system closes it
also for a parent that was killed. Uses the standard library only.
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
"""How long a server that was asked to end may take, seconds."""
WORDS_BYTES_MAX: Final = 8192
"""Bytes of a server's output that are kept: the last ones."""

_STOP_S: Final = GRACE_S + 5
_SECRETS: Final = "_API_KEY"


class ChildProcess:
    """Runs a command under a supervisor that outlives this process just long enough to end it.

    Keys in the environment are not handed on.

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
        """Say whether the server has ended."""
        return self._process.poll() is not None

    def last_words(self) -> str:
        """Return the last lines that the server has written, as text."""
        if self.ended:
            self._reader.join(1.0)
        lines = self._words.decode("utf-8", "replace").strip().splitlines()
        return " ".join(lines[-3:])

    def stop(self) -> None:
        """End the server and wait until it has gone; a second call does nothing."""
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
        """Take the output as it comes, so that the server never waits for a full pipe."""
        output = self._process.stdout
        while output is not None and (data := os.read(output.fileno(), 4096)):
            self._words += data
            del self._words[:-WORDS_BYTES_MAX]


def main(command: list[str]) -> int:
    """Run the command until it ends or the parent has gone; returns its exit code."""
    try:
        # A session of its own: Ctrl-C in the terminal is for the parent, which then ends the server in order.
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)  # noqa: S603
    except OSError as error:
        sys.stderr.write(f"{command[0]} cannot be started: {error.strerror}\n")
        return 1
    threading.Thread(target=_end_with_parent, args=(server,), daemon=True).start()
    code = server.wait()
    _signal(server, signal.SIGKILL)  # what a wrapper leaves behind
    return code


def _end_with_parent(server: subprocess.Popen[bytes]) -> None:
    while os.read(0, 1):  # not the text stream: the interpreter cannot end while a thread waits in it
        pass
    _signal(server, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        server.wait(GRACE_S)
    _signal(server, signal.SIGKILL)


def _signal(server: subprocess.Popen[bytes], number: int) -> None:
    """Signal the server's whole group; it may have gone already."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(server.pid, number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
