"""The specification of a sweep: a TOML file or the arguments of a call, and the cells that follow from it.

A cell is one run: a combination of settings, a planner, a model and a seed. Cells are numbered; seeds vary fastest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import prod
from pathlib import Path
from typing import Any, Final, Self

from pydantic import Field, JsonValue, field_validator, model_validator

from ai.llm.sharding import Prefer
from sim.errors import ScenarioError
from sim.messages import problem, shown
from sim.run.choices import tiers_of, with_tiers, with_values
from sim.run.files import read_toml
from sim.run.scenario_file import TICKS_MAX, Scenario, load
from sim.run.settings import Part, validated
from sim.sweep.seeds import seeds_of

CELLS_MAX: Final = 100_000
"""Cells of one sweep."""
PREFER: Final = "planning.prefer"
"""The key of the engine that says how calls are cut."""
NO_MODEL: Final = "none"
"""The model of a cell without one."""
FIXED: Final = ("cell", "seed", "planner", "model")
"""Columns of results that every sweep has; no setting is shown under one of these names."""

ABOUT: Final = (
    "status", "error", "ticks", "alive", "outcome", "plans", "calls", "prompt_tokens", "completion_tokens", "cost",
    "root",
)  # fmt: skip
"""Further columns of results that every sweep has, beside metrics and scores."""

Values = dict[str, JsonValue]


class Sweep(Part):
    """The keys of a sweep's file."""

    scenario: str = Field(max_length=1_000, description="The scenario: a name, or a file beside this one.")
    ticks: int | None = Field(None, ge=1, le=TICKS_MAX, description="Ticks of a run at most.")
    seeds: str | int | tuple[int, ...] = Field(1, description='Seeds: a number of them, a list, or "0:50".')
    settings: Values = Field({}, description="Settings that hold in every cell, by dotted key.")
    grid: dict[str, tuple[JsonValue, ...]] = Field({}, description="Values by dotted key; every combination is run.")
    cases: tuple[Values, ...] = Field((), description="Settings of single cases, in place of or beside the grid.")
    planners: dict[str, str] = Field({}, description="Lists of tiers by a name of your choice.")
    models: tuple[str, ...] = Field((NO_MODEL,), min_length=1, description="Models, as --llm takes them.")
    prefer: Prefer = Field(
        "cost", description="How calls of a model are cut: as few as possible, since other cells fill the server."
    )
    metrics: tuple[str, ...] = Field((), description="Metrics, also FILE.py:FUNCTION; without any, all of the domain.")
    plugins: tuple[str, ...] = Field((), description="Plug-ins in addition to those of the scenario.")

    @field_validator("seeds")
    @classmethod
    def _are_seeds(cls, given: str | int | tuple[int, ...]) -> str | int | tuple[int, ...]:
        try:
            seeds_of(given)
        except ScenarioError as error:
            raise problem("", str(error)) from None
        return given

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        for key, values in self.grid.items():
            if not values:
                raise problem(f"grid.{key}", "has no values; give one or more")
        taken = {
            "settings": set(self.settings),
            "grid": set(self.grid),
            "cases": {key for case in self.cases for key in case},
        }
        for one, other in (("settings", "grid"), ("settings", "cases"), ("grid", "cases")):
            for key in taken[one] & taken[other]:
                raise problem(f"{other}.{key}", f"is in {one} as well; a cell has one value")
        for key in set().union(*taken.values()) & set(FIXED):
            raise problem(
                "grid", f"{key!r} is not a setting; sweeps have keys of their own for seeds, planners, models"
            )
        if self.count > CELLS_MAX:
            raise problem("", f"{self.count} cells are more than {CELLS_MAX}; leave out values or seeds")
        return self

    @property
    def count(self) -> int:
        """How many cells there are."""
        combinations = prod(len(values) for values in self.grid.values()) * max(len(self.cases), 1)
        return combinations * max(len(self.planners), 1) * len(self.models) * len(seeds_of(self.seeds))

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """The settings that differ between cells, in their order."""
        return tuple(dict.fromkeys([*(key for case in self.cases for key in case), *self.grid]))

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """All cells in order."""
        grid = [dict(zip(self.grid, values, strict=True)) for values in product(*self.grid.values())]
        combined = product(self.cases or ({},), grid, self.planners or {"": ""}, self.models, seeds_of(self.seeds))
        return tuple(
            Cell(number, {**case, **point}, planner, model, seed)
            for number, (case, point, planner, model, seed) in enumerate(combined)
        )

    def scenario_of(self, base: Scenario, cell: Cell) -> Scenario:
        """Return what a cell runs, from the scenario that the sweep names.

        Raises:
            ScenarioError: a value or planner does not fit.
        """
        values = {**self.settings, **cell.settings}
        if cell.model != NO_MODEL:
            values.setdefault(PREFER, self.prefer)
        scenario = with_values(base, values)
        if cell.planner:
            scenario = with_tiers(scenario, tiers_of(self.planners[cell.planner]))
        if self.plugins:
            scenario = scenario.replaced(plugins=[*scenario.plugins, *(Path(each).name for each in self.plugins)])
        return scenario

    @property
    def digest(self) -> str:
        """Sixteen hex digits that name the sweep."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.blake2b(text.encode(), digest_size=8, person=b"tickweave-swep").hexdigest()


@dataclass(frozen=True, slots=True)
class Cell:
    """One run of a sweep; `settings` are those that differ between cells."""

    number: int
    settings: Mapping[str, Any]
    planner: str
    model: str
    seed: int

    def columns(self, keys: Sequence[str]) -> dict[str, Any]:
        """Return what identifies the cell, as the first columns of its row."""
        settings = {key: self.settings.get(key) for key in keys}
        return {"cell": self.number, "seed": self.seed, "planner": self.planner, "model": self.model, **settings}


def sweep_of(data: object, source: str = "sweep") -> Sweep:
    """Return a sweep from plain data.

    Raises:
        ScenarioError: it is not valid; one sentence that names the key.
    """
    return validated(Sweep, data, source)


def read_sweep(path: Path) -> Sweep:
    """Read a sweep's file.

    Raises:
        ScenarioError: it is not valid; one sentence that says where and why.
    """
    return sweep_of(read_toml(path), shown(str(path)))


def base_of(sweep: Sweep, folder: Path) -> Scenario:
    """Return the scenario that a sweep names; files are looked for in the folder.

    Raises:
        ScenarioError: there is no such scenario.
    """
    named = sweep.scenario
    return load(folder / named if named.endswith((".toml", ".py")) else named)
