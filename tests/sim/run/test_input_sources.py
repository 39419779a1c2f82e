"""Inputs while a run goes on: in step with the ticks, bounded, and every bad line told and passed over."""

from __future__ import annotations

import io
import json
import os
import threading
from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from scenarios.tactics.inputs import Remove
from sim.run.input_sources import LINE_BYTES_MAX, TICK_INPUTS_MAX, ScheduledInputs, StreamedInputs
from sim.run.inputs import TimedInput
from sim.run.scenario_file import load
from tests.support.marks import covers

SKIRMISH = load("skirmish")


def remove(tick: int, agent: int) -> dict[str, Any]:
    return {"tick": tick, "input": {"kind": "remove", "agent": agent}}


def read(data: bytes, ticks: Sequence[int]) -> tuple[list[list[int]], list[str]]:
    """Return the agents of the removals that were due at each tick, and what was told."""
    told: list[str] = []
    feed = StreamedInputs(io.BytesIO(data), SKIRMISH, told.append)
    return [[item.agent for item in feed.due(tick) if isinstance(item, Remove)] for tick in ticks], told


class Trickle(io.BytesIO):
    """Gives one byte at a time, as a slow pipe may."""

    def read1(self, size: int | None = -1, /) -> bytes:
        """Return the next byte."""
        return super().read1(1)


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 30)), max_size=12), st.booleans())
def test_a_stream_in_order_gives_what_a_list_gives(pairs: list[tuple[int, int]], slow: bool) -> None:  # noqa: FBT001
    """Whatever pieces it comes in, each input is due at its tick, in order; what is left is counted."""
    pairs.sort(key=lambda pair: pair[0])
    data = "".join(json.dumps(remove(*pair)) + "\n" for pair in pairs).encode()
    streamed = StreamedInputs((Trickle if slow else io.BytesIO)(data), SKIRMISH, lambda _: None)
    listed = ScheduledInputs(TimedInput(tick=tick, input=Remove(agent=agent)) for tick, agent in pairs)
    for tick in range(6):
        assert streamed.due(tick) == listed.due(tick)
    assert streamed.unused == min(listed.unused, 1)


def test_bad_lines_are_told_and_passed_over() -> None:
    """Each gets one sentence with its line, and the lines around it count."""
    bad = [
        "{", "[]", '"x"', '{"tick": -1}', '{"tick": 1, "input": {"kind": "dance"}}', '{"tick": 1.5}',
        '{"tick": 0, "input": {"kind": "order", "squad": "red on", "text": "go"}}', "\x00", '{"tick": NaN}', "[" * 500,
        json.dumps(remove(0, 5) | {"more": 1}),
    ]  # fmt: skip
    lines = [json.dumps(remove(0, 1)), *bad, "", json.dumps(remove(0, 2))]
    found, told = read("\n".join(lines).encode(), [0, 1])
    assert found == [[1, 2], []]
    assert [sentence.split(":")[0] for sentence in told] == [
        f"standard input, line {number}" for number in range(2, 2 + len(bad))
    ]
    assert not any("\n" in sentence for sentence in told)


def test_a_byte_order_mark_is_passed_over_as_in_a_file() -> None:
    """The first line counts, with or without the mark that some editors write before it."""
    assert read(b"\xef\xbb\xbf" + json.dumps(remove(0, 7)).encode() + b"\r\n", range(1)) == ([[7]], [])


@covers(f"is longer than {LINE_BYTES_MAX} bytes")
def test_a_line_that_is_too_long_is_passed_over() -> None:
    """It is told, and neither kept nor taken for several lines."""
    good = json.dumps(remove(0, 1)).encode()
    for length in (LINE_BYTES_MAX + 1, 40 * LINE_BYTES_MAX):
        found, told = read(b"x" * length + b"\n" + good, [0])
        assert (found, told) == ([[1]], [f"standard input, line 1: is longer than {LINE_BYTES_MAX} bytes"])
    padded = good + b" " * (LINE_BYTES_MAX - len(good))
    assert read(padded + b"\n" + good, [0]) == ([[1, 1]], [])


