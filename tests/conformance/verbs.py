"""What can be said of every action kind from its code: its fields, times, costs, and why it is refused.

`python -m tests.conformance.verbs` writes it into `scenarios/tactics/verbs.md`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from ai.actions import ToolSpec
from ai.llm.prompt import ArgumentWords
from scenarios.tactics.actions import default_registry
from scenarios.tactics.actions.base import Action, Refused, Walk
from scenarios.tactics.components import Health
from scenarios.tactics.testing.actions.arena import Arena, open_arena
from scenarios.tactics.testing.actions.dice import Dice, arguments

PAGE: Final = Path(__file__).parents[2] / "scenarios" / "tactics" / "verbs.md"
BEGIN: Final = "<!-- what follows is written by `python -m tests.conformance.verbs` -->\n"
CATEGORIES: Final = ("movement", "offensive", "defensive", "equipment", "tactical", "utility", "terrain")
TABLES: Final = ("abilities", "items", "weapons")
"""Which names these hold is the scenario's business."""
FIELDS_CHARS_MAX: Final = 200
"""Longer fields are shown by their names alone."""
ARENAS: Final = 40
"""Arenas in which each kind meets every reason to refuse it that its code has."""


def arenas(count: int = ARENAS) -> Iterator[tuple[int, Arena]]:
    """Open one arena after the other; nobody in them does anything by itself."""
    registry = default_registry()
    for number in range(count):
        with open_arena(registry, "Wait", number, None) as arena:
            yield number, arena


def drawn(arena: Arena, number: int, spec: ToolSpec) -> tuple[np.ndarray, np.ndarray]:
    """Return who stands, and arguments for them to do a kind with."""
    up = (arena.world[Health].hp > 0).nonzero()[0]
    bound = arena.simulation.registry.spec(spec.name)
    dice = Dice(number * 100 + arena.simulation.registry.code(spec.name), arena.world.keys)
    return up, np.ascontiguousarray(arguments(bound, arena.simulation, dice)[:, up])


def reasons() -> dict[str, set[str]]:
    """Return why each kind is refused, in words, by its name: all that came up in the arenas."""
    found: dict[str, set[str]] = {spec.name: set() for spec in default_registry().specs}
    for number, arena in arenas():
        for spec in default_registry().specs:
            assert issubclass(spec.action, Action)
            codes = spec.action.refusals(arena.turn(), *drawn(arena, number, spec))
            found[spec.name] |= {Refused(code).name.lower().replace("_", " ") for code in codes.tolist() if code}
    return found


def page(text: str) -> str:
    """Return the page with its tables as the code is now."""
    refused = reasons()
    registry = default_registry()
    words = ArgumentWords(registry, TABLES)
    parts = [text.partition(BEGIN)[0] + BEGIN]
    for category in CATEGORIES:
        parts.append(f"\n## {category.capitalize()}\n\n")
        parts.append(
            "| verb | what it does | takes | rests | costs | refused |\n| --- | --- | --- | --- | --- | --- |\n"
        )
        parts.extend(
            _row(spec, words.of(spec), sorted(refused[spec.name]))
            for spec in registry.specs
            if spec.action.category == category
        )
    return "".join(parts)


def _row(spec: ToolSpec, words: list[str], refused: list[str]) -> str:
    kind = spec.action
    assert issubclass(kind, Action)
    takes = "until there" if issubclass(kind, Walk) else f"{kind.duration_s:g} s" if kind.duration_s else "a tick"
    if "duration" in kind.model_fields and spec.name in ("CoverFire", "Wait"):
        takes = "`duration`"
    rests = f"{kind.cooldown_s:g} s" if kind.cooldown_s else ""
    fields = ", ".join(_with_default(field, kind) for field in words).replace("|", "\\|")
    if len(fields) > FIELDS_CHARS_MAX:
        fields = ", ".join(name for name in kind.model_fields if name != "act")
    cells = (f"`{spec.name}({fields})`", spec.sentence, takes, rests, kind.cost, ", ".join(refused))
    return "| " + " | ".join(cells) + " |\n"


def _with_default(field: str, kind: type[Action]) -> str:
    """Show a field as prompts do, with what it is when it is left out."""
    name = field.split(" ")[0]
    default = kind.model_fields[name].default if name in kind.model_fields else None
    return f"{field} = {default:g}" if isinstance(default, int | float) else field


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text("utf-8")), encoding="utf-8")
