"""Times what a live view and a watched terminal cost a run, CPU seconds: runs with and without, interleaved.

    python benchmarks/live.py

A run with a model waits most of its time, so the cost is measured where it is highest: runs by rules at full speed. A
page that is open costs its server's time as well; `page` reads the events as a browser does.
"""

from __future__ import annotations

import io
import sys
import tempfile
import threading
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from time import process_time
from urllib.parse import urlsplit

from rich.console import Console
from rich.live import Live as Terminal

from scenarios.epidemic.domain import Epidemic
from scenarios.market.domain import Market
from sim import Domain, Simulation
from sim.viewer.live import Live
from sim.viewer.watch import Watch

ROUNDS = 3
RUNS = {
    "epidemic, 100,000 people": (Epidemic(agents=100_000), 300),
    "market, 12 villagers": (Market(), 8000),
}


def read(address: str) -> None:
    parts = urlsplit(address)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=60)
    connection.request("GET", f"{parts.path}events")
    answer = connection.getresponse()
    while answer.readline():
        pass
    connection.close()


def seconds(domain: Domain, ticks: int, kind: str) -> float:
    """Return the CPU time that a run takes, with all threads of this process."""
    with tempfile.TemporaryDirectory() as folder, Simulation(domain, seed=1) as simulation:
        live, shown, page = None, None, None
        if kind in ("live", "page"):
            live = Live(Path(folder) / "a.replay.jsonl")
            simulation.listen(live)
        watch = Watch()
        if kind == "watch":
            simulation.listen(watch)
            shown = Terminal(
                watch, console=Console(file=io.StringIO(), force_terminal=True, width=100), refresh_per_second=2
            )
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
        if shown is not None:
            shown.stop()
        if live is not None:
            live.end("over")
            if page is not None:
                page.join()
            live.close()
        return took


def main() -> None:
    for name, (domain, ticks) in RUNS.items():
        ratios: dict[str, list[float]] = {"live": [], "page": [], "watch": []}
        plain = []
        for _ in range(ROUNDS):
            base = seconds(domain, ticks, "none")
            plain.append(base)
            for kind, found in ratios.items():
                found.append(seconds(domain, ticks, kind) / (base / 2 + seconds(domain, ticks, "none") / 2))
        told = ", ".join(f"{kind} {100 * (median(found) - 1):+.1f} %" for kind, found in ratios.items())
        sys.stdout.write(f"{name}, {ticks} ticks: {median(plain):.2f} s; {told}\n")


if __name__ == "__main__":
    main()
