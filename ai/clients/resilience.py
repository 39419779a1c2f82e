"""The layer between a tier and a model server that fails: one retry loop, a circuit breaker, a rate limit.

`CircuitBreaker`, `RateLimit` and `RetryPolicy` are plain state without a clock. `ResilientClient` puts them around any
client and is a client itself. Make one for each endpoint and model and keep it over ticks: it holds its experience.

Faults of the transport charge the breaker. Faults of the content (a refused prompt, a plan that is not a plan) and a
server's request to wait do not: the server is there.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

import numpy as np

from ai.errors import ClientError
from ai.llm_types import SILENCE_MIN_S, ClientAround, LlmChunk, LlmClient, LlmRequest, reading

FAILURES_MAX: Final = 5  # failures in a row that open a breaker
WINDOW_S: Final = 60.0  # seconds within which those failures must fall
RECOVERY_S: Final = 30.0  # seconds that an open breaker waits before it lets one call through
RETRIES: Final = 2  # times that one call is tried again
BACKOFF_S: Final = 0.2  # longest wait before the first retry, seconds; it doubles with each
BACKOFF_MAX_S: Final = 2.0  # longest wait that doubling leads to, seconds
RETRY_AFTER_MAX_S: Final = 30.0
"""Longest `Retry-After` that is waited for, and the longest that calls are held back for one, seconds."""
WAIT_MAX_S: Final = 60.0  # longest wait for our own rate limit where no deadline is nearer, seconds
BURST_S: Final = 6.0  # seconds of a rate that may be used at once
TOKEN_CHARS: Final = 3  # characters of a prompt counted as one token where the server has not counted yet
logger = logging.getLogger(f"tickweave.{__name__}")


BreakerState = StrEnum("BreakerState", ("CLOSED", "OPEN", "HALF_OPEN"))
"""Whether calls go through: all, none, or one that finds out."""
Admission = StrEnum("Admission", ("CALL", "PROBE", "REFUSED"))
"""The answer of a breaker to a call."""


class CircuitBreaker:
    """Stops calling a server that keeps failing, and finds out with single calls when it is back.

    `failures_max` failures in a row within `window_s` open it. After `recovery_s` one call goes through as a probe: its
    success closes the breaker, its failure opens it for another `recovery_s`. Results of calls that were let through
    before it opened say nothing about now and are passed over.
    """

    def __init__(
        self, *, failures_max: int = FAILURES_MAX, window_s: float = WINDOW_S, recovery_s: float = RECOVERY_S
    ) -> None:
        self.state = BreakerState.CLOSED
        self._limits = failures_max, window_s, recovery_s
        self._changes: list[BreakerState] = []
        self._failures: list[float] = []
        self._opened = 0.0

    def admit(self, now: float) -> Admission:
        """Return whether a call may be made now; an admitted call must be settled."""
        if self.state is BreakerState.CLOSED:
            return Admission.CALL
        if self.state is BreakerState.OPEN and now - self._opened >= self._limits[2]:
            self._enter(BreakerState.HALF_OPEN)
            return Admission.PROBE
        return Admission.REFUSED

    def settle(self, admission: Admission, succeeded: bool | None, now: float) -> None:  # noqa: FBT001 - three answers
        """Take in how an admitted call went; None says nothing about the server."""
        if admission is Admission.PROBE:
            if succeeded:
                self._failures.clear()
            # A probe that found nothing out leaves the time as it was: the next call is a probe at once.
            self._opened = now if succeeded is False else self._opened
            self._enter(BreakerState.CLOSED if succeeded else BreakerState.OPEN)
        elif self.state is BreakerState.CLOSED and succeeded:
            self._failures.clear()
        elif self.state is BreakerState.CLOSED and succeeded is not None:
            failures_max, window_s, _ = self._limits
            self._failures = [at for at in self._failures if now - at < window_s] + [now]
            if len(self._failures) >= failures_max:
                self._opened = now
                self._enter(BreakerState.OPEN)

    def take_changes(self) -> list[BreakerState]:
        """Return the states entered since this was last asked, oldest first."""
        taken, self._changes = self._changes, []
        return taken

    def _enter(self, state: BreakerState) -> None:
        if (self.state, state) == (BreakerState.CLOSED, BreakerState.OPEN):
            logger.warning("the model's server fails again and again; it is left alone for a while, other tiers plan")
        logger.info("the circuit breaker is %s", state.replace("_", " "))
        self.state = state
        self._changes.append(state)


class _Bucket:
    """A store that fills at a rate and may be overdrawn by one taking: a large call is served late, not never."""

    def __init__(self, a_minute: float | None) -> None:
        self.rate = math.inf if a_minute is None else a_minute / 60.0
        self.capacity = max(self.rate * BURST_S, 1.0)
        self.level = self.capacity
        self._at = -math.inf

    def wait(self, now: float, amount: float) -> float:
        """Return the seconds until the amount, or at least a full store, is there."""
        if now > self._at:
            self.level = min(self.capacity, self.level + (now - self._at) * self.rate)
            self._at = now
        return max(0.0, (min(amount, self.capacity) - self.level) / self.rate) if self.rate < math.inf else 0.0


class RateLimit:
    """Keeps calls under a number of requests and tokens a minute; None means no limit. It also waits when asked."""

    def __init__(self, requests_a_minute: float | None = None, tokens_a_minute: float | None = None) -> None:
        self._requests, self._tokens = _Bucket(requests_a_minute), _Bucket(tokens_a_minute)
        self._held_until = 0.0

    def reserve(self, now: float, tokens: int, longest: float) -> float | None:
        """Take room for one call of about `tokens` tokens and return the seconds to wait before it is made.

        None, and nothing taken, where the wait would be longer than `longest`.
        """
        wait = max(self._held_until - now, 0.0, self._requests.wait(now, 1), self._tokens.wait(now, tokens))
        if wait > longest:
            return None
        self._requests.level -= 1
        self._tokens.level -= tokens
        return wait

    def settle(self, reserved: int, used: int) -> None:
        """Replace the tokens reserved for a call by those it used."""
        self._tokens.level = min(self._tokens.capacity, self._tokens.level + reserved - used)

    def hold(self, until: float) -> None:
        """Make no call before a time."""
        self._held_until = max(self._held_until, until)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and when a call is tried again: full jitter, uniform between 0 and a bound that doubles each time."""

    retries: int = RETRIES
    backoff_s: float = BACKOFF_S
    backoff_max_s: float = BACKOFF_MAX_S

    def wait_s(self, tried: int, drawn: float, asked_s: float | None) -> float | None:
        """Return the seconds before the next try after `tried` retries, None if there is none.

        `drawn` is uniform in [0, 1); `asked_s` is the wait that the server asked for, which is never cut short.
        """
        if tried >= self.retries or (asked_s is not None and asked_s > RETRY_AFTER_MAX_S):
            return None
        # An exponent beyond any backoff: a large number of retries must not overflow.
        bound = min(self.backoff_max_s, self.backoff_s * 2.0 ** min(tried, 64))
        return max(drawn * bound, asked_s or 0.0)


