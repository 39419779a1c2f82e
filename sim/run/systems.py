"""The framework's systems: `Inputs`, `Observe`, `Plan`, `Act`. A domain lists them among its own, or extends them."""

from __future__ import annotations

from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from ai.guard import Watch, active
from ai.observation import largest
from ai.plans import PlanBatch
from sim.engine.columns import Component
from sim.engine.system import System
from sim.run.actions import Action, Args, Codes, Rows, Turn, checked_done, checked_ticks
from sim.run.checks import checked_alerts, checked_batch, checked_mask
from sim.run.context import Run, outdate
from sim.run.payloads import drop_unused, write_payloads
from sim.run.plan_columns import ActionSteps, Control, Progress, Status
from sim.run.rounds import choose_in_step, put_off, settle, walks_of
from sim.run.thinking import Thinking, choose_thinking
from sim.run.world import World

REFUSED_PAUSE_S: Final = 0.5
"""How long an agent whose plan was refused waits before it asks again, seconds."""
EVERYONE: Final = slice(None)
"""Indexes all agents there are."""
# Read once: asking for the value of an enumeration's member in every tick is slow.
RUNNING: Final = Status.RUNNING.value
FINISHED: Final = Status.FINISHED.value


class Inputs(System):
    """Applies the tick's inputs in the order given, each whole or not at all.

    Reads: the components that the inputs read.
    Writes: the components that the inputs write; the population.
    Order: first.
    """

    name = "inputs"
    flushes: ClassVar[bool] = True

    def process(self, world: World, run: Run) -> None:
        """Apply `run.inputs`; each input meets the world that the ones before it left."""
        for place, item in enumerate(run.inputs):
            reason = item.apply(world, run)
            if reason is not None:
                run.refused[place] = reason
            world.flush()


class Observe(System):
    """Chooses the agents that need a plan now, and gathers what they know.

    An agent needs one when it has none, or when its plan is finished, refused, too old, or invalidated.

    Reads: Control, Progress, and the components that the domain observes.
    Writes: Progress of agents whose plan is too old or whose alert changed.
    Order: after Inputs, before Plan.
    """

    name = "observe"
    reads: ClassVar[tuple[type[Component], ...]] = (Control, Progress)
    writes: ClassVar[tuple[type[Component], ...]] = (Progress,)

    def process(self, world: World, run: Run) -> None:
        """Choose agents, those that wait longest first, and gather what they know."""
        domain, planning, progress = run.domain, run.planning, world[Progress]
        may = checked_mask(domain.plannable(world), world, domain, "plannable") & ~world[Control].taken
        running = progress.status == RUNNING
        aged = running & (progress.planned_at <= run.tick - planning.ttl_s * run.ticks_per_second)
        if np.count_nonzero(aged):
            outdate(world, aged, run.tick)
        if run.tick % planning.alert_every == 0:
            rows = (running & ~aged & may).nonzero()[0]
            alert = checked_alerts(domain.alert(world, rows), rows, domain)
            run.alarmed = rows[(alert != 0) & (alert != progress.alert[rows])]
            if len(run.alarmed):
                world.invalidate(run.alarmed, "alert")
        run.chosen = choose(world, run, may, planning.per_tick_max)
        if len(run.chosen):
            run.batch = checked_batch(domain.observe(world, run.chosen), world.keys[run.chosen], domain)


def choose(world: World, run: Run, may: NDArray[np.bool_], most: int) -> Rows:
    """Return the rows that are planned for in this tick: at most `most`, those that wait longest first.

    `may [n]` says which agents may plan at all. In a round, at most `most` are asked of the model tiers and noted in
    `run.asked`; as many others may be bridged in the same tick.
    """
    run.may = may
    return (choose_thinking if run.thinks_now else choose_in_step)(world, run, may, most)


