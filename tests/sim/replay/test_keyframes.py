"""Keyframes: what they hold, that they are proven, and that nothing can be smuggled in with one."""

from __future__ import annotations

import base64
import contextlib
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from sim.engine.codec import decode_state, encode_state
from sim.engine.columns import Component, boolean, column, i8, i32
from sim.engine.world import World
from sim.errors import Corrupt, WorldError
from sim.replay import keyframes, read, rerecord, scan, verify
from sim.replay.format import Keyframe, canonical, decode_body, split_line
from sim.replay.keyframes import packed, unpacked
from sim.run.simulation import Simulation
from tests.sim.replay.recordings import framed, model, record, scenario
from tests.support.recording import rechain


class Body(Component):
    x: i32
    alive: boolean


class Path(Component):
    length: i8
    cells: i32 = column(shape=(4,), used_by="length")


class Notes:
    name = "Notes"

    def __init__(self) -> None:
        self.values = np.zeros(0, np.int32)
        self.stamp = 0

    def columns(self) -> dict[str, Any]:
        return {"values": self.values}

    def restore(self, columns: Any) -> None:
        self.values = columns["values"].copy()
        self.stamp += 1


def world_of(*resources: Any) -> World:
    world = World([Body, Path])
    for resource in resources:
        world.add_resource(resource)
    return world


def altered(change: Any, replay: bytes | None = None) -> bytes:
    """Return a replay whose first keyframe was changed, and the chain computed again."""
    lines = (framed() if replay is None else replay).splitlines(keepends=True)
    place = next(place for place, line in enumerate(lines) if b'"k":"K"' in line)
    body = decode_body(split_line(lines[place]).body)
    change(body)
    lines[place] = lines[place][: lines[place].index(b'"v":') + 4] + canonical(body) + b"}\n"
    return b"".join(rechain(lines))


@given(
    st.lists(st.tuples(st.integers(-5, 5), st.booleans(), st.lists(st.integers(0, 9), max_size=4)), max_size=5),
    st.lists(st.integers(-9, 9), max_size=3),
)
def test_state_comes_back_from_its_bytes(agents: list[tuple[int, bool, list[int]]], notes: list[int]) -> None:
    """Columns, membership and resources come back as they were, and give the same bytes again."""
    with world_of(Notes()) as world, world_of(Notes()) as other:
        for x, has_path, cells in agents:
            parts: dict[Any, Any] = {Body: {"x": x, "alive": x > 0}}
            if has_path:
                parts[Path] = {"length": len(cells), "cells": [*cells, *[0] * (4 - len(cells))]}
            world.spawn(parts)
        world.flush()
        world.resources["Notes"].restore({"values": np.array(notes, np.int32)})
        state = world.snapshot()
        data = encode_state(state)
        again = decode_state(data, other)
        assert again == state
        assert encode_state(again) == data
        other.restore(again)
        assert other.snapshot() == state


@given(st.binary(max_size=60), st.integers(0, 400), st.data())
def test_no_bytes_but_a_state_are_read_as_one(noise: bytes, at: int, data: st.DataObject) -> None:
    """Cut, changed or foreign bytes are refused in a sentence, or are a state of this world."""
    with world_of(Notes()) as world:
        world.spawn({Body: {"x": 3}})
        world.flush()
        whole = encode_state(world.snapshot())
        cut = data.draw(st.integers(0, len(whole) - 1))
        for broken in (noise, whole[:cut], whole + b"x", whole[:at] + noise + whole[at + len(noise) :]):
            with contextlib.suppress(WorldError):
                state = decode_state(broken, world)
                world.restore(state)
                assert world.snapshot() == state


def test_state_of_another_world_is_refused() -> None:
    """A resource or column that only one side has is named."""
    with world_of(Notes()) as world, world_of() as without, World([Body]) as smaller:
        data = encode_state(world.snapshot())
        with pytest.raises(WorldError, match=r"resources.*Notes"):
            decode_state(data, without)
        with pytest.raises(WorldError, match=r"columns.*Path\.cells"):
            decode_state(data, smaller)


