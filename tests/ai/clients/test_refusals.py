"""The context that servers tell when they refuse a prompt as too long."""

import pytest

from ai.clients.wire.room import CONTEXT_MAX, room_told


@pytest.mark.parametrize(
    ("message", "room"),
    [
        ("This model's maximum context length is 4096 tokens. However, you requested 5000 tokens (4000 in the", 4096),
        ("This model's maximum context length is 8192 tokens. However, your prompt contains at least 8193 input", 8192),
        ("Requested tokens (4170) exceed context window of 512", 512),
        ("the rendered prompt is 9031 tokens; the model context is 8192 — shorten the conversation", 8192),
        ("request (6025 tokens) exceeds the available context size (4096 tokens), try increasing it", 4096),
        ("the context is missing", None),
        ("no tokens in context", None),
        ("tokens: context is 99999999999", None),
        (f"tokens: context is {CONTEXT_MAX + 1}", None),
        ("tokens: context is 0", None),
    ],
)
def test_the_room_is_read_from_the_words_of_each_server(message: str, room: int | None) -> None:
    """The words of four servers give the context; words without a believable one give none."""
    assert room_told({"error": {"message": message}}, message) == room


@pytest.mark.parametrize("field", ["512", 512.0, True, -1, 0, None, [], CONTEXT_MAX + 1])
def test_a_field_that_is_no_number_of_tokens_is_passed_over(field: object) -> None:
    """What stands in the field is taken only where it is a whole number that a context can have."""
    assert room_told({"error": {"n_ctx": field}}, "") is None
