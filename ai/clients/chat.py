"""The common part of all clients of chat servers: one call, made again with less where the server refuses part of it.

A call holds parts that it can do without: a seed, a schema, an option. When a server refuses a call, the parts that its
words name are left out and the call is made again; without such words the schema is suspected. A part that proves to be
refused is left out from then on and shown in `Endpoint.left_out`. A part that once was taken is only dropped for good
when it is named, or refused again and again: a server may have a bad moment.

A model that thinks spends the limit of its reply on thoughts. When they used it up and no answer came, the call is made
again with more room, which later calls keep.
"""

from __future__ import annotations

import asyncio
import logging
import math
import re
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from dataclasses import replace
from typing import Any, Final

from ai.clients.http import Answer, Http
from ai.clients.refusals import RefusedError
from ai.clients.reply import Reply, ReplyReader
from ai.errors import ClientError
from ai.llm_types import CALL_S, SCHEMA, SILENCE_MIN_S, Endpoint, LlmChunk, LlmRequest

LINE_S: Final = 10.0
"""Longest time from the first byte of a line of a reply to its end, seconds, however long the call may take."""
FINISH_S: Final = 1.0
"""Longest silence after a server has said how the reply ended, seconds: usage may still come, or nothing at all."""
THOUGHT_TOKENS: Final = (1024, 4096, 8192)
"""Tokens added to the limit of a reply for thoughts, more each time that they used the limit up."""
DOUBTS_MAX: Final = 3  # refusals without words after which a part that once was taken is left out for good
LIMITS: Final = "limits in schemas"  # the numbers in a schema that bound sizes and values, as a part of a call
LIMIT_WORDS: Final = frozenset({
    "minItems", "maxItems", "minLength", "maxLength", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum",
    "multipleOf", "minProperties", "maxProperties", "uniqueItems", "pattern", "format",
})  # fmt: skip
"""Words of JSON schema that bound sizes and values."""

# The other words of limits are plain English.
_LIMIT_NAMES: Final = re.compile("|".join(rf"\b{word}\b" for word in sorted(LIMIT_WORDS) if not word.islower()))
_TELLING: Final = frozenset({400, 404, 422, 500, 501})
_SCHEMA_WORDS: Final = re.compile(r"response.?format|schema|structured.?output|guided|json.?mode", re.IGNORECASE)
logger = logging.getLogger(f"tickweave.{__name__}")


