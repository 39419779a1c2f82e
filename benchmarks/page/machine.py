"""The machine that the page was made on: its kind, versions, and how fast it is at the moment."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

PACKAGES = ("tickweave", "numpy", "esper", "mesa", "mesa-frames", "ambr", "networkx", "polars")
LOOP = 1_000_000
BLOCK = 64_000_000
"""Bytes of the copy that measures bandwidth: more than fit into a cache."""


def machine() -> dict[str, Any]:
    """Return the kind of machine and the versions; no names."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
    }


def calibration() -> dict[str, float]:
    """Return the time of an empty loop, nanoseconds a turn, and the bandwidth of memory, gigabytes a second."""
    source = np.ones(BLOCK // 8)
    target = np.zeros_like(source)
    return {
        "loop_ns": _median(_loop) / LOOP * 1e9,
        "bandwidth_gb_s": 2 * BLOCK / _median(lambda: np.copyto(target, source)) / 1e9,
        "load": os.getloadavg()[0],
    }


def _loop() -> None:
    for _ in range(LOOP):
        pass


def _median(work: Callable[[], Any]) -> float:
    found = []
    for _ in range(9):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return statistics.median(found[1:])


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
