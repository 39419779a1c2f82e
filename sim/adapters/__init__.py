"""Adapters: a domain as a PettingZoo or Gymnasium environment, a policy as a planner, maps of the Tiled editor."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from sim.adapters.gymnasium import env
    from sim.adapters.pettingzoo import parallel_env
    from sim.adapters.policy import Policy
    from sim.adapters.tiled import TiledMap, read_tmx

_PLACES: Final = {
    "Policy": "sim.adapters.policy",
    "TiledMap": "sim.adapters.tiled",
    "env": "sim.adapters.gymnasium",
    "parallel_env": "sim.adapters.pettingzoo",
    "read_tmx": "sim.adapters.tiled",
}

__all__ = ["Policy", "TiledMap", "env", "parallel_env", "read_tmx"]


def __getattr__(name: str) -> Any:
    """Import a name when it is first used: each needs another optional package.

    Raises:
        AttributeError: the package has no public name like this.
    """
    if name not in _PLACES:
        raise AttributeError(f"module 'sim.adapters' has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)
