"""Keeps keys out of everything that is shown or written: a key may come back in a server's own words."""

from __future__ import annotations

import base64
import re
from functools import lru_cache
from typing import Final
from urllib.parse import quote

INSECURE_KEY: Final = "TICKWEAVE_INSECURE_KEY"
"""Set to 1, this environment variable allows keys over plain HTTP to other machines, as `--insecure-key` does."""
MASK: Final = "***"  # stands in place of a secret
CHARS_MAX: Final = 200  # characters of a server's message that are kept
_CHARS_MIN: Final = 4
_ENCODED_CHARS_MIN: Final = 8  # shorter ones would strike out words
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
    printable = "".join(char if char.isprintable() else " " for char in text)
    return " ".join(printable.split())[:CHARS_MAX] or "no message"


def struck(text: str, secret: str | None) -> str:
    """Return the text without the key in any of its forms; a key too short to be one is left alone."""
    for form in forms(secret):
        text = text.replace(form, MASK)
    return text


@lru_cache(maxsize=8)
def forms(secret: str | None) -> tuple[str, ...]:
    """Return the texts from which a key can be read at a glance: itself, backwards, spaced, and in common encodings.

    >>> forms("abcd")[:4]
    ('abcd', 'dcba', 'a b c d', '61626364')
    """
    if not secret or len(secret) < _CHARS_MIN:
        return ()
    data = secret.encode("utf-8", "replace")
    found = [secret, secret[::-1], " ".join(secret), data.hex(), data.hex().upper(), quote(secret, safe="")]
    if len(secret) >= _ENCODED_CHARS_MIN:
        for before in range(3):  # in base64 a text looks different at each of three places
            whole = base64.b64encode(b"\0" * before + data).decode("ascii").rstrip("=")
            inner = whole[(0, 2, 3)[before] : len(whole) - bool((before + len(data)) % 3)]
            found += [inner, inner.replace("+", "-").replace("/", "_")]
    return tuple(dict.fromkeys(found))


class Striker:
    """Strikes the forms of a key out of a text that comes in pieces, wherever it is split."""

    def __init__(self, secret: str | None) -> None:
        self._forms = forms(secret)
        self._held = ""

    def feed(self, text: str) -> str:
        """Return the next piece, less an end that may be the beginning of a form of the key."""
        if not self._forms:
            return text
        text = self._held + text
        for form in self._forms:
            text = text.replace(form, MASK)
        held = max(_beginning(text, form) for form in self._forms)
        self._held = text[len(text) - held :]
        return text[: len(text) - held]

    def rest(self) -> str:
        """Return the text that was held back: it was not a key."""
        held, self._held = self._held, ""
        return held


def _beginning(text: str, form: str) -> int:
    """Return how many letters at the end of a text can be the beginning of a form."""
    longest = min(len(form) - 1, len(text))
    return next((n for n in range(longest, 0, -1) if form.startswith(text[-n:])), 0)
