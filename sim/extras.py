"""Optional packages: imported where they are needed, with one sentence where they are missing."""

from __future__ import annotations

import importlib
from typing import Any, Final

from sim.errors import MissingExtra

EXTRAS: Final = {
    "gymnasium": "rl",
    "matplotlib": "plot",
    "pandas": "tables",
    "pettingzoo": "rl",
    "pyarrow": "tables",
    "pytiled_parser": "maps",
    "ray": "ray",
}
"""The extra that brings each package."""


def extra(module: str, what: str) -> Any:
    """Import a module of an optional package; `what` says what needs it.

    Raises:
        MissingExtra: the package is not installed; the sentence says how to get it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        if error.name is not None and error.name.partition(".")[0] != package:
            raise
        raise MissingExtra(f"{what} needs {package}: pip install 'tickweave[{EXTRAS[package]}]'") from None
