"""Rounds: the agents that the model tiers are asked for, the ticks of that, and the agents bridged meanwhile.

Where a model tier is in play, the agents that are owed a model's plan are asked together, at ticks divisible by
`planning.every`. An agent without a plan does not wait for that: the deterministic tiers plan for it at once, which is
a bridge, and the model's plan ends the bridge whenever it comes. Rules alone need no rounds: there every tick plans for
those who need a plan.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from ai.plans import Walk
from sim.run.listeners import Arrival
from sim.run.plan_columns import Control, Progress, Status

if TYPE_CHECKING:
    from sim.run.actions import Rows
    from sim.run.context import Run
    from sim.run.planning import Planning
    from sim.run.scenario_file import Scenario
    from sim.run.world import World

BACKOFF_MAX: Final = 3
"""How often the wait after a refused plan of a model doubles: up to eight rounds."""
# Read once: asking for the value of an enumeration's member in every tick is slow.
RUNNING: Final = Status.RUNNING.value
BRIDGE: Final = Walk.BRIDGE.value
MODEL: Final = Walk.MODEL.value
WHOLE: Final = Walk.WHOLE.value


@dataclass(frozen=True, slots=True)
class Rounds:
    """The constants of a run in which a model tier is in play.

    `every` is the number of ticks from one round to the next, `think` the number from a round to its plans. `is_model
    [tiers + 1]` and `is_bridge [tiers + 1]` say of each tier whose plans those are; the last place stands for no tier,
    which is neither. `owed [groups + 1]` says which groups have a model tier; the last place stands for agents of no
    group.
    """

    every: int
    think: int
    is_model: NDArray[np.bool_]
    is_bridge: NDArray[np.bool_]
    owed: NDArray[np.bool_]

    @classmethod
    def of(
        cls, planning: Planning, every: int, tiers: Sequence[str], models: Sequence[str], groups: Sequence[str]
    ) -> Rounds | None:
        """Return the rounds of a run, None where no model tier is in play."""
        if not models:
            return None
        is_model = np.array([*(tier in models for tier in tiers), False], np.bool_)
        is_bridge = ~is_model
        is_bridge[-1] = False
        lists = [planning.tiers_of(group) for group in groups]
        owed = [any(tier in models for tier in tiers_of_group) for tiers_of_group in lists]
        everyone = any(all(model in each for each in lists) for model in models)
        return cls(every, planning.think, is_model, is_bridge, np.array([*owed, everyone], np.bool_))

    def due(self, tick: int) -> bool:
        """Return whether agents are asked in a tick; rounds depend on the tick number alone."""
        return tick % self.every == 0

    def back_off(self, tick: int, refusals: NDArray[np.int8]) -> NDArray[np.int32]:
        """Return the tick from which agents are asked again, 1 to 8 rounds on, after `refusals` in a row."""
        rounds = np.left_shift(1, np.minimum(refusals.astype(np.int32) - 1, BACKOFF_MAX))
        return ((tick // self.every + rounds) * self.every).astype(np.int32)


@dataclass(slots=True)
class Arrived:
    """The result of a round with thinking time: the keys with a plan of each tier, and the keys by fate."""

    asked_at: int
    given: dict[str, NDArray[np.int64]]
    fates: dict[str, NDArray[np.int64]]


@dataclass(slots=True)
class RoundNotes:
    """The notes of a tick about the model tiers; keys ascend.

    `asked` are the agents that were asked, None where no round was due. `bridged` are those for whom another tier
    planned meanwhile. `held` counts the agents that are owed a model's plan after the tick: those that have one, those
    under a bridge, and those under none. `started` counts the plans of a model that began. `waited_s` is how long the
    world waited for its model, seconds; measured, never recorded. `arrivals` say what became of those that were asked.
    With thinking time, `arrived` are the rounds whose plans fell due, `begun` the keys whose stored plan began, and
    `outdated` those whose open ask or stored plan was voided.
    """

    asked: NDArray[np.int64] | None = None
    bridged: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    held: tuple[int, int, int] = (0, 0, 0)
    started: int = 0
    waited_s: float = 0.0
    arrivals: list[Arrival] = field(default_factory=list)
    arrived: list[Arrived] = field(default_factory=list)
    begun: list[int] = field(default_factory=list)
    outdated: list[int] = field(default_factory=list)


def rounds_every(scenario: Scenario, given: int | None = None) -> int:
    """Return the ticks from one round to the next: those given, the scenario's, the domain's, or one second."""
    return given or scenario.planning.every or scenario.domain.every or scenario.ticks_per_second


def owed_rows(world: World, run: Run) -> NDArray[np.bool_] | bool:
    """Return which entities have a model tier among their tiers, `[n]`, or True for all."""
    assert run.rounds is not None
    owed = run.rounds.owed
    if np.count_nonzero(owed) == len(owed):
        return True
    if len(owed) == 1:
        return bool(owed[0])
    _, index = run.domain.groups(world)
    found: NDArray[np.bool_] = owed[np.asarray(index)]
    return found


def choose_in_step(world: World, run: Run, may: NDArray[np.bool_], most: int) -> Rows:
    """Return the rows that are planned for in this tick: at most `most`, those that wait longest first.

    `may [n]` says which agents may plan at all. In a round, at most `most` are asked of the model tiers and noted in
    `run.asked`; as many others may be bridged in the same tick.
    """
    progress, tick = world[Progress], run.tick
    waiting = may & (progress.status != RUNNING) & (progress.waiting_since <= tick)
    if run.rounds is not None and run.rounds.due(tick):
        asked = may & owed_rows(world, run) & (progress.ask_from <= tick)
        asked &= (progress.status != RUNNING) | run.rounds.is_bridge[progress.tier]
        run.asked = longest_waiting(asked.nonzero()[0], progress.ask_from, most)
        waiting[run.asked] = False
        others = longest_waiting(waiting.nonzero()[0], progress.waiting_since, most)
        return np.sort(np.concatenate([run.asked, others])) if len(others) else run.asked
    return longest_waiting(waiting.nonzero()[0], progress.waiting_since, most)


def longest_waiting(rows: NDArray[np.intp], since: NDArray[np.int32], most: int) -> NDArray[np.intp]:
    """Return at most `most` of `rows`, those that wait longest; of equals the lowest keys."""
    if len(rows) <= most:
        return rows
    return np.sort(rows[np.argsort(since[rows], kind="stable")[:most]], kind="stable")


def walks_of(world: World, run: Run) -> NDArray[np.int8] | None:
    """Return the `Walk` of each chosen agent, `[chosen]`, and note the asked and the bridged; None without rounds.

    An agent that is asked under a bridge keeps it where no model gives a plan: a new bridge would restart its step.
    """
    rounds, rows = run.rounds, run.chosen
    if rounds is None:
        return None
    asked = np.isin(rows, run.asked)
    walks = np.full(len(rows), BRIDGE, np.int8)
    walks[asked] = np.where(world[Progress].status[rows[asked]] == RUNNING, MODEL, WHOLE)
    owed = owed_rows(world, run)
    bridged = ~asked & (owed if isinstance(owed, bool) else owed[rows])
    run.round.bridged = world.keys[rows[bridged]]
    if rounds.due(run.tick):
        run.round.asked = world.keys[run.asked]
    return walks


def settle(world: World, run: Run) -> None:
    """Put off the agents that were asked and got no plan of a model, and note when the others got theirs."""
    rounds, rows, progress = run.rounds, run.asked, world[Progress]
    if rounds is None or not len(rows):
        return
    fresh = (progress.status[rows] == RUNNING) & rounds.is_model[progress.tier[rows]]
    progress.ask_from[rows[fresh]] = run.tick
    run.round.started += int(np.count_nonzero(fresh))
    assert run.source is not None
    names = run.source.tiers
    for row, began in zip(rows.tolist(), fresh.tolist(), strict=True):
        tier = names[progress.tier[row]] if began else None
        fate = "started" if began else "failed"
        run.round.arrivals.append(Arrival(run.tick, int(world.keys[row]), run.tick, fate, tier))
    put_off(world, run, rows[~fresh])


def put_off(world: World, run: Run, rows: Rows) -> None:
    """Ask agents again only after a wait that doubles with each refusal in a row."""
    assert run.rounds is not None
    progress = world[Progress]
    progress.refusals[rows] = np.minimum(progress.refusals[rows] + 1, BACKOFF_MAX + 1)
    progress.ask_from[rows] = run.rounds.back_off(run.tick, progress.refusals[rows])


def count_held(world: World, run: Run, may: NDArray[np.bool_]) -> None:
    """Count by whose plan the agents go that are owed a model's."""
    rounds = run.rounds
    if rounds is None:
        return
    progress = world[Progress]
    mine = may & ~world[Control].taken & owed_rows(world, run)
    running = mine & (progress.status == RUNNING)
    of_model = int(np.count_nonzero(running & rounds.is_model[progress.tier]))
    of_bridge = int(np.count_nonzero(running)) - of_model
    run.round.held = (of_model, of_bridge, int(np.count_nonzero(mine)) - of_model - of_bridge)