def _charges(error: ClientError) -> bool:
    return error.outcome in ("transport", "timeout", "cut") and error.context is None


class ResilientClient(ClientAround):
    """A client around another: the one retry loop, its breaker and its rate limit.

    A call is tried again only while nothing of its reply has come, and never past the caller's deadline. `retries`
    counts second tries.
    """

    def __init__(
        self,
        client: LlmClient,
        *,
        policy: RetryPolicy | None = None,
        breaker: CircuitBreaker | None = None,
        limit: RateLimit | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        draw: Callable[[], float] | None = None,
    ) -> None:
        super().__init__(client)
        self.breaker = CircuitBreaker() if breaker is None else breaker
        self.retries = 0
        self._policy = RetryPolicy() if policy is None else policy
        self._limit = RateLimit() if limit is None else limit
        self._clock = clock
        self._sleep = sleep
        self._draw = np.random.default_rng().random if draw is None else draw

    async def stream(self, request: LlmRequest) -> AsyncIterator[LlmChunk]:
        """Yield the reply as it arrives.

        Raises:
            ClientError: the last try failed, the breaker is open (`breaker_open`), or there is no room within the time
                left (`rate_limited`).
        """
        ends = None if request.left_s is None else self._clock() + request.left_s
        tried, silence_s = 0, request.timeout_s
        while True:
            admission = self.breaker.admit(self._clock())
            if admission is Admission.REFUSED:
                message = f"{self.label}: not called, the circuit breaker is open after repeated failures"
                raise ClientError(message, outcome="breaker_open", sent=tried > 0)
            succeeded: bool | None = None
            begun = False
            try:
                reserved = await self._turn(request, ends)
                if ends is not None:
                    left = max(ends - self._clock(), 0.0)
                    request = replace(request, left_s=left, timeout_s=min(silence_s, max(left, SILENCE_MIN_S)))
                async with reading(self.client.stream(request)) as stream:
                    async for chunk in stream:
                        succeeded = True
                        begun = begun or bool(chunk.text or chunk.thinking or chunk.finish)
                        if (usage := chunk.usage or {}).keys() >= {"prompt_tokens", "completion_tokens"}:
                            # A count that a server leaves out is unknown, not zero.
                            self._limit.settle(reserved, usage["prompt_tokens"] + usage["completion_tokens"])
                        yield chunk
            except ClientError as error:
                succeeded = False if _charges(error) else None
                wait = None if begun else self._next(error, tried)
                if wait is None or (ends is not None and self._clock() + wait >= ends):
                    error.sent |= tried > 0
                    raise
            else:
                return
            finally:
                self.breaker.settle(admission, succeeded, self._clock())
            logger.info("%s: tried again in %.1f s", self.label, wait)
            # Nothing of a reply has come, so its reader cannot tell that there was a first try.
            self.retries += 1
            tried += 1
            await self._sleep(wait)

    def _next(self, error: ClientError, tried: int) -> float | None:
        """Return the seconds before the next try, None if there is none; a server's wish to wait binds all calls."""
        asked = error.retry_after_s
        if asked is not None:
            self._limit.hold(self._clock() + min(asked, RETRY_AFTER_MAX_S))
        if error.permanent or error.context is not None or error.outcome == "refused" or not error.sent:
            return None
        return self._policy.wait_s(tried, self._draw(), asked)

    async def _turn(self, request: LlmRequest, ends: float | None) -> int:
        """Wait until the rate limit has room and return the tokens reserved."""
        now, message = self._clock(), f"{self.label}: not called, the rate limit leaves no room within the time"
        tokens = request.tokens_max + sum(len(message.content) for message in request.messages) // TOKEN_CHARS
        wait = self._limit.reserve(now, tokens, WAIT_MAX_S if ends is None else max(ends - now, 0.0))
        if wait is None:
            raise ClientError(message, outcome="rate_limited", sent=False)
        if wait:
            logger.debug("%s: waits %.1f s for the rate limit", self.label, wait)
            try:
                await self._sleep(wait)
            except BaseException:
                self._limit.settle(tokens, 0)
                raise
        return tokens
