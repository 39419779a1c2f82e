"""The page that the comparison writes, and the machine it was made on."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("tickweave", "numpy", "esper", "mesa", "mesa-frames", "ambr", "networkx", "polars")


def machine() -> dict[str, Any]:
    """Return the kind of machine and the versions; no names."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or "unknown"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def page(found: dict[str, Any]) -> str:
    """Return the page, Markdown."""
    parts = ("speed", _speed), ("own", _own), ("agreement", _agreement)
    lines = [*_head(found), *(line for name, part in parts if name in found for line in part(found[name]))]
    return "\n".join(lines).rstrip() + "\n"


def _head(found: dict[str, Any]) -> Iterator[str]:
    where = found["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in where["packages"].items())
    yield "# Tickweave beside its peers"
    yield ""
    yield "`make peers` writes this page. Processor time, all models in turn in one process, medians of ratios."
    yield ""
    yield f"{where['processor']}, {where['cores']} cores, {where['system']}, Python {where['python']}; {versions}."
    yield ""
    if found["quick"]:
        yield "**A quick run, to see that the benchmark works. Do not quote it.**"
        yield ""


def _speed(rows: list[dict[str, Any]]) -> Iterator[str]:
    yield "## Speed beside Mesa's own examples"
    yield ""
    yield "Agents times ticks a second; animals and people count, grass does not. Ours hashes its state in every tick,"
    yield "records the run to a file and computes its metrics; Mesa's collects its data as the example does. Every"
    yield "recording was verified: match."
    yield ""
    yield "| model | agents | Mesa | ours | ours / Mesa | lowest to highest | goal | |"
    yield "| --- | --: | --: | --: | --: | --: | --: | --- |"
    for row in rows:
        low, high = min(row["ratios"]), max(row["ratios"])
        yield (
            f"| {row['case']} | {row['agents']:,} | {row['mesa_per_second']:,} | {row['ours_per_second']:,} | "
            f"**{row['ratio']:.1f}** | {low:.1f} to {high:.1f} | {row['goal']:.0f} | {_met(row['met'])} |"
        )
    yield ""


def _own(rows: list[dict[str, Any]]) -> Iterator[str]:
    names = list(dict.fromkeys(name for row in rows for name in row["ratios"]))
    yield "## A user's own model: move and sense"
    yield ""
    yield "Time of ours, with digest and a recording to a file, divided by the time of each peer, which has neither."
    yield "The models are in `benchmarks/peers`: `wandering` uses the methods of a grid, `wandering-by-hand` computes"
    yield "with coordinates as the peers' models do. Lower is better; the fastest peer counts."
    yield ""
    yield f"| model | agents | {' | '.join(names)} | best peer | goal | |"
    yield f"| --- | --: | {' | '.join(['--:'] * len(names))} | --: | --: | --- |"
    for row in rows:
        each = " | ".join(f"{row['ratios'][name]:.3f}" if name in row["ratios"] else "-" for name in names)
        best = f"**{row['ratio']:.2f}** ({row['best']}) | {row['goal']:.2f} | {_met(row['ratio'] <= row['goal'])}"
        yield f"| {row['model']} | {row['agents']:,} | {each} | {best} |"
    yield ""


def _agreement(found: dict[str, Any]) -> Iterator[str]:
    rows = found["rows"]
    yield "## Agreement with Mesa's own examples"
    yield ""
    verdict = "agree" if found["agrees"] else "**disagree**"
    yield f"{found['seeds']} seeds each, the same settings; means with 95 percent t intervals. `inside`: each mean lies"
    yield "in the other's interval; two equal models miss this by chance in about one number of six. `p`: Welch's test"
    yield f"of equal means. {found['inside']} of {len(rows)} numbers are inside. The smallest p, adjusted for the count"
    yield f"of tests (Benjamini-Yekutieli), is {found['smallest_adjusted_p']:.2f}: the models {verdict}."
    yield ""
    yield "| setting | number | Mesa | ours | inside | p |"
    yield "| --- | --- | --: | --: | --- | --: |"
    for row in rows:
        yield (
            f"| {row['case']} | {row['number']} | {_mean(row, 'mesa')} | {_mean(row, 'ours')} | "
            f"{'yes' if row['inside'] else 'no'} | {row['p']:.2f} |"
        )
    yield ""


def _mean(row: dict[str, Any], side: str) -> str:
    digits = 3 if abs(row[side]) < 10 else 1
    mean, low, high = (f"{row[side + part]:,.{digits}f}" for part in ("", "_low", "_high"))
    return f"{mean} ({low} to {high})"


def _met(met: bool) -> str:  # noqa: FBT001 - one word for one truth
    return "met" if met else "missed"
