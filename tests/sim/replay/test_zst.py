"""Packed replays: the same bytes in frames, readable by zstd, and read at any place."""

from __future__ import annotations

import io
import struct

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from sim.errors import Corrupt, ReplayError, Unsupported
from sim.replay import scan, verify, zst
from sim.replay.zst import PackedFile, pack
from tests.sim.replay.recordings import framed, model


def packed_bytes(replay: bytes) -> bytes:
    sink = io.BytesIO()
    pack(io.BytesIO(replay), sink)
    return sink.getvalue()


def unpacked_bytes(data: bytes) -> bytes:
    with PackedFile(io.BytesIO(data)) as file:
        return file.readall()


@given(st.lists(st.binary(max_size=40), max_size=30), st.integers(1, 60))
def test_unpacking_gives_the_packed_bytes(parts: list[bytes], frame: int) -> None:
    """Whatever the lines are, a torn last one too, they come back to the byte, from here and from plain zstd."""
    lines = b"\n".join(parts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(zst, "FRAME_BYTES", frame)
        data = packed_bytes(lines)
    assert unpacked_bytes(data) == lines
    with zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True) as reader:
        assert reader.read() == lines


@given(st.lists(st.tuples(st.integers(0, 30_000), st.integers(0, 500)), max_size=8))
def test_any_place_is_read(places: list[tuple[int, int]]) -> None:
    """Seeking and reading give what the plain bytes have there."""
    with PackedFile(io.BytesIO(packed_bytes(framed()))) as raw, io.BufferedReader(raw, 512) as file:
        for at, size in places:
            file.seek(at)
            assert file.read(size) == framed()[at : at + size]


def test_reading_a_place_unpacks_only_its_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    """A frame ends with each keyframe, and only the frames that are touched are unpacked."""
    data = packed_bytes(framed())
    unpacked: list[int] = []
    unpack = PackedFile._unpack

    def noted(self: PackedFile, frame: int, size: int) -> bytes:
        unpacked.append(frame)
        return unpack(self, frame, size)

    monkeypatch.setattr(PackedFile, "_unpack", noted)
    with PackedFile(io.BytesIO(data)) as file:
        assert len(file._ends) == 4
        file.seek(file._ends[1])
        file.read(100)
    assert unpacked == [2]


def test_packed_replays_are_verified_as_they_are() -> None:
    """A packed replay is the replay: the same verdict, the same records."""
    assert verify(packed_bytes(framed())).verdict == "match"
    assert scan(packed_bytes(model())).ticks == scan(model()).ticks
    torn = verify(packed_bytes(model()[:-3]))
    assert torn == verify(model()[:-3])


def test_cut_and_foreign_files_are_told_apart() -> None:
    """Without a table nothing is guessed; a table that contradicts the file is corrupt."""
    data = packed_bytes(framed())
    for cut in (data[:-1], data[: len(data) // 2], zstandard.compress(framed()), zst.ZSTD):
        assert scan(cut).status == "unsupported"
        assert "zstd -dc" in str(scan(cut).problem)
    assert scan(data[:-9] + b"\x00" * 4 + data[-5:]).status == "corrupt"
    assert scan(data[:30] + data[31:]).status == "corrupt"


@given(st.data())
def test_flipped_bits_of_a_packed_replay_are_never_a_match(data: st.DataObject) -> None:
    """One bit anywhere is noticed, but where zstd itself gives it no meaning and the lines stay the same."""
    whole = packed_bytes(model())
    changed = bytearray(whole)
    changed[data.draw(st.integers(0, len(whole) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        lines = unpacked_bytes(bytes(changed)) if changed.startswith(zst.ZSTD) else b""
    except ReplayError:
        lines = b""
    assert lines == model() or scan(bytes(changed)).status != "complete"


def test_small_files_cannot_grow_without_bound() -> None:
    """A frame that would unpack to more than the table says, or than a frame may, is refused first."""
    bomb = zstandard.compress(bytes(10_000_000))
    for size in (100, 10_000_000, zst.FRAME_BYTES_MAX + 1):
        table = struct.pack("<IIII", 0x184D2A5E, 8 + 9, len(bomb), size) + struct.pack("<IBI", 1, 0, 0x8F92EAB1)
        if size == 10_000_000:
            assert scan(bomb + table).status == "corrupt"
            continue
        with pytest.raises(Corrupt):
            unpacked_bytes(bomb + table)


def test_a_file_without_frames_is_empty() -> None:
    """No lines pack to a table alone, and come back as none."""
    assert unpacked_bytes(packed_bytes(b"")) == b""
    with pytest.raises(Unsupported):
        unpacked_bytes(b"")
