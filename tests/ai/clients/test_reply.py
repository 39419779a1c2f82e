"""One reply out of its pieces: characters joined, unconstrained replies noticed, waits measured, numbers bounded."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai.clients.reply import Reply, finish_word, fits
from ai.llm_types import COUNT_MAX, LlmRequest, count_of, milliseconds_of

SCHEMA = {"type": "object", "properties": {"a1": {}, "a2": {}}, "required": ["a1"], "additionalProperties": False}


@pytest.mark.parametrize(
    ("text", "follows"),
    [
        ('{"a1":1}', True),
        ('{"a1":1,"a2":2}', True),
        ('{"a2":2}', False),
        ('{"a1":1,"a3":2}', False),
        ('[{"a1":1}]', False),
        ("Sure! I would move.", False),
        ("", False),
        ("[" * 100_000, False),
    ],
)
def test_a_reply_that_no_schema_held_is_noticed(text: str, *, follows: bool) -> None:
    """A whole reply whose outermost level the schema forbids was written without it, and its last chunk says so."""
    assert fits(text, SCHEMA) == follows
    reply = Reply(LlmRequest((), schema=SCHEMA), clock=lambda: 0.0)
    reply.add(text)
    assert reply.end("stop").unconstrained != follows


def test_a_reply_that_was_cut_or_needed_no_schema_is_not_called_unconstrained() -> None:
    """A reply cut at its limit cannot be judged, and one for which no schema was asked need not be."""
    for request, finish in ((LlmRequest((), schema=SCHEMA), "length"), (LlmRequest(()), "stop")):
        reply = Reply(request, clock=lambda: 0.0)
        reply.add("no plan")
        assert not reply.end(finish).unconstrained


@pytest.mark.parametrize(("first_s", "queue_ms"), [(0.1, 0.0), (0.115, 0.0), (0.6, 500.0)])
def test_the_wait_for_a_slot_follows_from_the_first_token(first_s: float, queue_ms: float) -> None:
    """What passes before the first token beyond the reading of the prompt was spent in a queue, less the way there."""
    now = [0.0]
    reply = Reply(LlmRequest(()), clock=lambda: now[0])
    now[0] = first_s
    reply.add("{")
    assert reply.end("stop", timings={"prompt_ms": 100.0}).timings == {"prompt_ms": 100.0, "queue_ms": queue_ms}
    assert reply.end("stop", timings={"predicted_ms": 9.0}).timings == {"predicted_ms": 9.0}
    # Of a reply that was looked at late, the server's own times say how long it cannot have waited.
    now[0] = first_s + 0.2
    whole = {"prompt_ms": 100.0, "predicted_ms": 1000 * first_s + 100.0}
    assert reply.end("stop", timings=whole).timings == {**whole, "queue_ms": 0.0}


@given(
    st.one_of(st.integers(), st.floats(), st.booleans(), st.none(), st.text(), st.just(10**400)),
    st.sampled_from([1, 1e-6]),
)
def test_numbers_from_a_server_are_bounded_where_they_enter(value: object, unit: float) -> None:
    """Whatever stands where a count or a time should, comes out as one that can be summed and written, or as None."""
    count, time = count_of(value), milliseconds_of(value, unit)
    assert count is None or 0 <= count <= COUNT_MAX
    assert time is None or (time >= 0 and math.isfinite(time))
    json.dumps([count, time], allow_nan=False)


def test_true_is_no_count() -> None:
    """A boolean is not a number, though Python thinks so."""
    assert (count_of(True), milliseconds_of(True), count_of(7), milliseconds_of(2.5)) == (None, None, 7, 2.5)


@pytest.mark.parametrize(
    ("word", "finish"),
    [("stop", "stop"), ("eos_token", "stop"), ("END_TURN", "stop"), ("MAX_TOKENS", "length"), ("length", "length"),
     ("content_filter", "content_filter"), ("x" * 999, "x" * 40)],
)  # fmt: skip
def test_the_words_for_an_end_are_put_into_two(word: str, finish: str) -> None:
    """Servers' words for a whole reply and for a full one mean `stop` and `length`; others are kept, bounded."""
    assert finish_word(word) == finish


def test_a_late_closing_mark_voids_the_reply_so_far() -> None:
    """The chunk says so, and the judgement of the whole reply counts the answer alone."""
    reply = Reply(LlmRequest((), schema=SCHEMA), clock=lambda: 0.0)
    reply.add('try {"a9":1}')
    assert not reply.take().voids
    reply.add('</think>{"a1":1}')
    chunk = reply.take()
    assert (chunk.text, chunk.voids, reply.answered, reply.thought) == ('{"a1":1}', True, True, True)
    assert not reply.end("stop").unconstrained
