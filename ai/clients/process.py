"""A server process of our own: started, watched, its last words kept, and surely ended."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ai.clients import supervise

WORDS_BYTES_MAX: Final = 8192
"""Bytes of a server's output that are kept: the last ones."""
STOP_S: Final = supervise.GRACE_S + 5
"""Longest wait for a server to end, seconds."""

_SECRETS: Final = "_API_KEY"


class ServerProcess:
    """Runs a command under a supervisor that outlives this process just long enough to end it.

    Keys in the environment are not handed on.

    Raises:
        OSError: no process can be started.
    """

    def __init__(self, command: Sequence[str]) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.endswith(_SECRETS)}
        self._process = subprocess.Popen(  # noqa: S603 - the program was found on PATH, the rest are our own arguments
            [sys.executable, "-I", str(Path(supervise.__file__)), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
        self._words = bytearray()
        self._reader = threading.Thread(target=self._read, name="llama-server-output", daemon=True)
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
            self._process.wait(STOP_S)
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


def free_port(host: str) -> int:
    """Return a port of this host that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
