"""Refusals of servers, as a status or inside a stream, converted to one `RefusedError`.

Servers express the same refusal in many shapes: `{"error": {"message": ...}}`, `{"error": ...}`, `{"message": ...}`,
`{"detail": [{"loc": ...}]}`, a list of these, or plain text. All of it is kept as one text, which is searched for the
name of an option, a limit of the context, or a reason.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from ai.clients.redaction import shown, struck
from ai.errors import ClientError

ERROR_BYTES_MAX: Final = 65_536  # bytes of an error answer that are read
CONTEXT_MIN: Final = 4  # smallest context that is believed, tokens
CONTEXT_MAX: Final = 2**31 - 1  # largest context that is believed, tokens
RETRY_AFTER_MAX_S: Final = 86_400.0  # longest `Retry-After` that is believed, seconds
RETRY_AFTER_CHARS_MAX: Final = 64  # characters that a `Retry-After` header may have to be read at all

_BAD_TEXT: Final = ("json_validate_failed", "tool_use_failed", "failed_generation")
_NONE: Final[Mapping[str, str]] = {}
_OVERLOADED: Final = re.compile(r"overloaded|loading model|server busy|capacity", re.IGNORECASE)
_LIMITED: Final = re.compile(r"rate.?limit|too many requests|resource_?exhausted", re.IGNORECASE)


class RefusedError(ClientError):
    """A server's refusal.

    `words` is its whole text, `param` the option that it names in a separate field. `failed_text` is the text of the
    model if the server refuses the model's own reply, and None if it refuses the call.
    """

    words: str = ""
    param: str | None = None
    failed_text: str | None = None

    @property
    def about_request(self) -> bool:
        """Return whether the server refuses this call, so that it may accept a different one."""
        return self.status in (400, 422) and self.context is None and self.failed_text is None


def refusal(
    status: int, body: bytes, *, key: str | None = None, variable: str = "", headers: Mapping[str, str] = _NONE
) -> RefusedError:
    """Return the error of an answer other than 200, with advice; `variable` is the environment variable of the key."""
    location = headers.get("location")
    if location and 300 <= status < 400:
        told = shown(location.partition("?")[0], key)
        return RefusedError(f"HTTP {status}: the server redirects to {told}; use the URL it stands for", status=status)
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        data = body.decode("utf-8", "replace").strip()
    advice = {
        **dict.fromkeys((401, 403), f"put a valid key into the environment variable {variable}"),
        **dict.fromkeys((429, 503), "wait, or ask for fewer calls at once"),
        404: "check the model's name and the URL",
        413: "ask for fewer agents in one call",
    }.get(status, "see the server's log")
    return _error(status, data, key, f"HTTP {status}: {{}} ({advice})", _retry_after_s(headers.get("retry-after")))


def reported(data: object, key: str | None = None) -> RefusedError:
    """Return the error that a server reports inside a stream that began with 200."""
    inner = data.get("error") if isinstance(data, dict) and data.get("error") else data
    code = str(inner.get("code") or inner.get("status") if isinstance(inner, dict) else None)
    words = _words(data)
    limited = 429 if _LIMITED.search(words) else 503 if _OVERLOADED.search(words) else 500
    status = int(code) if re.fullmatch("[45][0-9]{2}", code) else limited
    return _error(status, data, key, "the server reports: {}", None)


def _error(status: int, data: object, key: str | None, template: str, retry_after_s: float | None) -> RefusedError:
    words, message = _words(data), message_of(data)
    details = data.get("error") if isinstance(data, dict) else None
    details = details if isinstance(details, dict) else {}
    outcome = {408: "timeout", 429: "rate_limited", 504: "timeout"}.get(status, "transport")
    failed: str | None = None
    if status in (400, 422, 500) and any(name in words for name in _BAD_TEXT):
        # The error is the model's and not the call's.
        outcome, failed = "invalid", str(details.get("failed_generation") or "")
    context = room_told(details, message) if status in (400, 413, 422, 500) and failed is None else None
    sentence = template.format(shown(message, key))
    error = RefusedError(sentence, outcome=outcome, status=status, retry_after_s=retry_after_s, context=context)
    error.words, error.failed_text, error.param = struck(words, key), failed, str(details.get("param") or "") or None
    return error


def message_of(data: object) -> str:
    """Return the message in an error answer."""
    if isinstance(data, list) and data:
        data = data[0]
    for name in ("error", "message", "detail"):
        if isinstance(data, dict) and data.get(name):
            data = data[name]
    return data if isinstance(data, str) else json.dumps(data)


def _words(data: object) -> str:
    return (data if isinstance(data, str) else json.dumps(data))[:ERROR_BYTES_MAX]


_SEPARATED: Final = re.compile(r"(?<=\d),(?=\d{3}\b)")
_ROOM: Final = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"(?:context|prompt|input|sequence) (?:length|size|window|limit)(?:[ :=(]|is|of|to|only|<=)*?[ :=(]+(\d+)",
        r"context is (\d+)",
        r"(\d+) (?:tokens )?max(?:imum)?(?: context| prompt| input)(?: length| size| window)",
        r"tokens > (\d+) max",
        r"inputs\W.{0,60}max_new_tokens.{0,20}must be <= ?(\d+)",
        r"inputs\W+must have less than (\d+) tokens",
        r"maximum number of (?:input )?tokens(?: allowed)?[ (]*(\d+)",
    )
)


def room_told(details: Mapping[str, Any], message: str) -> int | None:
    """Return the context that an error states, tokens, or None.

    llama-server has a field for it; other servers state it in their own words.

    >>> room_told({"n_ctx": 512}, "")
    512
    >>> room_told({}, "This model's maximum context length is 4,096 tokens. However, you requested 5000 tokens")
    4096
    """
    room = details.get("n_ctx")
    if type(room) is not int:
        text = _SEPARATED.sub("", message[:ERROR_BYTES_MAX])
        found = next((match for pattern in _ROOM if (match := pattern.search(text))), None)
        room = int(found[1]) if found and len(found[1]) <= len(str(CONTEXT_MAX)) else None
    return room if room is not None and CONTEXT_MIN <= room <= CONTEXT_MAX else None


def _retry_after_s(header: str | None, now: datetime | None = None) -> float | None:
    """Return the seconds that a `Retry-After` header asks for (RFC 9110, 10.2.3): a number or a date; None if neither.

    >>> _retry_after_s("120")
    120.0
    >>> _retry_after_s("Mon, 01 Jan 2024 00:00:05 GMT", datetime(2024, 1, 1, tzinfo=UTC))
    5.0
    """
    if header is None or len(header) > RETRY_AFTER_CHARS_MAX:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return min(float(text), RETRY_AFTER_MAX_S)
    try:
        moment = parsedate_to_datetime(text)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
        return min(max((moment - (now or datetime.now(UTC))).total_seconds(), 0.0), RETRY_AFTER_MAX_S)
    except (ValueError, OverflowError):
        return None
