"""Where agents and things start: in row order, or where the run's seed draws."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.tactics.components import Position
from scenarios.tactics.grid import Terrain
from scenarios.tactics.scenario import place_agents, place_things, terrain
from scenarios.tactics.testing.flat import flat
from sim.errors import ScenarioError
from sim.run.scenario_file import Scenario
from sim.run.simulation import Simulation

ROWS = ("....", ".+#.", "....")
BUSH: dict[str, Any] = {"kind": "bush", "effect": {"kind": "yield"}, "stock": 3}


def _area(x: int, y: int, width: int, height: int) -> dict[str, int]:
    return {"x": x, "y": y, "width": width, "height": height}


def _scenario(*squads: dict[str, Any], **plan: Any) -> Scenario:
    """Return a scenario in which each squad is a team of its own."""
    return flat(
        {
            "name": "small",
            "description": "Agents in a room",
            "map": {"rows": ROWS, **plan},
            "archetypes": {"rifle": {}},
            "teams": [
                {"name": f"team {n}", "squads": [{"name": f"squad {n}", "archetype": "rifle", **squad}]}
                for n, squad in enumerate(squads)
            ],
        }
    )


def _walls(scenario: Scenario) -> Any:
    return terrain(scenario.settings) == Terrain.WALL


def test_agents_take_free_cells_in_row_order() -> None:
    """Squads are placed in order, on the free cells of their area from the top left, passing over taken ones."""
    small = _scenario({"count": 2, "area": _area(0, 0, 2, 3)}, {"count": 2, "area": _area(1, 0, 3, 3)})
    for seed in range(2):
        assert place_agents(small.settings, _walls(small), seed).tolist() == [
            [0, 0, 0, 0],
            [1, 0, 0, 0],
            [2, 0, 1, 1],
            [3, 0, 1, 1],
        ]


def test_placement_says_which_area_is_full() -> None:
    """More walls than the scenario counted on: the sentence names the squad and its area."""
    small = _scenario({"count": 2, "area": _area(0, 0, 2, 3)})
    blocked = np.ones((3, 4), np.bool_)
    blocked[0, 0] = False
    with pytest.raises(
        ScenarioError, match=r"teams\[0\]\.squads\[0\]\.area: has 1 free cells for the 2 agents of 'squad 0'"
    ):
        place_agents(small.settings, blocked, 1)


@given(seed=st.integers(0, 2**63 - 1), count=st.integers(1, 8))
def test_drawn_agents_stand_on_cells_of_their_own_inside_their_area(seed: int, count: int) -> None:
    """Whatever the seed, everyone gets a free cell of the area; the same seed gives the same cells."""
    small = _scenario({"count": count, "area": _area(1, 0, 3, 3), "start": "drawn"})
    placed = place_agents(small.settings, _walls(small), seed).tolist()
    assert len({(x, y) for x, y, _, _ in placed}) == count
    assert all(x >= 1 and ROWS[y][x] != "#" for x, y, _, _ in placed)
    assert placed == place_agents(small.settings, _walls(small), seed).tolist()


def test_the_run_s_seed_draws_and_fewer_agents_take_the_first_of_the_same_cells() -> None:
    """Seeds differ; a cell's number is its own, so a smaller squad stands where the first of a larger one would."""
    squad = {"count": 3, "area": _area(0, 0, 4, 3), "start": "drawn"}
    small, smaller = _scenario(squad), _scenario({**squad, "count": 2})
    starts = [place_agents(small.settings, _walls(small), seed).tolist() for seed in range(6)]
    assert len({str(start) for start in starts}) > 1
    fewer = [place_agents(smaller.settings, _walls(small), seed).tolist() for seed in range(6)]
    assert fewer == [start[:2] for start in starts]
    with Simulation(small, seed=4) as simulation:
        position = simulation.world[Position]
        assert list(zip(position.x.tolist(), position.y.tolist(), strict=True)) == [(x, y) for x, y, *_ in starts[4]]


@given(seed=st.integers(0, 2**63 - 1))
def test_scattered_things_stand_apart_and_keep_what_they_are(seed: int) -> None:
    """After what the file places comes each of a group, on a free cell where nothing else stands."""
    post = {"kind": "post", "x": 1, "y": 1, "effect": {"kind": "heal"}}
    small = _scenario(
        {"count": 1, "area": _area(0, 0, 1, 1)},
        objects=[post], scattered=[{**BUSH, "count": 4, "area": _area(0, 0, 4, 2)}],
    )  # fmt: skip
    things = place_things(small.settings.map, _walls(small), seed)
    assert [thing.kind for thing in things] == ["post", *["bush"] * 4]
    assert {thing.stock for thing in things[1:]} == {3}
    cells = [(thing.x, thing.y) for thing in things]
    assert len(set(cells)) == 5
    assert (2, 1) not in cells
    assert all(y < 2 for _, y in cells)


def test_things_stand_elsewhere_under_another_seed() -> None:
    """The seed of the run decides, not the scenario's."""
    small = _scenario(
        {"count": 1, "area": _area(0, 0, 1, 1)}, scattered=[{**BUSH, "count": 1, "area": _area(0, 0, 4, 3)}]
    )
    found = set()
    for seed in range(8):
        with Simulation(small, seed=seed) as simulation:
            found.add((int(simulation.run_context.game.objects.x[0]), int(simulation.run_context.game.objects.y[0])))
    assert len(found) > 2
