"""Prints what the benchmarks found as tables: ticks a second by number of agents, with the time of every phase."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print one line for each timed run that carries phase times."""
    session = getattr(config, "_benchmarksession", None)
    found = getattr(session, "benchmarks", [])
    write = terminalreporter.write_line
    for bench in found:
        if "recording_percent" in (info := bench.extra_info):
            write("")
            write(
                f"recording adds {info['recording_percent']:.1f} percent to a tick of {info['agents']} agents "
                f"({info['plain_ms']:.3f} and {info['recorded_ms']:.3f} ms; at most {info['limit_percent']})"
            )
        if "vocabulary_ratio" in info:
            write(
                f"with {info['kinds_all']} kinds registered a tick of {info['agents']} agents takes "
                f"{info['vocabulary_ratio']:.3f} of what it takes with {info['kinds_few']} "
                f"({info['all_ms']:.3f} and {info['few_ms']:.3f} ms; at most {info['limit_ratio']})"
            )
    for line in _replay_costs({name: value for bench in found for name, value in bench.extra_info.items()}):
        write(line)
    rows = [bench for bench in found if "phases_ms" in bench.extra_info]
    if not rows:
        return
    phases = list(rows[0].extra_info["phases_ms"])
    write("")
    write(
        f"{'agents':>8} {'ticks/s':>9} {'floor':>6} {'median ms':>10} {'loop':>6}  "
        + " ".join(f"{p:>10}" for p in phases)
    )
    for bench in sorted(rows, key=lambda bench: bench.extra_info["agents"]):
        info, median = bench.extra_info, bench.stats.median
        floor = info.get("floor") or "-"
        write(
            f"{info['agents']:>8} {1 / median:>9.1f} {floor:>6} {median * 1000:>10.3f} {info['calibration_ms']:>6.1f}  "
            + " ".join(f"{info['phases_ms'][p]:>10.3f}" for p in phases)
        )
    write("loop: a fixed pure-Python loop timed beside each run, ms; compare runs on one machine by it.")


def _replay_costs(info: Mapping[str, Any]) -> Iterator[str]:
    """Say what replays cost, as far as it was measured, and what they may cost."""
    if "verify_ratio" in info:
        yield (
            f"verifying a run of a model takes {info['verify_ratio']:.2f} of the run's own time without the model "
            f"({info['verify_s']:.3f} and {info['run_s']:.3f} s; at most 1.2)"
        )
        yield f"a plan of a model adds {info['model_plan_bytes']:.1f} bytes in the terse encoding (at most 90)"
    if "plan_bytes" in info:
        yield (
            f"a plan by rules adds {info['plan_bytes']:.1f} bytes to a tick (at most 8), beside a fixed part of up to "
            f"{info['fixed_bytes']} bytes (at most 1000)"
        )
