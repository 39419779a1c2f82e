"""Adapters: a domain as a PettingZoo or Gymnasium environment, a policy as a planner, maps of the Tiled editor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ai.lazy import lazy

if TYPE_CHECKING:
    from sim.adapters.gymnasium import env
    from sim.adapters.pettingzoo import parallel_env
    from sim.adapters.policy import Policy
    from sim.adapters.tiled import TiledMap, read_tmx

__getattr__, __dir__ = lazy(
    __name__,
    {
        "sim.adapters.gymnasium": "env",
        "sim.adapters.pettingzoo": "parallel_env",
        "sim.adapters.policy": "Policy",
        "sim.adapters.tiled": "TiledMap read_tmx",
    },
)

__all__ = ["Policy", "TiledMap", "env", "parallel_env", "read_tmx"]
