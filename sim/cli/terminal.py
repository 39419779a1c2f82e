"""The one place where text reaches a terminal: standard output and standard error of the command line.

- Text from files, servers and models can hold characters that a terminal acts on. They are shown by number.
- A reader that goes away, a full disk or a closed stream does not stop a command. The exit code reports a failure of
  standard output; standard error is advice, and its failures are ignored.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, TextIO, cast

_ACTED_ON: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff"
    "\U000e0000-\U000e007f]"
)
"""Controls, the marks that turn the direction of writing, invisible characters, and halves of characters."""


def plain(text: str) -> str:
    r"""Return a text with everything that a terminal would act on shown by number, but for newlines and tabs.

    >>> plain("a\x1b[31mb\n")
    'a\\x1b[31mb\n'
    """
    return _ACTED_ON.sub(lambda found: ascii(found[0])[1:-1], text)


class Stream:
    """A stream that takes any text and never fails.

    Args:
        stream: the target; None if the process was started without it.
        raw: True leaves control characters in, for code that draws on a terminal.

    Attributes:
        error: the first error, None if there was none; nothing is written after it.
    """

    def __init__(self, stream: TextIO | None, *, raw: bool = False) -> None:
        self.error: OSError | None = None
        self._stream = stream
        self._raw = raw

    def raw(self) -> Stream:
        """Return the same stream for code that draws on a terminal."""
        return Stream(self._stream, raw=True)

    @property
    def encoding(self) -> str:
        """The stream's encoding."""
        return getattr(self._stream, "encoding", None) or "utf-8"

    def write(self, text: str) -> int:
        """Write a text, as `plain` gives it unless the stream is raw."""
        shown = text if self._raw else plain(text)
        try:
            self._keep(lambda stream: stream.write(shown))
        except UnicodeEncodeError:
            known = shown.encode(self.encoding, "backslashreplace").decode(self.encoding)
            self._keep(lambda stream: stream.write(known))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write texts."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Write out buffered text."""
        self._keep(lambda stream: stream.flush())

    def isatty(self) -> bool:
        """Return whether the stream is a terminal."""
        return bool(self._keep(lambda stream: stream.isatty()))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _keep(self, action: Callable[[TextIO], object]) -> object:
        if self._stream is None or self.error is not None:
            return None
        try:
            return action(self._stream)
        except OSError as error:
            self.error = error
        except UnicodeEncodeError:
            raise
        except ValueError as error:
            self.error = OSError(f"{error}")  # the stream was closed
        return None


@contextmanager
def standard_streams() -> Iterator[tuple[Stream, Stream]]:
    """Put `Stream` in place of standard output and standard error."""
    before = sys.stdout, sys.stderr
    out, err = Stream(sys.stdout), Stream(sys.stderr)
    sys.stdout, sys.stderr = cast(TextIO, out), cast(TextIO, err)
    try:
        yield out, err
    finally:
        sys.stdout, sys.stderr = before


def drawing() -> Stream:
    """Return standard error for code that draws on a terminal: a progress bar, a line that is rewritten."""
    return sys.stderr.raw() if isinstance(sys.stderr, Stream) else Stream(sys.stderr, raw=True)


def occupy_standard_files() -> None:
    """Open the null device as standard input, output and error if the process was started without them.

    Otherwise the next file that is opened, such as a recording, would get one of their numbers, and the output of a
    library or another process would go into it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            if os.open(os.devnull, os.O_RDWR) != number:  # pragma: no cover - the lowest free number is taken first
                return


def give_up(stream: TextIO | None) -> None:
    """Discard the buffered text of a stream, because Python would complain about it when the process ends."""
    if stream is not None:
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
