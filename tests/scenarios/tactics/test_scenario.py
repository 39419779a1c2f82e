"""Scenarios: names and paths, maps, placement, digests, and inputs read from lines."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from scenarios.tactics.grid import Terrain
from scenarios.tactics.scenario import GLYPHS, GeneratedMap, generate_map, terrain
from scenarios.tactics.testing.flat import flat, flattened
from sim.errors import ScenarioError
from sim.run import scenario_file
from sim.run.input_sources import inputs_from_lines
from sim.run.scenario_file import Scenario, available, from_toml, load
from sim.run.simulation import Simulation

SMALL = """
domain = "tactics"
name = "small"
description = "Two agents in a room"

[settings]
map = { rows = ["....", ".+#.", "...."], places = [{ name = "door", x = 3, y = 1 }] }
archetypes = { rifle = {} }
teams = [
    { name = "a", goal = "door", squads = [
        { name = "a1", archetype = "rifle", count = 2, area = { x = 0, y = 0, width = 2, height = 3 } },
    ] },
    { name = "b", squads = [
        { name = "b1", archetype = "rifle", count = 2, area = { x = 1, y = 0, width = 3, height = 3 } },
    ] },
]
"""


@pytest.fixture
def small() -> Scenario:
    """Return a scenario of four agents on a drawn map."""
    return from_toml(SMALL, "small")


def test_shipped_scenarios_are_what_their_files_are_called() -> None:
    """Every shipped scenario loads, and its name is its file's."""
    found = dict(available())
    assert {"skirmish", "crowd"} <= set(found)
    assert all(name == scenario.name for name, scenario in found.items())
    assert found["skirmish"].agents == 20
    assert found["crowd"].agents == 1000


@pytest.mark.parametrize("seed", range(3))
def test_the_skirmish_comes_to_a_decision(seed: int) -> None:
    """The shipped skirmish is decided well before its last tick, and every one of its inputs is applied on the way."""
    scenario = load("skirmish")
    with Simulation(scenario, seed=seed) as simulation:
        reports = list(simulation.reports(scenario.ticks))
    assert reports[-1].outcome is not None
    assert sum(len(report.inputs) for report in reports) == len(scenario.inputs)
    assert not any(report.refused for report in reports)


def test_a_path_is_read(tmp_path: Path) -> None:
    """A path gives the same scenario as the text in it, as a text or as a Path, with or without a byte order mark."""
    file = tmp_path / "mine.toml"
    file.write_text("\ufeff" + SMALL, encoding="utf-8")
    assert load(file).canonical() == load(str(file)).canonical() == from_toml(SMALL, "x").canonical()


@pytest.mark.parametrize("name", ["skirmish", "crowd"])
def test_canonical_data_gives_the_scenario_back(name: str) -> None:
    """A scenario, written as JSON and read again, is equal and has the same digest."""
    scenario = load(name)
    again = Scenario.from_canonical(json.loads(json.dumps(scenario.canonical())))
    assert again.canonical() == scenario.canonical()
    assert again.digest == scenario.digest


def test_the_digest_depends_on_content_and_not_on_the_order_of_keys(small: Scenario) -> None:
    """Equal content, equal digest; any change of content changes it."""
    data = flattened(small)
    assert flat(dict(reversed(data.items()))).digest == small.digest
    assert flat({**data, "ticks": 301}).digest != small.digest


def test_terrain_follows_the_drawing(small: Scenario) -> None:
    """Glyphs become terrain codes, rows from north to south."""
    floor, cover, wall = Terrain.FLOOR, Terrain.COVER, Terrain.WALL
    assert terrain(small.settings).tolist() == [[floor] * 4, [floor, cover, wall, floor], [floor] * 4]


