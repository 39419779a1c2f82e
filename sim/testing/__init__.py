"""What authors of parts of a simulation test with.

Checkers need no test framework; one raises `AssertionError` with one sentence. Strategies and `WorldMachine` need
hypothesis (`pip install tickweave[testing]`), which is imported when the first of them is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from ai.testing import check_client, check_planner
from sim.testing.actions import check_action
from sim.testing.determinism import assert_deterministic, check_scenario
from sim.testing.systems import check_system

if TYPE_CHECKING:
    from sim.testing.arenas import inputs, scenarios
    from sim.testing.machine import WorldMachine
    from sim.testing.planning import batches, plans, snapshots, steps
    from sim.testing.replies import fault_scripts, faults, hostile_replies

__all__ = [
    "WorldMachine",
    "assert_deterministic",
    "batches",
    "check_action",
    "check_client",
    "check_planner",
    "check_scenario",
    "check_system",
    "fault_scripts",
    "faults",
    "hostile_replies",
    "inputs",
    "plans",
    "scenarios",
    "snapshots",
    "steps",
]

_LAZY: Final = {
    "arenas": ("inputs", "scenarios"),
    "machine": ("WorldMachine",),
    "planning": ("batches", "plans", "snapshots", "steps"),
    "replies": ("fault_scripts", "faults", "hostile_replies"),
}
_MODULES: Final = {name: module for module, names in _LAZY.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import what needs hypothesis when it is asked for.

    Raises:
        AttributeError: there is none of this name.
        ImportError: hypothesis is not installed.
    """
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    except ModuleNotFoundError as error:
        raise ImportError(f"sim.testing.{name} needs {error.name}; pip install 'tickweave[testing]'") from error
