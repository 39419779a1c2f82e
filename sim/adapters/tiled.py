"""Maps of the Tiled editor (`.tmx`): layers of tiles as arrays, objects as places."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final
from xml.etree import ElementTree as ET

import numpy as np
from numpy.typing import NDArray

from sim.errors import ScenarioError
from sim.extras import extra
from sim.messages import one_line, shown, suggestion
from sim.run.files import read_bytes

CELLS_MAX: Final = 4_000_000
"""Cells of a map."""


@dataclass(frozen=True, slots=True)
class Place:
    """An object of a map: its name, kind and cell, its extent in cells, and its properties."""

    name: str
    kind: str
    x: int
    y: int
    width: int = 0
    height: int = 0
    properties: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TiledMap:
    """A map.

    Attributes:
        width: cells across.
        height: cells down.
        layers: the number of the tile on every cell, by layer, `[height, width] int32`; 0 for none.
        tiles: the known data of each tile: its kind as `class`, and its properties.
        places: the objects of all object layers.
    """

    width: int
    height: int
    layers: dict[str, NDArray[np.int32]]
    tiles: dict[int, dict[str, Any]]
    places: tuple[Place, ...] = ()

    def rows(self, layer: str, glyphs: dict[str, str], *, empty: str = ".") -> list[str]:
        """Return a layer as rows of characters, as scenario files draw maps.

        Args:
            layer: which one.
            glyphs: the character for each kind (`class`) of tile.
            empty: the character of cells without a tile, and of kinds without a character.

        Raises:
            ScenarioError: there is no such layer.
        """
        array = self.layer(layer)
        of = {tile: glyphs.get(str(about.get("class", "")), empty) for tile, about in self.tiles.items()}
        return ["".join(of.get(int(tile), empty) for tile in row) for row in array]

    def mask(self, layer: str, kind: str) -> NDArray[np.bool_]:
        """Return which cells of a layer have a tile of a kind, `[height, width]`.

        Raises:
            ScenarioError: there is no such layer.
        """
        tiles = [tile for tile, about in self.tiles.items() if about.get("class") == kind]
        return np.isin(self.layer(layer), tiles)

    def layer(self, name: str) -> NDArray[np.int32]:
        """Return a layer.

        Raises:
            ScenarioError: there is no such layer.
        """
        if name not in self.layers:
            raise ScenarioError(one_line(f"no layer {name!r}; {suggestion(name, list(self.layers), 'layers')}"))
        return self.layers[name]


def read_tmx(file: str | Path | BinaryIO) -> TiledMap:
    """Read a map of the Tiled editor: orthogonal, of a fixed size, with any encoding that the editor writes.

    Args:
        file: its path, or what `run.open(name, "rb")` gives of a data file. The latter must hold its tilesets itself,
            since other files are not declared.

    Raises:
        MissingExtra: pytiled-parser is not installed.
        ScenarioError: it is not such a map; one sentence.
    """
    parser = extra("pytiled_parser", "a .tmx map")
    source = shown(str(file)) if isinstance(file, str | Path) else "the map"
    content = read_bytes(Path(file)) if isinstance(file, str | Path) else file.read()
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise ScenarioError(f"{source}: declares entities, which a map of the editor does not")
    try:
        if isinstance(file, str | Path):
            return _map(parser.parse_map(Path(file)))
        other = next((each for each in ET.fromstring(content).iter() if _names_a_file(each)), None)  # noqa: S314 - entities are refused
        if other is not None:
            raise ScenarioError(f"{source}: its {other.tag} is in another file; embed it in the map")
        with tempfile.TemporaryDirectory() as folder:  # the parser takes paths alone
            path = Path(folder, "map.tmx")
            path.write_bytes(content)
            return _map(parser.parse_map(path))
    except ScenarioError:
        raise
    except Exception as error:
        raise ScenarioError(
            one_line(f"{source}: is not a map of the Tiled editor: {type(error).__name__}: {error}")
        ) from None


def _names_a_file(element: ET.Element) -> bool:
    """Return whether the parser would open another file for an element."""
    return (element.tag == "tileset" and "source" in element.attrib) or "template" in element.attrib


def _map(found: Any) -> TiledMap:
    width, height = int(found.map_size.width), int(found.map_size.height)
    if found.infinite:
        raise ScenarioError("an infinite map has no size; switch Infinite off in the map's properties")
    if found.orientation != "orthogonal":
        raise ScenarioError(f"the map is {found.orientation}; only orthogonal maps are read")
    if not 0 < width * height <= CELLS_MAX:
        raise ScenarioError(f"the map has {width * height} cells; at most {CELLS_MAX} are read")
    layers: dict[str, NDArray[np.int32]] = {}
    places: list[Place] = []
    for layer in _flat(found.layers or ()):
        if getattr(layer, "data", None) is not None:
            flags = np.array(layer.data, np.int64) & 0x1FFFFFFF  # the highest bits say how a tile is turned
            layers[layer.name] = flags.astype(np.int32).reshape(height, width)
        places += [_place(each, found.tile_size) for each in getattr(layer, "tiled_objects", None) or ()]
    tiles: dict[int, dict[str, Any]] = {}
    for first, tileset in found.tilesets.items():
        for number in range(int(tileset.tile_count)):
            tiles[first + number] = {}
        for number, tile in (tileset.tiles or {}).items():
            about = {"class": tile.class_} if tile.class_ else {}
            tiles[first + number] = {**about, **(tile.properties or {})}
    return TiledMap(width, height, layers, tiles, tuple(places))


def _flat(layers: Any) -> list[Any]:
    """Return layers with those inside groups in their place."""
    found: list[Any] = []
    for layer in layers:
        inner = getattr(layer, "layers", None)
        found += _flat(inner) if inner else [layer]
    return found


def _place(each: Any, tile: Any) -> Place:
    x, y = int(each.coordinates.x // tile.width), int(each.coordinates.y // tile.height)
    width, height = round(each.size.width / tile.width), round(each.size.height / tile.height)
    return Place(each.name or "", each.class_ or "", x, y, width, height, dict(each.properties or {}))
