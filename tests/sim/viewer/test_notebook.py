"""What notebooks show: short forms that say what a thing is, and pages."""

from __future__ import annotations

import html
import re

import numpy as np

from sim import Simulation, load
from tests.sim.viewer.test_page import data_of


def test_short_forms_are_one_line() -> None:
    """A simulation, its world, scenario, report and plans fit on a line and name what counts."""
    with Simulation(load("market"), seed=3) as simulation:
        report = simulation.tick()
        forms = [repr(each) for each in (simulation, simulation.world, simulation.scenario, report, report.plans)]
    assert forms[0] == "Simulation(market, seed 3, tick 1 of 60, 12 agents)"
    assert forms[1] == "World(market, tick 1, 12 agents)"
    assert forms[2] == "Scenario('market', market, 60 ticks, seed 1)"
    assert forms[3] == f"TickReport(tick 0, 12 agents, plans {{'heuristic': 12}}, root {report.digest.root})"
    assert forms[4] == "BatchPlans({'heuristic': 12}, 0 calls)"
    assert not any("\n" in form for form in forms)


def test_a_simulation_shows_its_metrics() -> None:
    """The HTML form has each metric's value now, and nothing of it is markup."""
    with Simulation(load("market"), seed=3) as simulation:
        simulation.run(4)
        shown = simulation._repr_html_()
        for name, value in simulation.metrics().items():
            assert f"<td>{name}</td><td>{value}</td>" in shown
        simulation.metrics_by_name = {"<b>": lambda world: np.int64(world.n)}
        assert f"<td>{html.escape('<b>')}</td><td>12</td>" in simulation._repr_html_()


def test_a_simulation_shows_the_world_as_it_is_now() -> None:
    """`show` is a page of one frame, and the run goes on as if nobody had looked."""
    with Simulation(load("foraging"), seed=3) as simulation, Simulation(load("foraging"), seed=3) as other:
        simulation.run(6)
        shown = simulation.show()
        found = data_of(shown.html)[0]
        assert [frame["t"] for frame in found["frames"]] == [5]
        assert found["frames"][0]["m"][0] == simulation.world.n
        assert re.match(r"<iframe srcdoc=", shown._repr_html_())
        assert simulation.run(9).snapshot() == other.run(9).snapshot()
