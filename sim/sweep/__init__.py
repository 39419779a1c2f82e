"""Sweeps: one scenario run with many settings, planners, models and seeds, and a table of the results."""

from sim.sweep.results import Results
from sim.sweep.run import sweep
from sim.sweep.seeds import seeds_of
from sim.sweep.spec import Cell, Sweep, read_sweep

__all__ = ["Cell", "Results", "Sweep", "read_sweep", "seeds_of", "sweep"]
