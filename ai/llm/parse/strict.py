"""Strict JSON: no duplicate keys, no NaN or infinity, limits on size and depth."""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final

from ai.errors import ParseError
from ai.llm.parse.intake import DEPTH_MAX

_STRUCTURE: Final = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[\]{}]', re.DOTALL)


def decode(text: str, chars_max: int) -> Any:
    """Decode strict JSON: no duplicate keys, no NaN or infinity, limits on size and depth.

    Raises:
        ParseError: the text is something else; the message gives the place.
    """
    if len(text) > chars_max:
        raise ParseError(f"the text has {len(text)} characters; at most {chars_max} are allowed")
    # Every bracket outside strings opens a level; the cheap count is an upper bound, which is nearly always enough.
    if text.count("[") + text.count("{") > DEPTH_MAX:
        _check_depth(text)
    try:
        return _STRICT_JSON.decode(text)
    except json.JSONDecodeError as error:
        raise ParseError(f"not JSON: {error.msg} at character {error.pos}") from None
    except ValueError:
        raise ParseError("not JSON that can be held: a number is too long") from None


def decode_at(text: str, place: int) -> tuple[Any, int]:
    """Decode one strict JSON value that begins at a position of a text; return it and its end.

    Raises:
        ParseError: there is no such value.
    """
    _check_depth(text[place:])
    try:
        return _STRICT_JSON.raw_decode(text, place)
    except json.JSONDecodeError as error:
        raise ParseError(f"not JSON: {error.msg} at character {error.pos}") from None
    except ValueError:
        raise ParseError("not JSON that can be held: a number is too long") from None


def _check_depth(text: str) -> None:
    depth = 0
    for match in _STRUCTURE.finditer(text):
        depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(match[0], 0)
        if depth > DEPTH_MAX:
            raise ParseError(f"more than {DEPTH_MAX} brackets are open at character {match.start()}")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for key, value in pairs:
        if key in members:
            raise ParseError(f"the key {key[:40]!r} appears twice in one object")
        members[key] = value
    return members


def _constant(name: str) -> float:
    raise ParseError(f"{name} is not a number that a plan may hold")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ParseError(f"{text[:40]} is not a number that a plan may hold")
    return value


_STRICT_JSON: Final = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_constant, parse_float=_finite)
