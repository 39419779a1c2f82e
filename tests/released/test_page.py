"""The page of the format is enough to write a reader: this one uses nothing of ours."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zstandard

from sim.replay import format as bodies
from sim.replay.replay_file import open_replay_file

FOLDER = Path(__file__).parent
PAGE = (FOLDER.parents[1] / "replays" / "README.md").read_text("utf-8")
PLAIN = sorted(FOLDER.glob("*.replay.jsonl"))


def records(path: Path) -> list[tuple[str, Any]]:
    """Return kinds and bodies of a recording, with its chain checked."""
    found, before = [], ""
    for line in path.read_bytes().splitlines(keepends=True):
        match = re.fullmatch(rb'\{"c":"([0-9a-f]{16})","k":"([A-Z])","v":(.*)\}\n', line)
        assert match is not None
        chain, kind, body = match[1].decode(), match[2].decode(), match[3]
        data = json.loads(body)
        assert json.dumps(data, sort_keys=True, separators=(",", ":")).encode() == body
        text = before.encode() + kind.encode() + body
        assert hashlib.blake2b(text, digest_size=8, person=b"tickweave-chain").hexdigest() == chain
        found.append((kind, data))
        before = chain
    return found


def digest(data: Any) -> str:
    """Return the digest of data."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":")).encode()
    return hashlib.blake2b(text, digest_size=8, person=b"tickweave-data").hexdigest()


def count(runs: str) -> int:
    """Return how many agents runs of keys stand for."""
    found = 0
    for part in filter(None, runs.split(",")):
        ends, _, step = part.partition("/")
        first, _, last = ends.partition("-")
        found += len(range(int(first), int(last or first) + 1, int(step or 1)))
    return found


def state(keyframe: Any) -> tuple[dict[str, Any], dict[tuple[str, str], np.ndarray]]:
    """Return the first line and the arrays of a keyframe."""
    data = zstandard.ZstdDecompressor().decompress(base64.b64decode(keyframe["state"]))
    line, _, rest = data.partition(b"\n")
    head, arrays, at = json.loads(line), {}, 0
    for group, name, dtype, shape in head["arrays"]:
        kind = np.dtype(dtype).newbyteorder("<")
        size = int(np.prod(shape)) * kind.itemsize
        arrays[group, name] = np.frombuffer(rest[at : at + size], kind).reshape(shape)
        at += size
    assert at == len(rest)
    return head, arrays


@pytest.mark.parametrize("path", PLAIN, ids=lambda path: path.name)
def test_a_reader_after_the_page_reads_every_recording(path: Path) -> None:
    """Lines, chain, order of records, digests, sums and keyframes are as the page says."""
    (first, header), *ticks, (last, end) = records(path)
    assert (first, last) == ("H", "E")
    assert header["run"] == digest([header["scenario"], header["seed"]])
    plans: dict[str, int] = {}
    number = 0
    for kind, body in ticks:
        if kind == "K":
            assert body["t"] == number - 1
            assert number % header["keyframes"] == 0
            continue
        assert (kind, body["t"]) == ("T", number)
        number += 1
        assert len(body["components"]) == 6 * len(header["components"])
        assert len(body["columns"]) == 6 * len(header["columns"])
        for tier, runs in body.get("planned", {}).items():
            plans[tier] = plans.get(tier, 0) + count(runs)
        parts = {"inputs": [], "refused": [], "attempts": [], "texts": {}, "shards": [], "usage": None, "model": {}}
        heard = [body.get(name, default) for name, default in parts.items()]
        assert body.get("heard") == (digest(heard) if any(heard) else None)
    assert (end["ticks"], end["plans"]) == (number, plans)
    assert end["root"] == [body for kind, body in ticks if kind == "T"][-1]["root"]


def test_a_keyframe_is_read_after_the_page() -> None:
    """The arrays and texts of a keyframe are the state that running gives."""
    path = FOLDER / "rules.replay.jsonl"
    *_, keyframe = (body for kind, body in records(path) if kind == "K")
    head, arrays = state(keyframe)
    with open_replay_file(path, [FOLDER / "orchard.py"]) as file, file.at(keyframe["t"] + 1) as playback:
        world = playback.simulation.world
        picker = world.entity(0)
        kind, ladder = (
            next(part for part in world.components if part.__name__ == name) for name in ("Picker", "Ladder")
        )
        assert head["tick"] == world.tick
        assert arrays["keys", ""].tolist() == world.keys.tolist()
        assert arrays["column", "Picker.money"][0] / 100 == picker[kind].money
        places = arrays["column", "Picker.motto"]
        assert head["texts"]["Picker.motto"][places[0] - 1] == picker[kind].motto
        assert arrays["mask", "Ladder"].tolist() == world.has(ladder).tolist()
        assert 0 < arrays["mask", "Ladder"].sum() < world.n


def test_the_page_names_every_key() -> None:
    """No key of a body is missing from the page."""
    kinds = [each for each in vars(bodies).values() if isinstance(each, type) and issubclass(each, bodies.Body)]
    missing = {f"{each.__name__}.{name}" for each in kinds for name in each.model_fields if f"`{name}`" not in PAGE}
    assert missing == set()
