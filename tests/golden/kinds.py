"""Which action kinds a replay shows being done, read from its changes: the steps that agents got past."""

from __future__ import annotations

from typing import Any

from scenarios.tactics.components import Status
from sim.replay.reader import Replay

STEP, STATUS, PLANNED, KIND, LENGTH = COLUMNS = (
    "Progress.step", "Progress.status", "Progress.planned_at", "ActionSteps.kind", "ActionSteps.length",
)  # fmt: skip


def kinds_done(replay: Replay) -> set[str]:
    """Return the names of the kinds of which a step came to its end, in a replay of full detail."""
    assert replay.header is not None
    names = replay.header.registry.kinds
    held: dict[str, dict[int, Any]] = {name: {} for name in COLUMNS}
    done: set[str] = set()
    for record in replay.ticks:
        before = {name: dict(known) for name, known in held.items()}
        for name, known in held.items():
            if name in record.changes:
                known |= dict(zip(record.changes[name].keys, record.changes[name].values, strict=True))
        for agent, kinds in held[KIND].items():
            fresh = held[PLANNED].get(agent) == record.t
            over = held[STATUS].get(agent) == Status.FINISHED
            was_over = not fresh and before[STATUS].get(agent) == Status.FINISHED
            if kinds is None or (over and was_over):
                continue
            first = 0 if fresh else before[STEP].get(agent, 0)
            past = held[LENGTH][agent] if over else held[STEP].get(agent) or 0
            done |= {names[code] for code in kinds[first:past]}
    return done
