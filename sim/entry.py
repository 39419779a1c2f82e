"""Where the command starts: loading what it is made of takes a moment, in which Ctrl-C is to end it quietly too."""

from __future__ import annotations

import sys

INTERRUPTED = 130
"""The exit code of a command that Ctrl-C ended, as in `sim.cli.common`, which is not loaded yet."""


def main() -> None:
    """Load the command line and run it, leaving the process with its exit code."""
    try:
        from sim.cli import main as command_line
    except KeyboardInterrupt:
        sys.stderr.write("tickweave: interrupted\n")
        sys.exit(INTERRUPTED)
    command_line()
