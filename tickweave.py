"""Where the command starts: `tickweave`, and `python -m tickweave`.

The packages `ai`, `sim` and `scenarios` have common names. Where somebody else's package is found under one of them, or
has been installed over ours, this module says so in one sentence instead of failing somewhere inside.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("ai", "sim", "scenarios")
TROUBLE = 2
"""The exit code of a machine in trouble, as in `sim.cli.common`, which may not be ours."""


def main() -> None:
    """Run the command line and leave the process with its exit code."""
    strange = stranger()
    if strange is None:
        try:
            from sim.entry import main as command_line
        except (ImportError, AttributeError, SyntaxError) as error:
            strange = f"the package of Tickweave is not whole, or another one was installed over it ({error})"
        else:
            command_line()
            return
    sys.stderr.write(f"tickweave: {strange}; install Tickweave into an environment of its own\n")
    sys.exit(TROUBLE)


def stranger() -> str | None:
    """Return the sentence for the first package that is found elsewhere than beside this module, None if all are."""
    home = Path(__file__).resolve().parent
    for name in PACKAGES:
        try:
            spec = find_spec(name)
        except (ImportError, ValueError):
            spec = None
        if spec is None:
            return f"the package {name!r} of Tickweave is missing"
        if spec.origin is None or Path(spec.origin).resolve().parent != home / name:
            return (
                f"the package {name!r} that Python finds is not Tickweave's ({spec.origin or 'a folder without code'})"
            )
    return None


if __name__ == "__main__":
    main()
