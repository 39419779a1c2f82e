r"""A client that answers from a script: no server, no randomness, the same for any order and split of a batch.

A script is JSON, one object a line. Each line answers for one agent, or for every agent that has no line of its own:

    {"agent": 3, "steps": [{"act": "Wait", "duration": 1}]}     a plan, written into the reply as it stands
    {"agent": "*", "text": "{\"steps\":["}                      raw text in place of the plan
    {"agent": 4, "error": "timeout"}                            the call that asks for this agent fails so

An agent with several lines gets them in turn, over and over; one without any is left out of the reply. A line with
`"tier"` counts only in calls of that tier. Plans are written as JSON, which every encoding reads; raw text stands where
the encoding asked for has a plan.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ai.clients.scripts import SCRIPT_LINES_MAX, checked_line, script_lines
from ai.errors import ClientError, ContractError
from ai.llm.encodings import encoding_of
from ai.llm.models import kind_and_model
from ai.llm_types import LlmChunk, LlmRequest

SCHEME: Final = "scripted"
CHUNK_CHARS: Final = 24  # characters in one chunk of a reply

_EVERYONE: Final = "*"


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    agent: Annotated[int, Field(ge=0)] | Literal["*"]
    tier: str | None = None
    steps: list[Any] | None = None
    text: str | None = None
    error: Literal["timeout", "transport", "rate_limited", "breaker_open", "cut", "unavailable"] | None = None

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        if len({"steps", "text", "error"} & self.model_fields_set) != 1:
            raise ValueError('exactly one of "steps", "text" and "error" must be given')
        return self

    @property
    def reply(self) -> str:
        if self.steps is not None:
            return json.dumps({"steps": self.steps}, separators=(",", ":"))
        return self.text or ""


def from_spec(rest: str) -> ScriptedClient:
    """Return the client of a script file."""
    if not rest:
        raise ContractError("the script file is missing; write scripted:FILE")
    return ScriptedClient.load(Path(rest))


class ScriptedClient:
    """Answers from script lines given as mappings (see the module's text).

    Raises:
        ContractError: a line is malformed, or there are too many; the message has its number.
    """

    def __init__(self, lines: Iterable[Mapping[str, Any]]) -> None:
        self.label = "scripted"
        self._lines: defaultdict[int | str, list[_Line]] = defaultdict(list)
        self._turns: dict[tuple[str, int], int] = {}
        for number, line in enumerate(lines, 1):
            if number > SCRIPT_LINES_MAX:
                raise ContractError(f"a script has at most {SCRIPT_LINES_MAX} lines")
            self._add(checked_line(_Line, dict(line), f"script line {number}"))

    @classmethod
    def load(cls, path: Path) -> ScriptedClient:
        """Read a script file; the `ContractError` of a bad one names file and line."""
        client = cls(())
        for line in script_lines(path, _Line):
            client._add(line)
        return client

    def _add(self, line: _Line) -> None:
        self._lines[line.agent].append(line)

    async def stream(self, request: LlmRequest) -> AsyncIterator[LlmChunk]:
        """Yield the scripted reply in pieces.

        Raises:
            ClientError: the script has an error for an agent of this request.
        """
        lines = {slot: self._next(request.tier, agent) for slot, agent in request.slots.items()}
        for line in lines.values():
            if line is not None and line.error is not None:
                raise ClientError(f"the script says {line.error}", outcome=line.error)
        texts = {slot: line.reply for slot, line in lines.items() if line is not None}
        reply = encoding_of(request.encoding).frame(texts)
        for start in range(0, len(reply), CHUNK_CHARS):
            yield LlmChunk(reply[start : start + CHUNK_CHARS])
        yield LlmChunk(finish="stop")

    def _next(self, tier: str, agent: int) -> _Line | None:
        """Return the agent's line whose turn it is, or None if the script has none for it."""
        for name in (agent, _EVERYONE):
            lines = [line for line in self._lines.get(name, ()) if line.tier in (None, tier, kind_and_model(tier)[0])]
            if lines:
                turn = self._turns.get((tier, agent), 0)
                self._turns[tier, agent] = turn + 1
                return lines[turn % len(lines)]
        return None
