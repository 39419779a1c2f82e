r"""Compressed replays: `*.replay.jsonl.zst`, independent zstd frames with a table for seeking.

The layout is the seekable format of zstd (contrib/seekable_format in its sources): ordinary frames, each with its size
and a checksum, then one skippable frame that holds the table. So `zstd -dc` gives the lines, and this module reads any
place by unpacking one frame. A frame ends with a line: after a keyframe, or when it is full.
"""

from __future__ import annotations

import io
import struct
from bisect import bisect_right
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO, Final

import zstandard

from sim.errors import Corrupt, Unsupported
from sim.replay.format import KEYFRAME, LINE_BYTES_MAX, LineError, split_line

if TYPE_CHECKING:
    from sim.replay.writer import Sink

ZSTD: Final = b"\x28\xb5\x2f\xfd"
"""The first bytes of a zstd frame."""
SUFFIX: Final = ".zst"
"""The suffix that the name of a packed replay adds."""
FRAME_BYTES: Final = 128 * 1024
"""Unpacked bytes after which a frame ends with the next line."""
FRAME_BYTES_MAX: Final = FRAME_BYTES + LINE_BYTES_MAX
"""Unpacked bytes a frame may have."""
FRAMES_MAX: Final = 4_000_000
"""Frames in one file."""
LEVEL: Final = 3
RATIO_MAX: Final = 200
"""How many times its own size a packed replay may unpack to, past `RATIO_FREE` bytes: hashes of lines pack badly."""
RATIO_FREE: Final = 16 * 1024 * 1024

_SKIPPABLE: Final = 0x184D2A5E
_SEEKABLE: Final = 0x8F92EAB1
_HEAD: Final = struct.Struct("<II")
_ENTRY: Final = struct.Struct("<II")
_FOOTER: Final = struct.Struct("<IBI")
_HAS_CHECKSUMS: Final = 0x80
_RESERVED: Final = 0x7C


def pack(lines: BinaryIO, sink: Sink) -> None:
    """Write the lines of a replay as a packed one; the bytes are kept exactly, those of a torn last line too."""
    compressor = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True, write_content_size=True)
    entries: list[bytes] = []
    for content in _contents(lines):
        frame = compressor.compress(content)
        entries.append(_ENTRY.pack(len(frame), len(content)))
        sink.write(frame)
    table = b"".join(entries)
    sink.write(_HEAD.pack(_SKIPPABLE, len(table) + _FOOTER.size) + table + _FOOTER.pack(len(entries), 0, _SEEKABLE))
    sink.flush()


def _contents(lines: BinaryIO) -> Iterator[bytes]:
    """Yield what each frame holds."""
    content = bytearray()
    while line := lines.readline(LINE_BYTES_MAX):
        content += line
        if len(content) >= FRAME_BYTES or _is_keyframe(line):
            yield bytes(content)
            content.clear()
    if content:
        yield bytes(content)


def _is_keyframe(line: bytes) -> bool:
    try:
        return split_line(line).kind == KEYFRAME
    except LineError:
        return False


class PackedFile(io.RawIOBase):
    """Shows a packed replay as the bytes that were packed; reading or seeking unpacks only the frames it touches.

    Raises:
        Unsupported: the file ends without a table: it was cut, or packed by something else.
        Corrupt: the table contradicts the file, or a frame is damaged or larger than the table says.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._at = 0
        self._frame = -1
        self._content = b""
        self._packed_at, self._ends, self.size = _read_table(file)

    def readable(self) -> bool:
        """Say that this can be read."""
        return True

    def seekable(self) -> bool:
        """Say that this can be sought in."""
        return True

    def tell(self) -> int:
        """Return the place, in unpacked bytes."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place, in unpacked bytes."""
        self._at = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence])
        return self._at

    def readinto(self, buffer: memoryview | bytearray, /) -> int:  # type: ignore[override]
        """Fill a buffer from the frame at the place, as far as that frame goes."""
        if self._at >= self.size:
            return 0
        frame = bisect_right(self._ends, self._at)
        begin = self._ends[frame - 1] if frame else 0
        if frame != self._frame:
            self._content, self._frame = self._unpack(frame, self._ends[frame] - begin), frame
        part = self._content[self._at - begin : self._at - begin + len(buffer)]
        buffer[: len(part)] = part
        self._at += len(part)
        return len(part)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()

    def _unpack(self, frame: int, size: int) -> bytes:
        begin = self._packed_at[frame]
        self._file.seek(begin)
        data = self._file.read(self._packed_at[frame + 1] - begin)
        try:
            if zstandard.frame_content_size(data) != size:
                raise Corrupt(f"frame {frame + 1} is not of the size that the table of the packed replay says")
            return zstandard.ZstdDecompressor().decompress(data, max_output_size=size, allow_extra_data=False)
        except zstandard.ZstdError as error:
            raise Corrupt(f"frame {frame + 1} of the packed replay is damaged: {error}") from None


def _read_table(file: BinaryIO) -> tuple[list[int], list[int], int]:
    """Return where each frame begins and the last one ends, where each one's content ends, and that in all.

    Raises:
        Unsupported: there is no table.
        Corrupt: it contradicts the file.
    """
    total = file.seek(0, io.SEEK_END)
    file.seek(max(0, total - _FOOTER.size))
    footer = file.read(_FOOTER.size)
    if len(footer) < _FOOTER.size or _FOOTER.unpack(footer)[2] != _SEEKABLE:
        raise Unsupported(
            "the packed replay has no table at its end: it was cut; `zstd -dc` gives the lines that are left"
        )
    count, flags, _ = _FOOTER.unpack(footer)
    entry = _ENTRY.size + 4 * bool(flags & _HAS_CHECKSUMS)
    length = count * entry + _FOOTER.size
    if flags & _RESERVED or count > FRAMES_MAX or length + _HEAD.size > total:
        raise Corrupt("the table of the packed replay is damaged")
    file.seek(total - length - _HEAD.size)
    head, table = file.read(_HEAD.size), file.read(count * entry)
    packed_at, ends = [0], []
    size = 0
    for place in range(count):
        packed, content = _ENTRY.unpack_from(table, place * entry)
        if not 0 < content <= FRAME_BYTES_MAX:
            raise Corrupt("the table of the packed replay is damaged")
        size += content
        packed_at.append(packed_at[-1] + packed)
        ends.append(size)
    if _HEAD.unpack(head) != (_SKIPPABLE, length) or packed_at[-1] != total - length - _HEAD.size:
        raise Corrupt("the table of the packed replay contradicts the file")
    if size > max(RATIO_FREE, RATIO_MAX * total):
        raise Corrupt(
            f"the packed replay of {total} bytes would unpack to {size}; at most {RATIO_MAX} times its size is read"
        )
    return packed_at, ends, size
