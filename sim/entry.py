"""The start of the command: loading its modules takes a moment, and Ctrl-C must end it quietly then, too."""

from __future__ import annotations

import sys

INTERRUPTED = 130
"""The exit code of a command that Ctrl-C ended. `sim.cli.common` has the same, but is not loaded yet."""


def main() -> None:
    """Load the command line and run it; the process ends with its exit code."""
    try:
        from sim.cli import main as command_line
    except KeyboardInterrupt:
        sys.stderr.write("tickweave: interrupted\n")
        sys.exit(INTERRUPTED)
    command_line()
