"""Retry, breaker and rate limit as state that is told the time, and the client that applies them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai.clients.resilience import (
    BACKOFF_MAX_S,
    BACKOFF_S,
    FAILURES_MAX,
    RECOVERY_S,
    RETRIES,
    RETRY_AFTER_MAX_S,
    WINDOW_S,
    Admission,
    BreakerState,
    CircuitBreaker,
    RateLimit,
    ResilientClient,
    RetryPolicy,
)
from ai.errors import ClientError
from ai.llm_types import LlmChunk, LlmRequest, Message
from tests.ai.virtual_time import clock, run

SECONDS = st.floats(0, 100, allow_nan=False)

# The breaker.


@given(st.lists(st.tuples(SECONDS, st.sampled_from([True, False, None]), st.booleans()), max_size=60))
def test_a_breaker_lets_one_probe_through_and_is_never_stuck(
    events: list[tuple[float, bool | None, bool]],
) -> None:
    """Whatever happens: closed admits all, half open nobody, open one probe after the recovery time and no earlier."""
    breaker, now, running = CircuitBreaker(), 0.0, []
    opened: float | None = None
    for passed, verdict, starts in events:
        now += passed
        before = breaker.state
        if starts:
            admission = breaker.admit(now)
            if before is BreakerState.CLOSED:
                assert admission is Admission.CALL
            elif before is BreakerState.HALF_OPEN:
                assert admission is Admission.REFUSED
            elif admission is Admission.REFUSED:
                assert opened is not None
                assert now - opened < RECOVERY_S
            if admission is not Admission.REFUSED:
                running.append(admission)
        elif running:
            admission = running.pop(0)
            breaker.settle(admission, verdict, now)
            if admission is Admission.PROBE:
                assert breaker.state is (BreakerState.CLOSED if verdict else BreakerState.OPEN)
            if breaker.state is BreakerState.OPEN and (before is BreakerState.CLOSED or verdict is False):
                opened = now if admission is Admission.PROBE or before is BreakerState.CLOSED else opened
        assert running.count(Admission.PROBE) == (breaker.state is BreakerState.HALF_OPEN)


def test_a_breaker_opens_after_failures_in_a_row_only() -> None:
    """A success between failures starts the count again."""
    breaker = CircuitBreaker()
    for succeeded in [False] * (FAILURES_MAX - 1) + [True] + [False] * (FAILURES_MAX - 1):
        breaker.settle(breaker.admit(0.0), succeeded, 0.0)
    assert breaker.state is BreakerState.CLOSED
    breaker.settle(breaker.admit(0.0), False, 0.0)
    assert breaker.state is BreakerState.OPEN


def test_failures_that_are_long_past_do_not_count() -> None:
    """Failures spread over more than the window never open a breaker."""
    breaker = CircuitBreaker()
    for number in range(50):
        now = number * WINDOW_S / (FAILURES_MAX - 1)
        breaker.settle(breaker.admit(now), False, now)
    assert breaker.state is BreakerState.CLOSED


def test_a_breaker_tells_its_changes_once() -> None:
    """The states entered are listed in order and handed out once."""
    breaker = CircuitBreaker(failures_max=1)
    breaker.settle(breaker.admit(0.0), False, 0.0)
    breaker.settle(breaker.admit(RECOVERY_S), True, RECOVERY_S)
    assert breaker.take_changes() == ["open", "half_open", "closed"]
    assert breaker.take_changes() == []


# The rate limit.


@given(
    st.integers(1, 600),
    st.integers(60, 60_000),
    st.lists(st.tuples(st.floats(0, 20), st.integers(1, 500)), min_size=1, max_size=60),
)
def test_no_minute_holds_more_than_the_limit_and_a_burst(
    requests: int, tokens: int, calls: list[tuple[float, int]]
) -> None:
    """Calls made when the limit says so stay under it in every minute, but for one burst and the call that crosses."""
    limit, now = RateLimit(requests, tokens), 0.0
    made: list[tuple[float, int]] = []
    for passed, size in calls:
        now += passed
        wait = limit.reserve(now, size, float("inf"))
        assert wait is not None
        made.append((now + wait, size))
    for start, _ in made:
        within = [size for at, size in made if start <= at < start + 60]
        assert len(within) <= requests + max(requests / 10, 1) + 1
        assert sum(within) <= tokens + max(tokens / 10, 1) + 500


def test_no_room_in_time_takes_no_room() -> None:
    """A reservation that would wait too long is refused and costs the next one nothing."""
    limit = RateLimit(60)
    while limit.reserve(0.0, 1, 0.0) == 0.0:
        pass
    again = [limit.reserve(0.0, 1, 0.5) for _ in range(3)]
    assert again == [None, None, None]
    assert limit.reserve(0.0, 1, 2.0) == pytest.approx(1.0)


def test_what_a_call_really_used_replaces_what_was_reserved() -> None:
    """Tokens that were reserved and not used are free for the next call."""
    limit = RateLimit(None, 600)
    assert limit.reserve(0.0, 60, 0.0) == 0.0
    assert limit.reserve(0.0, 30, 0.0) is None
    limit.settle(60, 10)
    assert limit.reserve(0.0, 30, 0.0) == 0.0


def test_a_held_limit_lets_nobody_through() -> None:
    """A wish of the server to wait holds every call back, and a shorter one does not shorten it."""
    limit = RateLimit()
    limit.hold(5.0)
    limit.hold(3.0)
    assert limit.reserve(1.0, 10, 3.0) is None
    assert limit.reserve(1.0, 10, 4.0) == 4.0


# The retry policy.


@given(st.integers(0, 2000), st.floats(0, 1, exclude_max=True), st.none() | st.floats(0, 1e9))
def test_waits_are_bounded_and_never_shorter_than_asked(tried: int, drawn: float, asked: float | None) -> None:
    """A wait is at most the bound or what the server asked; a wish beyond the cap, or too many tries, end it."""
    wait = RetryPolicy(retries=1000).wait_s(tried, drawn, asked)
    if tried >= 1000 or (asked is not None and asked > RETRY_AFTER_MAX_S):
        assert wait is None
    else:
        assert wait is not None
        assert (asked or 0.0) <= wait <= max(asked or 0.0, min(BACKOFF_MAX_S, BACKOFF_S * 2.0**tried))


def test_full_jitter_reaches_from_nothing_to_the_bound() -> None:
    """The draw decides between 0 and the bound, and the bound doubles."""
    policy = RetryPolicy(retries=9, backoff_s=1.0, backoff_max_s=5.0)
    assert [policy.wait_s(tried, 0.0, None) for tried in range(4)] == [0, 0, 0, 0]
    assert [policy.wait_s(tried, 0.5, None) for tried in range(4)] == [0.5, 1.0, 2.0, 2.5]


# The client.

REQUEST = LlmRequest((Message("user", "plan"),), tokens_max=10)
ANSWER = (LlmChunk("{"), LlmChunk("}", "stop", {"prompt_tokens": 2, "completion_tokens": 3}))


@dataclass
class Moody:
    """A client that goes through a list of moods, one a call: None answers, an error is raised after `chunks`."""

    moods: Sequence[ClientError | None]
    chunks: int = 0
    label: str = "moody"
    at: list[float] = field(default_factory=list)
    requests: list[LlmRequest] = field(default_factory=list)
    closed: int = 0

    async def stream(self, request: LlmRequest) -> AsyncIterator[LlmChunk]:
        mood = self.moods[len(self.at)] if len(self.at) < len(self.moods) else None
        self.at.append(clock())
        self.requests.append(request)
        try:
            for chunk in ANSWER[: self.chunks] if mood else ANSWER:
                yield chunk
            if mood is not None:
                raise mood
        finally:
            self.closed += 1

    async def aclose(self) -> None:
        self.closed = -1


def resilient(client: Moody, **options: object) -> ResilientClient:
    return ResilientClient(client, clock=clock, draw=lambda: 0.5, **options)  # type: ignore[arg-type]


async def ask(client: ResilientClient, request: LlmRequest = REQUEST) -> str:
    try:
        chunks = [chunk async for chunk in client.stream(request)]
    except ClientError as error:
        return error.outcome
    assert tuple(chunks) == ANSWER
    return "answered"


def fault(outcome: str = "transport", **more: Any) -> ClientError:
    return ClientError("broken", outcome=outcome, **more)


@pytest.mark.parametrize("outcome", ["transport", "timeout", "rate_limited", "cut"])
def test_a_passing_fault_is_tried_again(outcome: str) -> None:
    """A call that failed before it said anything is made again, after a wait, and its listener never knows."""
    inner = Moody([fault(outcome)])
    client = resilient(inner)
    assert run(ask(client)) == "answered"
    assert inner.at == [0.0, BACKOFF_S / 2]
    assert (client.retries, client.breaker.state, inner.closed) == (1, "closed", 2)


def test_tries_are_bounded() -> None:
    """A call that fails for good is tried so often and then fails as itself."""
    inner = Moody([fault("timeout")] * 9)
    assert run(ask(resilient(inner))) == "timeout"
    assert len(inner.at) == RETRIES + 1


def test_no_retries_on_request() -> None:
    """A policy without retries calls once."""
    inner = Moody([fault()] * 9)
    assert run(ask(resilient(inner, policy=RetryPolicy(retries=0)))) == "transport"
    assert len(inner.at) == 1


@pytest.mark.parametrize(
    "error", [fault(status=404), fault("cut", context=512), fault("refused"), fault("unavailable")]
)
def test_a_hopeless_call_is_not_repeated(error: ClientError) -> None:
    """What the server will refuse again is not sent again."""
    inner = Moody([error] * 9)
    assert run(ask(resilient(inner))) == error.outcome
    assert len(inner.at) == 1


def test_a_reply_that_has_begun_is_never_begun_again() -> None:
    """A fault after the first chunk ends the call: whoever listened has heard part of it."""
    inner = Moody([fault("cut")] * 9, chunks=1)
    assert run(ask(resilient(inner))) == "cut"
    assert len(inner.at) == 1


def test_an_empty_chunk_is_no_beginning() -> None:
    """A client that gave only an empty piece before it failed has said nothing, and is asked again."""

    class Hesitant(Moody):
        async def stream(self, request: LlmRequest) -> AsyncIterator[LlmChunk]:
            yield LlmChunk()
            async for chunk in super().stream(request):
                yield chunk

    client = resilient(Hesitant([fault()]))

    async def text() -> str:
        return "".join([chunk.text async for chunk in client.stream(REQUEST)])

    assert run(text()) == "{}"
    assert client.retries == 1


@given(st.integers(0, 200))
@settings(max_examples=30, deadline=None)
def test_retry_after_is_kept_and_capped(seconds: int) -> None:
    """A wish within the cap is waited for; a longer one fails at once, and holds later calls back only for the cap."""
    inner = Moody([fault("rate_limited", retry_after_s=float(seconds))])
    client = resilient(inner)

    async def both() -> list[str]:
        return [await ask(client), await ask(client)]

    if seconds <= RETRY_AFTER_MAX_S:
        assert run(both()) == ["answered", "answered"]
        assert inner.at[1] == pytest.approx(max(seconds, BACKOFF_S / 2))
    else:
        assert run(both()) == ["rate_limited", "answered"]
        assert inner.at[1] == pytest.approx(RETRY_AFTER_MAX_S)


@given(st.floats(0.01, 3.0), st.lists(st.sampled_from(["transport", "rate_limited"]), min_size=5, max_size=5))
@settings(max_examples=40, deadline=None)
def test_nobody_waits_past_the_deadline(left: float, outcomes: list[str]) -> None:
    """Whatever fails and however often, a call ends before its deadline and tells each try what time it has."""
    inner = Moody([fault(outcome, retry_after_s=1.0) for outcome in outcomes])

    async def timed() -> float:
        await ask(resilient(inner), LlmRequest((), left_s=left))
        return clock()

    assert run(timed()) <= left
    for at, request in zip(inner.at, inner.requests, strict=True):
        assert request.left_s == pytest.approx(left - at)
        assert request.timeout_s == pytest.approx(max(min(left - at, 60.0), 0.05))


def test_the_breaker_opens_refuses_and_recovers_through_one_probe() -> None:
    """Failing calls open it; then nothing is sent until one probe, whose company is refused, closes it again."""
    inner = Moody([fault()] * FAILURES_MAX)
    client = resilient(inner, policy=RetryPolicy(retries=0))

    async def story() -> list[list[str]]:
        first = [await ask(client) for _ in range(FAILURES_MAX + 2)]
        await asyncio.sleep(RECOVERY_S)
        crowd = await asyncio.gather(*[_slowly(client) for _ in range(3)])
        return [first, list(crowd), [await ask(client)]]

    first, crowd, last = run(story())
    assert first == ["transport"] * FAILURES_MAX + ["breaker_open"] * 2
    assert sorted(crowd) == ["answered", "breaker_open", "breaker_open"]
    assert last == ["answered"]
    assert client.breaker.take_changes() == ["open", "half_open", "closed"]


async def _slowly(client: ResilientClient) -> str:
    try:
        async for _ in client.stream(REQUEST):
            await asyncio.sleep(0.1)
    except ClientError as error:
        return error.outcome
    return "answered"


@pytest.mark.parametrize(
    "error", [fault("rate_limited"), fault("cut", context=512), fault("unavailable"), fault("invalid")]
)
def test_faults_of_the_content_do_not_charge_the_breaker(error: ClientError) -> None:
    """A server that answers, if only to refuse, keeps the breaker closed."""
    client = resilient(Moody([error] * 99), policy=RetryPolicy(retries=0))

    async def many() -> None:
        for _ in range(20):
            await ask(client)

    run(many())
    assert client.breaker.state is BreakerState.CLOSED


def test_a_listener_that_goes_away_closes_the_call_and_frees_the_probe() -> None:
    """Leaving a reply early closes the stream inside; the server answered, so the probe counts as good."""
    inner = Moody([fault()] * FAILURES_MAX)
    client = resilient(inner, policy=RetryPolicy(retries=0))

    async def story() -> None:
        for _ in range(FAILURES_MAX):
            await ask(client)
        await asyncio.sleep(RECOVERY_S)
        stream = client.stream(REQUEST)
        await anext(stream)
        await stream.aclose()  # type: ignore[attr-defined]

    run(story())
    assert inner.closed == len(inner.at)
    assert client.breaker.state is BreakerState.CLOSED


def test_the_rate_limit_makes_calls_wait_and_counts_what_they_used() -> None:
    """Calls beyond the rate wait for their turn; a call that would wait past its deadline is refused unsent."""
    inner = Moody([])
    client = resilient(inner, limit=RateLimit(requests_a_minute=60))

    async def story() -> list[str]:
        for _ in range(8):
            await ask(client)
        return [await ask(client, LlmRequest((), left_s=0.5)), await ask(client)]

    assert run(story()) == ["rate_limited", "answered"]
    assert inner.at == pytest.approx([0, 0, 0, 0, 0, 0, 1, 2, 3])


def test_closing_closes_the_client_inside() -> None:
    """`aclose` reaches the client, and a client that cannot be closed is left alone."""
    inner = Moody([])
    run(resilient(inner).aclose())
    assert inner.closed == -1
