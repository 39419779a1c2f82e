"""Tables of a run: agents by tick, plans, attempts, calls, inputs and metrics, from a live run or from a replay."""

from sim.tables.collect import Collected, collect, collected
from sim.tables.export import export
from sim.tables.metrics import metric_of, metrics_of
from sim.tables.rows import NAMES, VERSION

__all__ = ["NAMES", "VERSION", "Collected", "collect", "collected", "export", "metric_of", "metrics_of"]
