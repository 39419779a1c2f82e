"""The events of one tick of a replay, and the fate of one agent's plan: the tick is run again and looked at."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, Final

import numpy as np

from ai.llm.context_window import with_fewer_verbs
from ai.llm.encodings import NAMED, encoding_of
from ai.llm.encodings.base import Encoding
from ai.llm.models import kind_and_model
from ai.llm.prompt import Detail, PromptRequest
from ai.observation import ObservationBatch
from ai.plans import FallbackTier
from sim.engine.state import WorldState
from sim.engine.state_diff import changes
from sim.engine.tables import Store
from sim.errors import ReplayError
from sim.replay.format import Tick, keys_of, plain
from sim.replay.playback import Playback
from sim.replay.record import attempted, planned
from sim.replay.replay_file import ReplayFile
from sim.run.plan_columns import BOOKKEEPING, Progress, Status
from sim.run.simulation import Simulation

FOLLOWED_TICKS_MAX: Final = 1000
"""Ticks for which a plan is followed at most."""
HIDDEN: Final = tuple(each.__name__ for each in BOOKKEEPING)


def show_tick(file: ReplayFile, tick: int) -> dict[str, Any]:
    """Return what happened in a tick, as plain data: inputs, plans by tier, attempts, events, deaths, the root.

    Raises:
        ReplayError: there is no such tick, or it cannot be run again.
    """
    record = file.tick(tick)
    with file.at(tick) as playback:
        before = playback.simulation.world.keys.tolist()
        playback.tick(record)
        after = set(playback.simulation.world.keys.tolist())
        assert playback.report is not None
        events = [
            {"event": event.name, **{name: values.tolist() for name, values in event.columns.items()}}
            for event in playback.report.events
        ]
    return {
        "tick": tick,
        "agents": record.agents,
        "inputs": plain(record.inputs),
        "refused": plain(record.refused),
        "planned": {tier: keys_of(text).tolist() for tier, text in record.planned.items()},
        "attempts": [
            {
                "tier": each.tier,
                "outcome": each.outcome,
                "error": each.error,
                "agents": attempted(record, each).tolist(),
            }
            for each in record.attempts
        ],
        "events": events,
        "gone": [key for key in before if key not in after],
        "draws": record.draws,
        "outcome": record.outcome,
        "root": record.root,
    }


def show_agent(file: ReplayFile, tick: int, key: int) -> dict[str, Any]:
    """Return an agent's values after a tick, the plan that it had, its origin, and the effects of its steps.

    Where agents do not plan, there are its values and what changed of them. Otherwise, the plan is the one that was
    running in the tick, or that was made in it. `snapshot`, `prompt`, `reply` and `attempts` are of the tick in which
    it was made; prompt and reply are None where no model planned.

    Raises:
        ReplayError: there is no such tick or agent, or the tick cannot be run again.
    """
    with file.at(tick) as playback:
        before = playback.simulation.snapshot()
        if key not in before.keys:
            raise ReplayError(f"there is no agent {key} at tick {tick}")
        state = None if playback.simulation.registry is None else _agent(playback, key)
        playback.tick(file.tick(tick))
        after = playback.simulation.snapshot()
        shown: dict[str, Any] = {"tick": tick, "agent": key, "values": _values(playback, after, key)}
        if state is None:
            return {**shown, "changed": _effects(playback, before, after, key)}
        now = _agent(playback, key)
        plan = _plan(state if now is None else now)
        planned_at = plan[0]
    shown |= {"planned_at": None, "steps": [], "ended": None}
    if planned_at < 0:
        return shown
    with file.at(planned_at) as playback:
        before, at = playback.simulation.snapshot(), planned_at
        playback.tick(file.tick(planned_at))
        reply = arrival(file, *plan, key)
        shown |= {"planned_at": planned_at, **origin(playback.simulation, playback.batch, reply, key)}
        while (now := _agent(playback, key)) is not None and _plan(now) != plan and at < tick:
            # It was asked for in one tick and began in a later one.
            before, at = playback.simulation.snapshot(), at + 1
            playback.tick(file.tick(at))
        shown |= _followed(file, playback, before, at, plan, key)
    return shown


def _plan(agent: Mapping[str, Any]) -> tuple[int, str | None]:
    """Return what tells an agent's plans apart: the tick in which it was asked for, and its tier."""
    return agent["planned_at"], agent["tier"]


def arrival(file: ReplayFile, planned_at: int, tier: str | None, key: int) -> Tick:
    """Return the record that has the plan for which an agent was asked in a tick: that tick's, or a later one's."""
    record = file.tick(planned_at)
    if planned(record).get(key) == tier:
        return record
    for tick in range(planned_at + 1, min(file.ticks, planned_at + FOLLOWED_TICKS_MAX)):
        later = file.tick(tick)
        for each in later.arrived:
            if each.asked_at == planned_at and any(key in keys_of(keys) for keys in each.given.values()):
                return later
    return record


def _agent(playback: Playback, key: int) -> dict[str, Any] | None:
    """Return how far an agent's plan is; None where there is no such agent."""
    world = playback.simulation.world
    row = world.row_of(key) if key in world.keys else -1
    if row < 0:
        return None
    progress = world[Progress]
    return {
        "status": Status(int(progress.status[row])).name.lower(),
        "step": int(progress.step[row]),
        "planned_at": int(progress.planned_at[row]),
        "tier": None if progress.tier[row] < 0 else playback.simulation.tiers[int(progress.tier[row])],
        "refusal": _reason(playback, int(progress.refusal[row])),
    }


def _reason(playback: Playback, code: int) -> str:
    """Return the reason that a refusal code stands for, `no` for none."""
    reasons = {index: reason for reason, index in playback.simulation.run_context.reason_codes.items()}
    return reasons.get(code, "no")