@given(
    st.builds(
        GeneratedMap,
        width=st.integers(4, 40),
        height=st.integers(4, 40),
        walls_permille=st.integers(0, 400),
        cover_permille=st.integers(0, 400),
        seed=st.integers(0, 2**63 - 1),
        mirrored=st.booleans(),
    )
)
def test_generated_maps_are_one_region_and_repeatable(spec: GeneratedMap) -> None:
    """Every open cell can be reached from every other, and the same numbers give the same map."""
    cells = generate_map(spec)
    generate_map.cache_clear()
    assert np.array_equal(cells, generate_map(spec))
    assert cells.shape == (spec.height, spec.width)
    if spec.mirrored:
        assert np.array_equal(cells, cells[:, ::-1])
    _, regions = ndimage.label(cells != Terrain.WALL)
    assert regions <= 1
    if not spec.walls_permille:
        assert regions == 1


def test_halves_of_a_mirrored_map_that_do_not_meet_are_joined() -> None:
    """A mirrored map stays mirrored and one region also where walls would part its halves."""
    spec = GeneratedMap(width=21, height=4, walls_permille=297, cover_permille=0, seed=0, mirrored=True)
    cells = generate_map(spec)
    assert np.array_equal(cells, cells[:, ::-1])
    assert ndimage.label(cells != Terrain.WALL)[1] == 1


def test_a_generated_map_stays_as_it_is() -> None:
    """The map of a seed is part of the promise that replays keep: these cells may never change."""
    cells = generate_map(GeneratedMap(width=8, height=4, walls_permille=300, cover_permille=200, seed=3))
    drawing = {kind: glyph for glyph, kind in GLYPHS.items()}
    assert ["".join(drawing[Terrain(cell)] for cell in row) for row in cells.tolist()] == [
        "+.+..+##",
        ".##.##+.",
        ".#.++.#.",
        "...+#...",
    ]


def test_inputs_come_from_lines_in_order_of_tick(small: Scenario) -> None:
    """Lines are sorted by tick, those of one tick stay in the order written, blank lines count for nothing."""
    lines = [
        {"tick": 9, "input": {"kind": "order", "squad": "a1", "text": "later"}},
        {"tick": 2, "input": {"kind": "remove", "agent": 1}},
        {"tick": 2, "input": {"kind": "set_cells", "cell": "wall", "x": 0, "y": 0}},
    ]
    found = inputs_from_lines("\n\n".join(map(json.dumps, lines)), "here", small)
    assert [(timed.tick, timed.input.kind) for timed in found] == [(2, "remove"), (2, "set_cells"), (9, "order")]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "is not JSON: "),
        ("[]", "should be a table with 'tick' and 'input'"),
        ('{"tick": -1, "input": {"kind": "remove", "agent": 1}}', "tick: should be a whole number from 0, not -1"),
        ('{"tick": true, "input": {"kind": "remove", "agent": 1}}', "tick: should be a whole number from 0, not True"),
        ('{"tick": 1}', "input: is missing; add it"),
        ('{"tick": 1, "input": {"kind": "fly"}}', "input.kind: no input is of kind 'fly'"),
        ('{"tick": 1, "input": {"kind": "remove", "agnt": 1}}', "input.agent: is missing; add it"),
        ('{"tick": 1, "input": {"kind": "order", "squad": "a2", "text": "go"}}', "input.squad: no squad 'a2'"),
        ('{"tick": 1, "input": {"kind": "spawn", "squad": "a1", "count": 1, "x": 4, "y": 0}}', "input.x: 4 is outside"),
        ('{"tick": 1, "input": {"kind": "move", "agent": 0, "x": 0, "y": 3}}', "input.y: 3 is outside the 4 by 3 map"),
    ],
)
def test_a_bad_input_line_is_refused_in_one_sentence(small: Scenario, line: str, reason: str) -> None:
    """The sentence has the source, the line's number, the dotted key and the reason."""
    with pytest.raises(ScenarioError) as caught:
        inputs_from_lines(f"\n{line}\n", "orders.jsonl", small)
    assert str(caught.value).startswith("orders.jsonl, line 2: ")
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


