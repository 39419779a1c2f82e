"""The knowledge that all agents share: texts of objectives and orders, named places, and the time scale."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ai.observation import Cell
from scenarios.tactics.components import COOLDOWN_GROUPS
from scenarios.tactics.equipment import EquipmentTables
from scenarios.tactics.map_objects import Objects
from scenarios.tactics.snapshot import Bounds, Poi
from sim.errors import WorldError

TEXTS_MAX: Final = 30_000
"""The most texts of a run; the columns that index them can hold no more."""


class Texts:
    """The interned texts of a run: the scenario's, sorted, then those of orders in order. A resource of the world."""

    name = "Texts"

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self.all: tuple[str, ...] = tuple(sorted(set(texts)))
        self.stamp = 0

    def columns(self) -> Mapping[str, NDArray[Any]]:
        """Return the texts as UTF-8 bytes and the end of each."""
        encoded = [text.encode() for text in self.all]
        return {
            "bytes": np.frombuffer(b"".join(encoded), np.uint8),
            "ends": np.cumsum([len(text) for text in encoded], dtype=np.int32),
        }

    def restore(self, columns: Mapping[str, NDArray[Any]]) -> None:
        """Take over columns that `columns` returned."""
        data, start, texts = columns["bytes"].tobytes(), 0, []
        for end in columns["ends"].tolist():
            texts.append(data[start:end].decode())
            start = end
        self.all = tuple(texts)
        self.stamp += 1

    def index(self, text: str) -> int:
        """Return the index of a text, which is added if it is new.

        Raises:
            WorldError: there are `TEXTS_MAX` texts already.
        """
        if text in self.all:
            return self.all.index(text)
        if len(self.all) >= TEXTS_MAX:
            raise WorldError(f"a run holds at most {TEXTS_MAX} different texts")
        self.all = (*self.all, text)
        self.stamp += 1
        return len(self.all) - 1


class SharedKnowledge:
    """Data that snapshots share: texts, places, the map, ticks per second, gear, objects, teams, and roles of squads.

    `roles [squads] int32` has the position of each squad's role among the members of `Role`, -1 for none, by the
    squad's number. `shared` has the values of the shared facts of `WorldSnapshot`.
    """

    def __init__(
        self,
        texts: Texts,
        bounds: Bounds,
        places: Iterable[tuple[str, int, int]],
        ticks_per_second: int,
        gear: EquipmentTables,
        objects: Objects,
        roles: Sequence[int],
        teams: Sequence[str],
    ) -> None:
        self.texts = texts
        self.gear = gear
        self.objects = objects
        self.roles = np.array(roles, np.int32)
        self.teams = tuple(teams)
        named = (Poi(k=k, pos=Cell(x, y)) for k, x, y in places)
        pois = tuple(sorted(named, key=lambda poi: (poi.k, poi.pos.x, poi.pos.y)))
        self.ticks_per_second = ticks_per_second
        self.shared: dict[str, tuple[Any]] = {"bounds": (bounds,), "pois": (pois,)}

    def tables(self, groups: int) -> dict[str, tuple[str, ...]]:
        """Return the tables that observations refer to, with the first `groups` of the cooldowns."""
        return {
            "holdings": self.gear.holding_names,
            "cooldowns": COOLDOWN_GROUPS[:groups],
            "kinds": self.objects.kinds,
        }
