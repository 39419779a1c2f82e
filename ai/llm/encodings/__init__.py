"""Output encodings: one file each; `base` has the protocol, `encoding_of` finds one by its name."""

from __future__ import annotations

from typing import Final

from ai.errors import ContractError
from ai.llm.encodings.base import Encoding
from ai.llm.encodings.line import Line
from ai.llm.encodings.named import NamedJson
from ai.llm.encodings.tuples import TupleJson

NAMED: Final = NamedJson()
"""The encoding that every server and model supports."""
LINE: Final = Line()
"""The shortest encoding, for servers that support grammars."""
ENCODINGS: Final[tuple[Encoding, ...]] = (NAMED, TupleJson(), LINE)


def encoding_of(name: str) -> Encoding:
    """Return an encoding by name.

    Raises:
        ContractError: there is no such encoding.
    """
    for encoding in ENCODINGS:
        if encoding.name == name:
            return encoding
    raise ContractError(f"unknown encoding {name!r}; known: {', '.join(encoding.name for encoding in ENCODINGS)}")
