"""A page of a run that goes on: a listener that collects frames, and a server that hands them out as they come.

The server has threads of its own and never touches the world. A slow or absent browser costs the run nothing: frames
wait as texts, and each page reads on from where it is.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from time import perf_counter, sleep
from typing import TYPE_CHECKING, Any, Final

from ai.interpreters import interpreter
from sim.replay.record import header_of, tick_of
from sim.viewer.calls import Calls
from sim.viewer.collect import Collector
from sim.viewer.page import page
from sim.viewer.serve import Asked, Routes, Stream, server_of
from sim.viewer.share import Share

if TYPE_CHECKING:
    from sim.run.simulation import Simulation, TickReport

CHARS_MAX: Final = 500_000_000
"""Characters of all frames that are kept; the page of a longer run shows no later tick, and its replay has all."""
DETAILED_MAX: Final = 2_000
"""Agents up to which a page gets every value; of more it gets what the portrayal names."""
PAUSE_S: Final = 0.1
"""Seconds from one message to a page to the next: all events in between go together."""
PING_S: Final = 10.0
"""Seconds after which a page that waits hears that the run is still there."""


class Live(Calls):
    """Shows a run while it goes on.

    Args:
        replay: where the run is recorded: single agents are looked up there.
        files: the local Python files of the run.
        port: where to listen; 0 takes a free port.
        clock: seconds, for keeping to a share of the run's time.

    Attributes:
        address: the address that a person opens.

    Raises:
        OSError: the port is taken.
    """

    def __init__(
        self, replay: Path, files: Sequence[Path] = (), *, port: int = 0, clock: Callable[[], float] = perf_counter
    ) -> None:
        super().__init__()
        self._replay, self._files = replay, tuple(files)
        self._share = Share(clock)
        self._changed = threading.Condition()
        self._asking = threading.Lock()
        self._frames: list[str] = []
        self._chars = 0
        self._note = ""
        self._over: str | None = None
        self._unseen: TickReport | None = None
        text = page(b"", served="live")
        routes: Routes = {"": lambda _: text, "frames": self._so_far, "events": self._events, "agent": self._agent}
        self._server, self.address = server_of(routes, port=port, threads=True)
        self._thread = threading.Thread(target=self._server.serve_forever, name="tickweave-view", daemon=True)

    def begin(self, simulation: Simulation, ticks: int) -> None:
        """Take in the run before its first tick, with the number of planned ticks, and start to answer."""
        self._simulation = simulation
        self._header = header_of(simulation, ticks=ticks)
        self._collector = Collector(simulation, self._header, details=simulation.world.n <= DETAILED_MAX)
        with self._share.spent():
            self._keep(self._collector.start(simulation))
        self._thread.start()

    # -- what it hears of the run --------------------------------------------------------------------------------------

    def on_tick(self, report: TickReport) -> None:
        """Collect a frame, unless the share of time is used up."""
        super().on_tick(report)
        self._unseen = report
        if self._share.due() and self._chars < CHARS_MAX:
            self._collect()

    def _collect(self) -> None:
        report, self._unseen = self._unseen, None
        if report is not None:
            with self._share.spent():
                record = tick_of(report, self._header)
                self._keep(self._collector.frame(self._simulation, record, self._simulation.run_context.batch))

    def changed(self) -> None:
        """Report the progress of the run."""
        with self._changed:
            self._note = self.sentence()
            self._changed.notify_all()

    def end(self, how: str) -> None:
        """Show the last tick, and say how the run ended; pages stay, and the server goes on until `close`."""
        self._collect()
        with self._changed:
            self._over, self._note = how, ""
            self._changed.notify_all()

    def close(self) -> None:
        """Stop to answer."""
        self._unseen = None
        self.end(self._over or "ended")
        if self._thread.is_alive():
            self._server.shutdown()
        self._server.server_close()

    def _keep(self, frame: dict[str, Any]) -> None:
        text = json.dumps(frame, separators=(",", ":"))
        with self._changed:
            self._frames.append(text)
            self._chars += len(text)
            self._note = self.sentence()
            self._changed.notify_all()

    # -- what pages ask, in threads of the server ----------------------------------------------------------------------

    def _so_far(self, asked: Asked) -> list[Any]:
        """Return the first data of a page: the description of the run. All its frames come with the events."""
        del asked
        return [{"about": {**self._collector.about, "name": ""}, "frames": [json.loads(self._frames[0])]}]

    def _events(self, asked: Asked) -> Stream:
        del asked
        return Stream(self._told())

    def _told(self) -> Iterator[list[str]]:
        at, note = 1, ""
        while True:
            with self._changed:
                news = partial(self._news, at, note)
                self._changed.wait_for(news, PING_S)
                new, over, same, note = self._frames[at:], self._over, self._note == note, self._note
            at += len(new)
            events = [f'{{"frame":{text}}}' for text in new] or [json.dumps({"note": note, "same": same})]
            yield events if over is None else [*events, json.dumps({"over": over})]
            if over is not None:
                return
            sleep(PAUSE_S)

    def _news(self, at: int, note: str) -> bool:
        return len(self._frames) > at or self._note != note or self._over is not None

    def _agent(self, asked: Asked) -> dict[str, Any]:
        """Look an agent up in the recording, in another process: this one is busy with the run."""
        question = {
            "replay": str(self._replay),
            "files": [str(each) for each in self._files],
            "tick": int(asked.get("t", "")),
            "agent": int(asked.get("a", "")),
        }
        with self._asking, interpreter("sim.viewer.asked", question, {}) as process:
            assert process.stdout is not None
            found: dict[str, Any] = json.loads(process.stdout.read() or '{"error": "it cannot be looked up now"}')
        return found
