"""Times what a live view and a watched terminal cost a run, CPU seconds: runs with and without, interleaved.

    python benchmarks/live.py

A run with a model waits most of its time, so the cost is measured where it is highest: runs by rules at full speed. A
page that is open costs its server's time as well; `page` reads the events as a browser does. Two figures: the ratio of
runs with and without (median; other work on the machine moves it), and in brackets the share of the run's CPU time that
was spent inside the display's own methods and drawings (steady).
"""

from __future__ import annotations

import io
import sys
import tempfile
import threading
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from time import process_time, thread_time
from typing import Any
from urllib.parse import urlsplit

from rich.console import Console
from rich.live import Live as Terminal

from scenarios.epidemic.domain import Epidemic
from scenarios.market.domain import Market
from sim import Domain, Scenario, Simulation, load
from sim.viewer.live import Live
from sim.viewer.watch import LOOK_S, Watch

ROUNDS = 7
RUNS = {
    "epidemic, 100,000 people": (Epidemic(agents=100_000), 300),
    "market, 12 villagers": (Market(), 3000),
    "crowd, 1,000 agents on a map": (load("crowd"), 300),
}


class Spent:
    """Adds up the CPU time of methods."""

    def __init__(self, *methods: tuple[object, str]) -> None:
        self.s = 0.0
        for owner, name in methods:
            setattr(owner, name, self._timed(getattr(owner, name)))

    def _timed(self, method: Any) -> Any:
        def call(*values: object, **options: object) -> Any:
            begun = thread_time()
            try:
                return method(*values, **options)
            finally:
                self.s += thread_time() - begun

        return call


def read(address: str) -> None:
    parts = urlsplit(address)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=60)
    connection.request("GET", f"{parts.path}events")
    answer = connection.getresponse()
    while answer.readline():
        pass
    connection.close()


def seconds(domain: Domain | Scenario, ticks: int, kind: str) -> tuple[float, float]:
    """Return the CPU time that a run takes, with all threads of this process, and the share of its display."""
    with tempfile.TemporaryDirectory() as folder, Simulation(domain, seed=1) as simulation:
        live, shown, page, spent = None, None, None, Spent()
        if kind in ("live", "page"):
            live = Live(Path(folder) / "a.replay.jsonl")
            spent = Spent((live, "on_tick"))
            simulation.listen(live)
        watch = Watch(100, 30)
        if kind == "watch":
            console = Console(file=io.StringIO(), force_terminal=True, width=100, height=44)
            shown = Terminal(watch, console=console, refresh_per_second=1 / LOOK_S)
            spent = Spent((watch, "on_tick"), (shown, "refresh"))
            simulation.listen(watch)
            shown.start()
        begun = process_time()
        if live is not None:
            live.begin(simulation, ticks=ticks, model=None)
            if kind == "page":
                page = threading.Thread(target=read, args=[live.address])
                page.start()
        if kind == "watch":
            watch.begin(simulation, ticks=ticks, model=None)
        simulation.run(ticks)
        took = process_time() - begun
        share = spent.s / took
        if shown is not None:
            shown.stop()
        if live is not None:
            live.end("over")
            if page is not None:
                page.join()
            live.close()
        return took, share


def main() -> None:
    for name, (domain, ticks) in RUNS.items():
        ratios: dict[str, list[float]] = {"live": [], "page": [], "watch": []}
        shares: dict[str, list[float]] = {kind: [] for kind in ratios}
        plain = []
        for _ in range(ROUNDS):
            for kind, found in ratios.items():
                before, (took, share), after = (seconds(domain, ticks, each) for each in ("none", kind, "none"))
                plain.append(before[0])
                found.append(2 * took / (before[0] + after[0]))
                shares[kind].append(share)
        told = ", ".join(
            f"{kind} {100 * (median(found) - 1):+.1f} % ({100 * median(shares[kind]):.1f} %)"
            for kind, found in ratios.items()
        )
        sys.stdout.write(f"{name}, {ticks} ticks: {median(plain):.2f} s; {told}\n")


if __name__ == "__main__":
    main()