@covers("is not UTF-8 at byte 0")
def test_bytes_that_are_no_text_are_passed_over() -> None:
    """They are told with their line."""
    found, told = read(b"\xff\xfe\n" + json.dumps(remove(0, 1)).encode(), [0])
    assert (found, told) == ([[1]], ["standard input, line 1: is not UTF-8 at byte 0"])


@covers("tick 2 has passed; the run is at tick 4")
def test_a_tick_that_has_passed_is_told() -> None:
    """What comes too late has no effect."""
    data = "\n".join(json.dumps(remove(*pair)) for pair in ((4, 1), (2, 2), (4, 3)))
    found, told = read(data.encode(), [3, 4])
    assert found == [[], [1, 3]]
    assert told == ["standard input, line 2: tick 2 has passed; the run is at tick 4"]


@covers(
    "99 is outside the 40 by 24 map", "spawn_wave needs a director; add [settings.director] with a squad and a budget"
)
def test_what_can_be_known_at_once_is_told_at_once() -> None:
    """Cells off the map, and what needs a director where there is none."""
    order = {"kind": "order", "squad": "red one", "text": "go", "x": 99, "y": 0}
    wave = {"kind": "spawn_wave", "archetype": "rifle", "count": 1, "origin": {"x": 0, "y": 0}}
    lines = [json.dumps({"tick": 0, "input": item}) for item in (order, wave)]
    found, told = read("\n".join(lines).encode(), [0])
    assert found == [[]]
    assert [sentence.split(": ", 1)[1] for sentence in told] == [
        "input.x: 99 is outside the 40 by 24 map",
        "input: spawn_wave needs a director; add [settings.director] with a squad and a budget",
    ]


@covers(f"more than {TICK_INPUTS_MAX} inputs for tick 0; send the rest for later ticks")
def test_a_tick_takes_a_bounded_number_of_inputs() -> None:
    """Those past the limit have no effect, which is told once; the next tick's count again."""
    lines = [*[remove(0, 1)] * (TICK_INPUTS_MAX + 2), remove(1, 2)]
    found, told = read("\n".join(map(json.dumps, lines)).encode(), [0, 1])
    assert (len(found[0]), found[1], len(told)) == (TICK_INPUTS_MAX, [2], 1)


def test_a_run_waits_for_the_line_that_says_what_is_next() -> None:
    """A tick alone lets the run go on to it; nothing is read ahead of that."""
    end, start = os.pipe()
    with os.fdopen(end, "rb") as stream, os.fdopen(start, "wb", buffering=0) as out:
        feed = StreamedInputs(stream, SKIRMISH, lambda _: None)
        seen: list[tuple[int, int]] = []
        asked = threading.Semaphore(0)

        def go() -> None:
            for tick in range(4):
                asked.release()
                seen.append((tick, len(feed.due(tick))))

        runner = threading.Thread(target=go)
        runner.start()
        asked.acquire()
        assert not seen
        out.write(b'{"tick": 2}\n')
        for _ in range(2):
            asked.acquire()
        assert seen == [(0, 0), (1, 0)]
        out.write(json.dumps(remove(2, 7)).encode() + b'\n{"tick": 3')
        out.write(b"}\n")
        asked.acquire()
        assert seen[2:] == [(2, 1)]
        out.close()
        runner.join(10)
    assert seen[3:] == [(3, 0)]


def test_waiting_ends_when_the_run_is_to_stop() -> None:
    """Half a line is kept for later."""
    end, start = os.pipe()
    with os.fdopen(end, "rb") as stream, os.fdopen(start, "wb", buffering=0) as out:
        stop = True
        feed = StreamedInputs(stream, SKIRMISH, lambda _: None, lambda: stop)
        line = json.dumps(remove(0, 7)).encode()
        out.write(line[:9])
        assert feed.due(0) == []
        stop = False
        out.write(line[9:] + b"\n")
        out.close()
        assert feed.due(0) == [Remove(agent=7)]
