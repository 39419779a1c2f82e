"""The picture of a result: the total time of every way and the time to its first plan, one panel per batch size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from sim.bench.figures import Figures
from sim.bench.strategies import Kind

HOW_TO_GET_IT: Final = "the plot needs matplotlib: pip install 'tickweave[plot]'"
"""The message in place of a plot."""

_PAST: Final = "#9a9a9a"
_OURS: Final = {"named": "#7b9fcf", "tuple": "#3f74b5", "line": "#1b3f73"}
_FIRST: Final = "#e07b00"


def draw(figures: Sequence[Figures], file: Path) -> bool:
    """Write a PNG; return False if the library for it is not installed."""
    try:  # an extra, and slow to import
        from matplotlib.figure import Figure
    except ImportError:
        return False
    sizes = sorted({each.agents for each in figures})
    most = max(len([each for each in figures if each.agents == agents]) for agents in sizes)
    picture = Figure(figsize=(2 + 4.2 * len(sizes), 1.8 + 0.42 * most), layout="constrained")
    for axes, agents in zip(picture.subplots(1, len(sizes), squeeze=False)[0], sizes, strict=True):
        _panel(axes, [each for each in figures if each.agents == agents], agents)
    picture.suptitle("Seconds until all plans are there (bars) and until the first one is (dots)")
    picture.savefig(file, format="png", dpi=120)
    return True


def _panel(axes: Any, figures: Sequence[Figures], agents: int) -> None:
    """Draw the ways at one number of agents, the first on top."""
    places = list(range(len(figures)))
    totals = [each.total_s for each in figures]
    colours = [
        _PAST if each.strategy.kind in (Kind.NAIVE, Kind.BASELINE) else _OURS[each.strategy.encoding]
        for each in figures
    ]
    axes.barh(places, totals, color=colours, height=0.7)
    known = [(each.first_s, place) for place, each in enumerate(figures) if each.first_s is not None]
    axes.plot([first_s for first_s, _ in known], [place for _, place in known], "o", color=_FIRST, markersize=5)
    for place, each in enumerate(figures):
        axes.annotate(_label(each), (each.total_s, place), (4, 0), textcoords="offset points", va="center", fontsize=8)
    axes.set_yticks(places, [each.strategy.name for each in figures])
    axes.set_xlim(0, max(totals) * 1.3)
    axes.invert_yaxis()
    axes.set_title(f"{agents} agents" if agents > 1 else "1 agent")
    axes.set_xlabel("s")
    axes.spines[["top", "right"]].set_visible(False)


def _label(of: Figures) -> str:
    """Return the label of a bar: its length, and how many times faster than the baseline it is."""
    faster = "" if of.over_b is None or of.strategy.kind is Kind.BASELINE else f"  {of.over_b:.1f} x B"
    return f"{of.total_s:.1f}{faster}"