@pytest.mark.parametrize("detail", ["hash", "full"])
def test_keyframes_stand_where_they_are_due_and_match(detail: Any) -> None:
    """A keyframe follows every fourth tick, the ticks are as without, and re-recording is the same to the byte."""
    kinds = [split_line(line).kind for line in framed(detail).splitlines(keepends=True)]
    assert "".join(kinds) == "H" + "TTTTK" * 3 + "E"
    assert read(framed(detail)).ticks == read(model(detail)).ticks
    assert verify(framed(detail)).verdict == "match"
    assert rerecord(read(framed(detail))) == framed(detail)


def test_missing_and_misplaced_keyframes_are_corrupt() -> None:
    """A keyframe taken away, doubled or moved is noticed, also with the chain computed again."""
    lines = framed().splitlines(keepends=True)
    for changed in (
        lines[:5] + lines[6:],
        lines[:6] + lines[5:],
        [*lines[:4], lines[5], lines[4], *lines[6:]],
        [*lines[:-2], lines[-1]],
    ):
        found = scan(b"".join(rechain(changed)))
        assert found.status == "corrupt"
        assert "keyframe" in str(found.problem)


def test_tampered_keyframes_are_no_match() -> None:
    """Another value in a keyframe is named: tick, component, agent, field and both values."""

    def wound(body: dict[str, Any]) -> None:
        with Simulation(scenario()) as simulation:
            state = decode_state(unpacked(Keyframe(**body)), simulation.world)
            hp = state.columns["Health.hp"].copy()
            hp[2] += 7
            body["state"] = packed(encode_state(replace(state, columns={**state.columns, "Health.hp": hp})))

    verdict = verify(altered(wound))
    assert (verdict.verdict, verdict.ticks) == ("diverged", 4)
    assert verdict.first is not None
    first = verdict.first
    assert (first.tick, first.component, first.field, first.key) == (3, "Health", "hp", 2)
    assert (first.expected, first.cause) == (first.actual + 7, "file")


@pytest.mark.parametrize(
    "state",
    [
        "",
        "AAAA",
        "not base64 at all",
        base64.b64encode(zstandard.compress(b"{}\n")).decode(),
        base64.b64encode(
            zstandard.compress(json.dumps({"arrays": [["keys", "", "int64", [2**40]]]}).encode())
        ).decode(),
        base64.b64encode(zstandard.ZstdCompressor(write_content_size=False).compress(b"x")).decode(),
    ],
)
def test_unreadable_keyframes_are_inconclusive(state: str) -> None:
    """What is not a state is corrupt and says so; it is never a match and never a traceback."""
    verdict = verify(altered(lambda body: body.update(state=state)))
    assert verdict.verdict == "inconclusive"
    assert verdict.reason


def test_keyframes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few bytes that unpack to more than a state may have are refused before they are unpacked."""
    monkeypatch.setattr(keyframes, "STATE_BYTES_MAX", 1_000_000)
    bomb = zstandard.compress(bytes(1_000_001))
    assert len(bomb) < 1000
    with pytest.raises(Corrupt, match="bytes"):
        unpacked(Keyframe(t=0, state=base64.b64encode(bomb).decode()))


def test_same_state_compressed_otherwise_still_matches() -> None:
    """What is compared is the state: another release of zstd may write other bytes."""

    def again(body: dict[str, Any]) -> None:
        data = unpacked(Keyframe(**body))
        body["state"] = base64.b64encode(zstandard.compress(data, level=19)).decode()
        assert unpacked(Keyframe(**body)) == data

    assert verify(altered(again)).verdict == "match"


def test_keyframes_change_no_tick() -> None:
    """Writing them leaves the run as it is."""
    assert [tick.root for tick in read(record(scenario(), keyframes=1)).ticks] == [
        tick.root for tick in read(record(scenario())).ticks
    ]
