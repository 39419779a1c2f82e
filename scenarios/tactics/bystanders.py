"""Bystanders: a walled-off team that meets no other agent, for the check that unrelated agents change nothing."""

from __future__ import annotations

from typing import Any, Final

from pydantic import ValidationError

from scenarios.tactics.grid import Terrain
from scenarios.tactics.scenario import GLYPHS, terrain
from scenarios.tactics.settings import TacticsSettings

TEAM: Final = "bystanders"
"""The name of their team, squad and archetype."""
WALL: Final = next(glyph for glyph, kind in GLYPHS.items() if kind is Terrain.WALL)
WALLS: Final = 2
"""The number of rows of wall between them and the rest."""
COUNT_MAX: Final = 16
"""The most bystanders."""


def bystanders_of(settings: TacticsSettings) -> tuple[TacticsSettings, TacticsSettings] | None:
    """Return the settings without any end of a run, and the same with bystanders; None if the map cannot grow.

    Bystanders stand in a walled-off row to the south. Cells are numbered row by row, so a wider map would renumber them
    and change the starting cells, which are drawn by cell.
    """
    cells = terrain(settings)
    height, width = cells.shape
    glyphs = {int(kind): glyph for glyph, kind in GLYPHS.items()}
    rows = ["".join(glyphs[int(cell)] for cell in row) for row in cells]
    data: dict[str, Any] = {**settings.model_dump(), "ends": "never"}
    quiet = TacticsSettings.model_validate(data)
    data["map"] = {**data["map"], "rows": (*rows, *[WALL * width] * WALLS, "." * width), "generate": None}
    data["archetypes"] = {**data["archetypes"], TEAM: {}}
    area = {"x": 0, "y": height + WALLS, "width": width, "height": 1}
    squad = {"name": TEAM, "archetype": TEAM, "count": min(width, COUNT_MAX), "area": area}
    data["teams"] = (*data["teams"], {"name": TEAM, "squads": (squad,)})
    try:
        return quiet, TacticsSettings.model_validate(data)
    except ValidationError:
        return None
