"""The columns that planning keeps for every agent: its plan, and how far the plan has got."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from ai.actions import ARGS_MAX, STEPS_MAX
from sim.engine.columns import Component, boolean, column, i8, i16, i32, i64


class Status(IntEnum):
    """Where an agent stands with its plan. Every status but RUNNING means that it needs one.

    Compare a column with the `value` of a member: with the member itself NumPy takes five times as long.
    """

    NONE = 0
    RUNNING = 1
    FINISHED = 2
    REFUSED = 3
    STALE = 4


class Control(Component):
    """Whether an agent is taken over from outside: no planner plans for it then."""

    taken: boolean


class ActionSteps(Component):
    """The plan: steps as registry code and four arguments, step-major; places beyond `length` hold zeros."""

    length: i8
    kind: i16 = column(shape=(STEPS_MAX,), used_by="length")
    args: i32 = column(shape=(STEPS_MAX, ARGS_MAX), used_by="length")


class Progress(Component):
    """How far the plan is.

    `status` is a `Status`, `step` the index of the current step, `started_at` the tick it began (-1: not yet), `until`
    the tick it ends (-1: open), `tier` the index in the run's list of tiers (-1: no plan yet), `planned_at` the tick
    the plan was made, `waiting_since` the tick the need for a plan arose, `alert` the domain's alert value when the
    plan was made, `ask_from` the tick from which a model may be asked for a plan (those with the lowest first),
    `refusals` the times in a row that a model gave no plan, or one of which a step was refused (counted as far as waits
    grow with them), `refusal` the code of the last refused step (0: none; otherwise one more than the index in the
    registry's reasons), and `tries` the steps in a row that a walker failed to take.
    """

    status: i8
    step: i8
    started_at: i32 = column(default=-1)
    until: i32 = column(default=-1)
    tier: i8 = column(default=-1)
    planned_at: i32 = column(default=-1)
    waiting_since: i32
    alert: i64
    ask_from: i32
    refusals: i8
    refusal: i8
    tries: i16


class Ask(Component):
    """A plan that a model was asked for and that has not arrived; in runs that begin with `planning.think` over 0.

    `asked_at` is the tick of the round (-1: nothing is asked), `arrives_at` the tick in which the reply takes effect,
    and `alert` the domain's alert value when the agent was asked.
    """

    asked_at: i32 = column(default=-1)
    arrives_at: i32 = column(default=-1)
    alert: i64


class NextPlan(Component):
    """A plan that has arrived and begins when the current one ends; in runs that begin with `planning.think` over 0.

    Its steps are those of `ActionSteps`; `length` 0 says that there is none. `tier`, `planned_at` and `alert` become
    those of `Progress`.
    """

    length: i8
    kind: i16 = column(shape=(STEPS_MAX,), used_by="length")
    args: i32 = column(shape=(STEPS_MAX, ARGS_MAX), used_by="length")
    tier: i8 = column(default=-1)
    planned_at: i32 = column(default=-1)
    alert: i64


THINKING: Final = (Ask, NextPlan)
"""The components of a run in which a model plans while the world goes on."""
PLANNING: Final = (Control, ActionSteps, Progress)
"""The components that a domain whose agents plan has without declaring them."""
BOOKKEEPING: Final = (ActionSteps, Progress, *THINKING)
"""The components of these that displays show as a plan, not as numbers."""
