"""Looks one agent of a recording up, for a live view: a question on standard input, the answer on the output."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from sim.errors import SimError
from sim.replay.replay_file import open_replay_file
from sim.replay.show import show_agent


def main() -> None:
    """Answer one question."""
    asked = json.load(sys.stdin)
    try:
        with open_replay_file(asked["replay"], [Path(each) for each in asked["files"]]) as file:
            found = show_agent(file, asked["tick"], asked["agent"])
    except SimError as error:
        found = {"error": str(error)}
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
