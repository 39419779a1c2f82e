"""The execution phase: every running plan gets on with its current step; conflicts are settled all at once.

A step starts when its cooldown allows (until then the agent waits), is checked against the world as it is now, takes
its time, is checked again if that was more than one tick, has its effect, and makes way for the next. A step that may
not run ends the plan as refused; the agent plans again after `REFUSED_PAUSE_S`.

Everything reads the state at the start of the phase. Walkers claim cells: only cells that are free at that moment can
be claimed, and the lowest key wins. Smoke stands and conditions hold from the end of the phase on. Who is suppressed,
or low in spirits without having broken (`MoraleRules.slow_below`), walks at half the pace.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from ai.actions import Role
from ai.guard import Watch, foreign
from scenarios.tactics.actions.base import TRIES_MAX, Action, Args, Codes, Refused, Rows, Turn, Walk, aims_of, refuse
from scenarios.tactics.actions.defensive import SMOKE_S
from scenarios.tactics.actions.utility import settle_uses
from scenarios.tactics.components import (
    AGENT,
    ActionSteps,
    Ammo,
    Arsenal,
    Attention,
    Condition,
    Conditions,
    Cooldowns,
    Guard,
    Inventory,
    Kit,
    Morale,
    Position,
    Progress,
    Stamina,
    Status,
    Weapon,
)
from scenarios.tactics.terrain_edits import reshape
from sim.engine.columns import Component
from sim.engine.system import System
from sim.engine.world import World
from sim.run.tick_context import Frame

REFUSED_PAUSE_S: Final = 0.5
"""How long an agent whose plan was refused waits before it asks again, seconds."""
EVERYONE: Final = slice(None)
"""Indexes all agents there are."""
# Read once: what an enumeration's member stands for is slow to ask for in every tick.
RUNNING: Final = Status.RUNNING.value
FINISHED: Final = Status.FINISHED.value
ALLOWED: Final = Refused.NO.value
ENEMY: Final = Role.ENEMY.value


def _slow(turn: Turn, rows: Rows) -> NDArray[np.bool_]:
    """Return who walks at half the pace: the suppressed, and the low in spirits who have not broken, `[m]`."""
    morale = turn.world[Morale]
    slow: NDArray[np.bool_] = morale.value[rows] < turn.stage.parameters.morale.slow_below
    if np.count_nonzero(slow):
        slow &= ~morale.broken[rows]
    if turn.afflictions.holds(Condition.SUPPRESSED):
        slow |= turn.afflictions.under(Condition.SUPPRESSED, rows)
    return slow


class Execution(System):
    """Runs one tick of the current step of every running plan.

    Reads: every component of an agent.
    Writes: ActionSteps, Ammo, Arsenal, Attention, Conditions, Cooldowns, Guard, Inventory, Kit, Morale, Position,
        Progress, Stamina, Weapon; objects, the ground and what is delivered; harm, healing and calls for
        reinforcements go to the frame.
    Order: after planning, before combat.
    """

    name = "execution"
    reads: ClassVar[tuple[type[Component], ...]] = AGENT
    writes: ClassVar[tuple[type[Component], ...]] = (
        ActionSteps, Ammo, Arsenal, Attention, Conditions, Cooldowns, Guard, Inventory, Kit, Morale,
        Position, Progress, Stamina, Weapon,
    )  # fmt: skip

    def process(self, world: World, frame: Frame) -> None:
        """Let every kind in use act for its agents, then settle what they asked for."""
        stage = frame.stage
        assert frame.occupancy is not None
        turn = Turn(world, stage, frame.occupancy, frame.tick)
        for action, rows, args in self.in_use(turn):
            self.act(action, turn, rows, args)
        self.settle(turn, frame)

    def in_use(self, turn: Turn) -> Iterator[tuple[type[Action], Rows, Args]]:
        """Yield each kind that someone's plan has come to, with their rows and arguments.

        Who aims at an enemy is judged before, once for all kinds and for the beginning and the end of steps alike.
        """
        steps, registry = turn.world[ActionSteps], turn.stage.registry
        active = (turn.progress.status == RUNNING).nonzero()[0]
        step = turn.progress.step[active]
        if np.count_nonzero(step):
            kind = steps.kind[step, active]
            args = np.ascontiguousarray(steps.args[step, :, active].T)
        else:
            kind, args = steps.kind[0].take(active), steps.args[0].take(active, axis=1)
        aiming = registry.role_at[ENEMY][0].take(kind).nonzero()[0]
        if len(aiming):
            turn.aims = aims_of(turn, active[aiming], args[0].take(aiming))
        for code in np.bincount(kind).nonzero()[0].tolist():
            action = registry.spec(code).kind
            assert issubclass(action, Action)
            members = (kind == code).nonzero()[0]
            yield action, active[members], args.take(members, axis=1)

    def settle(self, turn: Turn, frame: Frame) -> None:
        """Resolve at once what the actions of a turn asked for."""
        stage = frame.stage
        for rows, place, values in turn.rewritten:
            turn.world[ActionSteps].args[turn.progress.step[rows], place, rows] = values
            turn.progress.tries[rows] = 0
        self._walk(turn)
        self._finish(turn)
        turn.afflictions.settle()
        if turn.uses:
            settle_uses(turn)
        if turn.laid:
            self._lay(turn)
        if turn.reshaped:
            reshape(turn.world, stage.grid, stage.edits, turn.reshaped)
        if turn.clouds:
            stage.smoke.add(np.concatenate(turn.clouds), frame.tick + 1 + turn.seconds(SMOKE_S))
        frame.harm, frame.mend, frame.calls = turn.harmed, turn.mended, turn.calls

    def _lay(self, turn: Turn) -> None:
        """Let dropped things lie where they fell, in the order of who dropped them and of the items."""
        rows, items, cells = (np.concatenate(parts) for parts in zip(*turn.laid, strict=True))
        order = np.lexsort((cells, items, rows))
        x, y = turn.grid.xy(cells[order])
        turn.stage.objects.lay(items[order], x, y)

    def act(self, action: type[Action], turn: Turn, rows: Rows, args: Args) -> None:
        """Start, continue and end the steps of one kind; a kind that is not ours does so under the guard."""
        if foreign(action):
            with Watch(f"action kind {action.model_fields['act'].default!r}"):
                self._act(action, turn, rows, args)
        else:
            self._act(action, turn, rows, args)

    def _act(self, action: type[Action], turn: Turn, rows: Rows, args: Args) -> None:
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
        if issubclass(action, Walk):
            self._go(action, turn, rows, args)
        else:
            self._end(action, turn, rows, args)

    def _start(self, action: type[Action], turn: Turn, rows: Rows, args: Args, places: Rows) -> Rows:
        """Let the agents at some places of `rows` take the step up if they may; return the places of those who do."""
        begun, begun_args = rows[places], args.take(places, axis=1)
        allowed = self._allowed(action, turn, begun, begun_args)
        if allowed is not EVERYONE:
            places, begun, begun_args = places[allowed], begun[allowed], begun_args[:, allowed]
        action.begin(turn, begun, begun_args)
        args[:, places] = begun_args
        turn.progress.started_at[begun] = turn.tick
        if not issubclass(action, Walk):
            turn.progress.until[begun] = turn.tick + action.ticks(turn, begun_args) - 1
        return places

    def _end(self, action: type[Action], turn: Turn, rows: Rows, args: Args) -> None:
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

    def _complete(self, action: type[Action], turn: Turn, rows: Rows, args: Args) -> None:
        """Let a kind have its effect, and its cooldown start."""
        action.effect(turn, rows, args)
        if action.group:
            turn.cool(rows, action.group, action.cooldown(turn, args))
        turn.finished.append(rows)

    def _go(self, action: type[Walk], turn: Turn, rows: Rows, args: Args) -> None:
        """Let walkers arrive, or ask for their next cell when it is time for one."""
        there = action.arrived(turn, rows, args)
        if np.count_nonzero(there):
            self._complete(action, turn, rows[there], args[:, there])
        period = action.period(turn, rows, args)
        slow = _slow(turn, rows)
        if np.count_nonzero(slow):
            period = period * (1 + slow)
        since = turn.tick - turn.progress.started_at[rows]
        since %= period
        due = since == period - 1
        due &= ~there
        on = due.nonzero()[0]
        if len(on):
            walkers = rows[on]
            turn.walk(walkers, action.onward(turn, walkers, args.take(on, axis=1)))

    def _walk(self, turn: Turn) -> None:
        """Settle all walks at once: the lowest key wins a cell; who fails too often is blocked."""
        if not turn.walks:
            return
        rows = np.concatenate([walkers for walkers, _ in turn.walks])
        cells = np.concatenate([wanted for _, wanted in turn.walks])
        position, progress = turn.position, turn.progress
        wanting = (cells >= 0).nonzero()[0]
        asking, asked = rows[wanting], cells[wanting]
        won = turn.world.claim(asked, asking, turn.grid.size)
        winners = won.nonzero()[0]
        moved = asking[winners]
        position.x[moved], position.y[moved] = turn.grid.xy(asked[winners])
        progress.tries[moved] = 0
        if turn.afflictions.holds(Condition.AMBUSH):
            turn.afflictions.lift(Condition.AMBUSH, moved)
        if len(moved) == len(rows):
            return
        failed = np.ones(len(rows), np.bool_)
        failed[wanting[winners]] = False
        stuck = rows[failed]
        progress.tries[stuck] += 1
        blocked = stuck[progress.tries[stuck] >= TRIES_MAX]
        if len(blocked):
            self._refuse(turn, blocked, Refused.BLOCKED)

    def _finish(self, turn: Turn) -> None:
        """Let all whose step is over go on to the next one, or end the plan."""
        if not turn.finished:
            return
        rows = np.concatenate(turn.finished)
        progress, steps = turn.progress, turn.world[ActionSteps]
        progress.step[rows] += 1
        progress.started_at[rows] = -1
        progress.until[rows] = -1
        progress.tries[rows] = 0
        ended = rows[progress.step[rows] >= steps.length[rows]]
        progress.status[ended] = FINISHED
        progress.step[ended] = 0
        progress.waiting_since[ended] = turn.tick

    def _allowed(self, action: type[Action], turn: Turn, rows: Rows, args: Args) -> NDArray[np.bool_] | slice:
        """Return who may take the step now, `[m]` or everyone; the plans of the others are refused."""
        codes = action.refusals(turn, rows, args)
        if not np.count_nonzero(codes):
            return EVERYONE
        refused = codes.nonzero()[0]
        self._refuse(turn, rows[refused], codes[refused])
        allowed: NDArray[np.bool_] = codes == ALLOWED
        return allowed

    def _refuse(self, turn: Turn, rows: Rows, codes: Codes | int) -> None:
        refuse(turn.world, rows, codes, turn.tick + turn.seconds(REFUSED_PAUSE_S))
