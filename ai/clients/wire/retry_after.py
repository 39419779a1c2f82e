"""How long a server asks to be left alone: the `Retry-After` header."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

HEADER_CHARS_MAX: Final = 64
"""Characters that a header may have to be read at all."""


def retry_after_s(header: str | None, now: datetime) -> float | None:
    """Return the seconds that a `Retry-After` header asks for (RFC 9110, 10.2.3): a number or a date; None if neither.

    >>> retry_after_s("120", datetime(2024, 1, 1, tzinfo=UTC))
    120.0
    >>> retry_after_s("Mon, 01 Jan 2024 00:00:05 GMT", datetime(2024, 1, 1, tzinfo=UTC))
    5.0
    """
    if header is None or len(header) > HEADER_CHARS_MAX:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
        return max((moment - now).total_seconds(), 0.0)
    except (ValueError, OverflowError):
        return None
