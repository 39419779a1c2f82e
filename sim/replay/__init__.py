"""Replays: recording a run, reading a recording, and proving that a repeated run gives the same result."""

from sim.replay.frames import Frame, frames
from sim.replay.playback import rerecord
from sim.replay.reader import Replay, read, scan
from sim.replay.verify import Verdict, verify
from sim.replay.writer import Recorder, ReplayWriter, open_replay

__all__ = [
    "Frame",
    "Recorder",
    "Replay",
    "ReplayWriter",
    "Verdict",
    "frames",
    "open_replay",
    "read",
    "rerecord",
    "scan",
    "verify",
]
