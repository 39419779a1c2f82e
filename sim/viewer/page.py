"""A self-contained HTML page of one or two replays: no network, nothing of a replay as markup, a strict policy."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from sim.errors import ReplayError
from sim.replay.diff import Difference, diff
from sim.replay.frames import frames
from sim.replay.playback import Playback
from sim.replay.reader import Progress, Source, untold
from sim.replay.replay_file import open_replay_file
from sim.run.domain import Metric
from sim.tables.metrics import measure
from sim.viewer.collect import CHANGES_MAX, Collector

BYTES_MAX: Final = 950_000
"""Aim for a page's size: values that are not drawn, and plans of rules, are left out from the longest on."""
SCRIPTS: Final = ("uplot.min.js", "viewer.js")
STYLES: Final = ("uplot.min.css", "viewer.css")
VALUES_MAX: Final = 50
"""Values of a first difference that a page lists."""


@dataclass(slots=True)
class Recording:
    """A replay as a page takes it: its description, its frames, and the parts left out to keep the page small."""

    about: dict[str, Any]
    frames: list[dict[str, Any]]

    def data(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {"about": self.about, "frames": self.frames}


def recording(
    source: Source,
    plugin_files: Sequence[Path] = (),
    progress: Progress = untold,
    *,
    name: str = "",
    every: int = 1,
    metrics: Sequence[str] | Mapping[str, Metric] = (),
) -> Recording:
    """Run a replay again and collect its frames, or every second, third ... of them, with `metrics` as further curves.

    Raises:
        ReplayError: there are more values than a page may hold; the sentence says what to do.
        ReplayError: it cannot be read or run again, as `frames` says.
        ScenarioError: its scenario is not valid, or its domain or a metric is missing here.
    """
    collectors: list[Collector] = []
    found: list[dict[str, Any]] = []

    def begin(playback: Playback) -> None:
        measure(playback.simulation, metrics)
        collectors.append(Collector(playback.simulation, playback.header))
        found.append(collectors[0].start(playback.simulation))

    for frame in frames(source, plugin_files, progress, begin):
        if frame.tick % every and frame.tick + 1 < frame.playback.header.ticks and frame.record.outcome is None:
            continue
        if collectors[0].changes > CHANGES_MAX:
            raise ReplayError(f"a page holds at most {CHANGES_MAX:,} values; add --every {2 * every} for fewer ticks")
        found.append(collectors[0].frame(frame.playback.simulation, frame.record, frame.playback.batch))
    return Recording({**collectors[0].about, "name": name}, found)


def difference_of(one: tuple[Source, Sequence[Path]], two: tuple[Source, Sequence[Path]]) -> dict[str, Any]:
    """Return where two replays part first, as a page takes it; each is a source with the local files of its run.

    Raises:
        Corrupt: a line is damaged.
    """
    with open_replay_file(*one) as left, open_replay_file(*two) as right:
        found = diff(left, right)
    if found is None:
        return {"same": True}
    return {"same": False, "where": found.where, "tick": found.tick, "names": list(found.names), **_values(found)}


def _values(found: Difference) -> dict[str, Any]:
    values = [[f"{v.component}.{v.field}", v.key, json.dumps(v.left), json.dumps(v.right)] for v in found.values]
    return {"values": values[:VALUES_MAX], "more": max(len(values) - VALUES_MAX, 0), "note": found.note}


def fitted(parts: Sequence[Recording], limit: int = BYTES_MAX) -> bytes:
    """Return recordings as compressed JSON, and leave out of them what makes a page too large.

    First go the values that the portrayal does not name, from those that change most on, then the plans of rules. All
    that is drawn, and everything about plans of models, stays at any size. `about.left_out` says what is missing.
    """
    room = (limit - len(page(b"")) - 4096) * 3 // 4
    packed = _packed(parts)
    while len(packed) > room:
        part = max(parts, key=lambda each: len(json.dumps(each.frames)))
        over = 1 - room / len(packed)
        if not _lighter(part, over):
            break
        packed = _packed(parts)
    return packed


def _packed(parts: Sequence[Recording]) -> bytes:
    text = json.dumps([part.data() for part in parts], separators=(",", ":"))
    return gzip.compress(text.encode(), 9, mtime=0)


def _lighter(part: Recording, over: float) -> bool:
    """Leave out about this share of a recording; False where nothing is left that may go."""
    sizes: dict[int, int] = {}
    for frame in part.frames:
        for change in frame.get("c", ()):
            if not part.about["series"][change[0]]["shown"]:
                sizes[change[0]] = sizes.get(change[0], 0) + len(json.dumps(change))
    left_out = part.about.setdefault("left_out", [])
    total = sum(len(json.dumps(frame)) for frame in part.frames)
    gone: set[int] = set()
    for number in sorted(sizes, key=lambda each: -sizes[each]):
        if gone and sum(sizes[each] for each in gone) >= over * total:
            break
        gone.add(number)
    if gone:
        left_out += [part.about["series"][number]["name"] for number in sorted(gone)]
        for frame in part.frames:
            if "c" in frame:
                frame["c"] = [change for change in frame["c"] if change[0] not in gone]
        return True
    if "plans of rules" not in left_out:
        left_out.append("plans of rules")
        for frame in part.frames:
            if "q" in frame:
                frame["q"] = [plan for plan in frame["q"] if str(plan[0]) in frame.get("o", {})]
        return _forget(part)
    return False


def _forget(part: Recording) -> bool:
    """Leave out texts that nothing names any more; their numbers stay."""
    used = {number for frame in part.frames for plan in frame.get("q", ()) for number in plan[1]}
    used |= {number for frame in part.frames for each in frame.get("o", {}).values() for number in each.values()}
    texts = {number for number, each in enumerate(part.about["series"]) if each["kind"] in ("text", "texts")}
    if texts:
        return True  # columns of texts name them as differences
    number = 0
    for frame in part.frames:
        for place in range(len(frame.get("s", ()))):
            if number not in used:
                frame["s"][place] = ""
            number += 1
    return True


# -- the page ----------------------------------------------------------------------------------------------------------


@cache
def asset(name: str) -> str:
    """Return the text of a file that pages are made of."""
    return (files("sim.viewer") / "assets" / name).read_text("utf-8")


def page(packed: bytes, difference: dict[str, Any] | None = None, *, served: str = "") -> str:
    """Return a page.

    Args:
        packed: the result of `fitted`; empty for a live view, which asks for it.
        difference: the result of `difference_of`.
        served: "replay" for a page whose server tells about single agents, "live" for one that also sends frames.
    """
    scripts = [asset(name) for name in SCRIPTS]
    styles = [asset(name) for name in STYLES]
    policy = "; ".join(
        [
            "default-src 'none'",
            f"script-src {' '.join(map(_hashed, scripts))}",
            f"style-src {' '.join(map(_hashed, styles))}",
            "img-src data:",
            f"connect-src {repr('self') if served else repr('none')}",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )
    start = json.dumps({"difference": difference, "served": served})
    data = {
        "start-data": base64.b64encode(start.encode()).decode(),
        "frames": base64.b64encode(packed).decode(),
    }
    blocks = "".join(f'<script type="text/plain" id="{name}">{text}</script>\n' for name, text in data.items())
    return (
        asset("viewer.html")
        .replace("POLICY", policy, 1)
        .replace("<!-- STYLES -->", "".join(f"<style>{style}</style>\n" for style in styles), 1)
        .replace("<!-- DATA -->", blocks, 1)
        .replace("<!-- SCRIPTS -->", "".join(f"<script>{script}</script>\n" for script in scripts), 1)
    )


def _hashed(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
