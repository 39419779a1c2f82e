"""A picture of a comparison: a line for each seed from one planner's value to the other's, and their difference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, BinaryIO

from sim.extras import extra
from sim.sweep.statistics import estimate
from sim.sweep.versus import Game, difference, score, values_by_player


def draw_games(games: Sequence[Game], names: tuple[str, str], metric: str | None, out: BinaryIO, *, form: str) -> None:
    """Write a picture of the runs' values, or of the games won where there is no metric.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    picture: Any = extra("matplotlib.figure", "a plot").Figure(figsize=(6.5, 4), layout="constrained")
    axes = picture.subplots()
    if metric is None:
        came_to = score(games)
        axes.bar([names[0], names[1], "draws"], [came_to.a, came_to.b, came_to.draws], color=["C0", "C1", "#9a9a9a"])
        low, high = came_to.interval
        axes.set_ylabel("games")
        axes.set_title(f"share of {names[0]}: 95 percent interval {low:.0%} to {high:.0%}")
    else:
        both = values_by_player(games)
        for pair in zip(*both, strict=True):
            axes.plot([0, 1], pair, color="#9a9a9a", linewidth=0.8, zorder=1)
        for place, values in enumerate(both):
            found = estimate(values)
            reach = [[found.mean - found.low], [found.high - found.mean]]
            axes.errorbar(place, found.mean, reach, fmt="o", capsize=5, color=f"C{place}")
        gain = difference(games)
        axes.set_xticks([0, 1], names)
        axes.set_xlim(-0.4, 1.4)
        axes.set_ylabel(metric)
        axes.set_title(f"paired difference {gain.difference}")
    axes.spines[["top", "right"]].set_visible(False)
    picture.savefig(out, format=form, dpi=120)
