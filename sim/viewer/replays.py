"""Views of replays: as a page in a file, from a server that also tells what a page leaves out, or in a notebook."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.server import HTTPServer
from pathlib import Path
from typing import Any, Final

from sim.messages import shown
from sim.replay.reader import Progress, Source, untold
from sim.replay.record import header_of
from sim.replay.replay_file import open_replay_file
from sim.replay.show import show_agent
from sim.run.domain import Metric
from sim.run.simulation import Simulation
from sim.run.writing import whole
from sim.viewer.collect import Collector
from sim.viewer.page import Recording, difference_of, fitted, page, recording
from sim.viewer.serve import Asked, server_of

FRAME_PX: Final = 680
"""Height of a view in a notebook."""
Metrics = Sequence[str] | Mapping[str, Metric]
"""Further metrics: texts of an option (`gini.py:gini`), or functions by name."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A replay that is viewed: its source, the local files of its run, and what people call it."""

    source: Source
    files: Sequence[Path] = ()
    name: str = ""


class View:
    """A page about one or two replays.

    A notebook shows it as the last value of a cell; `save` writes it.

    Attributes:
        html: the page.
    """

    def __init__(self, html: str) -> None:
        self.html = html

    def save(self, out: str | Path, *, replace: bool = True) -> Path:
        """Write the page and return its path.

        Raises:
            SimError: it cannot be written.
        """
        with whole(Path(out), replace=replace) as file:
            file.write(self.html.encode())
        return Path(out)

    def _repr_html_(self) -> str:
        return (
            f'<iframe srcdoc="{html.escape(self.html)}" sandbox="allow-scripts" '
            f'style="width:100%;height:{FRAME_PX}px;border:0"></iframe>'
        )

    def __repr__(self) -> str:
        return f"View({len(self.html.encode()) / 1000:,.0f} kB; save(FILE) writes it)"


def view(
    first: Source,
    second: Source | None = None,
    *,
    plugin_files: Sequence[Path] = (),
    every: int = 1,
    metrics: Mapping[str, Metric] | None = None,
) -> View:
    """Return a view of a replay, or of two beside each other.

    Args:
        first: a replay's path or bytes.
        second: another one.
        plugin_files: the local files of their domains and plug-ins; loading them executes them.
        every: shows every second, third ... tick, for long runs of many agents.
        metrics: further metrics by name.

    Raises:
        ReplayError: a replay cannot be read or run again.
        ScenarioError: its scenario is not valid, or its domain is missing here.

    >>> view("replays/golden/ecology.replay.jsonl").html[:15]
    '<!doctype html>'
    """
    replays = [Shown(each, plugin_files, name_of(each)) for each in (first, second) if each is not None]
    return view_of(replays, every=every, metrics=metrics or {})


def view_now(simulation: Simulation) -> View:
    """Return a view of a run as it is now; `Simulation.show` calls it."""
    collector = Collector(simulation, header_of(simulation, ticks=simulation.scenario.ticks))
    return View(page(fitted([Recording(collector.about, [collector.start(simulation)])])))


def view_of(replays: Sequence[Shown], progress: Progress = untold, *, every: int = 1, metrics: Metrics = ()) -> View:
    """Return the view of one or two replays."""
    packed, difference = _packed(replays, progress, every, metrics)
    return View(page(packed, difference))


def serve(
    replays: Sequence[Shown], progress: Progress = untold, *, port: int = 0, every: int = 1, metrics: Metrics = ()
) -> tuple[HTTPServer, str]:
    """Return a server of a view that also tells about plans that are not in the page, and its address.

    Raises:
        OSError: the port is taken.
    """
    packed, difference = _packed(replays, progress, every, metrics)
    text = page(packed, difference, served="replay")

    def agent(asked: Asked) -> dict[str, Any]:
        each = dict(enumerate(replays))[int(asked.get("run", "0"))]
        with open_replay_file(each.source, each.files) as file:
            return show_agent(file, int(asked.get("t", "")), int(asked.get("a", "")))

    return server_of({"": lambda _: text, "agent": agent}, port=port)


def _packed(
    replays: Sequence[Shown], progress: Progress, every: int, metrics: Metrics
) -> tuple[bytes, dict[str, Any] | None]:
    difference = difference_of(*((each.source, each.files) for each in replays)) if len(replays) == 2 else None
    parts = [
        recording(each.source, each.files, progress, name=each.name, every=every, metrics=metrics) for each in replays
    ]
    return fitted(parts), difference


def name_of(source: Source) -> str:
    """Return what a page calls a replay."""
    return shown(Path(source).name) if isinstance(source, str | Path) else ""
