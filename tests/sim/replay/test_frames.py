"""A recorded run looked at tick by tick."""

from __future__ import annotations

import pytest

from sim.errors import Corrupt, Diverged
from sim.replay import frames, read, scan
from sim.replay.frames import frames_of
from tests.sim.replay.recordings import TICKS, framed, model
from tests.support.recording import rechain


def test_every_tick_is_given_with_its_state() -> None:
    """Each frame has the record of its tick and the state after it, with no model at hand."""
    replay = read(model())
    told: list[tuple[int, int]] = []
    seen = []
    started: list[int] = []
    progress = told.append
    for frame in frames(
        model(), (), lambda done, of: progress((done, of)), lambda run: started.append(run.simulation.world.tick)
    ):
        assert frame.record == replay.ticks[frame.tick]
        assert frame.world.tick == frame.tick + 1
        assert frame.world.n == frame.record.agents
        seen.append(frame.tick)
    assert seen == list(range(TICKS))
    assert started == [0]
    assert told == [(tick + 1, TICKS) for tick in range(TICKS)]
    assert replay.header is not None
    assert [frame.tick for frame in frames_of(replay.header, replay.ticks)] == seen


def test_a_torn_replay_gives_the_ticks_that_it_has() -> None:
    """A killed run is looked at up to its last whole tick."""
    torn = framed()[:-200]
    assert [frame.tick for frame in frames(torn)] == [tick.t for tick in scan(torn).ticks]


def test_what_is_not_true_is_not_shown() -> None:
    """A record that running again does not give ends the frames, and so does a damaged line."""
    lines = framed().splitlines(keepends=True)
    false = [line.replace(read(framed()).ticks[3].root.encode(), b"0" * 16) for line in lines]
    with pytest.raises(Diverged, match="tick 3 differs"):
        list(frames(b"".join(rechain(false))))
    with pytest.raises(Corrupt):
        list(frames(b"".join(line.replace(b'"t":3', b'"t":4', 1) for line in lines)))