class ChatClient(ABC):
    """A client of one model on one server; subclasses know the interface."""

    label: str
    endpoint: Endpoint | None = None
    takes_grammar = False  # whether this kind of server takes a grammar at all
    options: Collection[str] = ()  # names of the options that a call can do without
    reader: type[ReplyReader]  # the class that reads the answer to a call

    def __init__(self, http: Http, path: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.label = http.label
        self.left_out: frozenset[str] = frozenset()
        self._http = http
        self._path = path
        self._clock = clock
        self._unopened = False
        self._thought_tokens = 0
        self._taken: set[str] = set()
        self._doubts: Counter[str] = Counter()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.label!r})"

    async def aclose(self) -> None:
        """Close open connections; a later call opens it again."""
        await self._http.aclose()

    @abstractmethod
    def body(self, request: LlmRequest, left_out: Collection[str]) -> dict[str, Any]:
        """Return the body of a call without some of its parts."""

    async def stream(self, request: LlmRequest) -> AsyncIterator[LlmChunk]:
        """Yield the reply as it arrives; the last chunk has `finish`, and usage and timings where the server sent them.

        Raises:
            ClientError: the transport or the server failed (`outcome` says how), the server takes no grammar and the
                request needs one, or the key in the environment cannot be sent.
        """
        if request.grammar is not None and not self.takes_grammar:
            raise ClientError(f"{self.label}: the server takes no grammar; use another encoding", outcome="unavailable")
        call_s = CALL_S if request.left_s is None else max(request.left_s, SILENCE_MIN_S)
        silence_s, ends = min(request.timeout_s, call_s), asyncio.get_running_loop().time() + call_s
        trial: dict[str, bool] = {}  # parts left out in this call alone, and whether the server named them
        spent: Counter[str] = Counter()
        refused: RefusedError | None = None
        loaded = False
        while True:
            secret, left_out = self._http.key(), self.left_out | trial.keys()
            reply = Reply(request, secret=secret, inside=self._unopened, clock=self._clock)
            reader = self.reader(reply, secret)
            asked = replace(request, tokens_max=request.tokens_max + self._thought_tokens)
            body = self.body(asked, left_out)
            try:
                async with self._http.call("POST", self._path, body, silence_s=silence_s, ends=ends) as answer:
                    async for data in _read(answer, reader):
                        yield reader.feed(data)
                    last = reader.close()
                    await answer.settle()
            except RefusedError as error:
                if reply.answered or reply.thought:
                    raise
                if error.failed_text:
                    # The server has judged the model's text. It is read like any other reply.
                    yield LlmChunk(error.failed_text)
                    yield LlmChunk(finish="stop", unconstrained=True)
                    return
                suspects = self._suspects(error, asked, left_out)
                if not suspects:
                    raise refused if refused is not None and refused.status == error.status else error from None
                refused = error
                trial.update(suspects)
                logger.info("%s; once more without %s", error, ", ".join(suspects))
                continue
            self._unopened = reply.thoughts.unopened
            self._learn(asked, trial)
            if last.finish == "length" and reply.thought:
                more = self._makes_room()
                if not reply.answered and not more:
                    message = f"{self.label}: thinking used up the {asked.tokens_max} tokens of the reply"
                    raise ClientError(message, outcome="invalid")
            else:
                # A model that was only loaded answers the next call.
                more = last.finish in ("load", "unload") and not loaded
                loaded |= more
            if reply.answered or not more:
                yield replace(last, usage=dict(spent + Counter(last.usage))) if spent and last.usage else last
                return
            spent.update(last.usage or {})

    def _makes_room(self) -> bool:
        """Add room for thoughts to the limit of replies; says whether there is more now."""
        context = self.endpoint.context if self.endpoint is not None else None
        more = [n for n in THOUGHT_TOKENS if n > self._thought_tokens and (context is None or n <= context // 2)]
        self._thought_tokens = more[0] if more else self._thought_tokens
        logger.info("%s: replies get %d tokens more for thoughts", self.label, self._thought_tokens)
        return bool(more)

    def parts(self, request: LlmRequest) -> set[str]:
        """Return the names of the parts of a call that it could do without."""
        return {*self.options, *((SCHEMA, LIMITS) if request.schema is not None and request.grammar is None else ())}

    def _suspects(self, error: RefusedError, request: LlmRequest, left_out: Collection[str]) -> dict[str, bool]:
        """Return the parts to leave out after a refusal, and whether they are named; none where nothing would help."""
        parts = self.parts(request) - set(left_out)
        if error.failed_text is not None or error.context is not None or error.status not in _TELLING:
            return {}
        if error.param in parts:
            return {error.param: True}
        if SCHEMA in parts:
            if LIMITS in parts and _LIMIT_NAMES.search(error.words):
                return {LIMITS: True}
            if error.param in ("response_format", "format") or _SCHEMA_WORDS.search(error.words):
                return {SCHEMA: True}
        named = {name: True for name in sorted(parts) if re.search(rf"\b{re.escape(name)}\b", error.words)}
        if named or not error.about_request or error.param is not None or SCHEMA not in parts:
            return named
        return {SCHEMA: False}

    def _learn(self, request: LlmRequest, trial: Mapping[str, bool]) -> None:
        """Remember which parts the call that succeeded was made without."""
        self._doubts.update(name for name, named in trial.items() if not named)
        known = self._taken - {name for name, times in self._doubts.items() if times >= DOUBTS_MAX}
        found = {name for name, named in trial.items() if named or name not in known}
        found -= {LIMITS} if SCHEMA in found else set()
        self._taken |= self.parts(request) - self.left_out - trial.keys()
        if found - self.left_out:
            logger.warning("%s: the server refuses %s; calls are made without", self.label, ", ".join(sorted(found)))
            self.left_out |= found
            if self.endpoint is not None:
                self.endpoint = self.shown(self.endpoint)

    def shown(self, endpoint: Endpoint) -> Endpoint:
        """Return an endpoint with the parts that have been left out so far."""
        schema = "ignored" if SCHEMA in self.left_out else endpoint.schema
        return replace(endpoint, left_out=tuple(sorted(self.left_out)), schema=schema)


async def _read(answer: Answer, reader: ReplyReader) -> AsyncIterator[bytes]:
    """Yield the body up to the end of its reply; heartbeats after the finish count as silence.

    Raises:
        ClientError: the connection is broken or too slow, also where a single line does not end.
    """
    loop, heard, within_s, since = asyncio.get_running_loop(), 0, math.inf, 0.0
    line: float | None = None
    while not reader.done:
        if reader.finish is not None and reader.heard != heard:
            heard, within_s, since = reader.heard, FINISH_S, loop.time()
        try:
            data = await answer.read(within_s - (loop.time() - since))
        except ClientError:
            if reader.finish is None:
                raise
            return  # only silence, or a broken connection, after the end
        if data is None:
            return
        if b"\n" in data:
            line = None if data.endswith(b"\n") else loop.time()
        elif line is None:
            line = loop.time()
        elif loop.time() - line > LINE_S:
            raise ClientError(f"a line of the reply did not end within {LINE_S:.0f} s", outcome="timeout")
        yield data


def schema_within(schema: Mapping[str, Any], left_out: Collection[str]) -> Mapping[str, Any] | None:
    """Return a schema as it is sent, None for none."""
    if SCHEMA in left_out:
        return None
    return _without_limits(schema) if LIMITS in left_out else schema


def _without_limits(schema: Any, *, names: bool = False) -> Any:
    """Return a schema without its limits; where `names`, the keys are names of properties and all stay."""
    if isinstance(schema, Mapping):
        return {
            key: _without_limits(value, names=not names and key in ("properties", "$defs", "definitions"))
            for key, value in schema.items()
            if names or key not in LIMIT_WORDS
        }
    if isinstance(schema, list):
        return [_without_limits(item) for item in schema]
    return schema
