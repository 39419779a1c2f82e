"""A picture of a sweep: the mean of each metric with its interval, over the first setting that is a number."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

from sim.errors import ScenarioError
from sim.messages import suggestion
from sim.sweep.results import Results
from sim.sweep.statistics import Estimate
from sim.tables.plot import panels_of


def draw_sweep(results: Results, out: Path | BinaryIO, *, metrics: tuple[str, ...] = (), form: str = "png") -> None:
    """Write a picture with a panel for each metric.

    Raises:
        MissingExtra: matplotlib is not installed.
        ScenarioError: there is nothing to draw.
    """
    for name in metrics:
        if name not in results.metrics:
            raise ScenarioError(f"no metric {name!r}; {suggestion(name, results.metrics, 'metrics')}")
    names = metrics or results.metrics
    summary = results.summary(names)
    if not names or not summary:
        raise ScenarioError("there is nothing to draw: no cell has a metric")
    columns = results.group_columns
    axis = next((place for place, _ in enumerate(columns) if _is_number(summary, place)), None)
    picture, panels = panels_of(names)
    for name, axes in panels.items():
        lines: dict[str, list[tuple[Any, Estimate]]] = {}
        for group, _, estimates in summary:
            rest = ", ".join(
                f"{column} {value}"
                for place, (column, value) in enumerate(zip(columns, group, strict=True))
                if place != axis
            )
            lines.setdefault(rest if axis is not None else "", []).append(
                (group[axis] if axis is not None else rest or "all", estimates[name])
            )
        for label, points in lines.items():
            xs, found = [x for x, _ in points], [each for _, each in points]
            means = [each.mean for each in found]
            errors = [[each.mean - each.low for each in found], [each.high - each.mean for each in found]]
            axes.errorbar(xs, means, yerr=errors, fmt="o-" if axis is not None else "o", capsize=3, label=label or None)
        axes.set_xlabel(columns[axis] if axis is not None else "")
        if axis is None:
            axes.tick_params(axis="x", labelrotation=30)
        if len(lines) > 1:
            axes.legend(fontsize=8)
    picture.savefig(out, format=form, dpi=120)


def _is_number(summary: Any, place: int) -> bool:
    values = [group[place] for group, _, _ in summary]
    return (
        all(isinstance(value, int | float) and not isinstance(value, bool) for value in values) and len(set(values)) > 1
    )
