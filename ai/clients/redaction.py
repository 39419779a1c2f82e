"""Keeps keys out of everything that is shown or written: a key may come back in a server's own words."""

from __future__ import annotations

import re
from typing import Final

MASK: Final = "***"  # what stands in place of a secret
CHARS_MAX: Final = 200  # characters of a server's message that are kept
_CHARS_MIN: Final = 4
_LOOKS_SECRET: Final = (
    (re.compile(r"(?i)\bbearer\s+\S+"), f"Bearer {MASK}"),
    (re.compile(r"\bsk-[\w*-]{6,}"), MASK),
    (re.compile(r"://[^/\s@]+@"), f"://{MASK}@"),
)


def shown(text: str, secret: str | None) -> str:
    """Return a server's words on one line, bounded, without the key, other bearer tokens and URL users."""
    text = struck(text, secret)
    for pattern, mask in _LOOKS_SECRET:
        text = pattern.sub(mask, text)
    return " ".join(text.split())[:CHARS_MAX] or "no message"


def struck(text: str, secret: str | None) -> str:
    """Return the text without the key; a key too short to be one is left alone."""
    return text.replace(secret, MASK) if secret and len(secret) >= _CHARS_MIN else text


class Striker:
    """Strikes the key out of a text that comes in pieces, wherever it is split."""

    def __init__(self, secret: str | None) -> None:
        self._secret = secret if secret and len(secret) >= _CHARS_MIN else ""
        self._held = ""

    def feed(self, text: str) -> str:
        """Return the next piece, less an end that may be the beginning of the key."""
        if not self._secret:
            return text
        text = (self._held + text).replace(self._secret, MASK)
        longest = min(len(self._secret) - 1, len(text))
        held = next((n for n in range(longest, 0, -1) if self._secret.startswith(text[-n:])), 0)
        self._held = text[len(text) - held :]
        return text[: len(text) - held]

    def rest(self) -> str:
        """Return what was held back: it was not a key."""
        held, self._held = self._held, ""
        return held
