"""Thinking time: a model plans while the world goes on.

With `planning.think` over 0, a plan that an agent is asked for in tick T takes effect in tick T + think, by rule and
not by the clock: the world waits only for a late reply. Asks that have no reply yet, and plans that have arrived and
wait for their turn, are state. The reply itself is not: a restored world has its open asks and no calls, so they are
lost when they fall due.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from ai.legality import explained, refusals
from ai.plans import NO_TIER, Attempts, BatchPlans, Outcome, PlanBatch, Walk
from sim.run.listeners import Arrival
from sim.run.plan_columns import ActionSteps, Ask, NextPlan, Progress, Status
from sim.run.rounds import Arrived, longest_waiting, owed_rows, put_off

if TYPE_CHECKING:
    from sim.run.actions import Rows
    from sim.run.context import Run
    from sim.run.world import World

Alarming = Callable[[Any, Any], NDArray[np.bool_]]
"""Says which alert values have changed so that a plan is void: those known when it was asked for, and those of now."""
RUNNING: Final = Status.RUNNING.value


def void(world: World, rows: Any) -> None:
    """Void open asks and stored plans, whose knowledge is out of date. The replies that come are dropped."""
    ask, after = world[Ask], world[NextPlan]
    open_ones = np.zeros(world.n, np.bool_)
    open_ones[rows] = (ask.asked_at[rows] >= 0) | (after.length[rows] > 0)
    where = open_ones.nonzero()[0]
    if not len(where):
        return
    keys = world.keys[where]
    world.run.round.outdated += keys.tolist()
    ask.asked_at[where] = ask.arrives_at[where] = -1
    ask.alert[where] = 0
    drop_stored(world, where)


def drop_stored(world: World, rows: Rows) -> None:
    """Forget the stored plans of some agents."""
    after = world[NextPlan]
    after.length[rows] = 0
    after.kind[:, rows] = 0
    after.args[:, :, rows] = 0
    after.tier[rows] = after.planned_at[rows] = -1
    after.alert[rows] = 0


def askable(world: World, run: Run, may: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the agents that may be asked now, `[n]`: those owed a plan now, or before the next round's arrives.

    An agent with a plan of a model is asked ahead if its last step ends by then; only of timed steps is that known.
    """
    assert run.rounds is not None
    rounds, progress, ask = run.rounds, world[Progress], world[Ask]
    able = may & owed_rows(world, run) & (progress.ask_from <= run.tick)
    able &= (ask.asked_at < 0) & (world[NextPlan].length == 0)
    owed = (progress.status != RUNNING) | rounds.is_bridge[progress.tier]
    last = progress.step == world[ActionSteps].length - 1
    by = run.tick + rounds.think + rounds.every
    ending = rounds.is_model[progress.tier] & last & (progress.until >= 0) & (progress.until <= by)
    found: NDArray[np.bool_] = able & (owed | ending)
    return found


def choose_thinking(world: World, run: Run, may: NDArray[np.bool_], most: int) -> Rows:
    """Return the rows that a tick looks at: asks that fall due, stored plans that may start, bridges, new asks.

    The last are noted in `run.asked`, but for those whose ask falls due now: its result decides.
    """
    assert run.rounds is not None
    rounds, progress, ask, tick = run.rounds, world[Progress], world[Ask], run.tick
    due = (ask.asked_at >= 0) & (ask.arrives_at <= tick)
    free = (progress.status != RUNNING) | rounds.is_bridge[progress.tier]
    starting = may & free & (world[NextPlan].length > 0)
    waiting = may & (progress.status != RUNNING) & (progress.waiting_since <= tick)
    chosen = due | starting
    chosen[longest_waiting(waiting.nonzero()[0], progress.waiting_since, most)] = True
    if rounds.due(tick):
        run.asked = longest_waiting(askable(world, run, may).nonzero()[0], progress.ask_from, most)
        chosen[run.asked] = True
    rows: Rows = chosen.nonzero()[0]
    return rows


