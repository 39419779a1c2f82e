"""Spaces for agents: a grid of cells, a network of nodes, or a plane in fixed point.

A space holds constants of a run. Its methods take and return state as arrays, so a space needs no world and is never
saved or restored. Spaces draw no random numbers: methods that choose at random take random words as an argument.
"""

from sim.space import walk
from sim.space.arrays import UNREACHABLE, below
from sim.space.grid import Grid
from sim.space.index import CellIndex, Index
from sim.space.network import Network
from sim.space.plane import Plane

__all__ = ["UNREACHABLE", "CellIndex", "Grid", "Index", "Network", "Plane", "below", "walk"]
