"""Metrics of one's own: functions over the world that a person names on the command line."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sim.errors import ScenarioError
from sim.messages import one_line, quoted, shown, suggestion
from sim.run.domain import Metric
from sim.run.modules import load_file

if TYPE_CHECKING:
    from sim.run.simulation import Simulation


def metrics_of(specs: Iterable[str], known: Mapping[str, Metric]) -> dict[str, Metric]:
    """Return the metrics that a person asked for; all that are known where nothing was asked.

    Args:
        specs: names of known metrics, and `MODULE:NAME` for others.
        known: the metrics of the run, by name.

    Raises:
        ScenarioError: the metric or its module does not exist; one sentence.
    """
    found: dict[str, Metric] = {}
    for spec in specs:
        if ":" in spec:
            name, metric = metric_of(spec)
            found[name] = metric
        elif spec in known:
            found[spec] = known[spec]
        else:
            hint = suggestion(spec, list(known), "metrics")
            raise ScenarioError(one_line(f"no metric {quoted(spec)}; {hint}; name one of your own as FILE.py:NAME"))
    return found or dict(known)


def measure(simulation: Simulation, metrics: Sequence[str] | Mapping[str, Metric]) -> None:
    """Add metrics to those of a run: functions by name, or what a person wrote, as `metrics_of` reads it.

    Raises:
        ScenarioError: the metric or its module does not exist; one sentence.
    """
    if metrics:
        known = simulation.metrics_by_name
        simulation.measure(metrics if isinstance(metrics, Mapping) else metrics_of(metrics, known))


def metric_of(spec: str) -> tuple[str, Callable[[Any], Any]]:
    """Return the name and the function of `MODULE:NAME`; the module is a file (`gini.py`) or an installed one.

    Raises:
        ScenarioError: there is no such module or function; one sentence.
    """
    place, _, name = spec.rpartition(":")
    if not place or not name.isidentifier():
        raise ScenarioError(one_line(f"{quoted(spec)} is not of the form MODULE:NAME, as in gini.py:gini"))
    if place.endswith(".py"):
        module, _ = load_file(Path(place), "metric")
    else:
        try:
            module = importlib.import_module(place)
        except ImportError as error:
            raise ScenarioError(one_line(f"no module {shown(place)} for the metric {name} ({error})")) from None
    found = getattr(module, name, None)
    if not callable(found):
        known = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise ScenarioError(one_line(f"{shown(place)} has no function {name}; {suggestion(name, known, 'functions')}"))
    return name, found