class _Point:
    """An entry point that offers something."""

    def __init__(self, name: str, offer: object) -> None:
        self.name, self.value, self._offer = name, f"elsewhere:{name}", offer

    def load(self) -> object:
        """Return the offer, or fail as an import does."""
        if isinstance(self._offer, Exception):
            raise self._offer
        return self._offer


def _install(monkeypatch: pytest.MonkeyPatch, **offers: Any) -> None:
    points = [_Point(name, offers[name]) for name in sorted(offers)]
    others = scenario_file.installed
    group = scenario_file.ENTRY_POINTS
    monkeypatch.setattr(scenario_file, "installed", lambda asked: points if asked == group else others(asked))
    monkeypatch.setattr(scenario_file, "EntryPoint", _Point)


def test_other_packages_offer_scenarios(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, small: Scenario) -> None:
    """An entry point that names a Scenario or a path makes it loadable by name, and listed."""
    file = tmp_path / "small.toml"
    file.write_text(SMALL, encoding="utf-8")
    _install(monkeypatch, made=small, filed=file)
    assert load("made") is small
    assert load("filed").canonical() == small.canonical()
    assert [name for name, _ in available()][-3:] == ["stress-10k", "filed", "made"]


@pytest.mark.parametrize(
    ("offer", "reason"),
    [(7, "is of type int; it must be"), (ImportError("gone"), "cannot be imported"), ("gone.toml", "cannot be read")],
)
def test_a_malformed_offer_is_an_error_that_names_it(
    monkeypatch: pytest.MonkeyPatch, offer: object, reason: str
) -> None:
    """What another package offers is never passed over in silence."""
    _install(monkeypatch, odd=offer)
    with pytest.raises(ScenarioError, match=reason):
        load("odd")
    with pytest.raises(ScenarioError, match=reason):
        available()


def test_two_scenarios_of_one_name_are_an_error(monkeypatch: pytest.MonkeyPatch, small: Scenario) -> None:
    """Nobody has to guess which one is meant."""
    _install(monkeypatch, skirmish=small)
    with pytest.raises(ScenarioError, match="offers scenario 'skirmish', which there is already"):
        load("skirmish")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    """A path that would block is refused at once."""
    os.mkfifo(tmp_path / "pipe.toml")
    with pytest.raises(ScenarioError, match="is not a regular file"):
        load(tmp_path / "pipe.toml")


def test_a_squad_has_its_own_role_or_that_of_its_archetype() -> None:
    """Agents know the role of their squad, where it has none that of its archetype, and none where neither has."""
    text = SMALL.replace("rifle = {}", 'rifle = { role = "tactical" }, scout = {}')
    text = text.replace('name = "b1", archetype = "rifle"', 'name = "b1", archetype = "scout"')
    for own, expected in (("", (3, -1)), ('role = "stealth", ', (1, -1))):
        scenario = from_toml(text.replace('name = "a1", ', f'name = "a1", {own}'), "small")
        with Simulation(scenario) as simulation:
            squads = list(simulation.run_context.game.squads.values())
            assert tuple(squad.role for squad in squads) == expected
            assert simulation.run_context.game.lore.roles.tolist() == list(expected)


def test_an_unknown_role_is_one_sentence_with_the_known_ones() -> None:
    """The refusal names the key, the role, and what there is."""
    for wrong, key in (("rifle = {}", "archetypes.rifle.role"), ('name = "a1"', "teams[0].squads[0].role")):
        inside = wrong.replace("{}", '{ role = "wizard" }') if "{" in wrong else f'{wrong}, role = "wizard"'
        with pytest.raises(ScenarioError) as refusal:
            from_toml(SMALL.replace(wrong, inside), "small")
        assert (
            str(refusal.value)
            == f"small: settings.{key}: should be 'exploration', 'stealth', 'support' or 'tactical', not 'wizard'"
        )
