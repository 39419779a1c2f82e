"""The page on speed holds every measure, and says of each goal whether it is met."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return tiny measurements of our own, and figures in place of the peers'."""
    folder = tmp_path_factory.mktemp("page")
    with pytest.MonkeyPatch.context() as patch:
        import engine
        import machine
        import own
        import tick

        patch.setattr(own, "GOALS", {10: 1.0})
        patch.setattr(own, "PEERS", {"esper": own.esper_step})
        patch.setattr(tick, "SIZES", ((10, 2, 1, 1.0), (20, 2, 1, 1.0)))
        return {
            "machine": machine.machine(),
            "quick": True,
            "before": machine.calibration(),
            "own": own.own(folder, quick=True),
            "engine": engine.engine(folder, quick=True),
            "tick": tick.tick(folder, quick=True, old=tick.HERE),
            "speed": [
                {"case": "ecology", "agents": 9, "mesa_per_second": 1, "ours_per_second": 2, "ratio": 2.0, "goal": 1.0}
                | {"ratios": [2.0]}
            ],
            "layer": [{"agents": 9, "goal": 1.5, "operations": {"perceive": {"ratio": 1.25}}}],
            "memory": {"ours": {"1000": 2_000_000}, "esper": {"1000": 3_000_000}},
            "starts": [{"command": "tickweave --version", "multiple": 4.0, "goal": 3.0, "numpy_s": 0.1}],
            "jobs": [{"case": "long", "serial_s": 12.0, "speed_up": 1.8, "control": 1.9, "goal": 1.7}],
        }


def test_the_page_holds_every_measure(measured: dict[str, Any]) -> None:
    """Each part has its table, each goal its verdict."""
    from writer import page

    text = page(measured)
    assert "| own model, 10 agents, to the best peer (esper) | at most 1.00 x |" in text
    assert "| ecology, to Mesa's example | at least 1.00 x | 2.00 x | met |" in text
    assert "| `tickweave --version`, to importing NumPy | at most 3.00 x | 4.00 x | missed |" in text
    assert "| `--jobs 2`, 12 s of work (two programs: 1.90 x) | at least 1.70 x | 1.80 x | met |" in text
    assert "| perceive | 1.25 |" in text
    for part in ("whole tick", "perception", "planning", "execution", "digest", "record"):
        assert text.count(f"| {part} | ") >= 3, part
    assert "GB a second" in text
    for table in text.split("\n\n"):
        rows = [line.count("|") for line in table.splitlines() if line.startswith("|")]
        assert len(set(rows)) <= 1, table


def test_a_page_of_some_parts_says_nothing_of_others(measured: dict[str, Any]) -> None:
    """Without a checkout of the first edition, or with `--only`, what was not measured is not there."""
    from writer import page

    found = deepcopy(measured)
    for row in found["tick"]["rows"]:
        row["before"] = row["load_before_s"] = None
    text = page({name: value for name, value in found.items() if name not in ("own", "layer", "jobs")})
    assert "first edition" not in text
    assert "Many runs" not in text
    assert "## Phases of the tactical tick" in text


def test_the_picture_is_the_same_for_the_same_figures(measured: dict[str, Any], tmp_path: Path) -> None:
    """Time and memory stand against agents, in a small file without a date."""
    pytest.importorskip("matplotlib")
    from picture import draw

    for name in ("a.svg", "b.svg"):
        draw(measured, tmp_path / name)
    first = (tmp_path / "a.svg").read_bytes()
    assert first == (tmp_path / "b.svg").read_bytes()
    assert b"megabytes" in first
    assert len(first) < 100_000
