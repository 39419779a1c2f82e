"""Runs one server as a child, and ends it and all it has started when the parent has gone, however that went.

A program, started by `llama_server` with a pipe as its standard input: that the pipe ends is the sign, and the
system closes it also for a parent that was killed. Uses the standard library only.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from typing import Final

GRACE_S: Final = 3.0
"""How long a server that was asked to end may take, seconds."""


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
