"""Events that repeat one before in everything but their text: recognised many at once, not decoded.

Of the events of a streamed reply nearly all are such: the server writes the same names, ids and marks around each
token.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Final

_PLAIN: Final = rb'[^"\\\x00-\x1f\x80-\xff]*+'
_DIGITS: Final = rb"[0-9]++"
_LITERAL: Final = rb'%b(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})%b)*+' % (_PLAIN, _PLAIN)
"""What may stand between the quotes of a JSON string; text beyond ASCII only as escapes."""
_LITERALS: Final = re.compile(rb"(?:%b\n)*+" % _LITERAL)
_FIELD: Final = re.compile(rb'"content":[ ]?"(%b)"' % _LITERAL)
_IGNORED: Final = re.compile(
    rb'(?<="created":)([0-9]+)|(?:(?<="id":")|(?<="created_at":")|(?<="obfuscation":"))[^"\\]*'
)
"""Values that are another in each event, or each reply, and of no interest: numbers, and texts."""
_PROBE: Final = "\u2026?"
"""A text put in place of the real one, to see that it stands for nothing else."""
_PROBE_LITERAL: Final = json.dumps(_PROBE)[1:-1].encode()
_LEARNT_MAX: Final = 16
"""Events learnt in vain, one after the other, after which no more are learnt."""
_COMPARED: Final = 64
"""Events that are compared at once."""
_PATTERNS_KEPT: Final = 64
"""Patterns that are kept for other replies: some servers write the same marks in all of them."""


class Repeats:
    """Knows the last event that held a piece of text and nothing else of interest; replies of one server may share it.

    `text_of` returns the text of such a decoded event, None for all others. Of a server whose events differ in more
    than their text some are learnt in vain one after the other, and then no more.
    """

    def __init__(self, text_of: Callable[[Any], str | None]) -> None:
        self._text_of = text_of
        self._same: re.Pattern[bytes] | None = None
        self._left = _LEARNT_MAX

    def alike(self, pieces: Sequence[bytes], place: int) -> tuple[str, int]:
        """Return the joined texts of the pieces from a place on that are one event each and differ in nothing else.

        And how many they are: 0 where the first is no event that repeats one before, 1 where `runs` must read on. Most
        servers' events stay the same for a while; then this is the faster way, as only their ends are compared.
        """
        first = None if self._same is None else self._same.fullmatch(pieces[place])
        if first is None or first[1] is None:
            return "", 0
        before, after = pieces[place][: first.start(1)], pieces[place][first.end(1) :]
        literals = _between(pieces, place, before, after)
        told = b"\n".join([*literals, b""])
        if told.count(b"\n") != len(literals) or _LITERALS.fullmatch(told) is None:
            return "", 1
        self._left = _LEARNT_MAX  # it was not in vain
        return _joined(literals), len(literals)

    def runs(self, lines: bytes) -> Iterator[tuple[str, bytes]]:
        """Yield each line that repeats nothing, and before it the joined texts of those that do; the last may be empty.

        What is learnt from a line counts for those after it, or at least for those of the next time. Empty lines count
        for nothing.
        """
        place = 0
        while self._same is None and place < len(lines):
            end = lines.index(b"\n", place) + 1
            if line := _bare(lines[place:end]):
                yield "", line
            place = end
        if self._same is None:
            return
        literals: list[bytes] = []
        for literal, line in self._same.findall(lines, place):
            if not line:
                self._left = _LEARNT_MAX  # it was not in vain
                literals.append(literal)
            elif other := _bare(line):
                yield _joined(literals), other
                literals.clear()
        if literals:
            yield _joined(literals), b""

    def learn(self, line: bytes, start: int, decoded: Any) -> None:
        """Take a line, whose JSON begins at a place and has been decoded, as the one that others may repeat."""
        if not self._left or self._text_of(decoded) is None:
            return
        field = _FIELD.search(line, start)
        if field is None:
            return
        self._left -= 1
        before, after = line[start : field.start(1)], line[field.end(1) :]
        probed = b"%b%b%b" % (_IGNORED.sub(_nothing, before), _PROBE_LITERAL, _IGNORED.sub(_nothing, after))
        if self._text_of(json.loads(probed)) == _PROBE:
            self._same = _compiled(re.escape(line[:start]) + _pattern(before), _pattern(after))


def _between(pieces: Sequence[bytes], place: int, before: bytes, after: bytes) -> list[bytes]:
    """Return what stands between two ends in each piece from a place on, up to the first that has others."""
    start, end = len(before), -len(after)
    found: list[bytes] = []
    for begin in range(place, len(pieces), _COMPARED):
        block = pieces[begin : begin + _COMPARED]
        texts = [piece[start:end] for piece in block]
        # Put together anew they are the same bytes: that is found out at once for all of them.
        if b"%b%b%b" % (before, (after + before).join(texts), after) != b"".join(block):
            same = [piece.startswith(before) and piece.endswith(after, start) for piece in block]
            return found + texts[: same.index(False)]
        found += texts
    return found


def _bare(line: bytes) -> bytes:
    """Return a line without its end."""
    return line[:-1].removesuffix(b"\r")


def _joined(literals: list[bytes]) -> str:
    """Return the text of literals: one after the other they are the literal of the texts, one after the other."""
    return str(json.loads(b'"%b"' % b"".join(literals))) if literals else ""


def _nothing(ignored: re.Match[bytes]) -> bytes:
    """Return what may stand in place of an ignored value."""
    return b"" if ignored[1] is None else b"0"


def _pattern(part: bytes) -> bytes:
    """Return the pattern of a part of an event, whatever the ignored values in it."""
    pattern, place = b"", 0
    for ignored in _IGNORED.finditer(part):
        pattern += re.escape(part[place : ignored.start()]) + (_PLAIN if ignored[1] is None else _DIGITS)
        place = ignored.end()
    return pattern + re.escape(part[place:])


@lru_cache(maxsize=_PATTERNS_KEPT)
def _compiled(before: bytes, after: bytes) -> re.Pattern[bytes]:
    """Return the pattern of lines around a text, so that of each it gives the text, or else the whole line."""
    return re.compile(rb"%b(%b)%b[\r\n]*+(?<=\n)|([^\n]*+\n)" % (before, _LITERAL, after))
