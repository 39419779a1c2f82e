"""Reads replays and says exactly what is wrong with one that cannot be trusted.

Four things are kept apart:

- no file, or one that cannot be opened: `ReplayError`;
- *incomplete*: every whole line is good, there is no end record, and what follows the last newline, if anything, can
  be the beginning of a line. A killed run or a full disk leaves this;
- *corrupt*: anything else that is wrong: a broken chain, bytes not in canonical form, an empty line, something after
  the end record, a body that is not what its kind holds, a keyframe that is due and
  not there, or there and not due;
- *unsupported*: another format, or another major version of this one.

All lines before the first problem are a valid prefix. Nothing here trusts a length or a count from the file.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Literal, TypeAlias, TypeVar

from pydantic import ValidationError

from sim.errors import Corrupt, Incomplete, ReplayError, Unsupported
from sim.messages import one_line
from sim.replay.format import (
    END,
    FORMAT,
    HEADER,
    KEYFRAME,
    LINE_BYTES_MAX,
    LINES_MAX,
    MINOR,
    TICK,
    UNKNOWN_BYTES_MAX,
    UNKNOWN_MAX,
    Body,
    End,
    Header,
    Keyframe,
    Line,
    LineError,
    Tick,
    chain,
    decode_body,
    is_torn,
    split_line,
)
from sim.replay.zst import ZSTD, PackedFile

if TYPE_CHECKING:
    from sim.run.domain import Metric

Source: TypeAlias = str | Path | bytes
"""A path, or the bytes of a replay."""

Progress: TypeAlias = Callable[[int, int], None]
"""Receives how much is done and how much there is in all: ticks, unless it says otherwise."""

BUFFER_BYTES: Final = 64 * 1024
"""The bytes that one read takes."""
_Known = TypeVar("_Known", Header, Tick, Keyframe, End)


@dataclass(frozen=True, slots=True)
class Place:
    """A place between two lines, with a summary of the lines before it.

    Attributes:
        offset: bytes.
        lines: lines; None where they were not counted.
        chain: the chain value of the last line, empty at the beginning.
        ticks: ticks.
        header: the header.
        due: the last tick is still without the keyframe that belongs after it.
        unknown: records of kinds that are not known here, and `unknown_bytes` how long they are in all.
    """

    offset: int = 0
    lines: int | None = 0
    chain: str = ""
    ticks: int = 0
    header: Header | None = None
    due: bool = False
    unknown: int = 0
    unknown_bytes: int = 0

    def after(self, line: bytes, parts: Line, body: Body | None) -> Place:
        """Return the place behind one more line."""
        header, ticks, due = self.header, self.ticks, self.due
        unknown, unknown_bytes = self.unknown, self.unknown_bytes
        match body:
            case None:
                unknown, unknown_bytes = unknown + 1, unknown_bytes + len(line)
            case Header():
                header = body
            case Tick():
                ticks += 1
                due = header is not None and header.keyframe_due(body.t)
            case Keyframe():
                due = False
        lines = None if self.lines is None else self.lines + 1
        return Place(self.offset + len(line), lines, parts.chain, ticks, header, due, unknown, unknown_bytes)

    @property
    def where(self) -> str:
        """The name of the line that begins here."""
        return f"the line at byte {self.offset}" if self.lines is None else f"line {self.lines + 1}"


@dataclass(frozen=True, slots=True)
class Record:
    """One line: its kind, its body (None for a kind that is not known here), and the place behind it."""

    kind: str
    body: Header | Tick | Keyframe | End | None
    end: Place


@dataclass(slots=True)
class Replay:
    """The contents of a replay: all of it, or its valid prefix and the problem that ends it.

    `place` is the end of the good lines, `open_place` the same without the end record; `status` is what the file is,
    `problem` the error that `read` raises.
    """

    header: Header | None = None
    ticks: list[Tick] = field(default_factory=list)
    end: End | None = None
    place: Place = field(default_factory=Place)
    open_place: Place = field(default_factory=Place)
    problem: ReplayError | None = None

    @property
    def status(self) -> Literal["complete", "incomplete", "corrupt", "unsupported"]:
        """Say in one word what the file is."""
        match self.problem:
            case None:
                return "complete"
            case Incomplete():
                return "incomplete"
            case Unsupported():
                return "unsupported"
            case _:
                return "corrupt"

    def to_pandas(
        self,
        table: str = "agents",
        *,
        metrics: Mapping[str, Metric] | None = None,
        every: int = 1,
        plugin_files: Sequence[Path] = (),
    ) -> Any:
        """Run the replay again and return one of its tables (`sim.tables.NAMES`) as a pandas data frame.

        Args:
            table: which one.
            metrics: further metrics by name, for the table `metrics`.
            every: agents and metrics of ticks that are divisible by this.
            plugin_files: the local files of its domain and plug-ins.

        Raises:
            MissingExtra: pandas is not installed.
            ReplayError: the replay has no header, or a tick differs when it runs again.
        """
        from sim.replay.frames import frames_of
        from sim.tables import collected

        if self.header is None:
            raise ReplayError("there is no header, so there is nothing to run")
        seen = frames_of(self.header, self.ticks, plugin_files)
        return getattr(collected(seen, metrics=metrics, tables=(table,), every=every), table)


def read(source: Source) -> Replay:
    """Read a whole replay.

    Raises:
        Incomplete: there is no end record.
        Corrupt: bytes were changed; the message names line and reason.
        Unsupported: another format or version.
        ReplayError: there is no such file, or it cannot be opened.
    """
    replay = scan(source)
    if replay.problem is not None:
        raise replay.problem
    return replay


def untold(_done: int, _of: int) -> None:
    """Ignore progress."""


def scan(source: Source, progress: Progress = untold) -> Replay:
    """Read as much of a replay as is valid; a problem is in the result, not raised.

    Raises:
        ReplayError: there is no such file, or it cannot be opened.
    """
    replay = Replay()
    try:
        with open_source(source) as stream:
            for record in iter_records(stream):
                replay.place = record.end
                if record.kind != END:
                    replay.open_place = record.end
                match record.body:
                    case Header():
                        replay.header = record.body
                    case Tick():
                        replay.ticks.append(record.body)
                        assert replay.header is not None
                        progress(record.end.ticks, replay.header.ticks)
                    case End():
                        replay.end = record.body
    except (Incomplete, Corrupt, Unsupported) as problem:
        replay.problem = problem
    return replay


@contextmanager
def open_source(source: Source) -> Iterator[BinaryIO]:
    """Open a path, or bytes as if they were a file, for reading from any place; a packed replay shows its lines.

    Raises:
        ReplayError: there is no such file, or it cannot be opened.
        Unsupported: it is compressed without a table.
        Corrupt: the table of a packed replay is damaged.
    """
    with _opened(source) as file:
        if file.peek(len(ZSTD)).startswith(ZSTD):
            with PackedFile(file) as packed, io.BufferedReader(packed, BUFFER_BYTES) as stream:
                yield stream
        else:
            yield file


def beside(source: Source, files: Sequence[Path]) -> tuple[Path, ...]:
    """Return the files of a run with the folder of its recording, where its data files may be."""
    return tuple(files) if isinstance(source, bytes) else (*files, Path(source).parent)


def is_packed(path: Path) -> bool:
    """Return whether a file begins as a packed replay does.

    Raises:
        ReplayError: there is no such file, or it cannot be opened.
    """
    with _opened(path) as file:
        return file.peek(len(ZSTD)).startswith(ZSTD)


def _opened(source: Source) -> io.BufferedReader:
    if isinstance(source, bytes):
        return io.BufferedReader(io.BytesIO(source))
    try:
        return Path(source).open("rb")
    except FileNotFoundError:
        raise ReplayError(f"{source}: no such file") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise ReplayError(f"{source}: cannot be read: {reason}") from None


def iter_records(stream: BinaryIO, start: Place | None = None) -> Iterator[Record]:
    """Yield the records of the longest valid prefix, one line in memory at a time; then raise if that is not all.

    `start` is where the stream stands (default: at the first line). Everything before it is taken on trust.

    Raises:
        Incomplete: the lines end without an end record.
        Corrupt: a line is wrong.
        Unsupported: another format or version.
    """
    at = Place() if start is None else start
    ended = False
    while True:
        line = _next_line(stream, at)
        if not line:
            break
        if ended:
            raise Corrupt(f"{at.where}: follows the end record")
        if at.lines is not None and at.lines >= LINES_MAX:
            raise Corrupt(f"{at.where}: a replay has at most {LINES_MAX} lines")
        if not line.endswith(b"\n"):
            _raise_for_fragment(line, at)
        try:
            _check_carriage(line, at)
            parts = split_line(line)
            _check_chain(parts, at.chain)
            body = _body(parts, at)
        except LineError as error:
            raise Corrupt(one_line(f"{at.where}: {error}")) from None
        at = at.after(line, parts, body)
        yield Record(parts.kind, body, at)
        ended = parts.kind == END
    if not ended:
        raise Incomplete(f"the replay ends without an end record after {at.ticks} whole ticks")


def _next_line(stream: BinaryIO, at: Place) -> bytes:
    try:
        line = stream.readline(LINE_BYTES_MAX + 1)
    except OSError as error:
        raise ReplayError(f"{at.where}: cannot be read: {error.strerror or error}") from None
    if len(line) > LINE_BYTES_MAX:
        raise Corrupt(f"{at.where}: is longer than {LINE_BYTES_MAX} bytes")
    return line


def _raise_for_fragment(fragment: bytes, at: Place) -> None:
    """Return the meaning of bytes without a newline at the end of a file.

    Raises:
        Incomplete: they can be the beginning of a line.
        Corrupt: they cannot.
    """
    if not is_torn(fragment):
        raise Corrupt(f"{at.where}: is not a line of a replay, nor the beginning of one")
    try:
        parts = split_line(fragment + b"\n")
        decode_body(parts.body)
    except LineError:
        pass
    else:
        if chain(at.chain, parts.kind, parts.body) != parts.chain:
            raise Corrupt(f"{at.where}: was changed: the chain is broken, and its newline is missing")
    raise Incomplete(f"the replay ends inside {at.where}; the records before it are whole ({at.ticks} ticks)")


def _check_carriage(line: bytes, at: Place) -> None:
    """Name what is often done to a replay on its way here."""
    if line.endswith(b"\r\n"):
        raise LineError(
            "ends with \\r\\n: git or an editor has changed the line ends; take the file as it was, with "
            "`*.replay.jsonl -text` in .gitattributes"
        )
    if at.lines == 0 and line.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        raise LineError("begins with a byte order mark: an editor or a shell has written the file again")


def _check_chain(parts: Line, previous: str) -> None:
    if chain(previous, parts.kind, parts.body) != parts.chain:
        raise LineError("the chain is broken: this line or one before it was changed, moved, added or taken away")


def _body(parts: Line, at: Place) -> Header | Tick | Keyframe | End | None:
    """Return what a line holds, checked against its place in the file; None for a kind that is not known here."""
    if parts.kind not in (HEADER, TICK, KEYFRAME, END):
        if at.unknown >= UNKNOWN_MAX or at.unknown_bytes + len(parts.body) > UNKNOWN_BYTES_MAX:
            raise LineError(
                f"is of the unknown kind {parts.kind!r}, after {at.unknown} such records of {at.unknown_bytes} bytes; "
                f"at most {UNKNOWN_MAX} of {UNKNOWN_BYTES_MAX} bytes in all are passed over"
            )
        data: dict[str, object] = {}
    else:
        data = decode_body(parts.body)
    if (parts.kind == HEADER) != (at.lines == 0):
        raise LineError("the first line, and no other, holds the header")
    match parts.kind:
        case "H":
            if data.get("format") != FORMAT:
                raise Unsupported(one_line(f"format {data.get('format')!r} is not known here; this reads {FORMAT!r}"))
            minor = data.get("minor", 0)
            return validated(Header, data, minor if isinstance(minor, int) else 0)
        case "T":
            tick = validated(Tick, data, _minor(at))
            if tick.t != at.ticks:
                raise LineError(f"holds tick {tick.t} where tick {at.ticks} was due")
            if at.due:
                raise LineError(f"follows tick {at.ticks - 1}, after which a keyframe was due")
            return tick
        case "K":
            keyframe = validated(Keyframe, data, _minor(at))
            if not at.due or keyframe.t != at.ticks - 1:
                raise LineError(f"holds a keyframe of tick {keyframe.t}, which is not due here")
            return keyframe
        case "E":
            end = validated(End, data, _minor(at))
            if end.ticks != at.ticks:
                raise LineError(f"the end record counts {end.ticks} ticks; there are {at.ticks}")
            if at.due and end.reason != "recovered":
                raise LineError(f"follows tick {at.ticks - 1}, after which a keyframe was due")
            return end
        case _:
            return None


def _minor(at: Place) -> int:
    return 0 if at.header is None else at.header.minor


def validated(kind: type[_Known], data: dict[str, object], minor: int) -> _Known:
    """Return a body of a known kind; `minor` is the minor version that the header gives.

    Raises:
        LineError: it is not such a body.
        Unsupported: it has what this version cannot pass over.
    """
    assert issubclass(kind, Body)
    if minor > MINOR:
        data = {name: value for name, value in data.items() if name in kind.model_fields}
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        if minor > MINOR:
            raise Unsupported(f"the replay is of minor version {minor}; this reads up to {MINOR}") from None
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"])) or "body"
        problem = "the format has no such key" if first["type"] == "extra_forbidden" else first["msg"]
        raise LineError(f"{place}: {problem}") from None
