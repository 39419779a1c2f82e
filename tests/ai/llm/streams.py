"""The recorded streams of a real server, as the text that a client hands on."""

import json
from pathlib import Path

STREAMS = Path(__file__).parents[2] / "fixtures" / "sse"


def content(name: str) -> str:
    """Return a recorded reply's whole text."""
    pieces = []
    for line in (STREAMS / f"{name}.sse").read_text("utf-8").split("\n"):
        if line.startswith("data: {"):
            pieces += [choice["delta"].get("content") or "" for choice in json.loads(line[6:])["choices"]]
    return "".join(pieces)
