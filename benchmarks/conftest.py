"""Prints what the benchmarks found beside their times."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print a line for each cost that a benchmark holds to a limit."""
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
