"""Makes what the site has beside the pages: the reference of every public name, and the gallery."""

from __future__ import annotations

import ast
import io
import re
import tempfile
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

from sim import Simulation, load, record
from sim.replay.frames import frames
from sim.tables.plot import curves, draw
from sim.viewer.replays import view

PACKAGES = ("ai", "sim", "sim.testing", "sim.tables", "sim.sweep", "sim.adapters", "sim.replay")
"""Packages whose public names the reference has."""
GALLERY = {
    "skirmish": (150, "Two squads meet at a crossing (`tactics`)"),
    "foraging": (120, "Two colonies gather berries"),
    "ecology": (120, "Grass, sheep and wolves"),
    "epidemic": (80, "An infection on a network"),
    "segregation": (60, "Neighbours who want to be among their own"),
    "market": (60, "Villagers trade goods on a market day"),
}
"""Scenarios of the gallery, how long they run, and what they show."""
OUTSIDE = re.compile(r"\[([^\]]+)\]\((?:\.\./)+((?:README|scenarios|replays|tests|benchmarks)[^)#\s]*)(?:#[^)\s]*)?\)")


def on_files(files: Files, config: Any) -> Files:
    """Add the generated pages and pictures."""
    files.append(File.generated(config, "reference/python.md", content=reference()))
    files.append(File.generated(config, "gallery.md", content=gallery_page()))
    for name, (picture, page) in gallery().items():
        files.append(File.generated(config, f"gallery/{name}.png", content=picture))
        files.append(File.generated(config, f"gallery/{name}.html", content=page))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Turn links to files that are not part of the site into their names."""
    return OUTSIDE.sub(r"\1 (`\2` in the repository)", markdown)


def reference() -> str:
    """Return the page of every public name."""
    parts = ["# Python\n\nEvery public name, by the package that it is imported from.\n"]
    for package in PACKAGES:
        module = import_module(package)
        parts.append(f"\n## {package}\n\n{(module.__doc__ or '').strip()}\n")
        parts += [f"\n::: {home(package, name)}\n" for name in sorted(module.__all__)]
    return "".join(parts)


def home(package: str, name: str) -> str:
    """Return the path under which a name's declaration is found."""
    if package == "sim":
        return f"{imported(package)[name]}.{name}"
    value = getattr(import_module(package), name)
    module = getattr(value, "__module__", None)
    own = getattr(value, "__qualname__", None)
    return f"{module}.{own}" if module and own == name and module.startswith(("ai", "sim")) else f"{package}.{name}"


@cache
def imported(package: str) -> dict[str, str | None]:
    """Return the module that each name of a package is imported from."""
    tree = ast.parse(Path(str(import_module(package).__file__)).read_text("utf-8"))
    return {
        each.name: node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for each in node.names
    }


def gallery_page() -> str:
    """Return the page of the gallery."""
    about = "A run of each shipped domain: its metrics over time, and a page that plays it tick by tick."
    same = "`tickweave plot` and `tickweave view` make the same from your own replays."
    parts = [f"# Gallery\n\n{about} {same}\n"]
    for name, (_, said) in GALLERY.items():
        parts.append(f"\n## {said}\n\n![Metrics of {name} over time](gallery/{name}.png)\n")
        parts.append(f"\n[Play it](gallery/{name}.html){{ target=_blank }}\n")
    return "".join(parts)


def gallery() -> dict[str, tuple[bytes, str]]:
    """Return the curves and the view of a run of every scenario."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, (ticks, _) in GALLERY.items():
            replay = Path(folder) / f"{name}.replay.jsonl"
            with Simulation(load(name), seed=1) as simulation:
                record(simulation, replay, ticks)
            sink = io.BytesIO()
            draw({name: curves(frames(replay))}, sink)
            found[name] = sink.getvalue(), view(replay).html
    return found