class Plan(System):
    """Makes the tick's one batch call and writes the plans it brings back.

    Reads: nothing but `run.batch`.
    Writes: ActionSteps, Progress; payloads.
    Order: after Observe, before Act.
    """

    name = "plan"
    reads: ClassVar[tuple[type[Component], ...]] = ()
    writes: ClassVar[tuple[type[Component], ...]] = (ActionSteps, Progress)

    def process(self, world: World, run: Run) -> None:
        """Plan for `run.batch` and start the new plans."""
        if run.batch is None:
            return
        assert run.source is not None
        assert run.registry is not None
        if run.thinks_now:
            self.think(world, run)
            return
        walks = walks_of(world, run)
        run.plans = run.source.plan(run.batch, walks)
        if len(run.asked):
            run.round.waited_s = run.plans.duration_s
        plans, rows = run.plans.plans, run.chosen
        alerts = self.alert(world, run, rows)
        if walks is not None:
            given = (plans.tier >= 0).nonzero()[0]
            if len(given) < len(rows):
                plans, rows, alerts = plans.take(given), rows[given], alerts[given]
        self.start(world, run, rows, plans, alerts)
        settle(world, run)

    def think(self, world: World, run: Run) -> None:
        """Plan for a tick of a world that goes on while its model thinks."""

        def start(rows: Rows, plans: PlanBatch, alerts: Any, asked_at: Any) -> None:
            began = run.started
            self.start(world, run, rows, plans, alerts)
            world[Progress].planned_at[rows] = asked_at
            run.started = np.union1d(began, rows)

        alerts = self.alert(world, run, run.chosen)
        thinking = Thinking(world, run, run.may, alerts, self.alarming, start)
        run.plans = thinking.process(run.planning.per_tick_max)

    def alarming(self, before: Any, now: Any) -> Any:
        """Return the alert values that can void a plan: those at the ask, and the current ones."""
        return (now != 0) & (now != before)

    def start(self, world: World, run: Run, rows: Rows, plans: PlanBatch, alerts: Any) -> None:
        """Start new plans of agents, in place of any plans before; `alerts` are their alert values, `[len(rows)]`."""
        assert run.registry is not None
        run.started = rows
        progress, steps = world[Progress], world[ActionSteps]
        used = plans.kind.shape[0]
        longest = largest(steps.length)
        steps.length[rows] = plans.length
        for place in range(max(used, longest)):  # one index at a time: NumPy takes a tenth of the time
            steps.kind[place][rows] = plans.kind[place] if place < used else 0
            for number, arg in enumerate(steps.args[place]):
                arg[rows] = plans.args[place, number] if place < used else 0
        if plans.payloads:
            write_payloads(world, run.payloads, plans, rows, run.registry)
        progress.status[rows] = RUNNING
        progress.step[rows] = 0
        progress.started_at[rows] = -1
        progress.until[rows] = -1
        progress.tier[rows] = plans.tier
        progress.planned_at[rows] = run.tick
        progress.waiting_since[rows] = run.tick
        progress.alert[rows] = alerts
        progress.refusal[rows] = 0
        progress.tries[rows] = 0

    def alert(self, world: World, run: Run, rows: Rows) -> Any:
        """Return the alert values of the chosen agents, with which their new plans are made, `[len(rows)]`."""
        return run.domain.alert(world, rows)


