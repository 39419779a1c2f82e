"""The check at acceptance: is each plan something its agent may try, given what it knows?

One function for every tier and both forms of the batch call. The second check, when a step runs, belongs to the world.
It runs for every plan of every tick, so it looks at all agents and one argument place at a time and compares against
the registry's tables by kind code.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ai.actions import NONE, Role, ToolRegistry, cells_in
from ai.errors import ContractError
from ai.plan import PlanBatch, Refusal
from ai.snapshot import SnapshotBatch

# Plain integers: members of an enumeration are slow to look up and to compare with arrays.
_ACCEPTED: Final = int(Refusal.ACCEPTED)
_CELL_X: Final = int(Role.CELL_X)
_CELL_Y: Final = int(Role.CELL_Y)
_ENEMY: Final = int(Role.ENEMY)
_ALLY: Final = int(Role.ALLY)
_OBJECT: Final = int(Role.OBJECT)
_PAYLOAD: Final = int(Role.PAYLOAD)

_Bools = NDArray[np.bool_]


def refusals(batch: SnapshotBatch, plans: PlanBatch, registry: ToolRegistry) -> NDArray[np.int8]:
    """Return a `Refusal` for every agent, `[n] int8`; the first illegal step of a plan decides.

    A plan is legal when it has a step, every kind is offered, every required argument is given, every argument is in
    its range, every cell is on the map (inside lists and records too), every enemy and object is one the agent sees,
    and every ally is itself, its leader or one it sees.
    """
    found = np.zeros(len(plans), np.int8)
    empty = plans.length <= 0
    if np.count_nonzero(empty):
        found[empty] = Refusal.EMPTY
    for step in range(int(plans.length.max(initial=0))):
        active = (plans.length > step) & (found == _ACCEPTED)
        if np.count_nonzero(active) == len(active):
            found = _step_refusals(batch, None, plans, step, registry)
        else:
            rows = np.flatnonzero(active)
            found[rows] = _step_refusals(batch, rows, plans, step, registry)
    return found


def _step_refusals(
    batch: SnapshotBatch,
    rows: NDArray[np.intp] | None,
    plans: PlanBatch,
    step: int,
    registry: ToolRegistry,
) -> NDArray[np.int8]:
    """Judge one step of the agents at `rows` (None: all), `[m] int8`; the first wrong argument decides."""
    kind = plans.kind[step] if rows is None else plans.kind[step, rows]
    args = plans.args[step] if rows is None else plans.args[step][:, rows]
    found = np.zeros(len(kind), np.int8)
    code: NDArray[np.intp] = kind.astype(np.intp)
    unknown_kind = code.view(np.uintp) >= len(registry.specs)
    if np.count_nonzero(unknown_kind):
        code[unknown_kind] = 0
        _mark(found, unknown_kind, Refusal.UNKNOWN_KIND)
    present = np.bincount(code).nonzero()[0]
    if np.count_nonzero(registry.offered_codes[present]) < len(present):
        _mark(found, ~registry.offered_codes.take(code), Refusal.UNKNOWN_KIND)
    # A place that a kind does not use has a range of nothing but `NONE`.
    given = np.ascontiguousarray(args).view(np.uint32)
    strays = given - registry.floors.take(code, axis=1) > registry.spans.take(code, axis=1)
    strayed = np.count_nonzero(strays)
    if strayed:
        strays &= (args != NONE) | registry.required.T.take(code, axis=1)
    for place, roles in enumerate(registry.roles[present].T.tolist()):
        value = args[place]
        if strayed:
            _mark(found, strays[place], Refusal.OUT_OF_RANGE)
        for role, size in ((_CELL_X, batch.map.width), (_CELL_Y, batch.map.height)):
            if role in roles:
                outside = value >= size
                if np.count_nonzero(outside):
                    _mark(found, outside & registry.role_at[role][place].take(code), Refusal.OUTSIDE_MAP)
        for role, sees in _SEES:
            if role in roles:
                members = (registry.role_at[role][place].take(code) & (value != NONE)).nonzero()[0]
                seen = sees(batch, members if rows is None else rows[members], value[members])
                if np.count_nonzero(seen) < len(seen):
                    unknown = np.zeros(len(found), np.bool_)
                    unknown[members] = ~seen
                    _mark(found, unknown, Refusal.UNKNOWN_TARGET)
        if _PAYLOAD in roles:
            carrying = (registry.payload_codes.take(code) & (found == _ACCEPTED)).nonzero()[0]
            for member, row in zip(carrying, carrying if rows is None else rows[carrying], strict=True):
                found[member] = _payload_refusal(batch, plans, int(row), step, registry)
    return found


def _payload_refusal(batch: SnapshotBatch, plans: PlanBatch, row: int, step: int, registry: ToolRegistry) -> int:
    """Judge the lists and records of one step whose integers are in order."""
    args = [int(value) for value in plans.args[step, :, row]]
    try:
        decoded = registry.decode(int(plans.kind[step, row]), args, plans.payloads.get((row, step), b""))
    except ContractError:
        return int(Refusal.OUT_OF_RANGE)
    outside = any(cell.x >= batch.map.width or cell.y >= batch.map.height for cell in cells_in(decoded))
    return int(Refusal.OUTSIDE_MAP) if outside else _ACCEPTED


def _mark(found: NDArray[np.int8], wrong: _Bools, refusal: Refusal) -> None:
    """Give `refusal` to those that are wrong here and were accepted so far."""
    if np.count_nonzero(wrong):
        found[wrong & (found == _ACCEPTED)] = refusal


def _sees_enemy(batch: SnapshotBatch, rows: NDArray[np.intp], key: NDArray[np.int32]) -> _Bools:
    # Most plans name the nearest enemy; only the others are looked up among all.
    seen: _Bools = batch.enemy[rows, 0] == key
    rest = (~seen).nonzero()[0]
    if len(rest):
        seen[rest] = (batch.enemy[rows[rest]] == key[rest, None]).any(1)
    return seen


def _sees_ally(batch: SnapshotBatch, rows: NDArray[np.intp], key: NDArray[np.int32]) -> _Bools:
    seen: _Bools = (batch.ally[rows] == key[:, None]).any(1) | (batch.keys[rows] == key) | (batch.leader[rows] == key)
    return seen


def _sees_object(batch: SnapshotBatch, rows: NDArray[np.intp], key: NDArray[np.int32]) -> _Bools:
    seen: _Bools = (batch.object[rows] == key[:, None]).any(1)
    return seen


_SEES: Final = ((_ENEMY, _sees_enemy), (_ALLY, _sees_ally), (_OBJECT, _sees_object))
