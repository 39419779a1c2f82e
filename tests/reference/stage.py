"""A map with letters on it, scripted agents, and a simulation to watch: for tests of one behaviour."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import numpy as np

from scenarios.tactics.actions.base import Refused
from scenarios.tactics.components import AGENT, COOLDOWN_GROUPS, Position, Progress, Status
from scenarios.tactics.inputs import Input
from scenarios.tactics.testing.flat import flat
from sim.run.simulation import Simulation, TickReport
from tests.reference.lockstep import Scripted
from tests.reference.slow_tick import Plan, Step

IDLE_MS = 600_000
COMPONENTS: dict[str, Any] = {component.__name__: component for component in AGENT}


class Stage:
    """A scenario drawn as text: each letter is a team, each of its places an agent, keys team by team in row order.

    Agents do what `plan` gave them when they plan next, and wait otherwise. Archetype values that are given hold for
    everyone; what differs is written into the columns.
    """

    def __init__(
        self,
        *rows: str,
        rate: int = 10,
        seed: int = 1,
        planning: dict[str, Any] | None = None,
        ends: str = "never",
        downed_s: int = 0,
        reserves: int = 0,
        director: dict[str, Any] | None = None,
        spirits: dict[str, Any] | None = None,
        scenario: dict[str, Any] | None = None,
        objects: Sequence[dict[str, Any]] = (),
        **archetype: Any,
    ) -> None:
        letters = sorted({letter for row in rows for letter in row if letter.isalpha()})
        plain = tuple("".join("." if letter.isalpha() else letter for letter in row) for row in rows)
        places = {letter: self._find(rows, letter) for letter in letters}
        whole = {"x": 0, "y": 0, "width": len(rows[0]), "height": len(rows)}
        self.scenario = flat(
            {
                "name": "stage",
                "description": "One behaviour",
                "ticks_per_second": rate,
                "seed": seed,
                "map": {"rows": plain, "objects": list(objects)},
                "archetypes": {"kit": archetype},
                "teams": [
                    {
                        "name": letter,
                        "squads": [{"name": letter, "archetype": "kit", "count": len(places[letter]), "area": whole}],
                        "reinforcements": {"count": reserves, "area": whole} if reserves else None,
                    }
                    for letter in letters
                ],
                "planning": {"ttl_s": 3600, "alert_every": 1000, **(planning or {})},
                "ends": ends,
                "downed_s": downed_s,
                "director": director,
                "morale": spirits or {},
                **(scenario or {}),
            }
        )
        self.plans: dict[int, list[Plan]] = {}
        self.asked: list[tuple[int, int]] = []
        self.sim = Simulation(self.scenario, source=Scripted(self._choose))
        position = self.sim.world[Position]
        for key, (x, y) in enumerate(place for letter in letters for place in places[letter]):
            position.x[key], position.y[key] = x, y

    @staticmethod
    def _find(rows: Sequence[str], letter: str) -> list[tuple[int, int]]:
        return [(x, y) for y, row in enumerate(rows) for x, found in enumerate(row) if found == letter]

    def _choose(self, key: int, tick: int) -> Plan:
        self.asked.append((tick, key))
        waiting = self.plans.get(key)
        return waiting.pop(0) if waiting else [Step("Wait", [IDLE_MS])]

    def plan(self, key: int, *steps: tuple[Any, ...]) -> None:
        """Let an agent plan these steps, each a kind and its arguments, when it plans next."""
        self.plans.setdefault(key, []).append([Step(kind, list(args)) for kind, *args in steps])

    def tick(self, ticks: int = 1) -> TickReport | None:
        """Advance some ticks and return the last one's report."""
        report = None
        for _ in range(ticks):
            report = self.sim.tick()
        return report

    def give(self, *inputs: Input) -> TickReport:
        """Inject inputs and advance one tick."""
        for item in inputs:
            self.sim.inject(item)
        return self.sim.tick()

    def __getitem__(self, path: tuple[int, str]) -> Any:
        """Read `stage[key, "Health.hp"]`."""
        component, name = path[1].split(".")
        return getattr(self.sim.world.entity(path[0])[COMPONENTS[component]], name)

    def __setitem__(self, path: tuple[int, str], value: Any) -> None:
        """Write `stage[key, "Health.hp"] = 5`."""
        component, name = path[1].split(".")
        setattr(self.sim.world.entity(path[0])[COMPONENTS[component]], name, value)

    def cooldowns(self, key: int) -> dict[str, int]:
        """Return from which tick on an agent's cooldown groups work again, where they have been used."""
        ready = self[key, "Cooldowns.ready_at"].tolist()
        return {group: tick for group, tick in zip(COOLDOWN_GROUPS, ready, strict=True) if tick}

    def cool(self, key: int, **ready_at: int) -> None:
        """Let an agent's cooldown groups work again from these ticks on."""
        self[key, "Cooldowns.groups"] = max(COOLDOWN_GROUPS.index(group) + 1 for group in ready_at)
        self[key, "Cooldowns.ready_at"] = [ready_at.get(group, 0) for group in COOLDOWN_GROUPS]

    def held(self, key: int, item: str) -> int:
        """Return how many of an item an agent holds."""
        gear, row = self.sim.run_context.game.gear, self.sim.world.row_of(key)
        return int(gear.held(self.sim.world, gear.items.index(item), np.array([row]))[0])

    def payload(self, kind: str, **fields: Any) -> int:
        """Return the index under which the lists and records of a step are stored."""
        registry = self.sim.registry
        return self.sim.run_context.game.payloads.add(registry.encode(registry.make(kind, **fields)).payload)

    def at(self, key: int) -> tuple[int, int]:
        """Return the cell an agent stands on."""
        return self[key, "Position.x"], self[key, "Position.y"]

    def refusal(self, key: int) -> Refused:
        """Return why an agent's last plan was refused."""
        return Refused(self[key, "Progress.refusal"])

    def status(self, key: int) -> Status:
        """Return where an agent stands with its plan."""
        return Status(self.sim.world.entity(key)[Progress].status)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.sim.close()
