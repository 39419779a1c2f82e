"""The bytes of a replay: canonical JSON, lines and their chain, runs of keys, bodies."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from sim.replay.format import (
    DEPTH_MAX,
    KEYS_MAX,
    Changed,
    LineError,
    Tick,
    Usage,
    canonical,
    chain,
    decode_body,
    digest,
    encode_line,
    is_torn,
    keys_of,
    runs,
    split_line,
)
from tests.support.recording import rechain

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.text(max_size=8), JSON, max_size=5)
HASH = "0" * 16


@given(OBJECTS)
def test_body_survives_a_round_trip(value: dict[str, object]) -> None:
    """Whatever is written as a body is read back as it was, through a whole line."""
    line, value_of_chain = encode_line("", "T", canonical(value))
    parts = split_line(line)
    assert (parts.kind, parts.chain) == ("T", value_of_chain)
    assert decode_body(parts.body) == json.loads(json.dumps(value))


@given(OBJECTS)
def test_canonical_bytes_do_not_depend_on_insertion_order(value: dict[str, object]) -> None:
    """The same object with its keys put in backwards gives the same bytes and digest."""
    backwards = dict(reversed(value.items()))
    assert canonical(backwards) == canonical(value)
    assert digest(backwards) == digest(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"a": [float("-inf")]}])
def test_canonical_refuses_what_json_lacks(value: object) -> None:
    """NaN and infinities cannot be written."""
    with pytest.raises(ValueError, match="JSON"):
        canonical(value)


@pytest.mark.parametrize(
    "body",
    [
        b'{"b":1,"a":2}',
        b'{"a": 1}',
        b'{"a":1.50}',
        b'{"a":1e2}',
        b'{"a":NaN}',
        b'{"a":1,"a":1}',
        b'{"a":"\xc3\xa9"}',
        b'{"a":"\\u00E9"}',
        b'{"a":"\\/"}',
        b'{"a":01}',
        b'{"a":1}{}',
        b'{"a":' + b"1" * 5000 + b"}",
        b"[1]",
        b"1",
        b"",
        b"{",
        b'{"a":"\xff"}',
    ],
)
def test_bodies_in_another_form_are_refused(body: bytes) -> None:
    """JSON that means the same but is not written in the one form is not a body."""
    with pytest.raises(LineError):
        decode_body(body)


def test_deep_bodies_are_refused_without_recursion() -> None:
    """A body that nests too deep is refused, however deep; brackets inside texts do not count."""
    for depth in (DEPTH_MAX, 100_000):
        with pytest.raises(LineError, match="deep"):
            decode_body(b'{"a":' + b"[" * depth + b"]" * depth + b"}")
    fine = canonical({"a": '[{"\\' * 500, "b": [[]] * 60})
    assert decode_body(fine)["b"] == [[]] * 60


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"{}\n",
        b'{"c":"%s","k":"T","v":{}} \n' % HASH.encode(),
        b'{"c":"%s","k":"TT","v":{}}\n' % HASH.encode(),
        b'{"c":"%s","k":"t","v":{}}\n' % HASH.encode(),
        b'{"c":"%s","k":"T", "v":{}}\n' % HASH.encode(),
        b'{"c":"ABCDEF0123456789","k":"T","v":{}}\n',
        b'{"c":"%s","k":"T","v":{}}' % HASH.encode(),
        b'{"c":"%s","k":"T","v":{}}\r\n' % HASH.encode(),
    ],
)
def test_lines_in_another_form_are_refused(line: bytes) -> None:
    """A line has one form, to the byte."""
    with pytest.raises(LineError):
        split_line(line)


def test_chain_covers_everything_before() -> None:
    """A chain value depends on the one before, on the kind and on the body."""
    assert len({chain("", "T", b"{}"), chain(HASH, "T", b"{}"), chain("", "E", b"{}"), chain("", "T", b"{ }")}) == 4


def test_rechain_makes_an_altered_file_whole() -> None:
    """After a body was replaced, `rechain` gives every line the value it would have been written with."""
    first, value = encode_line("", "H", b"{}")
    second, _ = encode_line(value, "T", b'{"t":0}')
    altered = [first.replace(b"{}", b'{"a":1}', 1), second]
    again, value = encode_line("", "H", b'{"a":1}')
    assert list(rechain(altered)) == [again, encode_line(value, "T", b'{"t":0}')[0]]


@given(st.sets(st.integers(0, 60), max_size=30) | st.sets(st.integers(0, 2**63 - 1), max_size=10))
def test_runs_stand_for_exactly_their_keys(keys: set[int]) -> None:
    """Any ascending keys are read back from their runs."""
    wanted = np.array(sorted(keys), np.int64)
    assert keys_of(runs(wanted)).tolist() == wanted.tolist()


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ([], ""),
        ([5], "5"),
        ([5, 6], "5-6"),
        ([5, 8], "5,8"),
        ([0, 5, 10], "0-10/5"),
        ([0, 1, 2, 3, 9, 12, 15, 18, 19], "0-3,9-18/3,19"),
        (range(0, 2000, 5), "0-1995/5"),
    ],
)
def test_runs_are_short(keys: list[int], text: str) -> None:
    """Neighbours and even distances, as staggered planning makes them, become one run."""
    assert runs(np.array(keys, np.int64)) == text


@pytest.mark.parametrize(
    "text",
    [
        *("1,0", "0,1", "1-1", "3-1", "0-2/1", "0-4/2,", ",", "01", "-1", "0-10/3", "0-3/3", "1,1", "a", " 1", "0-0"),
        *("1-2-3", "9" * 20, "0-9223372036854775808", f"0-{KEYS_MAX}", "0-9223372036854775807", "\u0663"),
    ],
)
def test_other_texts_are_no_runs(text: str) -> None:
    """Runs have one form, go up and stand for a bounded number of keys."""
    with pytest.raises(ValueError, match="run"):
        keys_of(text)


def test_beginnings_of_lines_are_torn_and_others_not() -> None:
    """Every beginning of a line can be what a killed run left; bytes that no line begins with cannot."""
    line, _ = encode_line("", "T", canonical({"a": 'text with } and " in it', "b": [1, {"c": 2}]}))
    assert all(is_torn(line[:end]) for end in range(len(line)))
    for wrong in (
        b"x",
        b'{"c":"zz',
        b'{"k":',
        line[:40] + b"\x00",
        line[:-1] + b"x",
        b'{"c":"%s","k":"T","v":[' % HASH.encode(),
    ):
        assert not is_torn(wrong), wrong


def test_defaults_are_left_out_and_come_back() -> None:
    """A quiet tick has only what every tick has, and reads back as it was."""
    tick = Tick(t=3, components="000000", columns="", root=HASH, agents=2)
    assert set(tick.data()) == {"t", "components", "columns", "root", "agents"}
    assert Tick.model_validate(tick.data()) == tick
    assert Usage(calls=2).data() == {"calls": 2}


@pytest.mark.parametrize(
    "change",
    [
        {"t": -1},
        {"t": True},
        {"t": 1.0},
        {"root": "0" * 15},
        {"root": "G" * 16},
        {"columns": "1234567"},
        {"planned": {"heuristic": "2,1"}},
        {"texts": {"01": "x"}},
        {"attempts": [{"tier": "a", "outcome": "tired", "keys": "1"}]},
        {"inputs": ["dance"]},
        {"refused": [{"at": 0}]},
        {"draws": {"hit": -1}},
        {"changes": {"A.x": {"keys": [1], "values": []}}},
        {"changes": {"A.x": {"keys": [1], "values": [True]}}},
    ],
)
def test_bodies_of_other_types_are_refused(change: dict[str, object]) -> None:
    """Types are strict: nothing is converted."""
    body = {"t": 0, "components": "", "columns": "", "root": HASH, "agents": 0, **change}
    with pytest.raises(ValidationError):
        Tick.model_validate(body)


def test_unknown_keys_are_refused() -> None:
    """A body holds what the format says, and nothing that would go unproven."""
    with pytest.raises(ValidationError):
        Changed.model_validate({"keys": [1], "values": [None], "colour": 3})
