"""Replays: recording a run, reading a recording, and proving that running it again gives the same."""

from sim.replay.playback import rerecord
from sim.replay.reader import Replay, read, scan
from sim.replay.verify import Verdict, verify
from sim.replay.writer import Recorder, ReplayWriter, open_replay

__all__ = ["Recorder", "Replay", "ReplayWriter", "Verdict", "open_replay", "read", "rerecord", "scan", "verify"]
