"""Maps of the Tiled editor: what they hold, and what is refused."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from sim import DataFile, Domain, Grid, Settings, Simulation
from sim.adapters import read_tmx
from sim.errors import MissingExtra, ScenarioError

MAP = """<?xml version="1.0" encoding="UTF-8"?>
<map version="1.10" tiledversion="1.11" orientation="orthogonal"
 renderorder="right-down" width="4" height="3" tilewidth="16"
 tileheight="16" infinite="0" nextlayerid="4" nextobjectid="3">
 <tileset firstgid="1" name="ground" tilewidth="16" tileheight="16" tilecount="4" columns="2">
  <tile id="1" type="wall"><properties><property name="height" type="int" value="3"/></properties></tile>
  <tile id="2" type="water"/>
 </tileset>
 <layer id="1" name="terrain" width="4" height="3">
  <data encoding="csv">
1,2,2,1,
1,1,3,1,
2147483650,1,1,0
</data>
 </layer>
 <objectgroup id="2" name="places">
  <object id="1" name="gate" type="exit" x="16" y="32" width="32" height="16"/>
  <object id="2" name="well" x="5" y="20"><point/></object>
 </objectgroup>
</map>
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a small map."""
    path = tmp_path / "yard.tmx"
    path.write_text(MAP)
    return path


def test_a_map_is_arrays_and_places(file: Path) -> None:
    """Layers are arrays of tiles, turned or not; tiles have kinds and properties; objects are places."""
    found = read_tmx(file)
    assert (found.width, found.height) == (4, 3)
    assert found.layers["terrain"].tolist() == [[1, 2, 2, 1], [1, 1, 3, 1], [2, 1, 1, 0]]
    assert found.tiles[2] == {"class": "wall", "height": 3}
    assert found.rows("terrain", {"wall": "#", "water": "~"}) == [".##.", "..~.", "#..."]
    assert found.mask("terrain", "wall").sum() == 3
    gate, well = found.places
    assert (gate.name, gate.kind, gate.x, gate.y, gate.width, gate.height) == ("gate", "exit", 1, 2, 2, 1)
    assert (well.name, well.x, well.y, well.width) == ("well", 0, 1, 0)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('orientation="orthogonal"', 'orientation="isometric"', "only orthogonal maps"),
        ('infinite="0"', 'infinite="1"', "is not a map|infinite"),
        ('width="4" height="3" tilewidth', 'width="90000" height="90000" tilewidth', "cells|is not a map"),
        ("<map ", "<mop ", "is not a map"),
        ('encoding="UTF-8"?>', 'encoding="UTF-8"?><!DOCTYPE a [<!ENTITY b "c">]>', "entities"),
        ("1,2,2,1,", "1,2,x,1,", "is not a map"),
    ],
)
def test_what_is_not_a_map_gets_one_sentence(file: Path, before: str, after: str, said: str) -> None:
    """Another form of map, a huge one, entities and damage are refused in one sentence."""
    file.write_text(MAP.replace(before, after, 1))
    with pytest.raises(ScenarioError, match=said) as error:
        read_tmx(file)
    assert "\n" not in str(error.value)


def test_an_unknown_layer_is_named(file: Path) -> None:
    """The sentence says which layers there are."""
    with pytest.raises(ScenarioError, match="did you mean 'terrain'"):
        read_tmx(file).layer("terain")


class Yard(Settings):
    """The settings of a model with a map."""

    map: DataFile = "yard.tmx"


class Mapped(Domain):
    """A model that has its space from a map."""

    settings = Yard

    def spaces(self, run: Any) -> dict[str, Any]:
        """Read the map."""
        found = read_tmx(run.open(self.settings.map, "rb"))
        return {"yard": Grid(found.width, found.height)}


def test_a_map_is_a_data_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A domain reads it from the run, so that a recording knows it by digest."""
    monkeypatch.chdir(file.parent)
    with Simulation(Mapped()) as simulation:
        assert (simulation.run_context.space.width, list(simulation.run_context.files)) == (4, ["yard.tmx"])


def test_a_map_that_is_a_data_file_reads_no_other_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tilesets and templates in other files were declared by nobody."""
    monkeypatch.chdir(file.parent)
    file.write_text(MAP.replace('<tileset firstgid="1"', '<tileset firstgid="1" source="/etc/hostname"'))
    with pytest.raises(ScenarioError, match="its tileset is in another file; embed it"), Simulation(Mapped()):
        pass


def test_a_map_without_its_package_names_the_extra(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where pytiled-parser is absent, one sentence says how to get it."""
    monkeypatch.setitem(sys.modules, "pytiled_parser", None)
    with pytest.raises(MissingExtra, match=r"tickweave\[maps\]"):
        read_tmx(file)
