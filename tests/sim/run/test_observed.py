"""What agents know is taken at one moment."""

from __future__ import annotations

from typing import Any

import pytest

from sim.run.scenario_file import load
from sim.run.simulation import Simulation


@pytest.mark.parametrize("name", ["market", "foraging", "skirmish"])
def test_what_agents_knew_does_not_follow_the_world(name: str) -> None:
    """The digest of what was known is that of the moment of asking, whatever the tick changes afterwards."""
    asked: list[str] = []
    with Simulation(load(name)) as simulation:
        source = simulation.run_context.source
        assert source is not None
        plan = source.plan

        def noting(batch: Any, walks: Any = None) -> Any:
            asked.append(batch.digest())
            return plan(batch, walks)

        source.plan = noting  # type: ignore[method-assign]
        known = [report.known for report in simulation.reports(12)]
    assert asked == [each for each in known if each is not None]
