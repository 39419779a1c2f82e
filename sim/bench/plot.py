"""The picture of a result: total time, and time to the first plan, of every way at every number of agents."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from sim.bench.figures import Figures

HOW_TO_GET_IT: Final = "the plot needs matplotlib: pip install 'tickweave[plot]'"
"""Told in place of a plot."""


def draw(figures: Sequence[Figures], file: Path) -> bool:
    """Write a PNG; False where the library for it is not installed."""
    try:  # an extra, and slow to import
        from matplotlib.figure import Figure
    except ImportError:
        return False
    names = list(dict.fromkeys(each.strategy.name for each in figures))
    picture = Figure(figsize=(10, 1.6 + 0.35 * len(names)), layout="constrained")
    left, right = picture.subplots(1, 2, sharey=True)
    for agents in sorted({each.agents for each in figures}):
        of = [each for each in figures if each.agents == agents]
        left.plot(
            [each.total_s for each in of], [names.index(each.strategy.name) for each in of], "o", label=f"{agents}"
        )
        known = [(each.first_s, names.index(each.strategy.name)) for each in of if each.first_s is not None]
        if known:
            right.plot([first_s for first_s, _ in known], [row for _, row in known], "o")
    left.set_yticks(range(len(names)), names)
    left.invert_yaxis()
    for axes, title in ((left, "total, s"), (right, "first complete plan, s")):
        if axes.lines:
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter("{x:g}")
        axes.set_xlabel(title)
        axes.grid(visible=True, alpha=0.3)
    left.legend(title="agents")
    picture.savefig(file, format="png", dpi=110)
    return True
