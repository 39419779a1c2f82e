"""Verbs in a world: the legality, the duration and the effect of their steps, for many agents at once.

The system `Act` calls, for all agents whose current step is of one verb:

    refused    read only: named reasons why each agent may not act now; called when a step starts and again before its
               effect
    start      when the step starts: writes to the actor's own row only
    apply      when its time is over: writes to the actor's own row, or sends through a channel of the turn

All of them read the state at the start of the phase. Effects on others go through channels, which settle at the end of
the phase, so the order in which verbs and agents are visited cannot matter.

Rows are agents, ascending; `args` holds one array per declared argument, `[m]` each, in stored units.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

import ai.actions as planning
from ai.actions import ToolRegistry
from ai.errors import ContractError, place_of
from sim.run.channels import Channel, Sent, check_channel
from sim.run.plan_columns import Progress

if TYPE_CHECKING:
    from sim.run.context import Run
    from sim.run.world import World

C = TypeVar("C")

Rows = NDArray[np.intp]
Args = NDArray[np.int32]
Codes = NDArray[np.int8]
Mask = NDArray[np.bool_]

DURATION_MAX: Final = 2**30
"""The most ticks that a step may take."""
BLOCKED: Final = "blocked"
"""The reason for refusing a walker that has found no step too often."""


class StepArgs:
    """The arguments of many steps of one verb by name: `args.count`, `[m] int32` each, in stored units.

    An optional argument that is absent is `ai.actions.NONE`. A cell `to` is `args.to_x` and `args.to_y`.
    """

    __slots__ = ("_columns", "_names", "_run", "_spec", "raw")

    def __init__(self, verb: type[planning.Action], run: Run, raw: Args) -> None:
        assert run.registry is not None
        self.raw = raw
        self._run = run
        self._spec = run.registry.spec(run.registry.code(verb.__name__))
        self._names = [arg.name.replace(".", "_") for arg in self._spec.args]
        self._columns = dict(zip(self._names, raw, strict=False))

    def payload(self, name: str) -> list[Any]:
        """Return a text, list or record of each step, as plain data."""
        indices = self.raw[self._spec.payload_place].tolist()
        return [json.loads(self._run.payloads[index])[name] for index in indices]

    def __getattr__(self, name: str) -> NDArray[np.int32]:
        try:
            column: NDArray[np.int32] = self._columns[name]
        except KeyError:
            if any(field.name == name for field in self._spec.payload):
                raise AttributeError(
                    f"argument {name!r} is not a number; read it with args.payload({name!r})"
                ) from None
            raise AttributeError(f"the verb has no argument {name!r}; it has: {', '.join(self._names)}") from None
        return column


@dataclass(slots=True)
class Turn:
    """One execution phase: the state that verbs read, and the effects that settle when all verbs have run."""

    world: World
    run: Run
    finished: list[Rows] = field(default_factory=list)
    sent: dict[type[Channel], list[Sent]] = field(default_factory=dict)
    tick: int = field(init=False)
    progress: Progress = field(init=False)

    def __post_init__(self) -> None:
        """Note what every verb reads: the current tick, and the progress of the agents' plans."""
        self.tick, self.progress = self.run.tick, self.world[Progress]

    def __getitem__(self, component: type[C]) -> C:
        """Return the columns of a component or resource, as `world[...]` does."""
        return self.world[component]  # type: ignore[type-var] # resources too

    def seconds(self, seconds: float) -> int:
        """Return the ticks that a constant number of seconds takes."""
        return self.run.seconds(seconds)

    def target_rows(self, keys: NDArray[np.int32]) -> Rows:
        """Return the rows of agent keys, -1 for those that are gone."""
        return self.world.rows_of(keys)

    def payload(self, index: int) -> bytes:
        """Return the lists and records of a step by the index in its arguments."""
        return self.run.payloads[index]

    def send(self, channel: type[Channel], rows: Rows, values: Any = 1, *, at: Any = None) -> None:
        """Send values through a channel, to settle at the end of the phase.

        Args:
            channel: one of the domain's channels.
            rows: the senders, `[m]`.
            values: one value, or `[m]`.
            at: the target of each value: rows of agents, cells, indices of names, `[m]`; by default the senders.
        """
        check_channel(channel)
        rows, values = np.atleast_1d(_numbers(rows)), _numbers(values)
        targets = rows if at is None else _numbers(at)
        for what, given, kinds in (
            ("rows as senders", rows, "iu"),
            ("indices as targets", targets, "iu"),
            ("numbers as values", values, "biuf"),
        ):
            if given.dtype.kind not in kinds or given.shape not in ((), rows.shape):
                found = f"{given.dtype}{list(given.shape)}"
                raise ContractError(f"send({channel.__name__}) takes {what}, one or {len(rows)}, not {found}")
        senders, shape = rows.astype(np.intp, copy=False), rows.shape
        sent = Sent(senders, np.broadcast_to(targets.astype(np.int64), shape), np.broadcast_to(values, shape))
        self.sent.setdefault(channel, []).append(sent)

    def settle(self) -> None:
        """Settle every channel with sent values, in the order of the channels' names."""
        for channel in sorted(self.sent, key=lambda each: each.__name__):
            channel.settle(self.world, self.run, Sent.joined(self.sent[channel]))
        self.sent = {}