class Act(System):
    """Runs one tick of the current step of every running plan.

    A step starts when its cooldown allows, is checked against the world as it is now, takes its time, is checked again
    if that was more than one tick, has its effect, and makes way for the next step. A step that may not run ends the
    plan as refused: the tier that gave the plan is asked again after a pause (`REFUSED_PAUSE_S`; of a model, some
    rounds). Everything reads the state at the start of the phase; effects on others settle at its end.

    Reads: the components that the verbs read.
    Writes: ActionSteps, Progress, and the components that the verbs and channels write.
    Order: after Plan.
    """

    name = "act"
    reads: ClassVar[tuple[type[Component], ...]] = (ActionSteps, Progress)
    writes: ClassVar[tuple[type[Component], ...]] = (ActionSteps, Progress)

    def process(self, world: World, run: Run) -> None:
        """Run every verb in use for its agents, then settle what they asked for."""
        turn = self.turn(world, run)
        watching = active()
        for action, rows, args in self.in_use(turn):
            if watching:
                with Watch(f"verb {action.__name__!r}"):
                    self.act(action, turn, rows, args)
            else:
                self.act(action, turn, rows, args)
        self.settle(turn)

    def turn(self, world: World, run: Run) -> Any:
        """Return what the verbs of this phase share."""
        return Turn(world, run)

    def settle(self, turn: Any) -> None:
        """Resolve at once what the verbs of a turn asked for."""
        self.finish(turn)
        turn.settle()
        drop_unused(turn.world, turn.run.payloads, turn.run.registry)

    def in_use(self, turn: Any) -> list[tuple[type[Action], Rows, Args]]:
        """Return each verb that an agent's plan has come to, with rows and arguments."""
        steps, progress, registry = turn.world[ActionSteps], turn.progress, turn.run.registry
        active = (progress.status == RUNNING).nonzero()[0]
        step = progress.step[active]
        several = np.count_nonzero(step) > 0
        kind = steps.kind[step, active] if several else steps.kind[0].take(active)
        self.prepare(turn, active, kind)
        found: list[tuple[type[Action], Rows, Args]] = []
        for code in np.bincount(kind).nonzero()[0].tolist():
            action = registry.spec(code).action
            assert issubclass(action, Action)
            members = (kind == code).nonzero()[0]
            rows = active[members]
            args = steps.args[step[members], :, rows].T.copy() if several else steps.args[0].take(rows, axis=1)
            found.append((action, rows, args))
        return found

    def prepare(self, turn: Any, rows: Rows, kind: NDArray[np.int16]) -> None:
        """Work out once what several verbs need of all active agents; nothing unless a domain extends it."""

    def act(self, action: type[Action], turn: Any, rows: Rows, args: Args) -> None:
        """Start, continue and end the steps of one verb."""
        waiting = turn.progress.started_at[rows] < 0
        if np.count_nonzero(waiting):
            first = waiting.nonzero()[0]
            if action.group:
                first = first[turn.ready_at(action.group)[rows[first]] <= turn.tick]
            if len(first):
                waiting[self._start(action, turn, rows, args, first)] = False
            if np.count_nonzero(waiting):
                on = (~waiting).nonzero()[0]
                rows, args = rows[on], args.take(on, axis=1)
        if not len(rows):
            return
        if action.timed:
            self._end(action, turn, rows, args)
        else:
            done = checked_done(action.advance(turn, rows, action.named(turn, args)), rows, action)
            if np.count_nonzero(done):
                self._complete(action, turn, rows[done], args[:, done])

    def _start(self, action: type[Action], turn: Any, rows: Rows, args: Args, places: Rows) -> Rows:
        """Start the step of the agents at some places of `rows` that may; return the places of those that did."""
        begun, begun_args = rows[places], args.take(places, axis=1)
        allowed = self._allowed(action, turn, begun, begun_args)
        if allowed is not EVERYONE:
            places, begun, begun_args = places[allowed], begun[allowed], begun_args[:, allowed]
        action.start(turn, begun, action.named(turn, begun_args))
        for arg, begun_arg in zip(args, begun_args, strict=True):
            arg[places] = begun_arg
        turn.progress.started_at[begun] = turn.tick
        if action.timed:
            ticks = checked_ticks(action.duration_ticks(turn, begun, action.named(turn, begun_args)), begun, action)
            turn.progress.until[begun] = turn.tick + ticks - 1
        return places

    def _end(self, action: type[Action], turn: Any, rows: Rows, args: Args) -> None:
        """Give the steps whose time is over their effect."""
        progress = turn.progress
        over = (progress.until[rows] <= turn.tick).nonzero()[0]
        if not len(over):
            return
        rows, args = rows[over], args.take(over, axis=1)
        late = progress.started_at[rows] < turn.tick
        if np.count_nonzero(late):
            kept, again = ~late, late.nonzero()[0]
            kept[again[self._allowed(action, turn, rows[again], args[:, again])]] = True
            rows, args = rows[kept], args[:, kept]
        if len(rows):
            self._complete(action, turn, rows, args)

    def _complete(self, action: type[Action], turn: Any, rows: Rows, args: Args) -> None:
        """Apply a verb, and start its cooldown."""
        action.apply(turn, rows, action.named(turn, args))
        if action.group:
            turn.cool(rows, action.group, action.cooldown(turn, args))  # type: ignore[attr-defined] # grouped verbs
        turn.finished.append(rows)

    def finish(self, turn: Any) -> None:
        """Move all agents whose step is over to the next one, or end the plan."""
        if not turn.finished:
            return
        rows = np.concatenate(turn.finished)
        progress, steps = turn.progress, turn.world[ActionSteps]
        progress.step[rows] += 1
        progress.started_at[rows] = -1
        progress.until[rows] = -1
        progress.tries[rows] = 0
        ended = rows[progress.step[rows] >= steps.length[rows]]
        rounds = turn.run.rounds
        if rounds is not None:
            done = ended[rounds.is_model[progress.tier[ended]]]
            progress.refusals[done] = 0
            progress.ask_from[done] = turn.tick
        progress.status[ended] = FINISHED
        progress.step[ended] = 0
        progress.waiting_since[ended] = turn.tick

    def _allowed(self, action: type[Action], turn: Any, rows: Rows, args: Args) -> NDArray[np.bool_] | slice:
        """Return the agents that may take the step now, `[m]` or `EVERYONE`; the plans of the others are refused."""
        codes = action.refusals(turn, rows, args)
        if not np.count_nonzero(codes):
            return EVERYONE
        refused = codes.nonzero()[0]
        self.refuse(turn, rows[refused], codes[refused])
        allowed: NDArray[np.bool_] = codes == 0
        return allowed

    def refuse(self, turn: Any, rows: Rows, codes: Codes | int) -> None:
        """End the plans of some agents as refused; the tier that gave a plan is asked again after a pause."""
        progress = turn.progress
        progress.status[rows] = Status.REFUSED
        progress.refusal[rows] = codes
        progress.waiting_since[rows] = turn.tick + turn.seconds(REFUSED_PAUSE_S)
        rounds = turn.run.rounds
        if rounds is not None:
            of_model = rows[rounds.is_model[progress.tier[rows]]]
            progress.waiting_since[of_model] = turn.tick
            put_off(turn.world, turn.run, of_model)
