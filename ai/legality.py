"""The legality check of plans: whether an agent may try its plan, by its observation.

Every tier and both forms of the batch call use one function. The world makes a second check when a step runs. This
check runs for every plan of every tick, so it handles all agents together, one argument place at a time, and compares
with the registry's tables by code.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ai.actions import CELLS_MAX, NONE, ArgSpec, Kind, Place, ToolRegistry, values_in
from ai.errors import ContractError
from ai.observation import Array, Bools, ObservationBatch, Rows, largest
from ai.plans import PlanBatch, Refusal

# These are plain integers, because members of an enumeration are slow to read and to compare with arrays.
_ACCEPTED: Final = int(Refusal.ACCEPTED)

Batch = ObservationBatch[Any]


def refusals(batch: Batch, plans: PlanBatch, registry: ToolRegistry) -> NDArray[np.int8]:
    """Return a `Refusal` for every agent, `[n] int8`; the first illegal step of a plan decides.

    A plan is legal if it has a step, every verb is offered, every required argument is given, every argument is in its
    range, every cell is in its space, and the agent knows every target (also inside lists and records).
    """
    found = np.zeros(len(plans), np.int8)
    empty = plans.length <= 0
    if np.count_nonzero(empty):
        found[empty] = Refusal.EMPTY
    for step in range(largest(plans.length)):
        active = (plans.length > step) & (found == _ACCEPTED)
        if np.count_nonzero(active) == len(active):
            found = _step_refusals(batch, None, plans, step, registry)
        else:
            rows = np.flatnonzero(active)
            found[rows] = _step_refusals(batch, rows, plans, step, registry)
    return found


def _step_refusals(
    batch: Batch, rows: Rows | None, plans: PlanBatch, step: int, registry: ToolRegistry
) -> NDArray[np.int8]:
    """Judge one step of the agents at `rows` (None: all), `[m] int8`; the first wrong argument decides."""
    kind = plans.kind[step] if rows is None else plans.kind[step, rows]
    args = plans.args[step] if rows is None else plans.args[step][:, rows]
    found = np.zeros(len(kind), np.int8)
    code: NDArray[np.intp] = kind.astype(np.intp)
    unknown = code.view(np.uintp) >= len(registry.specs)
    if np.count_nonzero(unknown):
        code[unknown] = 0
        _mark(found, unknown, Refusal.UNKNOWN_VERB)
    present = np.bincount(code).nonzero()[0]
    if np.count_nonzero(registry.offered_codes[present]) < len(present):
        _mark(found, ~registry.offered_codes.take(code), Refusal.UNKNOWN_VERB)
    # The range of a place that a verb does not use holds only `NONE`.
    given = np.ascontiguousarray(args).view(np.uint32)
    strays = given - registry.floors.take(code, axis=1) > registry.spans.take(code, axis=1)
    strayed = np.count_nonzero(strays)
    if strayed:
        strays &= (args != NONE) | registry.required.T.take(code, axis=1)
        strayed = np.count_nonzero(strays)
    checks = registry.checks_of(present.tolist())
    if strayed or checks:
        for place, value in enumerate(args):
            if strayed:
                _mark(found, strays[place], Refusal.OUT_OF_RANGE)
            for check in checks:
                if check.place == place:
                    _check_known(batch, rows, code, value, check, found)
    if np.count_nonzero(registry.payload_codes[present]):
        carrying = (registry.payload_codes.take(code) & (found == _ACCEPTED)).nonzero()[0]
        for member, row in zip(carrying, carrying if rows is None else rows[carrying], strict=True):
            found[member] = _payload_refusal(batch, plans, int(row), step, registry)
    return found


def _check_known(
    batch: Batch, rows: Rows | None, code: NDArray[np.intp], value: Array, check: Place, found: NDArray[np.int8]
) -> None:
    """Judge one argument place of the verbs that have a target or half of a cell there."""
    if check.kind is not Kind.TARGET:
        side = "width" if check.kind is Kind.CELL_X else "height"
        outside = value >= extent(batch, check.sources[0], side, rows)
        if np.count_nonzero(outside):
            _mark(found, outside & check.codes.take(code), Refusal.OUTSIDE)
        return
    members = (check.codes.take(code) & (value != NONE)).nonzero()[0]
    fits = batch.knows(members if rows is None else rows[members], value[members], check.sources)
    if np.count_nonzero(fits) < len(fits):
        wrong = np.zeros(len(found), np.bool_)
        wrong[members] = ~fits
        _mark(found, wrong, Refusal.UNKNOWN_TARGET)


def extent(batch: Batch, space: str, side: str, rows: Rows | None) -> Array | int:
    """Return the width or height of a space for each agent of `rows` (None: all), or one number if all share it."""
    values = batch.shared.get(space, ())
    column = batch.column(space)
    if len(values) == 1 and not np.count_nonzero(column):
        return int(getattr(values[0], side))
    # Agents without such a space, marked by -1, may name any cell.
    sizes = np.array([*(getattr(value, side) for value in values), CELLS_MAX], np.int64)
    found: Array = sizes[column if rows is None else column[rows]]
    return found


def _payload_refusal(batch: Batch, plans: PlanBatch, row: int, step: int, registry: ToolRegistry) -> int:
    """Judge the texts, lists and records of one step whose integers are legal."""
    args = [int(value) for value in plans.args[step, :, row]]
    try:
        decoded = registry.decode(int(plans.kind[step, row]), args, plans.payloads.get((row, step), b""))
    except ContractError:
        return int(Refusal.OUT_OF_RANGE)
    here = np.array([row])
    for arg, value in values_in(registry.spec(decoded.act), decoded):
        refusal = _value_refusal(batch, here, arg, value)
        if refusal != _ACCEPTED:
            return refusal
    return _ACCEPTED


def _value_refusal(batch: Batch, here: Rows, arg: ArgSpec, value: Any) -> int:
    """Judge one argument of one agent."""
    if arg.kind is Kind.TARGET and not batch.knows(here, np.array([value]), arg.sources)[0]:
        return int(Refusal.UNKNOWN_TARGET)
    if arg.kind in (Kind.CELL, Kind.CELL_X, Kind.CELL_Y):
        axes = {Kind.CELL_X: "x", Kind.CELL_Y: "y"}
        for axis, side in (("x", "width"), ("y", "height")):
            if arg.kind is Kind.CELL or axes[arg.kind] == axis:
                stands = getattr(value, axis) if arg.kind is Kind.CELL else value
                if np.any(stands >= extent(batch, arg.sources[0], side, here)):
                    return int(Refusal.OUTSIDE)
    return _ACCEPTED


def _mark(found: NDArray[np.int8], wrong: Bools, refusal: Refusal) -> None:
    """Set `refusal` for the wrong ones that were accepted so far."""
    if np.count_nonzero(wrong):
        found[wrong & (found == _ACCEPTED)] = refusal


def explained(batch: Batch, plans: PlanBatch, row: int, registry: ToolRegistry) -> str:
    """Return a sentence with the reason why one agent's plan is not legal, for a model that is asked again.

    It names the argument and the value if a target or a cell is wrong.
    """
    verdict = Refusal(int(refusals(batch.take(slice(row, row + 1)), plans.take(np.array([row])), registry)[0]))
    if verdict not in (Refusal.UNKNOWN_TARGET, Refusal.OUTSIDE):
        return verdict.sentence
    here = np.array([row])
    try:
        steps = plans.steps(row, registry)
    except ContractError:  # a planner that writes integers can write integers that are not a step
        return verdict.sentence
    for number, step in enumerate(steps, 1):
        spec = registry.spec(step.act)
        stored = ((arg, plans.args[number - 1, place, row]) for place, arg in enumerate(spec.args))
        given = [(arg, int(value)) for arg, value in stored if value != NONE]
        for arg, value in (*given, *values_in(spec, step)):
            refusal = _value_refusal(batch, here, arg, value)
            if refusal == int(Refusal.UNKNOWN_TARGET):
                return f"step {number}: {arg.name}: {value} is nobody in {' or '.join(arg.sources)}"
            if refusal == int(Refusal.OUTSIDE):
                size = "x".join(str(np.max(extent(batch, arg.sources[0], s, here))) for s in ("width", "height"))
                return f"step {number}: {arg.name}: {value} is outside {arg.sources[0]}, which is {size}"
    return verdict.sentence
