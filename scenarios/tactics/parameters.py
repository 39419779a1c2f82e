"""Numbers of the rules that may change during a run: a declared set, with the bounds of the scenario's keys.

A run starts with the scenario's values; a `set` input changes one of them from that tick on. The values in force are
state: they are hashed and part of snapshots, so they are the same in a replay.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError

from scenarios.tactics.scenario import CombatRules, MoraleRules
from scenarios.tactics.settings import TacticsSettings
from sim.messages import one_line, sentence, suggestion
from sim.run.planning import Planning

NAMES: Final = (
    *(f"planning.{name}" for name in ("per_tick_max", "ttl_s", "alert_every")),
    *(f"combat.{name}" for name in CombatRules.model_fields),
    *(f"morale.{name}" for name in MoraleRules.model_fields),
)
"""Every parameter, as its section and key in a scenario file."""


_SECTIONS: Final[Mapping[str, type[BaseModel]]] = {"planning": Planning, "combat": CombatRules, "morale": MoraleRules}


class Parameters:
    """The numbers in force, by the scenario's sections. A resource of the world.

    Attributes:
        planning: numbers of planning.
        combat: changes of the chance to hit.
        morale: causes and effects of morale.
    """

    name = "Parameters"

    def __init__(self, settings: TacticsSettings, planning: Planning) -> None:
        self.planning: Planning = planning
        self.combat: CombatRules = settings.combat
        self.morale: MoraleRules = settings.morale
        self.stamp = 0

    def columns(self) -> Mapping[str, NDArray[Any]]:
        """Return the numbers in the order of `NAMES`."""
        return {"value": np.array([self[name] for name in NAMES], np.int64)}

    def restore(self, columns: Mapping[str, NDArray[Any]]) -> None:
        """Take over a column that `columns` returned."""
        for name, value in zip(NAMES, columns["value"].tolist(), strict=True):
            section, _, key = name.partition(".")
            setattr(self, section, getattr(self, section).model_copy(update={key: value}))
        self.stamp += 1

    def __getitem__(self, name: str) -> int:
        """Return the current number of a name of `NAMES`."""
        section, _, key = name.partition(".")
        value: int = getattr(getattr(self, section), key)
        return value

    def set(self, name: str, value: int) -> str | None:
        """Change a number, or return the reason why it cannot change."""
        reason = objection(name, value)
        if reason is None:
            section, _, key = name.partition(".")
            setattr(self, section, getattr(self, section).model_copy(update={key: value}))
            self.stamp += 1
        return reason


def objection(name: str, value: int) -> str | None:
    """Return the reason why a parameter cannot have a value, or None if it can."""
    if name not in NAMES:
        return f"no parameter {name!r}; {suggestion(name, NAMES, 'parameters')}"
    section, _, key = name.partition(".")
    model = _SECTIONS[section]
    try:
        model.model_validate({key: value})
    except ValidationError as error:
        return one_line(f"parameter {section}.{sentence(error, model.model_json_schema())}")
    return None
