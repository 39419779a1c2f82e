"""The picture of the page: time and memory against agents, in steps of ten."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib import rcParams
from matplotlib.figure import Figure

OURS = "wandering-by-hand"
"""The model of ours that does the peers' work in the peers' way."""


def lines(found: dict[str, Any]) -> tuple[dict[str, dict[int, float]], dict[str, dict[int, float]]]:
    """Return microseconds a tick, and megabytes, by name and agents."""
    times: dict[str, dict[int, float]] = {}
    for row in found["own"]:
        for name, value in row["tick_us"].items():
            if name == OURS or row["model"] == OURS:
                times.setdefault("Tickweave" if name == OURS else name, {})[row["agents"]] = value
    for row in found.get("tick", {"rows": []})["rows"]:
        times.setdefault("Tickweave, tactical game", {})[row["agents"]] = row["now"]["whole tick"]
    sizes = {
        "Tickweave" if name == "ours" else name: {int(agents): value / 1e6 for agents, value in each.items()}
        for name, each in found["memory"].items()
    }
    return times, sizes


def draw(found: dict[str, Any], path: Path) -> None:
    """Write the picture; the same figures give the same file."""
    rcParams["svg.hashsalt"] = "tickweave"
    rcParams["svg.fonttype"] = "none"
    picture = Figure(figsize=(9, 3.6), layout="constrained")
    names: list[str] = []
    for axes, series, label in zip(
        picture.subplots(1, 2), lines(found), ("microseconds a tick", "megabytes"), strict=True
    ):
        for name, values in series.items():
            if name not in names:
                names.append(name)
            kept = {agents: value for agents, value in sorted(values.items()) if value > 0}
            color = f"C{names.index(name)}"
            axes.loglog(list(kept), list(kept.values()), marker="o", markersize=3, label=name, color=color)
        axes.set_xlabel("agents")
        axes.set_ylabel(label)
        axes.legend(fontsize=7, frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
    picture.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
