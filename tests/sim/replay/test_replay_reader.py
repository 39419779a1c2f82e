"""Reading replays: what is whole, incomplete, corrupt, unsupported, or not there."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.errors import Corrupt, Incomplete, ReplayError, Unsupported
from sim.replay.format import MINOR, canonical, encode_line
from sim.replay.reader import iter_records, read, scan
from sim.replay.verify import verify
from tests.support.recording import rechain

HASH = "0123456789abcdef"
HEADER: dict[str, Any] = {
    "format": "tickweave/2", "scenario": {}, "seed": 1, "run": HASH, "ticks": 2, "detail": "hash",
    "determinism": "portable", "env": {}, "registry": {"digest": HASH, "kinds": []}, "tiers": ["heuristic"],
    "llm": None, "prompt_version": None, "parent": None, "source": HASH, "declarations": {}, "columns": ["A.x"],
    "components": ["A"],
}  # fmt: skip


def tick(t: int, **more: Any) -> dict[str, Any]:
    return {"t": t, "components": "89abcd", "columns": "012345", "root": HASH, "agents": 2, **more}


END: dict[str, Any] = {"ticks": 2, "root": HASH, "outcome": None, "reason": "limit", "plans": {}}
RECORDS: list[tuple[str, dict[str, Any]]] = [("H", HEADER), ("T", tick(0)), ("T", tick(1)), ("E", END)]


def written(records: list[tuple[str, dict[str, Any]]]) -> bytes:
    previous, lines = "", []
    for kind, body in records:
        line, previous = encode_line(previous, kind, canonical(body))
        lines.append(line)
    return b"".join(lines)


WHOLE = written(RECORDS)
LINES = WHOLE.splitlines(keepends=True)


def test_whole_file_is_read() -> None:
    """A whole replay has its header, ticks and end, and no problem."""
    replay = read(WHOLE)
    assert replay.header is not None
    assert (replay.header.seed, [t.t for t in replay.ticks], replay.place.lines) == (1, [0, 1], 4)
    assert replay.end is not None
    assert replay.status == "complete"


def test_path_is_read(tmp_path: Path) -> None:
    """A path gives the same as its bytes."""
    path = tmp_path / "a.replay.jsonl"
    path.write_bytes(WHOLE)
    assert read(path) == read(str(path)) == read(WHOLE)


def test_no_file_is_neither_incomplete_nor_corrupt(tmp_path: Path) -> None:
    """A missing file and a folder are errors of their own, with one sentence."""
    for source, words in (
        (tmp_path / "none", "no such file"),
        (tmp_path, "cannot be read"),
        ("a\0b", "cannot be read"),
    ):
        with pytest.raises(ReplayError, match=words) as caught:
            read(source)
        assert type(caught.value) is ReplayError


def test_every_cut_is_classified() -> None:
    """Cut anywhere, a replay is incomplete with the exact prefix."""
    starts = [0]
    for line in LINES:
        starts.append(starts[-1] + len(line))
    for cut in range(len(WHOLE)):
        replay = scan(WHOLE[:cut])
        whole = sum(start <= cut for start in starts[1:])
        assert replay.place.lines == whole
        assert len(replay.ticks) == max(0, min(whole - 1, 2))
        assert replay.status == "incomplete", cut


@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 7))
def test_every_flipped_bit_is_noticed(place: int, bit: int) -> None:
    """A file with one bit changed is never taken for whole, and what is before the bit is kept."""
    changed = bytearray(WHOLE)
    changed[place] ^= 1 << bit
    replay = scan(bytes(changed))
    assert replay.status != "complete"
    assert replay.place.lines == sum(place >= end for end in _ends())


def _ends() -> list[int]:
    ends, total = [], 0
    for line in LINES:
        total += len(line)
        ends.append(total)
    return ends


@pytest.mark.parametrize(
    ("data", "line", "reason"),
    [
        (b"\n", 1, "is not a line"),
        (b"hello\n", 1, "is not a line"),
        (b"hello", 1, "nor the beginning"),
        (LINES[0] + b"\n" + LINES[1], 2, "is not a line"),
        (LINES[0] + LINES[2], 2, "chain"),
        (LINES[1], 1, "chain"),
        (WHOLE + b"x", 5, "follows the end"),
        (WHOLE + b"\n", 5, "follows the end"),
        (WHOLE + LINES[3], 5, "follows the end"),
        (WHOLE.replace(b"\n", b"\r\n"), 1, "line ends.*gitattributes"),
        (LINES[0] + LINES[2][:-1], 2, "was changed"),
        (b"\xef\xbb\xbf" + WHOLE, 1, "byte order mark"),
        (WHOLE.decode().encode("utf-16"), 1, "byte order mark"),
        (LINES[0] + b"\xff\xfe\n", 2, "is not a line"),
        (written([("T", tick(0))]), 1, "header"),
        (written([("H", HEADER), ("H", HEADER)]), 2, "header"),
        (written([("H", HEADER), ("T", tick(1))]), 2, "tick 1 where tick 0"),
        (written([("H", HEADER), ("T", tick(0)), ("T", tick(0))]), 3, "tick 0 where tick 1"),
        (written([("H", HEADER), ("T", tick(0)), ("E", END)]), 3, "counts 2 ticks; there are 1"),
        (written([("H", HEADER), ("T", tick(0, agents="2"))]), 2, "agents: Input should be a valid integer"),
        (written([("H", {**HEADER, "seed": None})]), 1, "seed"),
    ],
)
def test_damage_is_corrupt_and_named(data: bytes, line: int, reason: str) -> None:
    """Damage that no killed run leaves is corrupt; the sentence has the line and the reason."""
    with pytest.raises(Corrupt, match=reason) as caught:
        read(data)
    assert str(caught.value).startswith(f"line {line}: ")
    assert scan(data).place.lines == line - 1


def test_body_not_in_canonical_form_is_corrupt() -> None:
    """A body whose chain is right but whose bytes are not in the one form is corrupt."""
    line, _ = encode_line("", "H", b" " + canonical(HEADER))
    with pytest.raises(Corrupt, match="canonical"):
        read(line)


def test_empty_file_is_incomplete() -> None:
    """A run that was killed before its header left nothing, which is a prefix too."""
    with pytest.raises(Incomplete, match="after 0 whole ticks"):
        read(b"")


@pytest.mark.parametrize("name", ["tickweave/3", "other/1", 1, None])
def test_other_formats_are_unsupported(name: object) -> None:
    """Another format or major version is not corrupt: it is not for this reader."""
    with pytest.raises(Unsupported, match="tickweave/2"):
        read(written([("H", {**HEADER, "format": name, "seed": "anything"})]))


def test_other_compressed_files_are_unsupported() -> None:
    """A zstd frame without a table is recognised, not called corrupt, and the sentence says what reads it."""
    with pytest.raises(Unsupported, match="zstd -dc"):
        read(b"\x28\xb5\x2f\xfd\x04")


def test_unknown_kinds_are_passed_over() -> None:
    """Records of other kinds do not disturb the ones that are known."""
    replay = read(written([RECORDS[0], ("X", {"other": 1}), *RECORDS[1:]]))
    assert (len(replay.ticks), replay.place.lines) == (2, 5)


def test_unknown_keys_belong_to_a_later_minor_version() -> None:
    """A header that says so has its new keys passed over; elsewhere they are a fault: nothing would prove them."""
    more = ("T", tick(0, colour="red"))
    with pytest.raises(Corrupt, match=r"line 2: colour: the format has no such key"):
        read(written([RECORDS[0], more, *RECORDS[2:]]))
    later = ("H", {**HEADER, "minor": MINOR + 1, "shape": "round"})
    replay = read(written([later, more, *RECORDS[2:]]))
    assert replay.header is not None
    assert (len(replay.ticks), replay.header.minor) == (2, MINOR + 1)
    assert verify(written([later, more, *RECORDS[2:]])).verdict == "inconclusive"
    with pytest.raises(Unsupported, match=f"minor version {MINOR + 1}; this reads up to {MINOR}"):
        read(written([later, ("T", tick(0, agents="many")), *RECORDS[2:]]))


def test_records_come_before_the_problem() -> None:
    """Reading is lazy: what is good is handed out before the damage behind it is met."""
    records = iter_records(io.BytesIO(LINES[0] + LINES[1] + b"damage\n"))
    assert [next(records).kind, next(records).kind] == ["H", "T"]
    with pytest.raises(Corrupt):
        next(records)


def test_long_lines_are_refused_without_reading_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line over the limit is corrupt, whether or not it ends."""
    monkeypatch.setattr("sim.replay.reader.LINE_BYTES_MAX", 1000)
    for data in (LINES[0] + b"x" * 5000, LINES[0] + b"x" * 5000 + b"\n"):
        with pytest.raises(Corrupt, match="longer than 1000"):
            read(data)


def test_rechained_file_is_whole() -> None:
    """An altered file with its chain computed again reads as whole: the chain finds accidents, replaying the rest."""
    altered = [line.replace(b'"agents":2', b'"agents":3') for line in LINES]
    assert scan(b"".join(altered)).status == "corrupt"
    assert [t.agents for t in read(b"".join(rechain(altered))).ticks] == [3, 3]
