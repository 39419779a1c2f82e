"""Memory against agents: each framework builds "move and sense" in a process of its own and makes two ticks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from children import said

SIZES = {"ours": (1_000, 10_000, 100_000, 1_000_000)} | dict.fromkeys(
    ("esper", "Mesa", "mesa-frames", "ambr"), (1_000, 10_000, 100_000)
)
MEASURE = """
import gc, json, sys, tempfile
from pathlib import Path
sys.path.insert(0, PAGE)
import own
from recorded import Recorded
from timing import resident
from wander_by_hand import WanderingByHand
from wander import WanderSettings
name, agents = sys.argv[1], int(sys.argv[2])

with tempfile.TemporaryDirectory() as folder:
    def made(count):
        if name == "ours":
            return Recorded(WanderingByHand(WanderSettings(agents=count)), 1, Path(folder) / "m.replay.jsonl",
                counted=False).step
        return own.PEERS[name](count)
    try:
        made(10)()  # loads what it needs
    except ImportError:
        print("null")
        sys.exit()
    gc.collect()
    before, step = resident(), made(agents)
    step(), step()
    print(json.dumps(resident() - before))
"""


def memory(_folder: Path, *, quick: bool) -> dict[str, dict[str, int]]:
    """Return bytes by framework and agents: the growth of the process's largest resident size."""
    code = MEASURE.replace("PAGE", repr(str(Path(__file__).parent)))
    found: dict[str, dict[str, Any]] = {}
    for name, sizes in SIZES.items():
        each = {str(agents): json.loads(said(code, name, str(agents))) for agents in sizes[: 1 if quick else None]}
        found[name] = {agents: size for agents, size in each.items() if size is not None}
    return found