class Action(planning.Action):
    """A verb that takes a fixed time and then has its effect.

    `reasons` names the reasons for refusing it; `duration_s` is the time that a step takes, and the effect comes at its
    end; `group` is the cooldown that it shares, if any.
    """

    reasons: ClassVar[tuple[str, ...]] = ()
    group: ClassVar[str] = ""
    duration_s: ClassVar[float] = 0.0
    timed: ClassVar[bool] = True

    @classmethod
    def duration_ticks(cls, turn: Any, rows: Rows, args: Any) -> Any:
        """Return the number of ticks that the step takes, one for all or one per agent, at least 1."""
        del rows, args
        return turn.seconds(cls.duration_s)

    @classmethod
    def refused(cls, turn: Any, rows: Rows, args: Any) -> Mapping[str, Mask]:
        """Return which agents may not do it now, by reason, `[m]` each; the first reason counts. Must only read."""
        del turn, rows, args
        return {}

    @classmethod
    def start(cls, turn: Any, rows: Rows, args: Any) -> None:
        """Apply the start of the step; most verbs do nothing."""

    @classmethod
    def apply(cls, turn: Any, rows: Rows, args: Any) -> None:
        """Apply the effect of the step; a verb that only takes time does nothing."""

    @classmethod
    def advance(cls, turn: Any, rows: Rows, args: Any) -> Mask:
        """Work one tick on a step that is not `timed`; return which agents are done, `[m]`; `apply` follows."""
        raise NotImplementedError(cls.__name__)

    @classmethod
    def refusals(cls, turn: Any, rows: Rows, raw: Args) -> Codes:
        """Return the code of each agent's refusal, `[m] int8`: 0, or one more than the index in the run's reasons."""
        found = np.zeros(len(rows), np.int8)
        given: object = cls.refused(turn, rows, cls.named(turn, raw))
        if not isinstance(given, Mapping):
            raise ContractError(
                f"{cls.__name__} ({place_of(cls)}): refused() returned {type(given).__name__}; return masks by reason"
            )
        for reason, answer in reversed([*given.items()]):
            mask = np.asarray(answer)
            if reason not in cls.reasons:
                raise ContractError(
                    f"{cls.__name__} ({place_of(cls)}) refuses for {reason!r}; add it to the class's `reasons`"
                )
            if mask.dtype != np.bool_ or mask.shape not in ((), rows.shape):
                raise ContractError(
                    f"{cls.__name__} ({place_of(cls)}): refused() has {mask.dtype}{list(mask.shape)} for {reason!r}; "
                    f"give one boolean for each of the {len(rows)} agents"
                )
            found[mask] = turn.run.reason_codes[reason]
        return found

    @classmethod
    def named(cls, turn: Any, raw: Args) -> Any:
        """Return the arguments in the form that the methods of this class take."""
        return StepArgs(cls, turn.run, raw)


def _numbers(given: Any) -> NDArray[Any]:
    """Return numbers as an array. For NumPy an empty list holds fractions, which would make whole numbers fractions."""
    array = np.asarray(given)
    return array if array.size else array.astype(np.int8)


def checked_ticks(found: Any, rows: Rows, verb: type[Action]) -> Any:
    """Return the result of `duration_ticks`.

    Raises:
        ContractError: it is not one whole number of ticks for all or for each of the agents.
    """
    if type(found) is int and 1 <= found <= DURATION_MAX:  # the usual case
        return found
    ticks = np.asarray(found)
    if ticks.dtype.kind in "iu" and ticks.shape in ((), rows.shape):
        if not ticks.size or 1 <= ticks.min() <= ticks.max() <= DURATION_MAX:
            return found
        reason = f"{ticks.min()} to {ticks.max()} ticks; a step takes 1 to {DURATION_MAX}"
    else:
        reason = f"{ticks.dtype}{list(ticks.shape)}; give whole numbers, one or {len(rows)}"
    raise ContractError(f"{verb.__name__} ({place_of(verb)}): duration_ticks() returned {reason}")


def checked_done(found: Any, rows: Rows, verb: type[Action]) -> Mask:
    """Return the result of `advance`.

    Raises:
        ContractError: it is not one boolean for each of the agents.
    """
    done = np.asarray(found)
    if done.dtype == np.bool_ and done.shape == rows.shape:
        return done
    raise ContractError(
        f"{verb.__name__} ({place_of(verb)}): advance() returned {done.dtype}{list(done.shape)}; give one boolean for "
        f"each of the {len(rows)} agents"
    )


def reasons_of(registry: ToolRegistry | None) -> tuple[str, ...]:
    """Return every reason for which a verb may be refused, in the order of verbs and of their lists.

    Raises:
        ContractError: there are more than a column can hold.
    """
    verbs = [] if registry is None else [spec.action for spec in registry.specs]
    found = tuple(dict.fromkeys(reason for verb in verbs for reason in getattr(verb, "reasons", ())))
    found = tuple(dict.fromkeys((*found, BLOCKED)))
    if len(found) > np.iinfo(np.int8).max:
        raise ContractError(f"the verbs name {len(found)} reasons; at most {np.iinfo(np.int8).max} are possible")
    return found
