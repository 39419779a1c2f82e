"""Listeners hear what a run does: displays, logs and traces, for example. They cannot stop or change it.

`on_round`, `on_call_begun`, `on_call` and `on_plan` are progress: the client's thread calls them, while the world is
wherever it is, and what they tell of may still come to nothing. `on_arrival` and `on_tick` are called by the world's
thread; in `on_tick` the world may be read.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ai.guard import unwatched

if TYPE_CHECKING:
    from ai.actions import Action
    from ai.llm.executor import CallBegun, CallEnd
    from sim.run.simulation import TickReport

logger = logging.getLogger(f"tickweave.{__name__}")


class RoundBegun(NamedTuple):
    """A round of model calls begins: the tick in which the agents were asked, and their keys, ascending."""

    tick: int
    keys: tuple[int, ...]


class Arrival(NamedTuple):
    """The result for one agent that was asked.

    `tick` is the tick of the arrival, `asked_at` that of the round, `tier` the tier that gave the plan, None without
    one. `fate` says what the plan does: it is `started` or `stored` for later, or there is none to start, since the
    tiers `failed`, the agent is `gone`, the plan is `outdated` or `refused`, or the reply is `lost`.
    """

    tick: int
    key: int
    asked_at: int
    fate: str
    tier: str | None


class Listener:
    """Hears of a run; every method does nothing unless it is overridden.

    Any object with some of these methods is a listener. An error of a method becomes a warning that names the method.
    """

    def on_round(self, begun: RoundBegun) -> None:
        """A round of model calls begins."""

    def on_call_begun(self, tick: int, call: CallBegun) -> None:
        """One call of a round that began in a tick goes out."""

    def on_call(self, tick: int, call: CallEnd) -> None:
        """One call of a round that began in a tick has ended."""

    def on_plan(self, tick: int, key: int, steps: tuple[Action, ...]) -> None:
        """A model has written the plan of one agent that was asked in a tick; it is not yet accepted."""

    def on_arrival(self, arrival: Arrival) -> None:
        """The world has taken in the result for one agent that was asked; agents come in key order."""

    def on_tick(self, report: TickReport) -> None:
        """A tick is over; its report may be read and must not be changed."""


class Listeners:
    """Calls every listener, and keeps their errors from the run."""

    def __init__(self, listeners: Sequence[object] = ()) -> None:
        self._listeners = tuple(listeners)
        self._broken: set[str] = set()

    def add(self, listener: object) -> None:
        """Tell one more listener, from now on."""
        self._listeners = (*self._listeners, listener)

    def __bool__(self) -> bool:
        return bool(self._listeners)

    def tell(self, event: str, *values: Any) -> None:
        """Call a method of every listener that has it."""
        for listener in self._listeners:
            method = getattr(listener, event, None)
            if method is None:
                continue
            try:
                unwatched(lambda method=method: method(*values))()  # type: ignore[misc]
            except (Exception, SystemExit) as error:
                author = f"{type(listener).__module__}.{type(listener).__qualname__}.{event}"
                # Once is news; every tick of a broken listener would only drown other messages.
                level = logging.DEBUG if author in self._broken else logging.WARNING
                self._broken.add(author)
                logger.log(level, "the listener %s raised %r; the run continues", author, error, exc_info=True)
