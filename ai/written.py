"""JSON that knows how it is written, so that what many requests share is encoded once.

The schema of a reply is most of a request's body, and its parts are the same in call after call.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from json.encoder import encode_basestring
from typing import Any, Final

_LONG: Final = 2048
"""Characters from which on a text is long."""
_KEPT: Final = 16
"""Long texts whose JSON is kept."""


class WrittenJson(dict[str, Any]):
    """A JSON object that keeps its text, once somebody has asked for it. It may be shared: do not change it."""

    __slots__ = ("_text",)
    _text: str

    @property
    def text(self) -> str:
        """The object without white space."""
        try:
            return self._text
        except AttributeError:
            self._text = _object(self)
            return self._text


def written(value: Any) -> str:
    """Return a JSON value as text without white space, taking over the texts of parts that have one.

    Raises:
        ValueError: NaN or infinity.
    """
    kind = type(value)
    if kind is WrittenJson:
        return value.text  # type: ignore[no-any-return] # by its class
    if kind is str:
        return encode_basestring(value) if len(value) < _LONG else _long(value)
    if kind is dict:
        return _object(value)
    if kind is list:
        return f"[{','.join([written(item) for item in value])}]"
    return str(value) if kind is int else _dumped(value)


def _object(members: Mapping[str, Any]) -> str:
    return "{" + ",".join([f"{encode_basestring(name)}:{written(value)}" for name, value in members.items()]) + "}"


@lru_cache(maxsize=_KEPT)
def _long(text: str) -> str:
    """Return a long text as JSON: above all the system message, the same in every call."""
    return encode_basestring(text)


_dumped = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode
