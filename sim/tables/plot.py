"""Curves of metrics over ticks, a panel for each metric and a line for each replay."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np

from sim.errors import ScenarioError
from sim.extras import extra
from sim.replay.frames import Frame
from sim.run.checks import measured
from sim.run.domain import Metric
from sim.tables.metrics import metrics_of

PANELS_MAX: Final = 24
"""Metrics in one picture."""
Curves = dict[str, tuple[list[int], list[float]]]
"""Ticks and values by metric."""


def curves(seen: Iterable[Frame], specs: Sequence[str] = (), more: Mapping[str, Metric] | None = None) -> Curves:
    """Return the values of metrics in every tick of a replay; metrics that return arrays are left out.

    Of a domain without metrics these are its scores.

    Raises:
        ScenarioError: there is no such metric.
        ReplayError: as `sim.replay.frames`.
    """
    chosen: dict[str, Metric] = {}
    found: Curves = {}
    for frame in seen:
        simulation = frame.playback.simulation
        chosen = chosen or {**metrics_of(specs, simulation.metrics_by_name), **(more or {})}
        values_now: dict[str, Any] = {
            name: measured(name, metric, frame.world, simulation.domain) for name, metric in chosen.items()
        }
        for name, value in (values_now or simulation.scores()).items():
            if np.ndim(value) == 0:
                ticks, values = found.setdefault(name, ([], []))
                ticks.append(frame.tick)
                values.append(float(value))
    return found


def draw(runs: Mapping[str, Curves], out: Path | BinaryIO, *, form: str = "png") -> None:
    """Write a picture of the curves of some runs by name.

    Raises:
        MissingExtra: matplotlib is not installed.
        ScenarioError: there is nothing to draw, or too much.
    """
    names = list(dict.fromkeys(name for each in runs.values() for name in each))
    if not names:
        raise ScenarioError("there is no metric to draw: the domain has none; name one with --metric FILE.py:FUNCTION")
    picture, panels = panels_of(names)
    for name, axes in panels.items():
        for run, of in runs.items():
            if name in of:
                axes.plot(*of[name], label=run, linewidth=1.4)
        axes.set_xlabel("tick")
    if len(runs) > 1:
        panels[names[0]].legend()
    picture.savefig(out, format=form, dpi=120)


def panels_of(names: Sequence[str]) -> tuple[Any, dict[str, Any]]:
    """Return a picture with a panel for each metric, two in a row, and the panels by name.

    Raises:
        MissingExtra: matplotlib is not installed.
        ScenarioError: there are too many.
    """
    if len(names) > PANELS_MAX:
        raise ScenarioError(f"{len(names)} metrics are too many for one picture; name up to {PANELS_MAX} with --metric")
    across = min(len(names), 2)
    down = -(-len(names) // across)
    figure = extra("matplotlib.figure", "a plot")
    picture: Any = figure.Figure(figsize=(5.5 * across, 3.0 * down), layout="constrained")
    every = picture.subplots(down, across, squeeze=False).ravel()
    for axes in every[len(names) :]:
        axes.set_visible(False)
    panels = dict(zip(names, every, strict=False))
    for name, axes in panels.items():
        axes.set_title(name)
        axes.spines[["top", "right"]].set_visible(False)
    return picture, panels
