"""Timed inputs from outside, one JSON object per line: a file that is read before a run, or a stream during it.

A stream drives a run in step: before a tick it is read until a line names a later tick, or until it ends. A line is a
timed input (`{"tick": 50, "input": {"kind": "order", ...}}`), or a tick alone (`{"tick": 50}`), which says that nothing
comes before that tick. Lines come in order of tick. One sentence says what is wrong with a line; the line has no
effect, and the run goes on.
"""

from __future__ import annotations

import io
import json
import select
from collections import deque
from collections.abc import Callable, Iterable
from typing import Annotated, Final, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sim.errors import ScenarioError
from sim.messages import one_line
from sim.run.inputs import Input, TimedInput
from sim.run.scenario_file import INPUTS_MAX, Scenario

LINE_BYTES_MAX: Final = 16 * 1024
"""Longest line of a stream, its newline left out."""
TICK_INPUTS_MAX: Final = 10_000
"""Inputs of a stream for one tick."""
CHUNK_BYTES: Final = 64 * 1024
"""Bytes asked for at a time."""
POLL_S: Final = 0.2
"""How long a stream is waited for before asking whether to stop, seconds."""


def inputs_from_lines(text: str, source: str, scenario: Scenario) -> tuple[TimedInput, ...]:
    """Read timed inputs, one JSON object per line (`{"tick": 50, "input": {"kind": "order", ...}}`), in order of tick.

    Raises:
        ScenarioError: a line is not a valid input for this scenario; the message is one sentence that names the line.
    """
    found: list[TimedInput] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        if len(found) == INPUTS_MAX:
            raise ScenarioError(f"{source}, line {number}: more than {INPUTS_MAX} inputs; split the run")
        found.append(_input_from(line, f"{source}, line {number}", scenario))
    return tuple(sorted(found, key=lambda timed: timed.tick))


def _input_from(line: str, place: str, scenario: Scenario) -> TimedInput:
    try:
        return scenario.timed_input(json.loads(line))
    except ScenarioError as error:
        raise ScenarioError(one_line(f"{place}: {error}")) from None
    except (ValueError, RecursionError) as error:
        raise ScenarioError(one_line(f"{place}: is not JSON: {error}")) from None


class InputSource(Protocol):
    """Gives a run its inputs from outside, tick by tick."""

    @property
    def unused(self) -> int:
        """Inputs that are known and whose tick has not come."""
        ...

    def due(self, tick: int) -> list[Input]:
        """Return the inputs for the start of a tick; ticks are asked for in order."""
        ...


class ScheduledInputs:
    """Gives inputs that are all known before the run."""

    def __init__(self, inputs: Iterable[TimedInput]) -> None:
        self._left = deque(sorted(inputs, key=lambda timed: timed.tick))

    @property
    def unused(self) -> int:
        """Inputs whose tick has not come."""
        return len(self._left)

    def due(self, tick: int) -> list[Input]:
        """Return the inputs for the start of a tick."""
        found: list[Input] = []
        while self._left and self._left[0].tick <= tick:
            found.append(self._left.popleft().input)
        return found


class _Pause(BaseModel):
    """A line that only says up to which tick nothing comes."""

    model_config = ConfigDict(extra="forbid")

    tick: Annotated[int, Field(strict=True, ge=0)]


class StreamedInputs:
    """Gives inputs that come while the run goes on.

    Args:
        stream: where lines come from.
        scenario: the scenario that the inputs must fit.
        refuse: receives the reason why a line has no effect.
        stopped: says whether to wait no longer.
    """

    def __init__(
        self,
        stream: io.BufferedIOBase,
        scenario: Scenario,
        refuse: Callable[[str], None],
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self._stream = stream
        self._scenario = scenario
        self._refuse = refuse
        self._stopped = stopped
        self._bytes = b""
        self._lines = 0
        self._is_over = False
        self._ahead: TimedInput | _Pause | None = None

    @property
    def unused(self) -> int:
        """Inputs that were read and whose tick has not come: one at most."""
        return int(isinstance(self._ahead, TimedInput))

    def due(self, tick: int) -> list[Input]:
        """Return the inputs for the start of a tick; waits until a line names a later one or the stream ends."""
        found: list[Input] = []
        too_many = False
        while True:
            if self._ahead is None:
                self._ahead = self._next(tick)
            if self._ahead is None or self._ahead.tick > tick:
                return found
            if isinstance(self._ahead, TimedInput):
                if len(found) < TICK_INPUTS_MAX:
                    found.append(self._ahead.input)
                elif not too_many:
                    too_many = True  # one sentence for all: a million inputs too many make no million sentences
                    self._complain(f"more than {TICK_INPUTS_MAX} inputs for tick {tick}; send the rest for later ticks")
            self._ahead = None

    def _next(self, tick: int) -> TimedInput | _Pause | None:
        """Return the next good line, None when the stream ends or waiting is over."""
        while True:
            line = self._line()
            if line is None:
                return None
            self._lines += 1
            try:
                text = line.decode("utf-8-sig" if self._lines == 1 else "utf-8")
            except UnicodeDecodeError as error:
                self._complain(f"is not UTF-8 at byte {error.start}")
                continue
            if not text.strip():
                continue
            if len(line) > LINE_BYTES_MAX:
                self._complain(f"is longer than {LINE_BYTES_MAX} bytes")
                continue
            found = self._read(text)
            if found is not None and found.tick < tick:
                self._complain(f"tick {found.tick} has passed; the run is at tick {tick}")
            elif found is not None:
                return found

    def _read(self, text: str) -> TimedInput | _Pause | None:
        try:
            return _Pause.model_validate_json(text)
        except ValidationError:
            pass  # most lines are inputs, so a complaint about a line speaks of an input
        try:
            return _input_from(text, self._place, self._scenario)
        except ScenarioError as error:
            self._refuse(str(error))
            return None

    def _line(self) -> bytes | None:
        """Return the next line without its end, cut where it is too long; None when there is none to come."""
        kept = b""
        while True:
            line, end, self._bytes = self._bytes.partition(b"\n")
            kept += line[: LINE_BYTES_MAX + 1 - len(kept)]
            if end:
                return kept
            if self._is_over or not self._is_ready():
                # Bytes without a newline are kept for when waiting goes on; at the end they are a line.
                self._bytes = b"" if self._is_over else kept
                return kept if self._is_over and kept else None
            self._bytes = self._stream.read1(CHUNK_BYTES)
            self._is_over = not self._bytes

    def _is_ready(self) -> bool:
        """Wait until there is something to read; False when waiting is over."""
        try:
            descriptor = self._stream.fileno()
        except OSError:
            return True
        while not self._stopped():
            if select.select([descriptor], [], [], POLL_S)[0]:
                return True
        return False

    @property
    def _place(self) -> str:
        return f"standard input, line {self._lines}"

    def _complain(self, reason: str) -> None:
        self._refuse(one_line(f"{self._place}: {reason}"))
