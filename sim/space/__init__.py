"""Where agents are: a grid of cells, a network of nodes, or a plane in fixed point.

A space holds what is constant in a run. What changes is given in as arrays and comes back as arrays, so that a space
needs no world, and a world no copy of it. Spaces draw nothing: whatever is random takes random words.
"""

from sim.space import walk
from sim.space.arrays import UNREACHABLE, below
from sim.space.grid import Grid
from sim.space.index import CellIndex, Index
from sim.space.network import Network
from sim.space.plane import Plane

__all__ = ["UNREACHABLE", "CellIndex", "Grid", "Index", "Network", "Plane", "below", "walk"]