def origin(simulation: Simulation, batch: ObservationBatch[Any] | None, record: Tick, key: int) -> dict[str, Any]:
    """Return where a plan came from: the agent's knowledge, the tier that was asked, the prompt and the reply.

    Args:
        simulation: the run.
        batch: the knowledge of the agents that were planned for in the tick of the record.
        record: the tick in which the plan was made.
        key: the agent.
    """
    tier = next((name for name, text in record.planned.items() if key in keys_of(text)), None)
    row = int(np.searchsorted(batch.keys, key)) if batch is not None and key in batch.keys else None
    reply = record.texts.get(str(key))
    prompt = None
    if batch is not None and row is not None and reply is not None:
        prompt = _prompt(simulation, record, batch, row, tier)
    return {
        "tier": tier,
        "snapshot": None if batch is None or row is None else batch.to_object(row).model_dump(mode="json"),
        "prompt": prompt,
        "reply": reply,
        "attempts": [
            {"tier": each.tier, "outcome": each.outcome, "error": each.error}
            for each in record.attempts
            if key in attempted(record, each)
        ],
    }


def _prompt(
    simulation: Simulation, record: Tick, batch: ObservationBatch[Any], row: int, tier: str | None
) -> dict[str, str]:
    """Return the agent's part of the prompt; in the call it stood among those of its shard."""
    registry = simulation.registry
    assert registry is not None
    simplified = kind_and_model(tier or "")[0] == FallbackTier.SIMPLIFIED_LLM.value
    offered = registry.first_tier if simplified else registry
    shards = [shard for shard in record.shards if shard.get("tier") == tier and "encoding" in shard]
    encoding: Encoding = encoding_of(str(shards[0]["encoding"])) if shards else NAMED
    detail = Detail.COMPACT if simplified else Detail.FULL
    whole = PromptRequest(batch.take(np.array([row])), offered, encoding, detail)
    key = int(batch.keys[row])
    # An agent whose prompt was too long was asked alone, with fewer verbs; the last call that asked it gave the plan.
    dropped = [shard.get("left_out", 0) for shard in shards if shard["agents"] == [key, key]][-1:]
    asked = next((one for one in with_fewer_verbs(whole) if [one.left_out] == dropped), whole)
    return {"system": asked.system, "user": asked.user}


def _followed(
    file: ReplayFile, playback: Playback, before: WorldState, begins: int, asked: tuple[int, str | None], key: int
) -> dict[str, Any]:
    """Follow a plan from the tick in which it begins to its end; `before` is the state before that tick."""
    simulation = playback.simulation
    view: Any = simulation.world.entity(key) if key in simulation.world.keys else None  # an `agent_view`
    plan = [] if view is None else [step.model_dump(mode="json") for step in view.steps]
    steps: list[dict[str, Any]] = [{"step": place, **step, "ticks": []} for place, step in enumerate(plan)]
    at, tick, ended = 0, begins, None
    while ended is None:
        now = _agent(playback, key)
        after = playback.simulation.snapshot()
        effects = _effects(playback, before, after, key)
        if at < len(steps):
            steps[at]["ticks"].append({"tick": tick, "changed": effects})
        if now is None:
            ended = {"tick": tick, "why": "gone"}
        elif _plan(now) != asked:
            ended = {"tick": tick, "why": "replaced by another plan"}
        elif now["status"] != "running":
            ended = {"tick": tick, "why": now["status"]}
            if now["status"] == "refused":
                ended["refusal"] = now["refusal"]
        elif tick + 1 >= file.ticks or tick - begins >= FOLLOWED_TICKS_MAX:
            return {"steps": steps, "ended": None}
        else:
            at, before, tick = now["step"], after, tick + 1
            playback.tick(file.tick(tick))
    return {"steps": steps, "ended": ended}


def _values(playback: Playback, state: WorldState, key: int) -> dict[str, Any]:
    """Return the values of an agent by column, without how far its plan is; empty where it is gone."""
    rows = (state.keys == key).nonzero()[0]
    stores = _stores(playback)
    found: dict[str, Any] = {}
    for label, column in state.columns.items():
        component, _, _ = label.partition(".")
        mask = state.masks.get(component)
        if len(rows) and component not in HIDDEN and (mask is None or mask[rows[0]]):
            found[label] = _meant(stores.get(label), state.plain(label, column[..., rows[0]]).tolist())
    return found


def _effects(playback: Playback, before: WorldState, after: WorldState, key: int) -> dict[str, list[Any]]:
    """Return what changed of an agent in a tick: old and new value by column; how far its plan is is left out."""
    rows = (before.keys == key).nonzero()[0]
    stores = _stores(playback)
    found: dict[str, list[Any]] = {}
    for change in changes(before, after):
        component, _, _ = change.column.partition(".")
        if change.key != key or component in HIDDEN or change.column not in before.columns:
            continue
        old = before.plain(change.column, before.columns[change.column][..., rows[0]]).tolist() if len(rows) else None
        found[change.column] = [_meant(stores.get(change.column), value) for value in (old, change.value)]
    return found


def _stores(playback: Playback) -> dict[str, Store]:
    tables = playback.simulation.world.storage.tables
    return {store.spec.label: store for table in tables for store in table.stores}


def _meant(store: Store | None, value: Any) -> Any:
    """Return what numbers of a column stand for: units, names of members, values by name, texts without gaps."""
    if store is None or value is None:
        return value
    if store.spec.is_text:
        return [text for text in value if text] if isinstance(value, list) else value
    if isinstance(value, list):
        values = [_meant(store, each) for each in value]
        return dict(zip(store.names, values, strict=True)) if len(store.names) == len(values) > 0 else values
    plain = store.plain(value)
    return plain.name.lower() if isinstance(plain, Enum) else plain
