"""Limits of what is read from a reply."""

from __future__ import annotations

from typing import Final

ELEMENT_CHARS_MAX: Final = 16_384
"""Characters that one agent's plan may have."""
REPLY_CHARS_MAX: Final = 1_048_576
"""Characters that one reply may have."""
DEPTH_MAX: Final = 32
"""Brackets that may be open at once."""
WHITESPACE_RUN_MAX: Final = 64
"""Whitespace characters in a row, outside strings, at which a reply counts as a loop and is cut."""
WAITING_CHARS_MAX: Final = WHITESPACE_RUN_MAX
"""Characters that may wait for a bracket that closes, so that a loop of whitespace is seen soon."""
