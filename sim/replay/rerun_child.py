"""The other process of a second pass: it reads the task from standard input and writes one line per tick."""

from __future__ import annotations

import json
import sys
from contextlib import closing
from pathlib import Path

from sim.replay.diagnosis import run
from sim.replay.replay_file import open_replay_file

JUNK: tuple[int, int] = (10_000, 4_000)
"""The number of objects that change the layout of memory, and the difference of their sizes in bytes."""


def main() -> None:
    """Execute the ticks that standard input asks for."""
    asked = json.load(sys.stdin)
    count, sizes = JUNK
    junk = [bytearray(64 + n % sizes) for n in range(count)]
    del junk[::2]  # leaves holes for later objects
    plugins = [Path(plugin) for plugin in asked["plugins"]]
    with open_replay_file(asked["file"], plugins) as file, closing(run(file, asked["begin"], asked["tick"])) as made:
        for _before, record, tick, _after in made:
            said = tick if isinstance(tick, str) else tick.data()
            sys.stdout.write(json.dumps([record.t, said]) + "\n")
            sys.stdout.flush()
    del junk


if __name__ == "__main__":
    main()
