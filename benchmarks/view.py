"""Times views: how long a page takes to make, its size, and a redraw in a headless Chromium with its pixels there.

python benchmarks/view.py
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter

from playwright.sync_api import sync_playwright

from sim import view
from sim.cli import invoke

RUNS = {
    "crowd, 1,000 agents, 300 ticks": ("crowd", "--ticks", "300"),
    "segregation, 10,035 agents, 20 ticks": (
        "segregation",
        "--ticks",
        "20",
        "--set",
        "width=112",
        "--set",
        "height=112",
    ),
}
REDRAWS = """() => { const view = tickweave, pane = view.panes[0], ms = [];
const spot = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
for (let i = 0; i < 41; i++) { view.tick = view.first + (i * 7) % (view.last - view.first + 1);
  const begun = performance.now(); pane.draw(); spot.drawImage(pane.canvas, 0, 0); spot.getImageData(0, 0, 1, 1);
  ms.push(performance.now() - begun); }
return ms; }"""


def main() -> None:
    path = shutil.which("chromium") or sys.exit("chromium is not installed; install the package of that name")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        for name, command in RUNS.items():
            replay = Path(folder) / f"{command[0]}.replay.jsonl"
            invoke(["run", *command, "--quiet", "--out", str(replay)])
            begun = perf_counter()
            out = view(replay).save(replay.with_suffix(".html"))
            made = perf_counter() - begun
            page = browser.new_page(viewport={"width": 1400, "height": 900})
            page.goto(out.as_uri())
            while not page.evaluate("window.tickweave !== undefined"):
                page.wait_for_timeout(20)
            redraw = median(page.evaluate(REDRAWS))
            sys.stdout.write(f"{name}: page in {made:.1f} s, {out.stat().st_size:,} bytes; a redraw {redraw:.1f} ms\n")
        browser.close()


if __name__ == "__main__":
    main()
