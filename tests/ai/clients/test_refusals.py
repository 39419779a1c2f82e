"""Refusals in the words of many servers: the room they tell, the wait they ask for, and what kind of fault it is."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai.clients.refusals import CONTEXT_MAX, RETRY_AFTER_MAX_S, _retry_after_s, message_of, refusal, reported, room_told

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("message", "room"),
    [
        ("This model's maximum context length is 4096 tokens. However, you requested 5000 tokens (4000 in the", 4096),
        ("This model's maximum context length is 128,000 tokens, however you requested 130,500 tokens", 128_000),
        ("prompt exceeds the context window of 32,768 tokens", 32_768),
        ("Requested tokens (4170) exceed context window of 512", 512),
        ("the rendered prompt is 9031 tokens; the model context is 8192 \u2014 shorten the conversation", 8192),
        ("request (6025 tokens) exceeds the available context size (4096 tokens), try increasing it", 4096),
        ("The input (5000 tokens) is longer than the model's context length (4096 tokens).", 4096),
        ("the model is loaded with context length of only 4096 tokens, which is not enough.", 4096),
        ("Prompt contains 40000 tokens, too large for model with 32768 maximum context length", 32_768),
        ("`inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 `inputs` tokens and 512 `max_new_", 4096),
        ("The input token count (1100000) exceeds the maximum number of tokens allowed (1048576).", 1_048_576),
        ("prompt is too long: 210000 tokens > 200000 maximum", 200_000),
        ("This model's maximum prompt length is 131072 but the request contains 537812 tokens.", 131_072),
        ("max_tokens is too large: 32000. This model supports at most 16384 completion tokens", None),
        ("requested 5000 tokens, context 2 of 4 slots busy", None),
        ("the context is missing", None),
        ("no tokens in context", None),
        ("tokens: context is 99999999999", None),
        (f"tokens: context is {CONTEXT_MAX + 1}", None),
        ("tokens: context is 0", None),
    ],
)  # fmt: skip
def test_the_room_is_read_from_the_words_of_each_server(message: str, room: int | None) -> None:
    """The words of each server give the context, never a smaller number; words without a believable one give none."""
    assert room_told({"message": message}, message) == room
    for status in (400, 413, 422):
        assert refusal(status, json.dumps({"error": {"message": message}}).encode()).context == room
    assert reported({"error": {"message": message}}).context == room


@pytest.mark.parametrize("field", ["512", 512.0, True, -1, 0, None, [], CONTEXT_MAX + 1])
def test_a_field_that_is_no_number_of_tokens_is_passed_over(field: object) -> None:
    """What stands in the field is taken only where it is a whole number that a context can have."""
    assert room_told({"n_ctx": field}, "") is None


@given(st.integers(0, 10**6))
def test_a_retry_after_date_is_as_good_as_its_seconds(seconds: int) -> None:
    """The two forms of the header mean the same, up to the longest wait that is believed."""
    date = format_datetime(NOON + timedelta(seconds=seconds), usegmt=True)
    assert _retry_after_s(str(seconds)) == _retry_after_s(date, NOON) == min(seconds, RETRY_AFTER_MAX_S)


@given(
    st.text() | st.sampled_from(["", "-1", "1e9", "\u0663", "9" * 60, "9" * 400, "Mon, 99 Foo 0000 99:99:99", "inf"])
)
def test_any_retry_after_is_read_or_passed_over(header: str) -> None:
    """Whatever a server writes gives seconds within bounds, or nothing."""
    seconds = _retry_after_s(header, NOON)
    assert seconds is None or 0 <= seconds <= RETRY_AFTER_MAX_S


def test_a_date_in_the_past_means_now() -> None:
    """A moment that has gone by asks for no wait."""
    assert _retry_after_s(format_datetime(NOON - timedelta(days=1), usegmt=True), NOON) == 0


@pytest.mark.parametrize(
    ("event", "outcome", "permanent"),
    [
        ({"error": {"code": 429, "message": "slow down"}}, "rate_limited", False),
        ({"error": {"code": "429", "message": "slow down"}}, "rate_limited", False),
        ({"error": {"code": "rate_limit_exceeded", "message": "slow down"}}, "rate_limited", False),
        ({"type": "error", "error": {"type": "overloaded_error", "message": "slow down"}}, "transport", False),
        ({"object": "error", "message": "slow down", "code": 50002}, "transport", False),
        ({"message": "slow down", "code": "x"}, "transport", False),
        ("slow down", "transport", False),
        ({"error": "slow down"}, "transport", False),
        ({"error": {"code": 401, "message": "slow down"}}, "transport", True),
    ],
)
def test_an_error_inside_a_stream_counts_like_the_same_by_status(event: object, outcome: str, permanent: bool) -> None:  # noqa: FBT001
    """Its kind is read from its code or words, and the server's own words are kept."""
    error = reported(event)
    assert (error.outcome, error.permanent) == (outcome, permanent)
    assert str(error) == "the server reports: slow down"


@pytest.mark.parametrize(
    ("status", "permanent"),
    [(301, True), (400, True), (401, True), (404, True), (408, False), (413, True), (422, True), (425, False),
     (429, False), (500, False), (501, True), (503, False), (504, False)],
)  # fmt: skip
def test_permanent_errors_are_told_from_passing_ones(status: int, permanent: bool) -> None:  # noqa: FBT001
    """A refusal of the call itself would come again; a fault of the server's moment may not."""
    assert refusal(status, b"no").permanent == permanent


@pytest.mark.parametrize("text", ["", '{"a1":'])
@pytest.mark.parametrize("code", ["json_validate_failed", "tool_use_failed"])
def test_the_models_own_bad_text_is_a_fault_of_the_content(code: str, text: str) -> None:
    """A 400 that blames the model's reply is `invalid`, keeps the text, and is neither permanent nor about the call."""
    error = refusal(400, json.dumps({"error": {"message": "bad", "code": code, "failed_generation": text}}).encode())
    assert (error.outcome, error.failed_text, error.permanent, error.about_request) == ("invalid", text, False, False)


@pytest.mark.parametrize(
    "data",
    [{"error": {"message": "no"}}, {"error": "no"}, {"message": "no"}, {"detail": "no"}, "no", [{"error": "no"}]],
)
def test_the_message_is_found_in_every_shape(data: Any) -> None:
    """Objects in objects, lists of them, and plain text."""
    assert message_of(data) == "no"


NAMES = st.sampled_from(["error", "message", "detail", "code", "n_ctx", "status", "param", "failed_generation"])
SCALARS = st.none() | st.booleans() | st.integers() | st.text()


@given(st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner)))
def test_any_answer_gives_one_bounded_sentence(data: object) -> None:
    """Whatever JSON an error holds, as a status or in a stream, there is one `RefusedError` of bounded length."""
    for error in (refusal(400, json.dumps(data).encode()), reported(data)):
        assert len(str(error)) < 400
        assert "\n" not in str(error)