class Thinking:
    """Plans one tick of a run whose model thinks while the world goes on.

    Args:
        world: the world.
        run: the run; its chosen agents, and their knowledge.
        may: whether each agent may plan at all, `[n]`.
        alerts: the alert values of the chosen agents.
        alarming: says which plans are void.
        start: starts plans of agents: rows, plans, alerts, and the tick in which each was asked for.
    """

    def __init__(
        self,
        world: World,
        run: Run,
        may: NDArray[np.bool_],
        alerts: Any,
        alarming: Alarming,
        start: Callable[[Rows, PlanBatch, Any, Any], None],
    ) -> None:
        assert run.source is not None
        assert run.registry is not None
        assert run.rounds is not None
        self.world, self.run, self.may = world, run, may
        self.alerts, self.alarming, self.start = alerts, alarming, start
        self.source, self.registry, self.rounds = run.source, run.registry, run.rounds
        self.result = BatchPlans(PlanBatch.empty(run.batch.keys), run.source.tiers, [])

    def process(self, most: int) -> BatchPlans:
        """Take in what has arrived, start what was stored, bridge the rest, and ask; return the plans of the tick."""
        self._arrivals()
        self._stored()
        self._bridge(most)
        if self.rounds.due(self.run.tick):
            self._ask()
        return self.result

    def _places(self, rows: Rows) -> Rows:
        """Return where rows stand among the chosen."""
        return np.searchsorted(self.run.chosen, rows)

    def _arrivals(self) -> None:
        """Give every ask that falls due its reply."""
        ask, chosen = self.world[Ask], self.run.chosen
        due = chosen[(ask.asked_at[chosen] >= 0) & (ask.arrives_at[chosen] <= self.run.tick)]
        for asked_at in np.unique(ask.asked_at[due]).tolist():
            self._arrival(asked_at, due[ask.asked_at[due] == asked_at])

    def _arrival(self, asked_at: int, rows: Rows) -> None:
        world, run, ask, progress = self.world, self.run, self.world[Ask], self.world[Progress]
        places = self._places(rows)
        part = run.batch.take(places)
        before = ask.alert[rows].copy()
        ask.asked_at[rows] = ask.arrives_at[rows] = -1
        ask.alert[rows] = 0
        reply = self.source.arrive(asked_at, part)
        run.round.waited_s += 0.0 if reply is None else reply.duration_s
        note = Arrived(asked_at, {}, {})
        run.round.arrived.append(note)
        if reply is None:
            self._tell(note, asked_at, "lost", rows)
            progress.ask_from[rows] = run.tick
            return
        self._take_in(reply, places)
        plans = reply.plans
        given = plans.tier != NO_TIER
        note.given |= {
            reply.tiers[tier]: part.keys[plans.tier == tier] for tier in np.unique(plans.tier[given]).tolist()
        }
        gone = ~self.may[rows]
        outdated = ~gone & given & self.alarming(before, self.alerts[places])
        legal = self._legal(part, plans, given & ~gone & ~outdated, places)
        refused = given & ~gone & ~outdated & ~legal
        has_one = (progress.status[rows] == RUNNING) & self.rounds.is_model[progress.tier[rows]]
        for fate, who in (
            ("gone", gone),
            ("outdated", outdated),
            ("failed", ~gone & ~given),
            ("refused", refused),
            ("stored", legal & has_one),
            ("started", legal & ~has_one),
        ):
            self._tell(note, asked_at, fate, rows[who], plans.tier[who])
        put_off(world, run, rows[~gone & ~given])
        progress.ask_from[rows[refused | gone]] = run.tick
        progress.ask_from[rows[outdated]] = -1
        self._store(rows, plans, before, asked_at, legal & has_one)
        self._begin(rows, plans, before, np.full(len(rows), asked_at), legal & ~has_one)
        for kept in (legal & has_one, legal & ~has_one):
            self.result.plans = _put(self.result.plans, places[kept], plans, kept.nonzero()[0])

    def _take_in(self, reply: BatchPlans, places: Rows) -> None:
        """Add the usage, failures and texts of a round to the tick's result, which is recorded."""
        result = self.result
        result.attempts += [replace(each, rows=places[each.rows]) for each in reply.attempts]
        result.texts |= reply.texts
        result.shards += reply.shards
        result.usage.add(reply.usage)
        result.model |= reply.model
        result.first_plan_s = reply.first_plan_s if result.first_plan_s is None else result.first_plan_s

    def _legal(self, part: Any, plans: PlanBatch, judged: NDArray[np.bool_], places: Rows) -> NDArray[np.bool_]:
        """Return which plans are legal with the agents' knowledge of now; write down why the others are not."""
        legal: NDArray[np.bool_] = judged & (refusals(part, plans, self.registry) == 0)
        late = (judged & ~legal).nonzero()[0]
        for tier in np.unique(plans.tier[late]).tolist():
            rows = late[plans.tier[late] == tier]
            errors = {int(part.keys[row]): f"late: {explained(part, plans, int(row), self.registry)}" for row in rows}
            outcome = np.full(len(rows), Outcome.REFUSED, np.int8)
            self.result.attempts.append(Attempts(self.source.tiers[tier], places[rows], outcome, errors))
        return legal

    def _tell(self, note: Arrived, asked_at: int, fate: str, rows: Rows, tiers: Any = None) -> None:
        if not len(rows):
            return
        keys = self.world.keys[rows]
        note.fates[fate] = keys
        names = [None] * len(rows) if tiers is None else [self._name(int(tier)) for tier in tiers]
        self.run.round.arrivals += [
            Arrival(self.run.tick, int(key), asked_at, fate, name) for key, name in zip(keys, names, strict=True)
        ]

    def _name(self, tier: int) -> str | None:
        return None if tier == NO_TIER else self.source.tiers[tier]

    def _store(self, rows: Rows, plans: PlanBatch, alerts: Any, asked_at: int, which: NDArray[np.bool_]) -> None:
        """Keep plans for agents that have one of a model's still."""
        picked = which.nonzero()[0]
        if not len(picked):
            return
        after, rows, steps = self.world[NextPlan], rows[picked], plans.kind.shape[0]
        after.length[rows] = plans.length[picked]
        after.kind[:, rows] = 0
        after.args[:, :, rows] = 0
        for step in range(steps):
            after.kind[step, rows] = plans.kind[step, picked]
            for place in range(after.args.shape[1]):
                after.args[step, place, rows] = plans.args[step, place, picked]
        for (row, step), content in sorted(plans.payloads.items()):
            if which[row]:
                place = self.registry.spec(int(plans.kind[step, row])).payload_place
                at = rows[np.searchsorted(picked, row)]
                after.args[step, place, at] = self.run.payloads.add(content)
        after.tier[rows] = plans.tier[picked]
        after.planned_at[rows] = asked_at
        after.alert[rows] = alerts[picked]

    def _begin(self, rows: Rows, plans: PlanBatch, alerts: Any, asked_at: Any, which: NDArray[np.bool_]) -> None:
        picked = which.nonzero()[0]
        if len(picked):
            self.start(rows[picked], plans.take(picked), alerts[picked], asked_at[picked])
            self.world[Progress].ask_from[rows[picked]] = self.run.tick
            self.run.round.started += len(picked)

    def _stored(self) -> None:
        """Start the stored plans of agents whose plan has ended."""
        world, run, after, progress = self.world, self.run, self.world[NextPlan], self.world[Progress]
        rows = run.chosen
        free = (progress.status[rows] != RUNNING) | self.rounds.is_bridge[progress.tier[rows]]
        rows = rows[free & self.may[rows] & (after.length[rows] > 0)]
        if not len(rows):
            return
        places = self._places(rows)
        part = run.batch.take(places)
        plans = self._stored_plans(rows)
        alerts, asked_at = after.alert[rows].copy(), after.planned_at[rows].copy()
        outdated = self.alarming(alerts, self.alerts[places])
        legal = self._legal(part, plans, ~outdated, places)
        drop_stored(world, rows)
        run.round.outdated += part.keys[outdated].tolist()
        progress.ask_from[rows[~legal]] = run.tick
        progress.ask_from[rows[outdated]] = -1
        self._begin(rows, plans, alerts, asked_at, legal)
        run.round.begun += part.keys[legal].tolist()

    def _stored_plans(self, rows: Rows) -> PlanBatch:
        after = self.world[NextPlan]
        steps = max(int(after.length[rows].max(initial=0)), 1)
        plans = PlanBatch.empty(self.world.keys[rows], steps)
        plans.length[:] = after.length[rows]
        plans.kind[:] = after.kind[:steps, rows]
        plans.args[:] = after.args[:steps][:, :, rows]
        plans.tier[:] = after.tier[rows]
        codes = self.registry.payload_codes
        for step in range(steps):
            for row in (codes[plans.kind[step]] & (step < plans.length)).nonzero()[0].tolist():
                place = self.registry.spec(int(plans.kind[step, row])).payload_place
                plans.payloads[row, step] = self.run.payloads[int(plans.args[step, place, row])]
                plans.args[step, place, row] = 0
        return plans

    def _bridge(self, most: int) -> None:
        """Plan with the other tiers for the agents that have no plan."""
        world, run, progress = self.world, self.run, self.world[Progress]
        rows = run.chosen
        waiting = self.may[rows] & (progress.status[rows] != RUNNING) & (progress.waiting_since[rows] <= run.tick)
        rows = longest_waiting(rows[waiting], progress.waiting_since, most)
        if not len(rows):
            return
        places = self._places(rows)
        bridges = self.source.plan(run.batch.take(places), np.full(len(rows), Walk.BRIDGE.value, np.int8))
        self.result.attempts += [replace(each, rows=places[each.rows]) for each in bridges.attempts]
        self.result.texts |= bridges.texts
        self.result.plans = _put(self.result.plans, places, bridges.plans, np.arange(len(rows)))
        owed = owed_rows(world, run)
        run.round.bridged = world.keys[rows if isinstance(owed, bool) else rows[owed[rows]]]
        self.start(rows, bridges.plans, self.alerts[places], np.full(len(rows), run.tick))

    def _ask(self) -> None:
        """Ask the model tiers for those that are owed a plan still; the reply comes `think` ticks later."""
        world, run, ask = self.world, self.run, self.world[Ask]
        rows = run.asked[askable(world, run, self.may)[run.asked]]
        run.round.asked = world.keys[rows]
        if not len(rows):
            return
        places = self._places(rows)
        ask.asked_at[rows] = run.tick
        ask.arrives_at[rows] = run.tick + self.rounds.think
        ask.alert[rows] = self.alerts[places]
        self.source.ask(run.batch.take(places))


def _put(plans: PlanBatch, rows: Rows, source: PlanBatch, picked: Rows) -> PlanBatch:
    """Copy plans with their tiers."""
    for tier in np.unique(source.tier[picked]).tolist():
        mine = source.tier[picked] == tier
        plans.put(rows[mine], source, picked[mine], tier)
    return plans
