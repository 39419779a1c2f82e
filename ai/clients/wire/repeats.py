"""Events that repeat one before in everything but their text: recognised by one regular expression each, not decoded.

Of the events of a streamed reply nearly all are such: the server writes the same names, ids and marks around each
token.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, Final

_LITERAL: Final = rb'((?:[^"\\\x00-\x1f\x80-\xff]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+)'
"""What may stand between the quotes of a JSON string; text beyond ASCII only as escapes."""
_FIELD: Final = re.compile(rb'"content":[ ]?"' + _LITERAL + rb'"')
_IGNORED: Final = re.compile(rb'(?<="created_at":")[^"\\]*|(?<="obfuscation":")[^"\\]*')
"""Values that are another in each event and of no interest."""
_ANY: Final = rb'[^"\\\x00-\x1f\x80-\xff]*+'
_PROBE: Final = "\u2026?"
"""A text put in place of the real one, to see that it stands for nothing else."""
_LEARNT_MAX: Final = 4


class Repeats:
    """Knows the last event that held a piece of text and nothing else of interest.

    `text_of` returns the text of such a decoded event, None for all others. Of a server whose events differ in more
    than their text a few are learnt in vain, and then no more.
    """

    def __init__(self, text_of: Callable[[Any], str | None]) -> None:
        self._text_of = text_of
        self._same: re.Pattern[bytes] | None = None
        self._left = _LEARNT_MAX

    def runs(self, lines: list[bytes]) -> Iterator[tuple[str, bytes]]:
        """Yield each line that repeats nothing, and before it the joined texts of those that do; the last may be empty.

        What is learnt from a line counts for those after it.
        """
        literals: list[bytes] = []
        for line in lines:
            if not line:
                continue
            match = None if self._same is None else self._same.fullmatch(line)
            if match is None:
                yield _joined(literals), line
                literals.clear()
            else:
                literals.append(match[1])
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
        before, after = (_IGNORED.split(part) for part in (line[: field.start(1)], line[field.end(1) :]))
        probed = json.loads((b"".join(before) + json.dumps(_PROBE)[1:-1].encode() + b"".join(after))[start:])
        if self._text_of(probed) == _PROBE:
            self._same = re.compile(_pattern(before) + _LITERAL + _pattern(after))


def _joined(literals: list[bytes]) -> str:
    """Return the text of literals: one after the other they are the literal of the texts, one after the other."""
    return str(json.loads(b'"%b"' % b"".join(literals))) if literals else ""


def _pattern(parts: list[bytes]) -> bytes:
    return _ANY.join(map(re.escape, parts))
