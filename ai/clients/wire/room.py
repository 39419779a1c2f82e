"""How much room a call has, from the words in which servers refuse a prompt that is too long."""

from __future__ import annotations

import re
from typing import Any, Final

CONTEXT_MAX: Final = 2**31 - 1
"""Largest context that is believed, tokens."""

_TOLD: Final = re.compile(r"\bcontext(?: length| size| window)?(?: is| of)? ?\(?(\d{1,10})\b")


def room_told(data: Any, message: str) -> int | None:
    """Return the context that an error answer tells, tokens; None where it tells none.

    llama-server has a field for it. Others write it: "maximum context length is 4096 tokens" (OpenAI, vLLM), "exceed
    context window of 4096" (llama-cpp-python), "the model context is 8192" (dasllama-server).

    >>> room_told({"error": {"n_ctx": 512}}, "")
    512
    >>> room_told({}, "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens")
    4096
    """
    details = data.get("error") if isinstance(data, dict) else None
    room = details.get("n_ctx") if isinstance(details, dict) else None
    if type(room) is not int:
        told = _TOLD.search(message) if "token" in message else None
        room = int(told[1]) if told else None
    return room if room is not None and 0 < room <= CONTEXT_MAX else None
