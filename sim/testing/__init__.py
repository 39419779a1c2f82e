"""Tools for tests by authors of parts of a simulation.

Checkers need no test framework; they raise `AssertionError` with one sentence. Strategies and `WorldMachine` need
hypothesis (`pip install tickweave[testing]`). All names are imported on demand: pytest loads the plug-in in this
package at every start, which must cost nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ai.lazy import lazy

if TYPE_CHECKING:
    from ai.strategies import plans, steps
    from ai.testing import check_client, check_planner
    from sim.testing.actions import check_action
    from sim.testing.determinism import assert_deterministic, check_scenario
    from sim.testing.domains import check_domain
    from sim.testing.machine import WorldMachine
    from sim.testing.replies import fault_scripts, faults, hostile_replies
    from sim.testing.strategies import scenarios, settings
    from sim.testing.systems import check_system

__all__ = [
    "WorldMachine",
    "assert_deterministic",
    "check_action",
    "check_client",
    "check_domain",
    "check_planner",
    "check_scenario",
    "check_system",
    "fault_scripts",
    "faults",
    "hostile_replies",
    "plans",
    "scenarios",
    "settings",
    "steps",
]

_find, __dir__ = lazy(
    __name__,
    {
        "ai.testing": "check_client check_planner",
        "sim.testing.actions": "check_action",
        "sim.testing.determinism": "assert_deterministic check_scenario",
        "sim.testing.domains": "check_domain",
        "sim.testing.machine": "WorldMachine",
        "sim.testing.replies": "fault_scripts faults hostile_replies",
        "ai.strategies": "plans steps",
        "sim.testing.strategies": "scenarios settings",
        "sim.testing.systems": "check_system",
    },
)


def __getattr__(name: str) -> Any:
    """Import a name on demand.

    Raises:
        AttributeError: the package has no public name like this.
        ImportError: it needs hypothesis, which is not installed.
    """
    try:
        return _find(name)
    except ModuleNotFoundError as error:
        raise ImportError(f"sim.testing.{name} needs {error.name}; pip install 'tickweave[testing]'") from error
